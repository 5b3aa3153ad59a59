"""``inspect``: what the files hold, seen without reading more of them than is asked for."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.cli.inspect import _cut
from s3rs_ray.engine.inspection import inspect_table
from s3rs_ray.engine.tasks import data_key, open_store
from s3rs_ray.storage.s3 import S3Store

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command


def make(world: World, rows: int = 100) -> str:
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, price DECIMAL(10,2), note VARCHAR(20), same CHAR(1) NOT NULL,"
        " born DATE, empty INT, body BLOB, update_at DATETIME NOT NULL, KEY (update_at))"
    )
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s, 'x', %s, NULL, %s, '2026-01-01' + INTERVAL %s SECOND)",
        [(n, n / 4, "" if n % 10 == 0 else f"n{n}", "0000-00-00" if n == 7 else "2026-02-03", b"\xff", n)
         for n in range(rows)],
    )  # fmt: skip
    return f"{world.schema}.t"


def test_schema_sample_statistics_and_quality_are_told(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t", world.settings.model_copy(update={"backup_batch_size": 60}))
    found: dict[str, Any] = command("inspect", "-t", table, "--files", "5", "-o", "json").json
    assert set(found) == {
        "table", "files_present", "files", "rows_examined", "all_rows_examined", "schema", "sample", "columns",
        "quality", "skipped", "drift", "not_compared",
    }  # fmt: skip
    assert (found["files_present"], len(found["files"]), found["rows_examined"]) == (2, 2, 100)
    assert sum(f["rows"] for f in found["files"]) == 100
    assert found["schema"][1] == {
        "name": "price", "type": "decimal128(10, 2)", "nullable": True, "source": "decimal(10,2)",
        "redshift": "DECIMAL(10,2)",
    }  # fmt: skip
    columns = {c["name"]: c for c in found["columns"]}
    assert columns["price"] == {
        "name": "price", "nulls": 0, "null_rate": 0.0, "min": "0.00", "max": "24.75", "distinct": 100,
        "distinct_is_exact": True,
    }  # fmt: skip
    assert (columns["born"]["nulls"], columns["body"]["max"], columns["id"]["max"]) == (1, "ff", 99)
    assert {(q["column"], q["kind"]): q["count"] for q in found["quality"]} == {
        (None, "nulled_dates"): 1,
        ("note", "blank"): 10,
        ("same", "constant"): 100,
        ("empty", "all_null"): 100,
        ("body", "constant"): 100,
    }
    assert len(found["sample"]) == 3
    assert (found["drift"], found["not_compared"]) == ([], {})
    text = command("inspect", "-t", "t", "--files", "2").out
    assert "1 date that no calendar has" in text
    assert "every value is NULL" in text


def test_no_more_is_read_than_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world, rows=3000)
    world.sync_one("t")
    parts: list[int] = []
    read = S3Store.get_part

    def counted(store: S3Store, key: str, start: int, size: int) -> bytes:
        parts.append(size)
        return read(store, key, start, size)

    monkeypatch.setattr(S3Store, "get_part", counted)
    found = inspect_table(world.settings, world.name("t"), files=1, rows=10, sample=2)
    assert (found.rows, found.whole, len(found.sample)) == (10, False, 2)
    assert 0 < sum(parts) <= 2 * found.files[0].bytes + 2 * 65_536  # the footer is looked for in the last 64 KiB


def test_files_of_other_columns_are_left_out_and_said(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t")
    world.execute("ALTER TABLE t ADD COLUMN more INT")
    world.execute("UPDATE t SET update_at = '2026-01-02', more = 1 WHERE id < 5")
    world.sync_one("t")
    found = command("inspect", "-t", table, "--files", "9", "-o", "json").json
    assert (found["rows_examined"], len(found["skipped"]), len(found["files"])) == (5, 1, 2)


def test_a_column_that_changed_under_its_name_is_shown_in_files_source_and_redshift(
    world: World, command: Command
) -> None:
    table = make(world)
    world.sync_one("t")
    world.execute("ALTER TABLE t MODIFY empty BIGINT, ADD COLUMN more INT")
    world.execute("UPDATE t SET update_at = '2026-01-02', empty = 5, more = 1 WHERE id < 5")
    world.sync_one("t")
    world.execute("ALTER TABLE t MODIFY note VARCHAR(30), DROP COLUMN same")
    with world.warehouse.cursor() as cursor:
        for change in ("DROP COLUMN price", "ADD COLUMN price DECIMAL(6,2)", "DROP COLUMN born"):
            cursor.execute(f'ALTER TABLE "{world.schema}".t {change}'.encode())
    found = command("inspect", "-t", table, "--files", "9", "-o", "json").json
    [older] = found["skipped"]
    drift = {(d["where"], d["column"]): (d["kind"], d["newest"], d["found"], d["file"]) for d in found["drift"]}
    assert drift == {
        ("file", "empty"): ("type", "int64", "int32", older),
        ("file", "more"): ("missing", "int32", None, older),
        ("source", "note"): ("type", "varchar(20)", "varchar(30)", None),
        ("source", "same"): ("missing", "char(1)", None, None),
        ("redshift", "price"): ("type", "DECIMAL(10,2)", "DECIMAL(6,2)", None),
        ("redshift", "born"): ("missing", "DATE", None, None),
    }
    assert found["rows_examined"] == 5
    text = command("inspect", "-t", table, "--files", "9").out
    assert "columns that changed" in text
    assert older in text


def test_what_cannot_be_asked_is_said_and_the_files_are_shown_all_the_same(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t")
    done = command("inspect", "-t", table, "-o", "json", DB_PORT="1", REDSHIFT_HOST="")
    assert done.code == 0
    assert set(done.json["not_compared"]) == {"source", "redshift"}
    assert "missing settings: REDSHIFT_HOST" in done.json["not_compared"]["redshift"]
    assert done.json["rows_examined"] == 100


def test_a_table_without_files_and_a_file_that_is_none_are_refused(world: World, command: Command) -> None:
    nothing = command("inspect", "-t", f"{world.schema}.none")
    assert (nothing.code, "has no file in s3://" in nothing.err) == (2, True)
    make(world)
    world.sync_one("t")
    last = world.ledger().load(world.name("t")).last_run_id
    open_store(world.settings).put_new(data_key(world.settings, world.name("t"), last, 99), b"no Parquet at all")
    broken = command("inspect", "-t", "t")
    assert (broken.code, "0099.parquet is no Parquet file" in broken.err) == (4, True)


def test_numbers_and_times_are_never_cut() -> None:
    assert _cut(dt.datetime(2026, 1, 31, 23, 59, 59, 123456)) == "2026-01-31 23:59:59.123456"
    assert _cut(Decimal("-" + "9" * 38)) == "-" + "9" * 38
    assert _cut("x" * 60) == "x" * 23 + "…"
    assert (_cut(""), _cut(None)) == ("''", "NULL")

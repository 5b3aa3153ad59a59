"""What the reader must not do: follow a server elsewhere, take a value for another, write a file COPY refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.engine import tasks
from s3rs_ray.engine.events import Status
from s3rs_ray.local.mariadb import MariaDB
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.source.extract import read_chunk
from tests.support.exact import assert_exact, fill

from .local.conftest import server_directory
from .test_policies import chosen, refused

if TYPE_CHECKING:
    from .conftest import World

__all__ = ["server_directory"]


def test_the_server_that_was_named_is_read_wherever_its_socket_leads(
    world: World, stack: LocalStack, server_directory: Path
) -> None:
    """Behind a tunnel to 127.0.0.1 the path a server tells as its socket may be another server's."""
    fill(world, ["origin VARCHAR(9)"], [["named"]])
    with MariaDB(server_directory, stack.mariadb.account, buffer_pool_mb=32) as other:
        with other.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{world.schema}`")
            cursor.execute(
                f"CREATE TABLE `{world.schema}`.t (PRIMARY KEY (id), KEY (update_at))"
                " SELECT 1 AS id, TIMESTAMP'2026-01-01 00:00:00.000001' AS update_at, 'other' AS origin"
            )
        ((told,),) = world.source_rows("t", "@@socket")
        own = Path(told).rename(f"{told}.own")
        Path(told).symlink_to(server_directory / "mariadb" / "sock")
        try:
            world.sync_one("t")
        finally:
            Path(told).unlink()
            own.rename(told)
    assert world.target_rows("t", "origin") == [("named",)]


def altered(world: World, monkeypatch: pytest.MonkeyPatch, change: str, value: str) -> None:
    """The column ``c`` changes after the run was planned and before the first chunk is read."""

    def alter(*arguments: Any, **more: Any) -> Any:
        monkeypatch.undo()
        world.execute(f"ALTER TABLE t MODIFY COLUMN c {change}")
        world.execute(f"UPDATE t SET c = {value}")
        return read_chunk(*arguments, **more)

    monkeypatch.setattr(tasks, "read_chunk", alter)


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ("INT", "BIGINT", str(2**40)),
        ("DECIMAL(10,2)", "DECIMAL(12,4)", "1.2345"),
        ("FLOAT", "DOUBLE", "0.1"),
        ("VARCHAR(5)", "VARCHAR(50)", "REPEAT('é', 50)"),
        ("VARBINARY(5)", "BLOB", "REPEAT('x', 50)"),
        ("CHAR(5)", "LONGTEXT", "REPEAT('x', 70)"),
    ],
)
def test_a_column_that_changes_under_a_run_stops_it_and_the_next_run_follows(
    world: World, monkeypatch: pytest.MonkeyPatch, before: str, after: str, value: str
) -> None:
    fill(world, [f"c {before}"], [[1], [2]])
    altered(world, monkeypatch, after, value)
    (stopped,) = world.sync("t")
    assert (stopped.status, stopped.exit_code, stopped.files_created) == (Status.FAILED, 4, 0)
    assert "column c (" in stopped.error
    assert "run the command again" in stopped.hint
    assert world.sync_one("t").rows_loaded == 2
    assert_exact(world)


def test_a_text_that_becomes_the_number_of_a_plan_is_not_taken_for_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, ["c INT"], [[7]])
    altered(world, monkeypatch, "VARCHAR(9)", "'007'")
    (stopped,) = world.sync("t")
    assert "string does not become int32" in stopped.error


STRAYS = {
    "gbk": "_gbk x'AAA1'",
    "sjis": "_sjis x'F040'",
    "euckr": "_euckr x'C9A1'",
    "cp1251": "_cp1251 x'3F98'",
    "cp1250": "_cp1250 x'81'",
    "greek": "_greek x'ff'",
    "tis620": "_tis620 x'DB'",
    "ascii": "_ascii x'80'",
}


@pytest.mark.parametrize("name", STRAYS)
def test_a_character_that_unicode_does_not_have_is_refused_instead_of_a_question_mark(world: World, name: str) -> None:
    kinds = ("VARCHAR(9)", "TEXT", "CHAR(9)")
    fill(world, [f"c{i} {kind} CHARACTER SET {name}" for i, kind in enumerate(kinds)], [["?", "a??", None]])
    assert world.sync_one("t").rows_loaded == 1
    world.execute("SET SESSION sql_mode = ''")
    world.execute(f"INSERT INTO t VALUES (2, '2026-01-02', '?', {STRAYS[name]}, '')")
    result = refused(world)
    assert "column c1 of the row (id) = (2) holds a character that is not in Unicode" in result.error
    assert "exclude the column" in result.hint
    assert world.sync_one("t", chosen(world, exclude=["c1"])).rows_loaded == 1


@pytest.mark.parametrize("stray", ["_utf8mb4 x'EDA080'", "_ucs2 x'D83D'"], ids=["utf8mb4", "ucs2"])
def test_half_a_surrogate_pair_is_refused_at_once_with_a_way_to_find_it(world: World, stray: str) -> None:
    fill(world, [f"c VARCHAR(9) CHARACTER SET {stray[1:].split()[0]}"], [["퀀 ok"]])
    world.execute(f"INSERT INTO t VALUES (2, '2026-01-02', {stray})")
    result = refused(world)
    assert result.exit_code == 4
    assert "half a surrogate pair" in result.error
    found = world.source_rows("t", "id", "WHERE HEX(CONVERT(c USING utf8mb4)) REGEXP '^(..)*ED[AB]'")
    assert found == [(2,)]
    assert "REGEXP '^(..)*ED[AB]'" in result.hint


@pytest.mark.parametrize("batch", [1, 100])
def test_a_key_that_is_not_in_unicode_loses_no_row(world: World, batch: int) -> None:
    world.execute("CREATE TABLE t (k VARCHAR(9) CHARACTER SET gbk PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES ('B', '2026-01-01'), ('包?', '2026-01-02'), (_gbk x'AAA1', '2026-01-03')")
    settings = world.settings.model_copy(update={"backup_batch_size": batch})
    result = refused(world, settings)
    assert "the key of the row (update_at, k) = (2026-01-03 00:00:00, ?) holds a character" in result.error
    world.execute("UPDATE t SET update_at = '2026-01-01' WHERE k = _gbk x'AAA1'")
    assert "not in Unicode" in refused(world, settings).error
    world.execute("DELETE FROM t WHERE k = _gbk x'AAA1'")
    assert world.sync_one("t", settings).rows_loaded == 2


def test_half_a_surrogate_pair_in_a_key_is_refused(world: World) -> None:
    world.execute("CREATE TABLE t (k VARCHAR(9) CHARACTER SET utf8mb4 PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES (_utf8mb4 x'EDA080', '2026-01-01')")
    assert "half a surrogate pair" in refused(world).error


def test_a_json_document_is_never_cut(world: World) -> None:
    fill(world, ["j JSON"], [[f'"{"x" * 65533}"'], [f'"{"x" * 65534}"']])
    result = refused(world, chosen(world, long_text="truncate"))
    assert "column j of the row (id) = (2) holds 65,536 bytes" in result.error
    assert "truncate" not in result.hint


def test_a_row_larger_than_copy_takes_is_refused_before_a_file_is_written(world: World) -> None:
    names = [f"b{i}" for i in range(5)]
    fill(world, [f"{name} LONGBLOB" for name in names], [[b"x"] * 5, [b"x" * 799_990] * 5])
    assert world.sync_one("t").rows_loaded == 2
    world.execute("INSERT INTO t SELECT 3, '2026-01-02', " + ", ".join("REPEAT('y', 800001)" for _ in names))
    result = refused(world)
    assert "the row (id) = (3) holds 4,000,005 bytes" in result.error
    assert result.files_created == 0
    assert world.sync_one("t", chosen(world, exclude=["b4"])).rows_loaded == 1

"""Values Redshift has no form for, end to end: what the user chose, counted, reported, or refused with the row."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.events import Status, TableResult
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.policies import Adjusted
from s3rs_ray.storage.layout import format_state_key
from s3rs_ray.table_settings import TableSettings
from tests.integration.test_cli import s3rs
from tests.support.exact import fill

if TYPE_CHECKING:
    from .conftest import World

IMPOSSIBLE = ["0000-00-00", "2024-00-10", "2024-10-00", "0000-01-01", "0000-12-31", "2024-02-31", "2023-02-29"]


def chosen(world: World, table: str = "t", **settings: Any) -> Settings:
    """The world's settings with an entry for one table."""
    entry = TableSettings.model_validate(settings)
    return world.settings.model_copy(update={"tables": {f"{world.schema}.{table}": entry}})


def refused(world: World, settings: Settings | None = None, table: str = "t") -> TableResult:
    (result,) = world.sync(table, settings=settings)
    assert result.status is Status.FAILED
    assert result.rows_loaded == 0
    return result


def any_date(world: World) -> None:
    world.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")


def make_dates(world: World) -> None:
    any_date(world)
    fill(world, ["d DATE", "t DATETIME(6)", "n DATE NOT NULL", "s TIMESTAMP NULL"], [])
    rows: list[tuple[object, ...]] = [
        (i, i, day, f"{day} 23:59:59.999999", day, None) for i, day in enumerate(IMPOSSIBLE)
    ]
    rows += [(100, 100, None, None, "2024-02-29", "0000-00-00"), (101, 101, "0001-01-01", None, "9999-12-31", None)]
    world.execute("INSERT INTO t VALUES (%s, '2026-01-01' + INTERVAL %s SECOND, %s, %s, %s, %s)", rows)


def test_dates_no_calendar_has_become_null_counted_and_reported(world: World) -> None:
    make_dates(world)
    result = world.sync_one("t", world.settings.model_copy(update={"backup_batch_size": 4}))
    impossible = 3 * len(IMPOSSIBLE) + 1
    assert result.adjusted == Adjusted(nulled_dates=impossible)
    assert [w.partition(" dates")[0] for w in result.warnings] == [str(impossible)]
    assert "zero_dates: refuse" in result.warnings[0]
    assert world.target_rows("t", "count(*), count(d), count(t), count(n), count(s)") == [(9, 1, 0, 2, 0)]
    assert world.target_rows("t", "d, n", "WHERE id = 101") == [(dt.date(1, 1, 1), dt.date(9999, 12, 31))]
    state = json.loads(open_store(world.settings).get(format_state_key(world.name("t"))).body)
    assert "adjusted" in json.dumps(state) or state["processed_s3_files"]


@pytest.mark.parametrize("kind", ["DATE", "DATETIME(6) NOT NULL"])
def test_a_date_of_the_year_0_becomes_null_though_the_driver_can_read_it(world: World, kind: str) -> None:
    any_date(world)
    fill(world, [f"d {kind}"], [["0000-12-31"], ["0001-01-01"]])
    assert world.sync_one("t").adjusted == Adjusted(nulled_dates=1)
    assert world.target_rows("t", "count(*), count(d)") == [(2, 1)]


@pytest.mark.parametrize("column", ["d", "t", "n", "s"])
def test_dates_no_calendar_has_are_refused_on_request_with_column_and_row(world: World, column: str) -> None:
    make_dates(world)
    others = {name: {"zero_dates": "null"} for name in "dtns" if name != column}
    result = refused(world, chosen(world, zero_dates="refuse", columns=others))
    row = 100 if column == "s" else 0
    assert f"column {column} of the row (id) = ({row}) holds a date that no calendar has" in result.error
    assert "zero_dates: null" in result.hint


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_rows_whose_cursor_is_a_zero_date_arrive_once_and_never_beat_a_newer_version(world: World, batch: int) -> None:
    any_date(world)
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at DATETIME NOT NULL, KEY (update_at))")
    days = ["0000-00-00", "0000-00-00", "0000-00-00", "2024-00-10", "2026-01-01"]
    world.execute("INSERT INTO t VALUES (%s, 'old', %s)", list(enumerate(days)))
    settings = world.settings.model_copy(update={"backup_batch_size": batch})
    world.sync_one("t", settings, load=False)
    world.execute("UPDATE t SET note = 'new', update_at = '2026-02-01' WHERE id = 1")
    world.sync_one("t", settings, load=False)
    world.sync_one("t", settings, extract=False)
    assert world.target_rows("t", "id, note, update_at", "ORDER BY id") == [
        (0, "old", None),
        (1, "new", dt.datetime(2026, 2, 1)),
        (2, "old", None),
        (3, "old", None),
        (4, "old", dt.datetime(2026, 1, 1)),
    ]


def test_a_run_that_ends_at_a_zero_date_is_followed_by_one_that_looks_back(world: World) -> None:
    any_date(world)
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME(3) NOT NULL, KEY (update_at))")
    settings = world.settings.model_copy(update={"backup_lookback_seconds": 3600})
    for number, day in enumerate(["0000-00-00", "2024-02-31", "2026-01-01"], 1):
        world.execute("INSERT INTO t VALUES (%s, %s)", [(number, day)])
        for _ in range(2):
            world.sync_one("t", settings)
        assert world.target_rows("t", "count(*), count(distinct id)") == [(number, number)]
    assert world.target_rows("t", "count(update_at)") == [(1,)]


def test_a_zero_date_in_a_key_is_refused_because_no_row_could_be_found_by_it(world: World) -> None:
    any_date(world)
    world.execute("CREATE TABLE t (d DATE, id INT, update_at DATETIME NOT NULL, PRIMARY KEY (d, id))")
    world.execute("INSERT INTO t VALUES ('2026-01-01', 1, '2026-01-02'), ('0000-00-00', 2, '2026-01-02')")
    result = refused(world)
    assert "column d of the row (d, id) = (None, 2)" in result.error
    assert result.hint == "correct the row at the source"


LONG = "包" * 21845


def test_a_long_text_is_refused_cut_or_left_out(world: World) -> None:
    fill(world, ["note LONGTEXT", "other VARCHAR(9)"], [[LONG, "a"], ["x" + LONG, "b"], [None, "c"]])
    result = refused(world)
    assert "column note of the row (id) = (2) holds 65,536 bytes" in result.error
    assert "long_text: truncate" in result.hint
    cut = world.sync_one("t", chosen(world, columns={"note": {"long_text": "truncate"}}))
    assert cut.adjusted == Adjusted(truncated_texts=1)
    assert "1 text was cut" in cut.warnings[0]
    assert world.target_rows("t", "note", "ORDER BY id") == [(LONG,), ("x" + LONG[:-1],), (None,)]


@pytest.mark.parametrize("entry", [{"exclude": ["NOTE"]}, {"long_text": "exclude"}, {"include": "id,update_at,other"}])
def test_after_a_refusal_the_column_can_be_left_out(world: World, entry: dict[str, Any]) -> None:
    fill(world, ["note LONGTEXT", "other VARCHAR(9)"], [[LONG + "x", "a"]])
    refused(world)
    assert world.sync_one("t", chosen(world, **entry)).rows_loaded == 1
    assert world.target_rows("t", "other") == [("a",)]


def test_a_nul_byte_is_refused_or_removed(world: World) -> None:
    fill(
        world, ["a VARCHAR(9)", "b TEXT CHARACTER SET ucs2", "c VARBINARY(9)"], [["a", "b", "\0"], ["a\0b", "\0", "\0"]]
    )
    result = refused(world)
    assert "column a of the row (id) = (2) holds a NUL byte" in result.error
    assert "nul_bytes: remove" in result.hint
    removed = world.sync_one("t", chosen(world, nul_bytes="remove"))
    assert removed.adjusted == Adjusted(stripped_texts=2)
    assert world.target_rows("t", "a, b, to_hex(c)", "ORDER BY id") == [("a", "b", "00"), ("ab", "", "00")]


def test_a_nul_byte_in_a_key_is_never_removed(world: World) -> None:
    world.execute("CREATE TABLE t (k VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES (%s, '2026-01-02')", [["a"], ["a\0"]])
    result = refused(world, chosen(world, nul_bytes="remove"))
    assert r"(k) = ('a\x00') holds a NUL byte" in result.error
    assert result.hint == "correct the row at the source"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"exclude": ["id"]}, "id cannot be excluded"),
        ({"exclude": ["UPDATE_AT"]}, "update_at cannot be excluded"),
        ({"include": ["note"]}, "id, update_at cannot be excluded"),
        ({"exclude": ["ntoe"]}, "name columns it does not have: ntoe"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_before_any_work(
    world: World, entry: dict[str, Any], said: str
) -> None:
    fill(world, ["note VARCHAR(9)"], [["a"]])
    result = refused(world, chosen(world, **entry))
    assert said in result.error
    assert result.exit_code == 2


def test_dry_run_lists_what_becomes_of_every_column(world: World, tmp_path: Path) -> None:
    fill(world, ["price DECIMAL(10,2)", "big DECIMAL(65,30)", "n INT UNSIGNED", "span TIME", "body LONGTEXT", "d DATE",
                 "secret TEXT", "ctid INT"], [])  # fmt: skip
    file = tmp_path / "settings.yaml"
    file.write_text(f"tables:\n  {world.schema}.t:\n    exclude: [secret]\n    zero_dates: refuse\n")
    arguments = ("--config-file", str(file), "sync", "-t", f"{world.schema}.t", "--dry-run")
    listed = s3rs(world, *arguments, "-o", "json")
    assert listed.returncode == 1
    (plan,) = json.loads(listed.stdout)["plans"]
    assert plan["action"] == "refused"
    assert "ctid" in plan["error"]
    assert [(c["name"], c["redshift"], c["treatment"], c["note"]) for c in plan["columns"][1:]] == [
        ("update_at", "TIMESTAMP", "exact", "zero dates are refused"),
        ("price", "DECIMAL(10,2)", "exact", ""),
        ("big", "VARCHAR(67)", "as text", "more digits than a DECIMAL has"),
        ("n", "BIGINT", "widened", ""),
        ("span", "BIGINT", "as number", "microseconds"),
        ("body", "VARCHAR(65535)", "exact", "values over 65,535 bytes are refused; NUL bytes are refused"),
        ("d", "DATE", "exact", "zero dates are refused"),
        ("secret", None, "excluded", "by the table's settings"),
        ("ctid", None, "refused", "the name belongs to a system column of Redshift"),
    ]
    shown = s3rs(world, *arguments)
    assert shown.returncode == 1
    assert "error: " in shown.stderr
    assert f"exclude: [ctid] in the settings of {world.schema}.t" in shown.stderr
    (line,) = [line for line in shown.stdout.splitlines() if "ctid" in line]
    assert "refused" in line
    assert "system column" in line


def test_json_counts_what_the_policies_changed_and_text_warns_of_it(world: World) -> None:
    make_dates(world)
    done = s3rs(world, "sync", "--inline", "-t", f"{world.schema}.t", "-o", "json")
    assert done.returncode == 0
    (result,) = json.loads(done.stdout)["table_results"].values()
    assert (result["nulled_dates"], result["truncated_texts"], result["stripped_texts"]) == (22, 0, 0)
    assert "22 dates" in result["warnings"][0]
    assert f"warning: {world.schema}.t: 22 dates" in done.stderr

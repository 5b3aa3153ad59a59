"""``--verify-data``: what it finds, what it explains, and what it leaves alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from tests.support.exact import fill

if TYPE_CHECKING:
    from s3rs_ray.engine.events import TableResult

    from .conftest import World


def make(world: World, rows: int = 500) -> None:
    world.execute(
        "CREATE TABLE t (id BIGINT UNSIGNED, part VARBINARY(4), amount DECIMAL(12,4), note VARCHAR(20),"
        " update_at DATETIME(3) NOT NULL, PRIMARY KEY (id, part), KEY (update_at))"
    )
    start = dt.datetime(2026, 1, 1)
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s, %s, %s)",
        [
            (2**63 + i, bytes([i % 256, 0]), i / 8, f"n{i}" if i % 4 else None, start + dt.timedelta(seconds=i // 90))
            for i in range(rows)
        ],
    )


def run_with(world: World, damage: str, on: str = "warehouse") -> TableResult:
    """A sync with --verify-data; right after the load something happens to one side."""

    def act(event: Event) -> None:
        if event.kind is EventKind.LOAD_DONE and damage:
            if on == "warehouse":
                world.warehouse.execute(damage.replace("t ", f'"{world.schema}"."t" ', 1).encode())
            else:
                world.execute(damage)

    settings = world.settings.model_copy(update={"backup_batch_size": 70})
    request = Request(tables=(f"{world.schema}.t",), inline=True, verify=True)
    (result,) = driver.sync(settings, request, report=act).tables
    return result


def test_equal_sides_are_said_to_be_equal(world: World) -> None:
    make(world)
    result = run_with(world, "")
    assert (result.status, result.verified_rows, result.warnings) == (Status.SUCCESS, 500, ())
    again = run_with(world, "")
    assert (again.status, again.verified_rows) == (Status.NOTHING, None)


def test_limited_runs_are_verified_up_to_where_they_came(world: World) -> None:
    make(world)
    settings = world.settings.model_copy(update={"backup_batch_size": 70})
    for rows in (100, 100, 300):
        assert world.sync_one("t", settings, limit=rows, verify=True).rows_loaded == rows


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("DELETE FROM t WHERE amount = 30", "is missing"),
        ("INSERT INTO t SELECT * FROM t WHERE amount = 30", "more than once"),
        ("UPDATE t SET amount = 1000.0001 WHERE amount = 30", "the maximum of amount is"),
        ("UPDATE t SET note = NULL WHERE amount = 30.125", "the count of note is"),
        ("UPDATE t SET update_at = '2026-01-01 00:00:00.001' WHERE amount = 30", "is missing"),
    ],
    ids=["lost", "doubled", "changed", "nulled", "moved"],
)
def test_damage_is_found_and_exits_4(world: World, damage: str, says: str) -> None:
    make(world)
    second = damage.replace("FROM t WHERE", f'FROM "{world.schema}"."t" WHERE') if "SELECT" in damage else damage
    result = run_with(world, second)
    assert (result.status, result.exit_code) == (Status.FAILED, 4)
    assert says in result.error


def test_what_both_sides_order_alike_is_equal_at_every_types_limits(world: World) -> None:
    columns = {
        "f FLOAT": ("3.4028234663852886e38", "-1e-45", "0.1"),
        "d DOUBLE": ("-1.7976931348623157e308", "5e-324", "0.1"),
        "n DOUBLE(20,5)": ("-0.00001", "123456789012345.6", "0.1"),
        "z DOUBLE": ("-0.0e0", "0.0e0", "-0.0e0"),
        "m DECIMAL(38,10)": ("-9.9", "10.1", "9.95"),
        "big DECIMAL(65,30)": ("-9.9", "10.1", "9.95"),
        "u BIGINT UNSIGNED": ("18446744073709551615", "0", "9"),
        "b BIT(64)": ("b'1'", "~0", "0"),
        "y YEAR": ("0", "1901", "2155"),
        "t TIME(6)": ("'-838:59:59.999999'", "'838:59:59'", "'00:00:00.000001'"),
        "day DATE": ("'0000-00-00'", "'9999-12-31'", "'0001-01-01'"),
        "at DATETIME(6)": ("'9999-12-31 23:59:59.999999'", "'1000-01-01'", "NULL"),
        "s TIMESTAMP(6) NULL": ("'2038-01-19 03:14:07'", "'1970-01-01 00:00:01'", "0"),
        "v VARCHAR(9)": ("'a'", "'B'", "'c '"),
        "x VARBINARY(9)": ("x'ff'", "x''", "x'00'"),
        "e ENUM('z','a')": ("'z'", "'a'", "'z'"),
    }
    world.execute("SET SESSION sql_mode = ''")
    fill(world, list(columns), [])
    for number in range(3):
        values = ", ".join(chosen[number] for chosen in columns.values())
        world.execute(f"INSERT INTO t VALUES ({number}, '2026-01-0{number + 1}', {values})")
    compared = [world.sync_one("t", limit=rows, verify=True).verified_rows for rows in (1, 2)]
    assert compared == [1, 3]  # the first cursor value of a window is compared whole


@pytest.mark.parametrize(("column", "value"), [("f", "1.0000001"), ("d", "1.0000000000000002"), ("at", "NULL")])
def test_the_least_difference_of_an_ordered_column_is_found(world: World, column: str, value: str) -> None:
    fill(world, ["f FLOAT", "d DOUBLE", "at DATETIME(6)"], [[1.0, 1.0, "2026-01-01 00:00:00.000001"]])
    result = run_with(world, f"UPDATE t SET {column} = {value}")
    assert (result.status, result.exit_code) == (Status.FAILED, 4)
    assert f" of {column} is " in result.error


@pytest.mark.parametrize(
    "change", ["UPDATE t SET update_at = '2026-02-01' WHERE amount < 5", "DELETE FROM t WHERE amount < 5"]
)
def test_changes_at_the_source_meanwhile_explain_themselves(world: World, change: str) -> None:
    make(world)
    result = run_with(world, change, on="source")
    assert (result.status, result.verified_rows) == (Status.SUCCESS, 500)
    assert "of 500 rows compared, 40 changed or went at the source since they were read" in result.warnings[0]


@pytest.mark.parametrize(
    ("kind", "index"), [("DATETIME", ", KEY (update_at)"), ("TIMESTAMP", ""), ("DATE", ", KEY (update_at)")]
)
def test_a_cursor_that_no_calendar_has_is_null_there_and_compared_by_its_key(
    world: World, kind: str, index: str
) -> None:
    world.execute("SET SESSION sql_mode='ALLOW_INVALID_DATES'")
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at {kind} NOT NULL DEFAULT 0{index})")
    odd = "2025-02-31" if kind != "TIMESTAMP" else "0000-00-00"
    world.execute(
        "INSERT INTO t VALUES (%s, 'x', %s)",
        [(1, "0000-00-00"), (2, "0000-00-00"), (3, odd), (4, "2026-01-01"), (5, "2026-01-02")],
    )
    settings = world.settings.model_copy(
        update={"backup_batch_size": 1, "backup_lookback_seconds": 172_800, "backup_cursor_time_zone": "+00:00"}
    )
    world.sync_one("t", settings, limit=1, verify=True)
    assert world.sync_one("t", settings, verify=True).verified_rows == 5
    world.execute("UPDATE t SET note = 'y', update_at = '2026-01-03' WHERE id = 1")
    assert world.sync_one("t", settings, verify=True).verified_rows == 2
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="again")])
    world.sync_one("t", settings, extract=False)  # the older, impossible version of row 1 must not come back
    assert world.target_rows("t", "id, note", "ORDER BY id") == [(1, "y"), *((i, "x") for i in range(2, 6))]
    world.warehouse.execute(f'DELETE FROM "{world.schema}"."t" WHERE id = 2'.encode())
    world.execute("UPDATE t SET update_at = '2026-01-04' WHERE id = 5")
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    small = settings.model_copy(update={"backup_lookback_seconds": 0})
    assert world.sync_one("t", small, verify=True).verified_rows == 5

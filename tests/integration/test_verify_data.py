"""``--verify-data``: what it finds, what it explains, and what it leaves alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status

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


@pytest.mark.parametrize(
    "change", ["UPDATE t SET update_at = '2026-02-01' WHERE amount < 5", "DELETE FROM t WHERE amount < 5"]
)
def test_changes_at_the_source_meanwhile_explain_themselves(world: World, change: str) -> None:
    make(world)
    result = run_with(world, change, on="source")
    assert (result.status, result.verified_rows) == (Status.SUCCESS, 500)
    assert "40 of the 500 rows compared were changed or deleted" in result.warnings[0]

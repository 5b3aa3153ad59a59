"""Five tables of very different size with two at work: the small ones do not wait behind the large ones."""

from __future__ import annotations

import threading

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.policies import Strategy

from .conftest import World

SIZES = {"huge": 10_000, "large": 5_000, "c": 60, "b": 40, "a": 20}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "ray"])
def test_small_tables_are_done_before_the_large_ones_and_one_that_fails_stops_none(world: World, inline: bool) -> None:
    for name, rows in SIZES.items():
        world.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
        world.execute(f"INSERT INTO {name} SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_{rows}")
        world.execute(f"ANALYZE TABLE {name}")
    world.execute("CREATE TABLE broken (id BIGINT PRIMARY KEY, note VARCHAR(9))")  # no cursor
    order: list[tuple[str, EventKind]] = []
    lock, small = threading.Lock(), threading.Event()

    def report(event: Event) -> None:
        """A large table is not gone on with before the small ones have ended."""
        if not event.table:
            return
        with lock:
            order.append((event.table.name, event.kind))
            if {n for n, kind in order if kind is EventKind.TABLE_DONE} >= {"a", "b", "c"}:
                small.set()
        if event.kind is EventKind.TABLE_STARTED and event.table.name in ("huge", "large"):
            small.wait(60)

    names = ("huge", "large", "broken", "c", "b", "a")
    flags = {"backup_settle_seconds": 0, "backup_batch_size": 500, "backup_max_workers": 2, "backup_max_tables": 2}
    done = driver.sync(
        Settings.load(environment=world.environment, flags=flags),
        Request(tables=tuple(f"{world.schema}.{n}" for n in names), inline=inline, strategy=Strategy.INTER_TABLE),
        report=report,
    )
    assert [t.table.name for t in done.tables] == list(names)
    status = {t.table.name: t.status for t in done.tables}
    assert status.pop("broken") is Status.FAILED
    assert set(status.values()) == {Status.SUCCESS}
    ended = [name for name, kind in order if kind is EventKind.TABLE_DONE]
    assert set(ended[:3]) == {"a", "b", "c"}
    assert ended[3:] in (["huge", "large"], ["large", "huge"])
    for name in SIZES:
        world.assert_equal(name)

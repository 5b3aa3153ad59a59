"""Rows whose cursor is NULL: no range of the cursor sees them, so a run that is to load them reads them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.engine import driver, extraction
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.errors import Interrupted
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from s3rs_ray.policies import NullCursors

if TYPE_CHECKING:
    from .conftest import World

LATER = "'2026-02-01'"


def make(world: World, index: str = ", KEY (update_at)") -> None:
    """Rows 1 to 20 with a cursor, 21 to 50 without."""
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20), update_at DATETIME NULL{index})")
    world.execute(
        "INSERT INTO t VALUES (%s, 'first', %s)", [(i, "2026-01-01" if i <= 20 else None) for i in range(1, 51)]
    )


def loading(world: World, **changes: Any) -> Any:
    return world.settings.model_copy(
        update={"backup_null_cursors": NullCursors.LOAD, "backup_batch_size": 8, **changes}
    )


@pytest.mark.parametrize("index", [", KEY (update_at)", ""], ids=["by cursor", "by key"])
def test_they_are_loaded_with_every_run_and_never_move_the_watermark(world: World, index: str) -> None:
    make(world, index)
    first = world.sync_one("t", loading(world), verify=True)
    assert (first.rows_extracted, first.rows_loaded, first.verified_rows) == (50, 50, 50)
    assert "30 rows have no update_at: every run reads all such rows" in first.note
    assert first.watermark == "2026-01-01 00:00:00"
    world.assert_equal("t")
    world.execute("UPDATE t SET note = 'second' WHERE id IN (5, 30)")  # 5 without a newer cursor: not to be seen
    world.execute("DELETE FROM t WHERE id = 31")
    world.execute("INSERT INTO t VALUES (51, 'new', NULL)")
    again = world.sync_one("t", loading(world), verify=True)
    assert (again.rows_extracted, again.watermark) == (30, first.watermark)
    assert world.target_rows("t", "note", "WHERE id IN (5, 30, 51) ORDER BY id") == [("first",), ("second",), ("new",)]
    assert world.target_rows("t", "count(*), count(distinct id)") == [(51, 51)]
    state = world.ledger().load(world.name("t"))
    assert (state.run, state.backlog, state.sealed) == (None, (), None)


def test_a_table_of_nothing_else_is_loaded(world: World) -> None:
    make(world)
    world.execute("DELETE FROM t WHERE update_at IS NOT NULL")
    for _ in range(2):
        done = world.sync_one("t", loading(world), verify=True)
        assert (done.rows_loaded, done.verified_rows, done.watermark) == (30, 30, None)
        world.assert_equal("t")


def test_a_row_that_gets_or_loses_its_cursor_arrives_as_it_is_last(world: World) -> None:
    make(world)
    world.sync_one("t", loading(world))
    world.execute(f"UPDATE t SET update_at = {LATER}, note = 'got one' WHERE id IN (20, 40)")
    world.execute("UPDATE t SET update_at = NULL, note = 'lost it' WHERE id IN (1, 20)")
    world.sync_one("t", loading(world))
    world.assert_equal("t")
    world.execute(f"UPDATE t SET update_at = {LATER} + INTERVAL 1 DAY, note = 'back' WHERE id IN (1, 2)")
    world.sync_one("t", loading(world))
    world.execute("UPDATE t SET update_at = NULL, note = 'lost again' WHERE id = 2")
    world.sync_one("t", loading(world))
    world.assert_equal("t")


def test_old_files_that_are_loaded_again_do_not_undo_a_newer_version(world: World) -> None:
    make(world)
    world.sync_one("t", loading(world))
    world.execute(f"UPDATE t SET update_at = {LATER}, note = 'newer' WHERE id = 30")
    world.execute("UPDATE t SET update_at = NULL, note = 'newest' WHERE id = 3")
    world.sync_one("t", loading(world))
    world.assert_equal("t")
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="again")])
    loaded = world.sync_one("t", loading(world, backup_files_per_load=1), extract=False)
    assert loaded.rows_loaded == 20 + 30 + 1 + 30
    world.assert_equal("t")


def test_the_warehouse_is_loaded_from_the_files_alone(world: World) -> None:
    make(world)
    for day in (1, 2):
        world.sync_one("t", loading(world), load=False)
        world.execute(f"UPDATE t SET note = 'day {day}' WHERE update_at IS NULL")
    world.sync_one("t", loading(world), load=False)
    store_free = world.settings.model_copy(update={"db_host": "nowhere.invalid"})
    world.sync_one("t", store_free, extract=False)
    world.assert_equal("t")


def test_a_limited_run_leaves_them_to_one_without_a_limit(world: World) -> None:
    make(world)
    limited = world.sync_one("t", loading(world), limit=10)
    assert limited.rows_extracted == 10
    assert "a run with --limit leaves such rows to one without" in limited.note
    assert world.sync_one("t", loading(world)).rows_extracted == 40
    world.assert_equal("t")


def test_a_run_that_stops_among_them_is_finished_by_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world)
    record = extraction.Extraction._record
    counted = 0

    def stop(self: extraction.Extraction, files: Any) -> None:
        nonlocal counted
        record(self, files)
        counted += len(files)
        if counted >= 4:
            raise Interrupted("stopped by the test")

    monkeypatch.setattr(extraction.Extraction, "_record", stop)
    (stopped,) = world.sync("t", settings=loading(world, backup_max_workers=1))
    assert stopped.status is Status.INTERRUPTED
    monkeypatch.undo()
    run = world.ledger().load(world.name("t")).run
    assert run is not None
    assert not run.complete
    world.sync_one("t", world.settings)  # the open run is finished as it was planned
    world.assert_equal("t")
    assert world.target_rows("t", "count(*), count(distinct id)") == [(50, 50)]


def test_a_row_without_a_cursor_that_the_warehouse_lost_is_a_difference(world: World) -> None:
    make(world)

    def lose(event: Event) -> None:
        if event.kind is EventKind.LOAD_DONE:
            world.warehouse.execute(f'DELETE FROM "{world.schema}"."t" WHERE id = 44'.encode())

    request = Request(tables=(f"{world.schema}.t",), inline=True, verify=True)
    (failed,) = driver.sync(loading(world), request, report=lose).tables
    assert failed.exit_code == 4
    assert "(None, 44) is missing" in failed.error

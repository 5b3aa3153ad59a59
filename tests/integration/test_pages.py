"""A long run leaves the state a page at a time, and everything that asks for its files finds them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from s3rs_ray.engine import adopt, driver, extraction, records
from s3rs_ray.engine.cleaning import table_files
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.engine.standing import Standing
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from s3rs_ray.policies import NullCursors

from .conftest import World

ROWS, BATCH = 700, 20
FILES = ROWS // BATCH


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (adopt, extraction, records):
        monkeypatch.setattr(module, "PAGE_FILES", 4)


@pytest.fixture
def world(world: World) -> World:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NULL, KEY (update_at))")
    world.execute(f"INSERT INTO t SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_{ROWS}")
    few = {"backup_batch_size": BATCH, "backup_max_workers": 2, "backup_files_per_load": 3}
    return replace(world, settings=world.settings.model_copy(update=few))


def standings(world: World) -> Counter[Standing]:
    state = world.ledger().load(world.name("t"))
    return Counter(standing for _, standing in table_files(open_store(world.settings), world.settings, state))


def test_a_backup_waits_on_pages_and_is_loaded_from_them(world: World) -> None:
    world.sync_one("t", load=False)
    state = world.ledger().load(world.name("t"))
    assert state.waiting_files == FILES
    assert len(state.backlog) < FILES / 2
    assert standings(world) == {Standing.WAITING: FILES}
    assert world.sync_one("t", extract=False).rows_loaded == ROWS
    assert standings(world) == {Standing.LOADED: FILES}
    world.assert_equal("t")


def test_a_run_that_was_stopped_goes_on_behind_its_pages(world: World) -> None:
    """With the rows without a cursor behind them, whose window begins where all others are on pages."""
    world.execute(f"INSERT INTO t SELECT {ROWS} + seq, NULL FROM seq_1_to_{10 * BATCH}")
    settings = world.settings.model_copy(update={"backup_null_cursors": NullCursors.LOAD})
    for stops in (FILES // 2, FILES // 2 + 4, 2):
        seen = 0

        def report(event: Event, stops: int = stops) -> None:
            nonlocal seen
            seen += event.kind is EventKind.CHUNK_DONE
            if seen >= stops:
                raise Stopped

        with pytest.raises(Stopped):
            driver.sync(settings, Request(tables=(f"{world.schema}.t",), load=False, inline=True), report=report)
    state = world.ledger().load(world.name("t"))
    assert state.run is not None
    assert state.run.first > FILES
    assert state.run.chunks[-1].window.null_horizon is not None
    assert standings(world) == {Standing.OPEN: standings(world).total()}
    assert world.sync_one("t", settings).rows_loaded == ROWS + 10 * BATCH
    world.assert_equal("t")


def test_files_taken_from_s3_alone_are_on_pages_too(world: World) -> None:
    world.sync_one("t")
    ledger, name = world.ledger(), world.name("t")
    ledger.commit(name, [SetWatermark(watermark=Watermark.START, generation="anew")])
    world.warehouse.execute(f'TRUNCATE "{world.schema}"."t"')
    assert world.sync_one("t", extract=False).rows_loaded == ROWS
    world.assert_equal("t")


class Stopped(BaseException):
    """The process is gone."""

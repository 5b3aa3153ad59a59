"""A table without a state, and the global watermark that an older program left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.inherited import INHERITED
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from s3rs_ray.warehouse.sql import LEDGER_TABLE

if TYPE_CHECKING:
    from s3rs_ray.config import Settings

    from .conftest import World

HOURS = 240
TYPES = {
    "DATETIME": "'2026-01-01' + INTERVAL {n} HOUR",
    "DATE": "DATE('2026-01-01' + INTERVAL {n} HOUR)",
    "BIGINT": "UNIX_TIMESTAMP('2026-01-01') + 3600 * {n}",
}


def make(world: World, kind: str = "DATETIME", old: str = "") -> Settings:
    """A row for each hour of ten days from 2026-01-01 on, and the key of an old watermark of this test alone."""
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at {kind} NOT NULL, KEY (update_at))")
    world.execute(f"INSERT INTO t SELECT seq, 'n', {TYPES[kind].format(n='seq')} FROM seq_0_to_{HOURS - 1}")
    key = f"watermark/old/{world.schema}"
    if old:
        open_store(world.settings).put_new(key, old.encode())
    return world.settings.model_copy(update={"s3_high_watermark_key": key, "backup_cursor_unit": "seconds"})


def forget(world: World) -> None:
    """Makes the target one that another program has loaded: no state, no file, no load of ours."""
    store = open_store(world.settings)
    store.delete([o.key for o in store.list("") if f"{world.schema}.t" in o.key])
    world.warehouse.execute(f'DELETE FROM "{world.schema}"."{LEDGER_TABLE}"'.encode())


@pytest.mark.parametrize(
    ("kind", "old", "carried"),
    [
        ("DATETIME", "2026-01-08 00:00:00", 4 * 24),
        ("DATETIME", '"2026-01-08T00:00:00.500000"\n', 4 * 24 - 1),
        ("DATETIME", "2026-01-08T08:00:00+08:00", 4 * 24),
        ("DATE", "2026-01-08 21:00:00", 4 * 24),
        ("BIGINT", "2026-01-08 00:00:00", 4 * 24),
    ],
)
def test_a_target_that_another_program_loaded_is_gone_on_with(world: World, kind: str, old: str, carried: int) -> None:
    settings = make(world, kind, old)
    world.sync_one("t", settings)
    forget(world)
    world.execute(f"INSERT INTO t VALUES (999, 'new', {TYPES[kind].format(n=HOURS)})")
    asked = Request(tables=(f"{world.schema}.t",), inline=True)
    (foreseen,) = driver.preview(settings, asked)
    assert foreseen.plan is not None
    assert "carried on from the day before the old global watermark" in foreseen.plan.reasons[-1]
    result = world.sync_one("t", settings)
    assert result.rows_extracted == carried + 1
    assert "carried on from the day before the old global watermark" in result.warnings[0]
    assert "its target holds" in result.warnings[0]
    world.assert_equal("t")
    again = world.sync_one("t", settings)
    assert (again.status, again.warnings) == (Status.NOTHING, ())


def test_what_was_carried_stays_known_where_nothing_is_new(world: World) -> None:
    settings = make(world, old="2026-02-01 00:00:00")
    world.sync_one("t", settings)
    forget(world)
    assert world.sync_one("t", settings).status is Status.NOTHING
    assert world.ledger().load(world.name("t")).backup_strategy == INHERITED
    world.execute("INSERT INTO t VALUES (999, 'new', '2026-03-01')")
    assert world.sync_one("t", settings).rows_extracted == 1


def test_it_is_not_believed_of_a_target_that_lacks_rows(world: World) -> None:
    settings = make(world, old="2026-01-08 00:00:00")
    world.sync_one("t", settings)
    forget(world)
    world.warehouse.execute(f'DELETE FROM "{world.schema}"."t" WHERE id = 3'.encode())
    result = world.sync_one("t", settings)
    assert result.rows_extracted == HOURS
    assert (
        "is not believed, because its target holds 143 rows up to the day before, the source 144"
        in (result.warnings[0])
    )
    world.assert_equal("t")


@pytest.mark.parametrize("old", ["", "2026-01-08 00:00:00", "never"])
def test_a_table_that_was_never_loaded_begins_at_its_beginning(world: World, old: str) -> None:
    settings = make(world, old=old)
    result = world.sync_one("t", settings)
    assert result.rows_extracted == HOURS
    assert ("is no time" in "".join(result.warnings)) == (old == "never")
    world.assert_equal("t")


def test_a_backup_and_a_table_that_was_reset_begin_at_their_beginning(world: World) -> None:
    settings = make(world, old="2026-01-08 00:00:00")
    world.sync_one("t", settings)
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    assert world.sync_one("t", settings).rows_extracted == HOURS
    forget(world)
    assert world.sync_one("t", settings, load=False).rows_extracted == HOURS

"""Mode ``replace`` and ``--full-refresh``: the whole table takes the place of what was there, at one moment."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.rebuild import rebuild
from s3rs_ray.errors import LedgerError
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.local import comparison
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import Watermark
from s3rs_ray.policies import Mode
from s3rs_ray.table_settings import TableSettings
from s3rs_ray.warehouse.sql import SHADOW_PREFIX

if TYPE_CHECKING:
    from .conftest import World

PAST = dt.datetime(2026, 1, 1)


def replacing(world: World, **more: Any) -> Settings:
    update = {"backup_mode": Mode.REPLACE, "backup_batch_size": 30, "backup_files_per_load": 2, **more}
    return world.settings.model_copy(update=update)


def make(world: World, rows: int = 200, columns: str = "id INT PRIMARY KEY", indexes: str = "") -> None:
    world.execute(f"CREATE TABLE t ({columns}, note VARCHAR(20), update_at DATETIME {indexes})")
    insert(world, range(rows))


def insert(world: World, ids: range, day: int = 0) -> None:
    start = PAST + dt.timedelta(days=day)
    world.execute("INSERT INTO t VALUES (%s, 'x', %s)", [(i, start + dt.timedelta(seconds=i // 7)) for i in ids])


def shadows(world: World) -> list[str]:
    with world.warehouse.cursor() as cursor:
        cursor.execute("SELECT table_name FROM svv_tables WHERE table_schema = %s", (world.schema,))
        return [name for (name,) in cursor.fetchall() if name.startswith(SHADOW_PREFIX)]


def carry_out(world: World, *statements: str) -> None:
    """Runs statements in the warehouse; ``@`` stands for the schema."""
    for statement in statements:
        world.warehouse.execute(statement.replace("@", f'"{world.schema}"').encode())


def test_every_sync_is_a_full_refresh_in_which_deleted_rows_disappear(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    settings = replacing(world)
    first = world.sync_one("t", settings)
    assert (first.rows_extracted, first.rows_loaded, first.files_created) == (200, 200, 7)
    world.assert_equal("t")
    world.execute("DELETE FROM t WHERE id < 50")
    world.execute("UPDATE t SET note = 'no cursor', update_at = NULL WHERE id = 60")
    insert(world, range(1000, 1010), day=400)  # cursors of the future are no reason to leave a row out
    second = world.sync_one("t", settings, verify=True)
    assert (second.rows_extracted, second.rows_loaded) == (160, 160)
    world.assert_equal("t")
    state = world.ledger().load(world.name("t"))
    assert (state.refresh, state.run, state.sealed, state.backlog) == (None, None, None, ())
    assert (state.rows_extracted, state.rows_loaded, state.loaded) == (160, 160, state.extracted)
    assert shadows(world) == []


@pytest.mark.parametrize(
    "columns",
    [
        "id VARCHAR(9) COLLATE utf8mb4_bin PRIMARY KEY",
        "id INT, region VARCHAR(9) NOT NULL DEFAULT 'a ', PRIMARY KEY (region, id)",
        "id INT NULL UNIQUE",
        "id INT",
    ],
)
def test_any_key_or_none_will_do_and_a_cursor_is_not_needed(world: World, columns: str) -> None:
    world.execute(f"CREATE TABLE t ({columns}, amount DECIMAL(10,2))")
    world.execute("INSERT INTO t (id, amount) VALUES (%s, %s)", [(i, i / 4) for i in range(100)])
    settings = replacing(world, backup_batch_size=40 if "KEY" in columns else 100)
    assert world.sync_one("t", settings).rows_loaded == 100
    world.execute("DELETE FROM t WHERE id = '7'")
    again = world.sync_one("t", settings)
    assert (again.rows_loaded, again.watermark) == (99, None)
    assert world.target_rows("t", "count(*), sum(amount)") == world.source_rows("t", "COUNT(*), SUM(amount)")


def test_a_table_without_a_key_is_read_in_one_piece_of_bounded_size(world: World) -> None:
    make(world, columns="id INT")
    world.execute("INSERT INTO t SELECT * FROM t")
    assert world.sync_one("t", replacing(world, backup_batch_size=400)).files_created == 1
    (refused,) = world.sync("t", settings=replacing(world, backup_batch_size=399))
    assert (refused.status, refused.files_created) == (Status.FAILED, 0)
    assert "which may have 399 rows; it has 400" in refused.error
    assert world.target_rows("t") == [(400,)]


def test_an_empty_table_empties_the_target(world: World) -> None:
    make(world)
    world.sync_one("t", replacing(world))
    world.execute("DELETE FROM t")
    world.sync_one("t", replacing(world))
    assert world.target_rows("t") == [(0,)]


def test_grants_and_views_outlive_a_replacement(world: World) -> None:
    make(world)
    settings = replacing(world)
    world.sync_one("t", settings)
    reader = f"reader_{world.schema}"
    carry_out(
        world,
        f"CREATE USER {reader} PASSWORD 'Secret1234'",
        f"GRANT USAGE ON SCHEMA @ TO {reader}",
        f"GRANT SELECT ON @.t TO {reader}",
        "CREATE VIEW @.bound AS SELECT count(*) AS n FROM @.t",
        "CREATE VIEW @.late AS SELECT count(*) AS n FROM @.t WITH NO SCHEMA BINDING",
    )
    world.execute("DELETE FROM t WHERE id < 50")
    world.sync_one("t", settings)
    assert world.target_rows("bound", "n") == world.target_rows("late", "n") == [(150,)]
    granted = world.environment | {"REDSHIFT_USER": reader, "REDSHIFT_PASSWORD": "Secret1234"}
    with comparison.connect_warehouse(granted) as session:
        found = session.execute(f'SELECT count(*) FROM "{world.schema}".t'.encode()).fetchall()
    assert found == [(150,)]


def test_a_full_refresh_of_a_merged_table_is_one_generation_and_merging_goes_on(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    settings = world.settings.model_copy(update={"backup_batch_size": 30, "backup_files_per_load": 2})
    world.sync_one("t", settings)
    before = world.ledger().load(world.name("t")).generation
    world.execute("DELETE FROM t WHERE id < 50")
    insert(world, range(1000, 1010), day=3)
    assert world.sync_one("t", settings, full_refresh=True, verify=True).rows_loaded == 160
    world.assert_equal("t")
    state = world.ledger().load(world.name("t"))
    assert state.generation != before
    assert world.sync_one("t", settings).status is Status.NOTHING
    world.execute("UPDATE t SET note = 'y', update_at = '2026-02-01' WHERE id BETWEEN 50 AND 59")
    assert world.sync_one("t", settings, verify=True).rows_loaded == 10
    world.assert_equal("t")


def test_a_full_refresh_begins_a_history_anew_and_may_end_one(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    appending = world.settings.model_copy(update={"backup_mode": Mode.APPEND})
    world.sync_one("t", appending)
    world.execute("UPDATE t SET note = 'y', update_at = '2026-02-01' WHERE id < 10")
    world.sync_one("t", appending)
    assert world.target_rows("t") == [(210,)]
    world.sync_one("t", full_refresh=True)  # in the mode merge
    assert world.target_rows("t") == [(200,)]
    world.execute("UPDATE t SET note = 'z', update_at = '2026-03-01' WHERE id < 10")
    world.sync_one("t")
    world.assert_equal("t")


def test_another_filter_is_taken_by_a_full_refresh(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    world.sync_one("t")
    filtered = world.settings.model_copy(update={"tables": {"t": TableSettings(where="id < 10")}})
    (refused,) = world.sync("t", settings=filtered)
    assert refused.status is Status.FAILED
    assert world.sync_one("t", filtered, full_refresh=True).rows_loaded == 10
    assert world.target_rows("t") == [(10,)]
    world.execute("UPDATE t SET update_at = '2026-02-01'")
    assert world.sync_one("t", filtered).rows_loaded == 10


def test_types_that_cannot_be_altered_change_together_with_the_rows(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    world.sync_one("t")
    world.execute("ALTER TABLE t DROP COLUMN note, ADD COLUMN note DATE NOT NULL DEFAULT '2026-01-01' AFTER id")
    world.execute("UPDATE t SET update_at = '2026-02-01' WHERE id < 10")
    (refused,) = world.sync("t")
    assert "--full-refresh" in refused.hint
    carry_out(world, "CREATE VIEW @.bound AS SELECT note FROM @.t")
    (refused,) = world.sync("t", full_refresh=True)
    assert (refused.status, refused.files_created) == (Status.FAILED, 0)
    assert "drop the views" in refused.hint
    assert world.target_rows("t", "count(*)", "WHERE note = 'x'") == [(200,)]
    carry_out(world, "DROP VIEW @.bound")
    assert world.sync_one("t", full_refresh=True).rows_loaded == 200
    assert world.target_rows("t", "count(*), max(note)") == [(200, dt.date(2026, 1, 1))]


def test_backups_of_a_replaced_table_are_loaded_later_the_newest_alone(world: World) -> None:
    make(world)
    settings = replacing(world)
    world.sync_one("t", settings, load=False)
    world.execute("DELETE FROM t WHERE id < 50")
    world.sync_one("t", settings, load=False)
    assert world.sync_one("t", settings, extract=False).rows_loaded == 150
    world.assert_equal("t")
    assert world.sync_one("t", settings, extract=False).status is Status.NOTHING
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    carry_out(world, "DELETE FROM @.t")
    assert world.sync_one("t", settings, extract=False).rows_loaded == 150
    world.assert_equal("t")


def test_a_backup_of_changes_waits_behind_the_full_refresh(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    world.sync_one("t")
    world.execute("DELETE FROM t WHERE id < 50")
    world.sync_one("t", load=False, full_refresh=True)
    world.execute("UPDATE t SET note = 'y', update_at = '2026-02-01' WHERE id < 60")
    world.sync_one("t", load=False)
    assert world.sync_one("t", extract=False).rows_loaded == 160
    world.assert_equal("t")


def test_changes_that_wait_cannot_replace_a_table(world: World) -> None:
    make(world, indexes=", KEY (update_at)")
    world.sync_one("t", load=False)
    (refused,) = world.sync("t", settings=replacing(world), extract=False)
    assert "hold changes, not the whole table" in refused.error
    world.sync_one("t", replacing(world))
    world.assert_equal("t")


@pytest.mark.parametrize("cursor", ["update_at", "created_at"], ids=["with a cursor", "without one"])
def test_a_full_refresh_on_s3_is_loaded_by_the_next_sync_which_says_so(world: World, cursor: str) -> None:
    make(world, indexes=", KEY (update_at)")
    settings = replacing(world, backup_cursor_column=cursor)
    world.sync_one("t", settings, load=False)
    world.execute("UPDATE t SET note = 'y', update_at = '2026-02-01' WHERE id < 10")
    result = world.sync_one("t", settings)
    assert (result.rows_extracted, result.rows_loaded) == (0, 200)
    assert "comes with the next sync" in result.warnings[0]
    assert world.sync_one("t", settings).warnings == ()
    world.assert_equal("t")


def test_a_preview_of_a_full_refresh_says_what_is_read(world: World) -> None:
    make(world)
    request = Request(tables=(f"{world.schema}.t",), inline=True)
    (shown,) = driver.preview(replacing(world), request)
    assert shown.plan is not None
    assert shown.plan.refresh
    assert "the whole table is read, in ranges of (id)" in shown.plan.reasons[0]
    assert world.ledger().load(world.name("t")).run is None


def test_a_rebuild_has_nothing_to_give_a_table_that_is_replaced(world: World) -> None:
    make(world)
    world.sync_one("t", replacing(world))
    with pytest.raises(LedgerError, match="is replaced by every sync"):
        rebuild(replacing(world), world.name("t"))


@pytest.mark.parametrize("asked", [{"limit": 10}, {"verify": True}], ids=str)
def test_what_a_full_refresh_cannot_do_is_refused_before_any_work(world: World, asked: dict[str, Any]) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    (refused,) = world.sync("t", settings=replacing(world), **asked)
    assert (refused.exit_code, refused.files_created) == (2, 0)


def test_a_shadow_that_does_not_hold_the_rows_of_its_files_never_takes_the_tables_place(world: World) -> None:
    make(world)
    settings = replacing(world)
    world.sync_one("t", settings)
    world.execute("UPDATE t SET note = 'y'")
    world.sync_one("t", settings, load=False)
    assert world.sync_one("t", settings, extract=False, limit=70).rows_loaded == 60
    (shadow,) = shadows(world)
    assert world.target_rows(shadow, "count(*), max(note)") == [(60, "y")]
    assert world.target_rows("t", "count(*), max(note)") == [(200, "x")]
    carry_out(world, f'DELETE FROM @."{shadow}" WHERE id = 7')
    for _ in range(2):
        (refused,) = world.sync("t", settings=settings, extract=False)
        assert refused.exit_code == 4
        assert "has 199 rows where its files hold 200; the table was left as it is" in refused.error
    assert world.target_rows("t", "count(*), max(note)") == [(200, "x")]
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    world.sync_one("t", settings)
    world.assert_equal("t")
    assert shadows(world) == []


def test_rows_that_stay_arrive_once_however_busy_the_table_is(world: World, stack: LocalStack) -> None:
    """Rows are updated, inserted and deleted while the whole table is read."""
    make(world, 2000, indexes=", KEY (update_at)")
    settings = replacing(world, backup_batch_size=100, backup_files_per_load=4)
    ended = threading.Event()

    def write() -> None:
        with stack.mariadb.connect() as own, own.cursor() as cursor:
            for turn in itertools.count():
                if ended.is_set():
                    return
                table = f"`{world.schema}`.t"
                cursor.execute(f"UPDATE {table} SET note = 'turn {turn}', update_at = NOW() WHERE id % 7 = {turn % 7}")
                cursor.execute(f"DELETE FROM {table} WHERE id % 5 = 4 AND id % 11 = {turn % 11}")
                cursor.execute(f"INSERT INTO {table} VALUES ({5000 + turn}, 'new', NOW()), ({-1 - turn}, 'new', NULL)")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for _ in range(3):
                world.sync_one("t", settings)
                stayed = world.target_rows(
                    "t", "count(*), count(distinct id)", "WHERE id % 5 <> 4 AND id BETWEEN 0 AND 1999"
                )
                assert stayed == [(1600, 1600)]
                counted = world.target_rows("t", "count(*), count(distinct id)")[0]
                assert counted[0] == counted[1]
        finally:
            ended.set()
        writing.result()
    world.sync_one("t", settings)
    world.assert_equal("t")


def test_readers_see_the_old_rows_or_the_new_ones_and_never_an_empty_or_mixed_table(world: World) -> None:
    make(world, 300)
    world.sync_one("t", replacing(world))
    ended, seen = threading.Event(), set[tuple[Any, ...]]()

    def look() -> None:
        with comparison.connect_warehouse(world.environment) as own:
            while not ended.is_set():
                asked = f'SELECT count(*), min(note), max(note) FROM "{world.schema}"."t"'
                seen.update(own.execute(asked.encode()).fetchall())

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for turn in range(3):
                world.execute(f"UPDATE t SET note = 'turn {turn}'")
                assert world.sync_one("t", replacing(world)).files_loaded == 10  # five loads into the shadow table
        finally:
            ended.set()
        looking.result()
    assert len(seen) > 1
    assert all(count == 300 and least == greatest for count, least, greatest in seen)


def test_load_columns_name_the_run_of_the_replacement(world: World) -> None:
    make(world)
    settings = replacing(world, backup_load_columns=True)
    for _ in range(2):
        world.sync_one("t", settings)
    run = world.ledger().load(world.name("t")).last_run_id
    assert world.target_rows("t", "count(*), min(_s3rs_run_id), max(_s3rs_run_id)") == [(200, run, run)]

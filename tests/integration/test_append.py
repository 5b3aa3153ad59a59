"""Mode ``append``: the history of a table, each version once; and tables without a key."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.events import Status
from s3rs_ray.policies import Mode, NullCursors

if TYPE_CHECKING:
    from .conftest import World

PAST = dt.datetime(2026, 1, 1)


def appending(world: World, **more: Any) -> Settings:
    return world.settings.model_copy(update={"backup_mode": Mode.APPEND, "backup_batch_size": 30, **more})


def make(world: World, rows: int = 100, key: str = "id INT PRIMARY KEY") -> None:
    world.execute(f"CREATE TABLE t ({key}, note VARCHAR(20), update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute(
        "INSERT INTO t VALUES (%s, 'first', %s)", [(i, PAST + dt.timedelta(seconds=i // 7)) for i in range(rows)]
    )


def test_every_version_that_was_extracted_is_kept_once(world: World) -> None:
    make(world)
    settings = appending(world)
    assert world.sync_one("t", settings, verify=True).rows_loaded == 100
    for day in (1, 2):
        world.execute(f"UPDATE t SET note = 'day {day}', update_at = '2026-02-0{day}' WHERE id < 10")
        assert world.sync_one("t", settings, verify=True).rows_loaded == 10
    assert world.sync_one("t", settings).status is Status.NOTHING
    assert world.target_rows("t", "note, count(*)", "GROUP BY note ORDER BY note") == [
        ("day 1", 10),
        ("day 2", 10),
        ("first", 100),
    ]


def test_with_a_look_back_each_version_is_still_kept_once(world: World) -> None:
    make(world)
    settings = appending(world, backup_lookback_seconds=86_400 * 60, backup_files_per_load=16)
    world.sync_one("t", settings)
    world.execute("UPDATE t SET note = 'second', update_at = '2026-01-20' WHERE id < 10")
    result = world.sync_one("t", settings)
    assert (result.rows_loaded, world.ledger().load(world.name("t")).loads[-1].merged) == (100, 10)
    world.execute("INSERT INTO t VALUES (1000, 'late', '2026-01-02')")
    for _ in range(2):  # two runs over the same stretch in one COPY
        world.sync_one("t", settings, load=False)
    world.sync_one("t", settings, extract=False)
    assert world.ledger().load(world.name("t")).loads[-1].merged == 1
    assert world.target_rows("t", "count(*), count(distinct id)") == [(111, 101)]


def test_versions_are_told_apart_by_composite_keys_case_trailing_blanks_and_null_cursors(world: World) -> None:
    world.execute(
        "CREATE TABLE t (region VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, code VARCHAR(9) COLLATE utf8mb4_nopad_bin NOT"
        " NULL, n INT, update_at DATE, PRIMARY KEY (region, code), KEY (update_at))"
    )
    keys = [(region, code) for region in ("a", "A") for code in ("x", "X", "x ", "x  ", "")]
    world.execute("INSERT INTO t VALUES (%s, %s, 1, '2026-01-01')", keys)
    settings = appending(world, backup_lookback_seconds=86_400 * 30, backup_null_cursors=NullCursors.LOAD)
    assert world.sync_one("t", settings).rows_loaded == 10
    world.execute("UPDATE t SET n = 2, update_at = '2026-01-05' WHERE region = 'a' AND code = 'x '")
    world.execute("INSERT INTO t VALUES ('b', 'x', 1, NULL)")
    for _ in range(3):
        world.sync_one("t", settings)
    assert world.target_rows("t", "count(*), sum(n)") == [(12, 13)]
    assert world.target_rows("t", "octet_length(code)", "WHERE n = 2") == [(2,)]
    assert world.target_rows("t", "region", "WHERE update_at IS NULL") == [("b",)]


def test_a_table_without_a_key_is_appended_by_its_cursor_alone(world: World) -> None:
    make(world, key="id INT")
    world.execute("INSERT INTO t SELECT * FROM t")  # copies that nothing tells apart
    settings = appending(world)
    first = world.sync_one("t", settings, verify=True)
    assert (first.rows_loaded, first.verified_rows, first.warnings) == (200, 200, ())
    assert first.files_created < 8  # ties stay whole, so chunks hold a little more than they should
    world.execute("INSERT INTO t SELECT id, 'second', '2026-02-01' FROM t WHERE id < 10")
    assert world.sync_one("t", settings, limit=1).rows_loaded == 20
    assert world.sync_one("t", settings).status is Status.NOTHING
    assert world.target_rows("t", "note, count(*)", "GROUP BY note ORDER BY note") == [("first", 200), ("second", 20)]


def test_a_table_without_a_key_goes_on_where_a_stopped_run_was(world: World) -> None:
    make(world, 300, key="id INT NULL UNIQUE")  # a unique key with NULLs is no key
    world.execute("INSERT INTO t VALUES (NULL, 'x', '2026-01-01'), (NULL, 'x', '2026-01-01')")
    settings = appending(world)
    world.sync_one("t", settings, limit=100, load=False)
    state = world.ledger().load(world.name("t"))
    assert len(state.extracted.position) == 1
    world.sync_one("t", settings)
    assert world.target_rows("t", "count(*), count(distinct id)") == [(302, 300)]


def test_rows_without_a_key_are_not_loaded_again_after_a_reset(world: World) -> None:
    from s3rs_ray.ledger.changes import SetWatermark
    from s3rs_ray.model import Watermark

    make(world, key="id INT")
    settings = appending(world)
    world.sync_one("t", settings)
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    (refused,) = world.sync("t", settings=settings)
    assert refused.exit_code == 4
    assert "holds 100 rows of the stretch" in refused.error
    assert world.target_rows("t") == [(100,)]


@pytest.mark.parametrize("settle", [0, 10**9], ids=["settled", "nothing settled"])
def test_a_full_refresh_begins_a_history_without_keys_anew_and_appending_goes_on(world: World, settle: int) -> None:
    make(world, key="id INT")
    settings = appending(world, backup_batch_size=0, backup_settle_seconds=settle)
    world.sync_one("t", appending(world))
    world.execute("DELETE FROM t WHERE id < 10")
    world.execute("INSERT INTO t VALUES (1000, 'future', '2999-01-01')")  # it belongs to a later run
    first = world.sync_one("t", settings, full_refresh=True)
    assert first.rows_loaded == (0 if settle else 90)
    assert world.target_rows("t") == [(first.rows_loaded,)]
    world.execute("INSERT INTO t VALUES (1001, 'later', '2026-02-01')")
    world.sync_one("t", appending(world))
    assert world.target_rows("t", "count(*), max(id)") == [(91, 1001)]


def test_a_merge_without_a_key_is_refused_before_any_work(world: World) -> None:
    make(world, key="id INT")
    (refused,) = world.sync("t")
    assert (refused.status, refused.files_created) == (Status.FAILED, 0)
    assert "no row can be told from another" in refused.error
    assert "mode: append" in refused.hint
    world.sync_one("t", appending(world), load=False)
    (refused,) = world.sync("t", extract=False)
    assert "has no key: its files cannot be loaded in the mode merge" in refused.error


@pytest.mark.parametrize(
    ("setting", "value"), [("backup_lookback_seconds", 60), ("backup_null_cursors", NullCursors.LOAD)], ids=str
)
def test_nothing_without_a_key_is_read_a_second_time(world: World, setting: str, value: object) -> None:
    make(world, key="id INT")
    (refused,) = world.sync("t", settings=appending(world, **{setting: value}))
    assert (refused.status, refused.files_created) == (Status.FAILED, 0)
    assert setting.upper() in refused.error


def test_a_history_is_not_merged_into(world: World) -> None:
    make(world)
    world.sync_one("t")
    world.execute("UPDATE t SET note = 'second', update_at = '2026-02-01' WHERE id < 10")
    world.sync_one("t", appending(world))  # from here on every version is kept
    (refused,) = world.sync("t")
    assert refused.status is Status.FAILED
    assert "holds every version" in refused.error
    assert world.target_rows("t") == [(110,)]

"""The load itself: what counts, what is refused, what is never done twice."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.engine import driver, loading
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.errors import TableBusy
from s3rs_ray.ledger.store import Holder
from s3rs_ray.local.redshift.faults import Fault, clear_faults, set_faults
from s3rs_ray.policies import Strategy
from s3rs_ray.warehouse.redshift import Warehouse

if TYPE_CHECKING:
    from s3rs_ray.local.stack import LocalStack

    from .conftest import World


def make(world: World, rows: int = 100) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20), update_at DATETIME NOT NULL, KEY (update_at))")
    start = dt.datetime(2026, 1, 1)
    world.execute("INSERT INTO t VALUES (%s, 'x', %s)", [(i, start + dt.timedelta(seconds=i)) for i in range(rows)])


def in_warehouse(world: World, sql: str) -> None:
    world.warehouse.execute(sql.replace(" t ", f' "{world.schema}"."t" ').encode())


def test_newer_rows_of_the_target_are_kept(world: World) -> None:
    make(world)
    world.sync_one("t")
    in_warehouse(world, "UPDATE t SET note = 'newer', update_at = '2030-01-01' WHERE id < 10")
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-02-01' WHERE id < 20")
    result = world.sync_one("t")
    assert result.rows_loaded == 20
    assert world.ledger().load(world.name("t")).loads[-1].merged == 10
    assert world.target_rows("t", "note, count(*)", "GROUP BY note ORDER BY note") == [
        ("changed", 10),
        ("newer", 10),
        ("x", 80),
    ]


def test_a_key_that_the_target_holds_twice_is_made_single_again(world: World) -> None:
    make(world)
    world.sync_one("t")
    in_warehouse(world, f'INSERT INTO t SELECT * FROM "{world.schema}"."t" WHERE id = 7')
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-02-01' WHERE id = 7")
    world.sync_one("t")
    assert world.target_rows("t", "note", "WHERE id = 7") == [("changed",)]


def test_a_merge_that_writes_other_rows_than_are_new_is_rolled_back(world: World) -> None:
    make(world)
    world.sync_one("t")
    in_warehouse(world, "ALTER TABLE t ADD COLUMN ours INTEGER")  # rows are then updated in place, doubles too
    in_warehouse(world, f'INSERT INTO t SELECT * FROM "{world.schema}"."t" WHERE id = 7')
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-02-01' WHERE id IN (7, 8)")
    (refused,) = world.sync("t")
    assert (refused.status, refused.exit_code) == (Status.FAILED, 4)
    assert "wrote 3 rows where 2 are new" in refused.error
    assert world.target_rows("t", "count(*)", "WHERE note = 'changed'") == [(0,)]
    in_warehouse(world, "DELETE FROM t WHERE id = 7")
    assert world.sync_one("t").rows_loaded == 2
    world.assert_equal("t")


def test_files_that_are_gone_from_s3_stop_the_load(world: World) -> None:
    from s3rs_ray.engine.tasks import open_store

    make(world)
    world.sync_one("t", load=False)
    (file,) = world.ledger().load(world.name("t")).backlog
    open_store(world.settings).delete([file.key])
    (refused,) = world.sync("t", extract=False)
    assert refused.status is Status.FAILED
    assert world.target_rows("t") == [(0,)]
    assert world.ledger().load(world.name("t")).backlog == (file,)


def test_loads_go_on_beside_the_extraction(world: World) -> None:
    make(world, 1000)
    settings = world.settings.model_copy(
        update={"backup_batch_size": 20, "backup_files_per_load": 1, "backup_max_workers": 2}
    )
    result = world.sync_one("t", settings)
    assert (result.rows_extracted, result.rows_loaded, result.files_created) == (1000, 1000, 50)
    assert world.target_rows("t", "count(*), count(distinct id)") == [(1000, 1000)]
    state = world.ledger().load(world.name("t"))
    assert (state.loaded, state.backlog, state.sealed, state.run) == (state.extracted, (), None, None)
    world.assert_equal("t")


@pytest.mark.parametrize("strategy", list(Strategy))
def test_two_tables_never_share_a_target(world: World, strategy: Strategy) -> None:
    make(world, 50)
    other = f"{world.schema}_b"
    world.execute(f"CREATE DATABASE `{other}`")
    try:
        world.execute(f"CREATE TABLE `{other}`.t LIKE t")
        world.execute(f"INSERT INTO `{other}`.t SELECT id, 'other', update_at FROM t")
        request = Request(tables=(f"{world.schema}.t", f"{other}.t"), inline=True, strategy=strategy)
        results = driver.sync(world.settings, request).tables
    finally:
        world.execute(f"DROP DATABASE `{other}`")
    assert sorted(r.status for r in results) == [Status.FAILED, Status.SUCCESS], results
    assert "cannot go there as well" in next(r.error for r in results if r.error)
    assert len(world.target_rows("t", "DISTINCT note")) == 1
    assert world.target_rows("t") == [(50,)]


def test_two_runs_of_one_process_do_not_share_a_lease(world: World) -> None:
    make(world, 50)
    ledger, first, second = world.ledger(), Holder.here(), Holder.here()
    ledger.acquire(world.name("t"), first)
    with pytest.raises(TableBusy):
        ledger.acquire(world.name("t"), second)
    ledger.release(world.name("t"), first)
    ledger.acquire(world.name("t"), second)


@pytest.fixture
def analyses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ANALYZE statements sent; any load counts as large."""
    sent: list[str] = []
    execute = Warehouse.execute

    def recorded(self: Warehouse, sql: str, *rest: Any, **more: Any) -> int:
        if sql.startswith("ANALYZE"):
            sent.append(sql)
        return execute(self, sql, *rest, **more)

    monkeypatch.setattr(Warehouse, "execute", recorded)
    monkeypatch.setattr(loading, "LARGE_LOAD", 100)
    return sent


def test_a_run_says_what_it_loaded_and_analyzes_once(world: World, analyses: list[str]) -> None:
    make(world, 200)
    settings = world.settings.model_copy(update={"backup_batch_size": 50, "backup_files_per_load": 1})
    result = world.sync_one("t", settings=settings)
    assert result.files_loaded == result.files_created > 1
    assert result.bytes_loaded == result.bytes > 0
    assert len(world.ledger().load(world.name("t")).loads) == result.files_loaded
    assert analyses == [f'ANALYZE "{world.schema}"."t"']
    assert set(result.load_phases) == {"copy", "merge", "analyze"}
    assert sum(result.load_phases.values()) <= result.load_seconds + 0.01
    assert world.sync_one("t").load_phases == {}
    assert len(analyses) == 1


def test_a_failed_analyze_fails_no_load(world: World, analyses: list[str], stack: LocalStack) -> None:
    make(world, 200)
    set_faults(stack.redshift.control_file, [Fault(point="statement", action="error", match="^ANALYZE")])
    try:
        result = world.sync_one("t")
    finally:
        clear_faults(stack.redshift.control_file)
    assert result.rows_loaded == 200
    assert set(result.load_phases) == {"copy", "merge"}
    assert len(analyses) == 1
    world.assert_equal("t")


def test_a_file_that_is_gone_is_named_with_its_remedy(world: World) -> None:
    make(world)
    world.sync_one("t", load=False)
    (file,) = world.ledger().load(world.name("t")).backlog
    store = open_store(world.settings)
    kept = store.get(file.key).body
    store.delete([file.key])
    (failed,) = world.sync("t", extract=False)
    assert failed.error.startswith(f'COPY for "{world.schema}"."t" failed in ')
    assert file.key in failed.error
    assert "Status 404" in failed.error
    assert "gone from S3" in failed.hint
    assert failed.context["file"].endswith(file.key)
    assert failed.context["load_error_code"] == "8001"
    assert failed.exit_code == 1
    store.put_new(file.key, kept)
    assert world.sync_one("t", extract=False).rows_loaded == 100
    world.assert_equal("t")

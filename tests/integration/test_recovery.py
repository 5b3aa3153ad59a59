"""A state that was lost, files that nobody owns, and what is kept of runs that have ended."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.cli.app import run
from s3rs_ray.config import Settings
from s3rs_ray.engine import loading
from s3rs_ray.engine.cleaning import clean_orphans, find_orphans
from s3rs_ray.engine.compare import Asked
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.driver import preview
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.health import examine
from s3rs_ray.engine.loading import target_identity
from s3rs_ray.engine.rebuild import rebuild
from s3rs_ray.engine.records import read_records
from s3rs_ray.engine.repair import RepairAsked, repair
from s3rs_ray.engine.tasks import data_key, open_store
from s3rs_ray.engine.verify import verify
from s3rs_ray.errors import LedgerError, SchemaDrift, TableBusy, UnsupportedTable
from s3rs_ray.ledger.changes import Identify, Seal, SetWatermark
from s3rs_ray.ledger.state import Sealed
from s3rs_ray.ledger.store import Holder
from s3rs_ray.model import Watermark
from s3rs_ray.policies import Mode
from s3rs_ray.storage.layout import format_state_key
from s3rs_ray.storage.manifest import load_id

if TYPE_CHECKING:
    from .conftest import World


def make(world: World, rows: int = 300) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20), update_at DATETIME NOT NULL, KEY (update_at))")
    insert(world, range(rows))


def insert(world: World, ids: range) -> None:
    start = dt.datetime(2026, 1, 1)
    world.execute("INSERT INTO t VALUES (%s, 'x', %s)", [(i, start + dt.timedelta(seconds=i // 7)) for i in ids])


def lose_state(world: World) -> None:
    open_store(world.settings).delete([format_state_key(world.name("t"))])


def test_a_lost_state_is_rebuilt_and_nothing_is_moved_twice(world: World) -> None:
    make(world)
    settings = world.settings.model_copy(update={"backup_batch_size": 50})
    world.sync_one("t", settings, limit=100)
    world.sync_one("t", settings)
    before = world.ledger().load(world.name("t"))
    insert(world, range(300, 400))
    world.sync_one("t", settings, load=False)
    lose_state(world)
    state = rebuild(world.settings, world.name("t"))
    assert (state.loaded, state.backup_strategy) == (before.loaded, "rebuilt")
    assert [f.rows for f in state.backlog] == [50, 50]
    assert world.sync_one("t", settings, extract=False).rows_loaded == 100
    assert world.sync_one("t", settings).status is Status.NOTHING
    assert world.target_rows("t", "count(*), count(distinct id)") == [(400, 400)]
    world.assert_equal("t")


def test_a_state_that_is_there_is_not_rebuilt(world: World) -> None:
    make(world, 10)
    world.sync_one("t")
    with pytest.raises(LedgerError, match="has a state"):
        rebuild(world.settings, world.name("t"))


def test_without_a_load_there_is_nothing_to_rebuild(world: World) -> None:
    make(world, 10)
    world.sync_one("t")
    lose_state(world)
    world.warehouse.execute(f'TRUNCATE "{world.schema}"."s3rs_load_ledger"'.encode())
    with pytest.raises(LedgerError, match="no record of a load"):
        rebuild(world.settings, world.name("t"))


def test_finished_files_leave_the_state_and_stay_on_record(world: World) -> None:
    make(world)
    settings = world.settings.model_copy(update={"backup_batch_size": 50})
    world.sync_one("t", settings)
    state = world.ledger().load(world.name("t"))
    assert (state.run, state.backlog, len(state.recent_files)) == (None, (), 6)
    (record,) = read_records(open_store(world.settings), world.name("t"))
    assert [f.rows for f in sorted(record.files, key=lambda f: f.ordinal)] == [50] * 6


def test_only_files_that_nobody_owns_are_orphans(world: World) -> None:
    make(world)
    settings = world.settings.model_copy(update={"backup_batch_size": 50})
    world.sync_one("t", settings)
    insert(world, range(300, 350))
    world.sync_one("t", settings, load=False)
    store, name = open_store(world.settings), world.name("t")
    state = world.ledger().load(name)
    stray = data_key(settings, name, state.last_run_id, 77)
    store.put_new(stray, b"left behind")
    neighbour = data_key(settings, replace(name, name="tt"), state.last_run_id, 0)
    store.put_new(neighbour, b"another table's")
    assert [o.key for o in find_orphans(store, settings, state)] == [stray]
    assert [o.key for o in clean_orphans(settings, name)[0]] == [stray]
    assert find_orphans(store, settings, state) == []
    assert world.sync_one("t", settings, extract=False).rows_loaded == 50
    world.assert_equal("t")


def test_orphans_are_not_cleaned_while_a_run_holds_the_table(world: World) -> None:
    make(world, 10)
    ledger, other = world.ledger(), Holder(token="elsewhere/1/x", host="elsewhere", pid=1)
    ledger.acquire(world.name("t"), other)
    with pytest.raises(TableBusy):
        clean_orphans(world.settings, world.name("t"))
    assert ledger.load(world.name("t")).extracted == Watermark.START


def test_a_run_with_nothing_to_do_gives_back_what_a_dead_one_held(world: World) -> None:
    make(world, 10)
    world.sync_one("t")
    here, name = Holder.here(), world.name("t")
    dead = Holder(token=f"{here.host}/{2**22}/gone/0", host=here.host, pid=2**22)
    alive = Holder(token="elsewhere/1/alive/0", host="elsewhere", pid=1)
    for holder, left in ((dead, None), (alive, alive.token)):
        world.ledger().acquire(name, holder)
        assert world.sync_one("t").status is Status.NOTHING
        lease = world.ledger().load(name).lease
        assert (lease and lease.holder) == left


def in_doubt(world: World, settings: Settings) -> Sealed:
    """Leaves a load sealed: its process died before it could say whether it was carried out."""
    world.sync_one("t", settings, load=False)
    ledger, name, holder = world.ledger(), world.name("t"), Holder.here()
    state = ledger.acquire(name, holder)
    sealed = Sealed(
        load_id=load_id(
            generation=state.generation,
            table=state.table,
            target=target_identity(name, settings),
            files=state.loadable,
        ),
        run_id=state.loadable[0].run_id,
        mode=Mode.MERGE,
        keys=tuple(f.key for f in state.loadable),
        rows=sum(f.rows for f in state.loadable),
        reaches=state.loadable[-1].reaches,
    )
    ledger.commit(
        name, [Identify(source="", target=target_identity(name, settings)), Seal(sealed=sealed)], holder=holder.token
    )
    ledger.release(name, holder)
    return sealed


def lose_target(world: World) -> None:
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."t"'.encode())


def lose_load_ledger(world: World) -> None:
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."s3rs_load_ledger"'.encode())


def _gone(**_: object) -> None:
    raise RuntimeError("killed")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_a_load_in_doubt_whose_files_are_gone_does_not_keep_a_table_from_being_reset(world: World) -> None:
    make(world)
    sealed = in_doubt(world, world.settings)
    open_store(world.settings).delete(sealed.keys)
    (failed,) = world.sync("t", extract=False)
    assert "watermark reset" in failed.hint
    assert run(["watermark", "reset", "-t", f"{world.schema}.t"]) == 0
    assert world.sync_one("t").rows_loaded == 300
    world.assert_equal("t")


@pytest.mark.usefixtures("environment")
def test_a_load_in_doubt_that_happened_is_known_before_the_watermark_is_moved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(world)
    sealed = in_doubt(world, world.settings)
    with monkeypatch.context() as patched:
        patched.setattr(loading, "Advance", _gone)  # the rows are committed, the state never hears of it
        with pytest.raises(RuntimeError, match="killed"):
            world.sync("t", extract=False)
    ledger = world.ledger()
    assert ledger.load(world.name("t")).sealed == sealed
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2026-01-01 00:00:10"]) == 0
    state = ledger.load(world.name("t"))
    assert (state.sealed, [load.load_id for load in state.loads]) == (None, [sealed.load_id])
    world.sync_one("t")
    world.assert_equal("t")


@pytest.mark.usefixtures("environment")
def test_a_load_in_doubt_into_another_warehouse_is_left_to_its_own_settings(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(world)
    in_doubt(world, world.settings)
    monkeypatch.setenv("REDSHIFT_SCHEMA", f"{world.schema}_other")
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2026-01-01 00:00:10"]) == 1
    assert "is in doubt" in capsys.readouterr().err
    assert run(["watermark", "reset", "-t", f"{world.schema}.t"]) == 0


@pytest.mark.parametrize("also", ["nothing", "the load ledger", "the state, rebuilt"])
def test_a_target_that_was_lost_is_not_made_again_without_its_rows(world: World, also: str) -> None:
    make(world)
    world.sync_one("t")
    if also == "the load ledger":
        lose_load_ledger(world)
    elif also == "the state, rebuilt":
        lose_state(world)
        rebuild(world.settings, world.name("t"))
        time.sleep(1)  # the next run's files are named by another second, of which a lost state knows nothing
    lose_target(world)
    insert(world, range(300, 310))
    request = Request(tables=(f"{world.schema}.t",), inline=True)
    (shown,) = preview(world.settings, request)
    assert isinstance(shown.refusal, SchemaDrift)
    (failed,) = world.sync("t")
    assert (failed.error, failed.hint) == (shown.refusal.message, shown.refusal.hint)
    assert "is not there any more" in failed.error
    assert "watermark reset" in failed.hint
    world.ledger().commit(world.name("t"), [SetWatermark(watermark=Watermark.START, generation="anew")])
    assert world.sync_one("t").rows_loaded == 310
    world.assert_equal("t")


def test_a_lost_target_is_made_again_by_a_full_refresh(world: World) -> None:
    make(world)
    world.sync_one("t")
    lose_target(world)
    assert world.sync_one("t", full_refresh=True).rows_loaded == 300
    world.assert_equal("t")


@pytest.mark.usefixtures("environment")
def test_a_watermark_set_before_the_first_load_needs_no_target(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    make(world)
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2026-01-01 00:00:10"]) == 0
    assert "count as done: no sync will load" in capsys.readouterr().err
    assert world.sync_one("t", load=False).rows_extracted == 230
    assert world.sync_one("t", extract=False).rows_loaded == 230
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2026-01-01 00:00:10"]) == 0
    assert capsys.readouterr().err == ""  # back: nothing is passed over


@pytest.mark.usefixtures("environment")
def test_files_that_wait_behind_a_watermark_set_by_hand_are_warned_of(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    make(world)
    world.sync_one("t", load=False)
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2026-01-01 00:00:10"]) == 0
    assert "rows of" in capsys.readouterr().err
    assert world.sync_one("t").rows_loaded == 230


@pytest.mark.usefixtures("environment")
def test_a_watermark_in_the_future_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    make(world, 10)
    world.sync_one("t")
    before = world.ledger().load(world.name("t"))
    assert run(["watermark", "set", "-t", f"{world.schema}.t", "--timestamp", "2126-01-01 00:00:00"]) == 2
    assert "2126-01-01 00:00:00 lies in the future" in capsys.readouterr().err
    assert world.ledger().load(world.name("t")) == before


def test_the_state_of_a_table_that_was_replaced_is_not_rebuilt_from_older_files(world: World) -> None:
    make(world, 10)
    append = world.settings.model_copy(update={"backup_mode": Mode.APPEND})
    world.sync_one("t", append)
    world.execute("ALTER TABLE t DROP COLUMN update_at")
    replacing = world.settings.model_copy(update={"backup_mode": Mode.REPLACE})
    world.sync_one("t", replacing)
    with pytest.raises(LedgerError, match="has a state"):
        rebuild(append, world.name("t"))
    lose_state(world)
    with pytest.raises(LedgerError, match="replaced all rows and left no watermark"):
        rebuild(append, world.name("t"))


@pytest.mark.usefixtures("environment")
def test_a_state_that_cannot_be_read_does_not_hide_the_others(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    make(world, 10)
    world.sync_one("t")
    open_store(world.settings).put_new(format_state_key(world.name("broken")), b"{")
    with pytest.raises(SystemExit) as ended:
        run(["watermark", "list"])
    shown = capsys.readouterr()
    assert ended.value.code == 1
    assert f"{world.schema}.t" in shown.out
    assert "is not the state of a table" in shown.err
    assert "watermark rebuild" in shown.err


def test_a_table_that_was_appended_for_once_is_verified_as_a_history(world: World) -> None:
    make(world, 10)
    world.sync_one("t")
    world.execute("UPDATE t SET note = 'y', update_at = '2026-02-01' WHERE id = 3")
    world.sync_one("t", world.settings.model_copy(update={"backup_mode": Mode.APPEND}))
    (found,) = verify(world.settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    assert (found.status, found.source_rows) == ("equal", 10)
    assert world.target_rows("t") == [(11,)]


def test_a_table_that_was_replaced_for_once_is_verified_as_it_was_carried(world: World) -> None:
    """``--mode`` stands in no setting, so the state says by which mode the table was carried."""
    world.execute("CREATE TABLE t (a INT)")
    world.execute("INSERT INTO t VALUES (1), (2)")
    world.sync_one("t", world.settings.model_copy(update={"backup_mode": Mode.REPLACE}))
    (found,) = verify(world.settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    assert (found.status, found.source_rows, found.target_rows) == ("equal", 2, 2)
    with pytest.raises(UnsupportedTable, match="is replaced by every sync"):
        repair(world.settings, RepairAsked(tables=(f"{world.schema}.t",), inline=True))
    health = examine(world.settings, [f"{world.schema}.t"])
    assert [f.message for f in health.findings if f.about == f"{world.schema}.t"] == []

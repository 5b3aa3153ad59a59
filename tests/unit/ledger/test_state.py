"""Every change to a table's state: what it does, and each requirement that refuses it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from s3rs_ray.errors import LeaseLost, LedgerError, TableBusy
from s3rs_ray.ledger.apply import apply_commit, next_load
from s3rs_ray.ledger.changes import (
    Abandon,
    Acquire,
    AddChunks,
    AddFiles,
    Adopt,
    Advance,
    BeginRefresh,
    Change,
    Commit,
    Fail,
    Finish,
    Identify,
    PageIn,
    PageOut,
    Release,
    Renew,
    Seal,
    SetWatermark,
    Unseal,
)
from s3rs_ray.ledger.state import (
    LEASE_SECONDS,
    MANUAL,
    RECENT_CHANGES,
    RECENT_FILES,
    RECENT_LOADS,
    Page,
    Refresh,
    Sealed,
    TableState,
)
from s3rs_ray.model import DataFile, KeyRange, Watermark
from s3rs_ray.policies import Mode, RangeOrder
from tests.support import build
from tests.support.build import NOON, Applied, lease, mark

WINDOW = build.window((), (30, 0))
CHUNKS = build.run_chunks("r1", [None, (10, 0), (20, 0), (30, 0)], of=WINDOW)
FILES = tuple(build.data_file(c, reaches=Watermark(position=c.range.upto or ())) for c in CHUNKS)
LATER = NOON + dt.timedelta(seconds=LEASE_SECONDS + 1)

Prepare: TypeAlias = Callable[[Applied], object]


def seal_of(*files: DataFile, load_id: str = "load 1") -> Seal:
    return Seal(
        sealed=Sealed(
            load_id=load_id,
            run_id=files[0].run_id,
            mode=Mode.MERGE,
            keys=tuple(f.key for f in files),
            rows=sum(f.rows for f in files),
            reaches=files[-1].reaches,
        )
    )


BEGIN = build.begin("r1", WINDOW)
PLAN = AddChunks(run_id="r1", chunks=CHUNKS, planned=True)
EXTRACT = AddFiles(run_id="r1", files=FILES, at=NOON)
FINISH = Finish(run_id="r1")
SEAL = seal_of(*FILES)
ADVANCE = Advance(load=build.loaded("load 1", rows=30, files=3))


def after(*changes: Change) -> TableState:
    return Applied().commit(*changes)


def refused(state: TableState, change: Change, holder: str = "", now: dt.datetime = NOON) -> LedgerError:
    with pytest.raises(LedgerError) as error:
        apply_commit(state, Commit(change_id="x", holder=holder, now=now, changes=(change,)))
    return error.value


# The life of a file


def test_a_run_is_recorded_before_any_work() -> None:
    state = after(BEGIN)
    assert state.run is not None
    assert (state.run.run_id, state.last_run_id) == ("r1", "r1")
    assert (state.mysql_status, state.backup_strategy) == ("running", "sequential")
    assert state.loadable == ()


def test_files_are_loadable_as_far_as_they_leave_no_gap() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN)
    for file, expected in ((FILES[2], ()), (FILES[0], FILES[:1]), (FILES[1], FILES)):
        assert made.commit(AddFiles(run_id="r1", files=(file,), at=NOON)).loadable == expected
    assert made.state.rows_extracted == 30
    assert made.state.files_written == 3


def test_chunks_without_a_file_are_missing_in_order() -> None:
    state = after(BEGIN, PLAN, AddFiles(run_id="r1", files=(FILES[1],), at=NOON))
    assert state.run is not None
    assert state.run.missing == (CHUNKS[0], CHUNKS[2])
    assert not state.run.complete


def test_a_complete_run_leaves_its_files_in_the_backlog_and_its_window_extracted() -> None:
    state = after(BEGIN, PLAN, EXTRACT, FINISH)
    assert state.run is None
    assert state.backlog == FILES
    assert state.extracted == WINDOW.upto
    assert state.loaded == Watermark.START
    assert state.mysql_status == "success"


def test_a_load_moves_the_watermark_to_its_last_file_and_the_files_out() -> None:
    state = after(BEGIN, PLAN, EXTRACT, FINISH, seal_of(*FILES[:2]), Advance(load=build.loaded("load 1", rows=20)))
    assert state.loaded == mark(20, 0)
    assert state.backlog == FILES[2:]
    assert state.recent_files == tuple(f.key for f in FILES[:2])
    assert (state.rows_loaded, state.redshift_status, state.loaded_at) == (20, "success", NOON)
    assert [load.load_id for load in state.loads] == ["load 1"]
    assert state.sealed is None


def test_a_load_beside_the_extraction_consumes_the_runs_first_chunks() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, AddFiles(run_id="r1", files=FILES[:2], at=NOON), seal_of(FILES[0]))
    state = made.commit(Advance(load=build.loaded("load 1")))
    assert state.run is not None
    assert (state.run.consumed, state.run.files) == (1, FILES[:2])
    assert state.loadable == (FILES[1],)
    assert state.run.missing == (CHUNKS[2],)
    assert made.commit(AddFiles(run_id="r1", files=FILES[2:], at=NOON), FINISH).backlog == FILES[1:]


def test_a_file_recorded_twice_after_its_load_changes_nothing() -> None:
    made = Applied()
    state = made.commit(BEGIN, PLAN, EXTRACT, SEAL, ADVANCE)
    assert made.commit(EXTRACT).run == state.run


def test_a_run_may_finish_while_its_load_is_under_way() -> None:
    state = after(
        BEGIN, PLAN, AddFiles(run_id="r1", files=FILES[:2], at=NOON), seal_of(*FILES[:2]),
        AddFiles(run_id="r1", files=FILES[2:], at=NOON), FINISH, Advance(load=build.loaded("load 1", rows=20)),
    )  # fmt: skip
    assert state.backlog == FILES[2:]
    assert state.loaded == mark(20, 0)


def test_runs_that_end_without_a_load_between_them_queue_their_files() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, FINISH)
    second = build.window((30, 0), (40, 0))
    [chunk] = build.run_chunks("r2", [(30, 0), (40, 0)], of=second)
    file = build.data_file(chunk, reaches=second.upto)
    plan = AddChunks(run_id="r2", chunks=(chunk,), planned=True)
    record = AddFiles(run_id="r2", files=(file,), at=NOON)
    assert made.commit(build.begin("r2", second), plan, record, Finish(run_id="r2")).backlog == (*FILES, file)


def test_a_load_may_span_the_backlog_and_the_open_run() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, FINISH)
    second = build.window((30, 0), (50, 0))
    chunks = build.run_chunks("r2", [(30, 0), (40, 0), (50, 0)], of=second)
    files = tuple(build.data_file(c, reaches=Watermark(position=c.range.upto or ())) for c in chunks)
    made.commit(
        build.begin("r2", second),
        AddChunks(run_id="r2", chunks=chunks, planned=True),
        AddFiles(run_id="r2", files=files[:1], at=NOON),
        seal_of(*FILES, files[0]),
    )
    state = made.commit(Advance(load=build.loaded("load 1", rows=40)))
    assert state.backlog == ()
    assert state.run is not None
    assert (state.run.consumed, state.run.files) == (1, files[:1])
    assert state.loaded == mark(40, 0)


def test_a_load_whose_last_file_reaches_nothing_leaves_the_watermark() -> None:
    files = (*(replace(f, reaches=None) for f in FILES[:2]), replace(FILES[2], reaches=WINDOW.upto))
    made = Applied()
    made.commit(BEGIN, PLAN, AddFiles(run_id="r1", files=files, at=NOON), FINISH, seal_of(files[0]))
    assert made.commit(Advance(load=build.loaded("load 1"))).loaded == Watermark.START
    made.commit(seal_of(*files[1:], load_id="load 2"))
    assert made.commit(Advance(load=build.loaded("load 2", rows=20))).loaded == WINDOW.upto


def test_a_sealed_load_may_be_given_up_and_sealed_anew() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, SEAL)
    assert made.commit(Unseal(load_id="load 1")).sealed is None
    assert made.commit(seal_of(FILES[0], load_id="load 2")).sealed is not None


def test_an_abandoned_run_keeps_its_files_up_to_the_first_hole_and_the_watermark_behind_them() -> None:
    state = after(BEGIN, PLAN, AddFiles(run_id="r1", files=(FILES[0], FILES[2]), at=NOON), Abandon(run_id="r1"))
    assert (state.run, state.backlog, state.extracted) == (None, FILES[:1], mark(10, 0))


def test_an_abandoned_run_whose_first_files_are_loaded_stands_behind_them() -> None:
    state = after(BEGIN, PLAN, EXTRACT, seal_of(FILES[0]), Advance(load=build.loaded("load 1")), Abandon(run_id="r1"))
    assert (state.backlog, state.extracted, state.loaded) == (FILES[1:], mark(30, 0), mark(10, 0))


def test_an_abandoned_run_without_a_file_leaves_the_watermark() -> None:
    assert after(BEGIN, PLAN, Abandon(run_id="r1")).extracted == Watermark.START
    assert after(BEGIN, Abandon(run_id="r1")).extracted == Watermark.START


def test_an_abandoned_run_by_key_is_kept_whole_or_not_at_all() -> None:
    by_key = build.begin("r1", WINDOW, order=RangeOrder.KEY)
    files = (replace(FILES[0], reaches=None), replace(FILES[1], reaches=None), FILES[2])
    some = AddFiles(run_id="r1", files=files[:2], at=NOON)
    state = after(by_key, PLAN, some, Abandon(run_id="r1"))
    assert (state.run, state.loadable, state.extracted) == (None, (), Watermark.START)
    whole = after(by_key, PLAN, some, AddFiles(run_id="r1", files=files[2:], at=NOON), Abandon(run_id="r1"))
    assert (whole.run, whole.loadable, whole.extracted) == (None, files, mark(30, 0))


def test_an_abandoned_run_without_all_its_rows_of_no_cursor_has_reached_its_windows_end() -> None:
    nulls = tuple(
        replace(c, ordinal=c.ordinal + 3, window=replace(c.window, null_horizon=40), range=KeyRange(columns=("k",)))
        for c in PLAN.chunks[:2]
    )
    file = replace(build.data_file(nulls[0], reaches=mark(30, 0)), null_horizon=40)
    chunks = AddChunks(run_id="r1", chunks=(*PLAN.chunks, *nulls), planned=True)
    state = after(BEGIN, chunks, EXTRACT, AddFiles(run_id="r1", files=(file,), at=NOON), Abandon(run_id="r1"))
    assert (state.backlog, state.extracted) == ((*FILES, file), mark(30, 0))
    assert next_load(state, 9) == list(FILES)
    assert next_load(replace(state, backlog=state.backlog[2:]), 9) == [FILES[2]]
    assert next_load(replace(state, backlog=state.backlog[3:]), 9) == [file]
    of_another_run = replace(file, run_id="r2", key="another")
    assert next_load(replace(state, backlog=(file, of_another_run)), 9) == [file]


WHOLE = replace(build.window((), (30, 0)), whole=True)
WHOLE_CHUNKS = build.run_chunks("r2", [None, (5,), (9,), None], of=WHOLE, columns=("k",))
WHOLE_FILES = tuple(build.data_file(c, reaches=None if c.range.upto else WHOLE.upto) for c in WHOLE_CHUNKS)
REFRESH = BeginRefresh(
    run=build.open_run("r2", WHOLE, order=RangeOrder.KEY),
    generation="g1",
    source="mysql://s where x",
    follows="(c)",
    mode=Mode.MERGE,
)
REREAD = (
    AddChunks(run_id="r2", chunks=WHOLE_CHUNKS, planned=True),
    AddFiles(run_id="r2", files=WHOLE_FILES, at=NOON),
    Finish(run_id="r2"),
)


def replacing(*files: DataFile, load_id: str = "load 1") -> Seal:
    return Seal(sealed=replace(seal_of(*files, load_id=load_id).sealed, mode=Mode.REPLACE))


def test_a_full_refresh_is_a_new_generation_that_drops_the_work_of_the_old_one() -> None:
    state = after(Identify(source="mysql://s", target="t", mode=Mode.APPEND), BEGIN, PLAN, EXTRACT, REFRESH)
    assert (state.generation, state.source, state.target, state.mode) == ("g1", "mysql://s where x", "t", Mode.MERGE)
    assert (state.extracted, state.loaded, state.rows_extracted, state.files_written) == (mark(), mark(), 0, 0)
    assert state.run is not None
    assert (state.run.run_id, state.loadable, state.last_run_id) == ("r2", (), "r2")
    assert state.refresh == Refresh(run_id="r2")


def test_a_full_refresh_ends_with_its_last_load() -> None:
    made = Applied()
    made.commit(REFRESH, *REREAD)
    assert (made.state.refresh, made.state.extracted) == (Refresh(run_id="r2", extracted=True), WHOLE.upto)
    made.commit(replacing(*WHOLE_FILES[:2]), Advance(load=build.loaded("load 1", rows=20)))
    assert (made.state.refresh is not None, made.state.loaded) == (True, mark())
    made.commit(replacing(WHOLE_FILES[2], load_id="load 2"), Advance(load=build.loaded("load 2")))
    assert (made.state.refresh, made.state.loaded) == (None, WHOLE.upto)


def test_changes_wait_behind_a_full_refresh_and_share_no_load_with_it() -> None:
    made = Applied()
    made.commit(REFRESH, *REREAD)
    of = build.window((30, 0), (40, 0))
    chunks = build.run_chunks("r3", [(30, 0), (40, 0)], of=of)
    more = build.data_file(chunks[0], reaches=mark(40, 0))
    made.commit(
        build.begin("r3", of), AddChunks(run_id="r3", chunks=chunks, planned=True),
        AddFiles(run_id="r3", files=(more,), at=NOON), Finish(run_id="r3"),
    )  # fmt: skip
    assert next_load(made.state, 9) == list(WHOLE_FILES)
    made.commit(replacing(*WHOLE_FILES), Advance(load=build.loaded("load 1", rows=30)))
    assert next_load(made.state, 9) == [more]


def test_a_full_refresh_whose_run_is_dropped_is_still_owed() -> None:
    state = after(REFRESH, REREAD[0], AddFiles(run_id="r2", files=WHOLE_FILES[:2], at=NOON), Abandon(run_id="r2"))
    assert (state.run, state.backlog, state.refresh) == (None, (), Refresh(run_id="r2"))
    kept = after(REFRESH, *REREAD[:2], Abandon(run_id="r2"))
    assert (kept.backlog, kept.refresh) == (WHOLE_FILES, Refresh(run_id="r2", extracted=True))


def test_a_full_refresh_in_doubt_may_give_way_to_another_or_to_a_reset() -> None:
    again = replace(REFRESH, run=replace(REFRESH.run, run_id="r3"), generation="g2")
    assert after(REFRESH, *REREAD, replacing(*WHOLE_FILES), again).refresh == Refresh(run_id="r3")
    reset = SetWatermark(watermark=mark(), generation="g2")
    state = after(REFRESH, *REREAD, replacing(*WHOLE_FILES), reset)
    assert (state.refresh, state.sealed, state.generation) == (None, None, "g2")


def test_adopted_files_may_be_a_full_refresh() -> None:
    state = after(Adopt(files=WHOLE_FILES, refresh="r2"))
    assert (state.refresh, state.backlog) == (Refresh(run_id="r2", extracted=True), WHOLE_FILES)


def test_a_mode_is_kept_but_for_that_of_a_replacement() -> None:
    made = Applied()
    made.commit(Identify(source="s", target="t", mode=Mode.MERGE))
    for mode, kept in ((Mode.REPLACE, Mode.MERGE), (Mode.APPEND, Mode.APPEND), (Mode.REPLACE, Mode.APPEND)):
        assert made.commit(Identify(source="s", target="t", mode=mode)).mode is kept


@pytest.mark.parametrize(("stage", "statuses"), [("extract", ("failed", "pending")), ("load", ("pending", "failed"))])
def test_a_failure_is_recorded_for_its_stage(stage: str, statuses: tuple[str, str]) -> None:
    state = after(Fail(stage=stage))
    assert (state.mysql_status, state.redshift_status) == statuses


def test_adopted_files_wait_in_the_backlog_and_count_as_extracted() -> None:
    state = after(Adopt(files=FILES))
    assert state.backlog == FILES
    assert state.extracted == FILES[-1].reaches
    assert (state.rows_extracted, state.files_written) == (30, 3)


def test_adopted_files_of_a_run_by_key_reach_what_their_last_one_reaches() -> None:
    files = (replace(FILES[0], reaches=None), FILES[1], replace(FILES[2], reaches=None))
    assert after(Adopt(files=files)).extracted == FILES[1].reaches


def test_a_watermark_set_by_hand_says_so_and_drops_the_old_generations_work() -> None:
    made = Applied()
    made.commit(Identify(source="mysql", target="redshift"), BEGIN, PLAN, EXTRACT)
    state = made.commit(SetWatermark(watermark=mark(15), generation="g1"))
    assert (state.extracted, state.loaded) == (mark(15), mark(15))
    assert (state.run, state.backlog, state.generation) == (None, (), "g1")
    assert state.backup_strategy == MANUAL == "manual_cli"
    assert (state.source, state.target) == ("mysql", "redshift")
    assert (state.rows_extracted, state.rows_loaded, state.files_written, state.recent_files) == (0, 0, 0, ())
    assert (state.mysql_status, state.redshift_status) == ("pending", "pending")
    assert state.last_run_id == "r1"


def test_a_watermark_is_good_for_what_it_follows_alone() -> None:
    made, other = Applied(), Identify(source="mysql", target="", follows="(changed_at, ID)")
    made.commit(Identify(source="mysql", target="", follows="(created_at, ID)"))
    made.commit(
        Identify(source="mysql", target="", follows="(update_at, ID)"), BEGIN, PLAN, EXTRACT
    )  # nothing was done
    refusal = refused(made.state, other)
    assert "its watermark follows (update_at, ID)" in refusal.message
    made.commit(FINISH)
    refused(made.state, other)
    made.commit(SetWatermark(watermark=mark(15), generation="g1"))
    assert made.commit(other).follows == "(changed_at, ID)"


def test_a_reset_forgets_the_pair_so_that_another_may_be_named() -> None:
    made = Applied()
    made.commit(Identify(source="mysql", target="redshift"))
    made.commit(SetWatermark(watermark=Watermark.START, generation="g1"))
    state = made.commit(Identify(source="other", target="another"))
    assert (state.source, state.target, state.backup_strategy) == ("other", "another", "")


# What refuses


@pytest.mark.parametrize(
    ("ready", "change", "why"),
    [
        ((BEGIN,), BEGIN, "a run is open already"),
        ((), build.begin("r1", build.window((5, 0), (30, 0))), "the watermark has moved"),
        ((), PLAN, "run r1 is not the open one"),
        ((BEGIN,), replace(PLAN, run_id="r2"), "run r2 is not the open one"),
        ((BEGIN, PLAN), AddChunks(run_id="r1", chunks=CHUNKS[:1], planned=True), "the plan is complete already"),
        ((BEGIN,), AddChunks(run_id="r1", chunks=CHUNKS[1:], planned=False), "chunks out of order"),
        (
            (BEGIN, AddChunks(run_id="r1", chunks=CHUNKS[:1], planned=False)),
            AddChunks(run_id="r1", chunks=CHUNKS[:2], planned=False),
            "chunks out of order",
        ),
        ((), EXTRACT, "run r1 is not the open one"),
        ((BEGIN,), EXTRACT, "no chunk 0 is planned"),
        (
            (BEGIN, PLAN, EXTRACT),
            AddFiles(run_id="r1", files=(replace(FILES[0], digest="other"),), at=NOON),
            "chunk 0 has another file already",
        ),
        (
            (BEGIN, PLAN),
            AddFiles(run_id="r1", files=(replace(FILES[0], run_id="r0"),), at=NOON),
            "is a file of run r0",
        ),
        (
            (BEGIN, PLAN),
            AddFiles(run_id="r1", files=(FILES[0], replace(FILES[0], digest="other")), at=NOON),
            "chunk 0 has another file already",
        ),
        ((BEGIN, PLAN, AddFiles(run_id="r1", files=FILES[1:], at=NOON)), FINISH, "chunks of the run are still missing"),
        (
            (BEGIN, AddChunks(run_id="r1", chunks=CHUNKS, planned=False), EXTRACT),
            FINISH,
            "chunks of the run are still missing",
        ),
        ((), FINISH, "run r1 is not the open one"),
        ((BEGIN,), Abandon(run_id="r2"), "run r2 is not the open one"),
        ((BEGIN, PLAN, EXTRACT, SEAL), Abandon(run_id="r1"), "under way or in doubt"),
        ((BEGIN, PLAN, EXTRACT, SEAL), SEAL, "a load is sealed already"),
        ((BEGIN, PLAN, EXTRACT), seal_of(FILES[1]), "the files are not the next to be loaded"),
        ((BEGIN, PLAN, EXTRACT), seal_of(FILES[1], FILES[0]), "the files are not the next to be loaded"),
        ((BEGIN, PLAN, AddFiles(run_id="r1", files=FILES[:1], at=NOON)), SEAL, "the files are not the next"),
        (
            (BEGIN, PLAN, EXTRACT),
            Seal(sealed=replace(SEAL.sealed, reaches=mark(99, 9))),
            "the load reaches another watermark",
        ),
        ((BEGIN, PLAN, EXTRACT), Seal(sealed=replace(SEAL.sealed, keys=())), "a load needs a file"),
        ((), ADVANCE, "load load 1 is not sealed"),
        ((BEGIN, PLAN, EXTRACT, SEAL), Advance(load=build.loaded("load 2")), "load load 2 is not sealed"),
        ((BEGIN, PLAN, EXTRACT, SEAL, ADVANCE), ADVANCE, "load load 1 is not sealed"),
        ((), Unseal(load_id="load 1"), "another load is sealed"),
        ((BEGIN, PLAN, EXTRACT, SEAL), Unseal(load_id="load 2"), "another load is sealed"),
        ((BEGIN, PLAN, EXTRACT, SEAL), SetWatermark(watermark=mark(1), generation="g1"), "is in doubt"),
        ((BEGIN,), Adopt(files=FILES), "other work is open"),
        ((BEGIN, PLAN, EXTRACT, FINISH), Adopt(files=FILES), "other work is open"),
        ((Adopt(files=FILES), SEAL), Adopt(files=FILES), "other work is open"),
        ((), Adopt(files=()), "there is no file to adopt"),
        ((BEGIN, PLAN, EXTRACT, SEAL), REFRESH, "is in doubt"),
        ((), replace(REFRESH, run=replace(REFRESH.run, window=WINDOW)), "does not read the whole table"),
        ((REFRESH, Abandon(run_id="r2")), BEGIN, "a full refresh has to be read first"),
        ((REFRESH, Abandon(run_id="r2")), Adopt(files=FILES), "other work is open"),
        ((REFRESH, *REREAD), seal_of(*WHOLE_FILES), "never share a load"),
        ((BEGIN, PLAN, EXTRACT), replacing(*FILES), "never share a load"),
        (
            (Identify(source="a", target="b", mode=Mode.APPEND),),
            Identify(source="a", target="b", mode=Mode.MERGE),
            "holds every version",
        ),
        ((Identify(source="a", target="b"),), Identify(source="c", target="b"), "the source a, the settings name c"),
        ((Identify(source="a", target="b"),), Identify(source="a", target="c"), "the target b, the settings name c"),
    ],
)  # fmt: skip
def test_a_change_whose_requirement_is_not_met_is_refused(ready: tuple[Change, ...], change: Change, why: str) -> None:
    error = refused(after(*ready), change)
    assert why in error.message
    assert "settlement.parcels" in error.message
    assert error.hint


def test_one_refused_change_refuses_the_whole_commit() -> None:
    made = Applied()
    made.commit(BEGIN)
    before = made.state
    with pytest.raises(LedgerError):
        made.commit(PLAN, EXTRACT, FINISH, FINISH)
    assert made.state is before


def test_recording_the_same_file_again_changes_nothing_that_counts() -> None:
    once = after(BEGIN, PLAN, EXTRACT)
    twice = after(BEGIN, PLAN, EXTRACT, EXTRACT)
    assert once == twice


def test_naming_the_same_pair_again_or_one_end_of_it_is_fine() -> None:
    state = after(Identify(source="a", target=""), Identify(source="", target="b"), Identify(source="a", target="b"))
    assert (state.source, state.target) == ("a", "b")


# Leases


def held(by: str = "a") -> Applied:
    made = Applied()
    made.commit(Acquire(lease=lease(by)), holder=by)
    return made


def test_a_held_table_is_refused_to_others_with_who_and_since_when() -> None:
    error = refused(held().state, Acquire(lease=lease("b")), holder="b")
    assert isinstance(error, TableBusy)
    assert "process 1 on elsewhere since 2026-01-31 12:00:00 UTC" in error.message
    assert error.context["holder"] == "a"


def test_a_held_table_is_refused_to_changes_by_hand() -> None:
    assert isinstance(refused(held().state, SetWatermark(watermark=mark(1), generation="g1")), TableBusy)


def test_changes_under_a_lease_that_is_not_there_are_refused() -> None:
    assert isinstance(refused(after(), BEGIN, holder="a"), LeaseLost)
    assert isinstance(refused(held("b").state, BEGIN, holder="a"), LeaseLost)


def test_a_lease_ends_only_after_its_whole_time() -> None:
    edge = NOON + dt.timedelta(seconds=LEASE_SECONDS)
    taking = Acquire(lease=lease("b", edge))
    assert isinstance(refused(held().state, taking, holder="b", now=edge), TableBusy)
    later = replace(taking, lease=lease("b", LATER))
    state = apply_commit(held().state, Commit(change_id="x", holder="b", now=LATER, changes=(later,)))
    assert state.lease is not None
    assert state.lease.holder == "b"


def test_an_ended_lease_lets_changes_by_hand_through() -> None:
    commit = Commit(change_id="x", holder="", now=LATER, changes=(SetWatermark(watermark=mark(1), generation="g1"),))
    assert apply_commit(held().state, commit).extracted == mark(1)


def test_a_change_by_hand_ends_the_lease_that_it_found_run_out() -> None:
    """Its holder was only frozen, and carries on with a load of which nothing is left in the state."""
    made = held("a")
    made.commit(REFRESH, *REREAD, replacing(*WHOLE_FILES), holder="a")
    made.now = LATER
    made.commit(SetWatermark(watermark=mark(), generation="given up"))
    assert made.state.lease is None
    for change in (Advance(load=build.loaded("load 1")), Renew(), Release()):
        assert isinstance(refused(made.state, change, holder="a", now=LATER), LeaseLost)


def test_every_commit_renews_the_lease_it_is_made_under() -> None:
    made = held()
    made.now = NOON + dt.timedelta(seconds=50)
    state = made.commit(Renew(), holder="a")
    assert state.lease is not None
    assert (state.lease.renewed, state.lease.since) == (made.now, NOON)


def test_the_old_owner_of_a_table_taken_over_cannot_commit_nor_give_it_back() -> None:
    made = held("a")
    made.now = LATER
    made.commit(Acquire(lease=lease("b", LATER)), holder="b")
    for change in (BEGIN, Renew(), Release()):
        assert isinstance(refused(made.state, change, holder="a", now=LATER), LeaseLost)


def test_a_holder_known_to_be_dead_is_replaced_at_once_but_nobody_else() -> None:
    state = held("a").state
    commit = Commit(change_id="x", holder="b", now=NOON, changes=(Acquire(lease=lease("b"), dead="a"),))
    assert apply_commit(state, commit).lease == lease("b")
    assert isinstance(refused(state, Acquire(lease=lease("b"), dead="c"), holder="b"), TableBusy)


def test_a_table_given_back_is_free() -> None:
    made = held("a")
    made.commit(Release(), holder="a")
    assert made.state.lease is None
    made.commit(Acquire(lease=lease("b")), holder="b")


def test_a_watermark_may_be_set_under_ones_own_lease() -> None:
    made = held("a")
    state = made.commit(SetWatermark(watermark=mark(1), generation="g1"), holder="a")
    assert state.lease is not None


# What does not grow, and what the next load is


def test_the_state_does_not_grow_with_every_load_file_and_change() -> None:
    made = Applied()
    for number in range(RECENT_LOADS + 5):
        file = replace(FILES[0], key=f"key {number}")
        made.commit(Adopt(files=(file,)), seal_of(file, load_id=str(number)))
        made.commit(Advance(load=build.loaded(str(number))))
    assert [load.load_id for load in made.state.loads] == [str(n) for n in range(5, RECENT_LOADS + 5)]
    assert len(made.state.recent_changes) == RECENT_CHANGES
    assert made.state.recent_changes[-1] == f"change {made.count}"
    many = tuple(replace(FILES[0], key=f"key {n}") for n in range(RECENT_FILES + 1))
    made.commit(Adopt(files=many), seal_of(*many))
    assert made.commit(Advance(load=build.loaded("load 1"))).recent_files == tuple(f.key for f in many[1:])


def test_the_next_load_takes_at_most_as_many_files_as_asked_and_one_contract() -> None:
    state = after(Adopt(files=(FILES[0], FILES[1], replace(FILES[2], fingerprint="other"))))
    assert next_load(state, 1) == list(FILES[:1])
    assert next_load(state, 16) == list(FILES[:2])
    assert next_load(after(), 16) == []


def test_every_commit_tells_its_time() -> None:
    made = Applied(now=LATER)
    assert made.commit(Fail(stage="load")).updated_at == LATER
    assert made.state.created_at == NOON


@pytest.mark.parametrize("order", RangeOrder)
def test_an_empty_window_by_either_order_may_be_planned_without_chunks(order: RangeOrder) -> None:
    state = after(
        build.begin("r1", WINDOW, order=order),
        AddChunks(run_id="r1", chunks=(), planned=True),
        FINISH,
    )
    assert state.extracted == WINDOW.upto


# Pages


def page_out(count: int, keep: int = 0) -> PageOut:
    return PageOut(run_id="r1", key="page", digest="d", count=count, keep=keep)


PAGE = Page(key="page", digest="d", run_id="r1", skip=0, files=2, rows=20, bytes=2000, reached=FILES[1].reaches)


def test_chunks_that_are_done_leave_the_state_and_their_files_wait_on_a_page() -> None:
    state = after(BEGIN, PLAN, EXTRACT, page_out(2))
    assert state.run is not None
    assert (state.run.first, state.run.chunks, state.run.files) == (2, CHUNKS[2:], FILES[2:])
    assert (state.run.chunk_count, state.run.row_count, state.run.complete) == (3, 30, True)
    assert state.backlog == (PAGE,)
    assert (state.loadable, state.next_page, state.waiting_files) == ((), PAGE, 3)


def test_the_files_of_a_page_are_loaded_before_those_behind_it() -> None:
    made = Applied()
    assert made.commit(BEGIN, PLAN, EXTRACT, page_out(2), FINISH).backlog == (PAGE, FILES[2])
    assert made.commit(PageIn(page=PAGE, files=FILES[:2])).loadable == FILES
    made.commit(SEAL, ADVANCE)
    assert (made.state.backlog, made.state.loaded) == ((), WINDOW.upto)


def test_a_load_that_was_chosen_finds_its_files_after_a_page_has_left() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, page_out(2, keep=1))
    assert made.state.loadable == FILES[:1]
    made.commit(seal_of(FILES[0]))
    page = made.state.next_page
    assert page is not None
    assert (page.skip, page.files) == (1, 1)


def test_the_files_of_a_sealed_load_never_leave() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, seal_of(*FILES[:2]), page_out(2))
    assert made.state.loadable == FILES
    made.commit(Advance(load=build.loaded("load 1", rows=20, files=2)))
    assert (made.state.loadable, made.state.loaded) == (FILES[2:], FILES[1].reaches)


def test_what_is_loaded_leaves_without_a_trace() -> None:
    made = Applied()
    made.commit(BEGIN, PLAN, EXTRACT, seal_of(*FILES[:2]), Advance(load=build.loaded("load 1", rows=20, files=2)))
    made.commit(page_out(2))
    assert made.state.run is not None
    assert (made.state.backlog, made.state.run.consumed, made.state.loadable) == ((), 0, FILES[2:])


def test_no_page_without_all_files_and_without_a_chunk_left() -> None:
    some = after(BEGIN, PLAN, AddFiles(run_id="r1", files=(FILES[0], FILES[2]), at=NOON))
    assert "has no file yet" in refused(some, page_out(2)).message
    assert "has to be left" in refused(after(BEGIN, PLAN, EXTRACT), page_out(3)).message
    assert "on a page already" in refused(after(BEGIN, PLAN, EXTRACT, page_out(2)), EXTRACT).message


def test_a_page_comes_back_in_its_turn_and_whole() -> None:
    state = after(BEGIN, PLAN, EXTRACT, page_out(2))
    assert "holds other files" in refused(state, PageIn(page=PAGE, files=FILES[:1])).message
    assert "is not the next page" in refused(state, PageIn(page=replace(PAGE, key="other"), files=FILES[:2])).message


def test_a_run_given_up_keeps_its_pages_in_update_order_and_none_in_another() -> None:
    state = after(BEGIN, PLAN, EXTRACT, page_out(2), Abandon(run_id="r1"))
    assert (state.extracted, state.waiting_files) == (WINDOW.upto, 3)
    by_key = tuple(replace(f, reaches=None) for f in FILES)
    begin = build.begin("r1", WINDOW, order=RangeOrder.KEY)
    record = AddFiles(run_id="r1", files=by_key[:2], at=NOON)
    state = after(begin, PLAN, record, page_out(2), Abandon(run_id="r1"))
    assert (state.extracted, state.backlog) == (Watermark.START, ())

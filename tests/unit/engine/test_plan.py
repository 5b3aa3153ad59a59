"""What will be done, and why: pure decisions."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from s3rs_ray.engine.plan import (
    LARGE_TABLE,
    Action,
    Owed,
    begins_refresh,
    choose_order,
    drop_stale_run,
    furthest,
    make_plan,
    make_refresh_plan,
    reaches,
    strategy_limits,
    window_start,
)
from s3rs_ray.errors import ConfigError, SchemaDrift
from s3rs_ray.ledger.changes import AddChunks, AddFiles, Adopt, Seal
from s3rs_ray.ledger.state import Refresh, Sealed, TableState
from s3rs_ray.model import Watermark, Window
from s3rs_ray.policies import Mode, RangeOrder, Strategy
from s3rs_ray.positions import KeyValue
from tests.support import build
from tests.support.build import NOON, Applied, mark

TABLE = build.table()
WINDOW = build.window((), (30, 0))
CHUNKS = build.run_chunks("r1", [None, (10, 0), (20, 0), (30, 0)], of=WINDOW)


def interrupted(fingerprint: str = TABLE.fingerprint) -> TableState:
    """An open run with the second of three files."""
    made = Applied()
    begin = build.begin("r1", WINDOW)
    made.commit(
        replace(begin, run=replace(begin.run, fingerprint=fingerprint)),
        AddChunks(run_id="r1", chunks=CHUNKS, planned=False),
        AddFiles(run_id="r1", files=(build.data_file(CHUNKS[1], reaches=mark(20, 0)),), at=NOON),
    )
    return made.state


def test_a_window_with_rows_is_run_from_the_watermark_that_was_found() -> None:
    state = replace(build.fresh_state(), extracted=mark(5, 5))
    of = build.window((5, 5), (30, 0))
    plan = make_plan(TABLE, state, Owed(window=of, notes=("a note",)), rows=1000)
    assert (plan.action, plan.window, plan.found, plan.rows_per_chunk) == (Action.RUN, of, mark(5, 5), 1000)
    assert plan.reasons == ("chunks are ranges of (update_at, ID) through the index by_update", "a note")


@pytest.mark.parametrize(
    ("refresh", "open_run", "wanted", "loads", "begins"),
    [
        (None, False, False, True, False),
        (None, False, True, True, True),
        (None, True, True, True, True),  # of changes, which is dropped
        (Refresh(run_id="r1"), True, True, True, False),  # it is gone on with
        (Refresh(run_id="r1"), True, False, True, False),
        (Refresh(run_id="r1"), False, False, True, True),  # its run was dropped
        (Refresh(run_id="r1", extracted=True), False, True, True, False),  # it is loaded
        (Refresh(run_id="r1", extracted=True), False, True, False, True),  # a newer one takes its place
        (Refresh(run_id="r1", extracted=True), False, False, False, False),
    ],
)
def test_a_full_refresh_begins_where_it_is_wanted_and_none_is_under_way(
    refresh: Refresh | None, open_run: bool, wanted: bool, loads: bool, begins: bool
) -> None:
    run = build.open_run("r1", WINDOW) if open_run else None
    state = replace(build.fresh_state(), refresh=refresh, run=run)
    assert begins_refresh(state, wanted=wanted, loads=loads) is begins


@pytest.mark.parametrize(("key", "said"), [(("ID",), "in ranges of (ID)"), ((), "in one piece, because")])
def test_a_full_refresh_reads_the_whole_table_whatever_the_watermark(key: tuple[str, ...], said: str) -> None:
    state = replace(build.fresh_state(), extracted=mark(5, 5))
    plan = make_refresh_plan(build.table(key=key), state, mark(30, 0), rows=7)
    assert (plan.refresh, plan.action, plan.order, plan.rows_per_chunk) == (True, Action.RUN, RangeOrder.KEY, 7)
    assert plan.window == Window(after=Watermark.START, upto=mark(30, 0), whole=True)
    assert said in plan.reasons[0]


@pytest.mark.parametrize(("index", "said"), [("by_update", "through the index by_update"), (None, "without an index")])
def test_a_table_without_a_key_is_cut_by_its_cursor_alone(index: str | None, said: str) -> None:
    keyless = build.table(key=(), cursor_index=index, key_index="")
    order, why = choose_order(keyless, WINDOW)
    assert order is RangeOrder.CURSOR
    assert said in why
    with pytest.raises(ConfigError, match="has no key"):
        choose_order(keyless, WINDOW, wanted=RangeOrder.KEY)


def test_a_window_without_rows_is_nothing_to_do() -> None:
    plan = make_plan(TABLE, build.fresh_state(), Owed(notes=("a note",)), rows=1000)
    assert (plan.action, plan.window) == (Action.NOTHING, None)
    assert plan.reasons == ("no settled row lies behind the watermark", "a note")


def test_rows_without_a_cursor_are_a_run_of_their_own_where_nothing_else_is_to_do() -> None:
    state = replace(build.fresh_state(), extracted=mark(5, 5))
    plan = make_plan(TABLE, state, Owed(null_horizon=30), rows=10)
    assert (plan.action, plan.window, plan.null_horizon) == (Action.RUN, build.window((5, 5), (5, 5)), 30)


def test_an_open_run_is_resumed_as_it_was_planned_whatever_the_settings_say_now() -> None:
    state = interrupted()
    plan = make_plan(build.table(cursor_index=None), state, Owed(), rows=7)
    assert plan.action is Action.RESUME
    assert (plan.window, plan.order) == (WINDOW, RangeOrder.CURSOR)
    assert plan.run == state.run
    assert plan.reasons[0] == "run r1 was not finished: 2 planned chunks are missing, the rest is not planned yet"
    assert state.run is not None
    whole = replace(state, run=replace(state.run, planned=True))
    assert make_plan(TABLE, whole, Owed(), rows=7).reasons[0] == "run r1 was not finished: 2 planned chunks are missing"


def test_a_run_that_was_planned_for_other_columns_is_dropped_but_for_its_first_files() -> None:
    state, dropped = drop_stale_run(interrupted("other"), TABLE)
    assert (dropped, state.run) == ("r1", None)
    assert state.extracted == Watermark.START
    assert (
        "run r1 was planned for other columns" in make_plan(TABLE, state, Owed(), rows=1, dropped=dropped).reasons[-1]
    )


def test_a_run_of_the_same_columns_is_kept() -> None:
    state = interrupted()
    assert drop_stale_run(state, TABLE) == (state, "")
    assert drop_stale_run(build.fresh_state(), TABLE) == (build.fresh_state(), "")


def in_doubt() -> TableState:
    """A load of the backlog is sealed while a run for other columns is open."""
    file = build.data_file(CHUNKS[0], reaches=mark(10, 0))
    made = Applied()
    sealed = Sealed(load_id="l", run_id="r1", mode=Mode.MERGE, keys=(file.key,), rows=10, reaches=mark(10, 0))
    made.commit(Adopt(files=(file,)), Seal(sealed=sealed))
    begin = build.begin("r2", build.window((10, 0), (30, 0)))
    made.commit(replace(begin, run=replace(begin.run, fingerprint="other")))
    return made.state


def test_a_run_of_other_columns_is_neither_dropped_nor_resumed_while_a_load_is_in_doubt() -> None:
    state, dropped = drop_stale_run(in_doubt(), TABLE)
    assert (dropped, state) == ("", in_doubt())
    with pytest.raises(SchemaDrift) as refused:
        make_plan(TABLE, state, Owed(), rows=1)
    assert "--redshift-only" in refused.value.hint


FIRST, LATER = build.window((), (30, 0)), build.window((5, 5), (30, 0))
LARGE = build.table(estimated_rows=LARGE_TABLE)


def test_chunks_go_by_the_update_order_where_an_index_serves_it() -> None:
    order, why = choose_order(TABLE, FIRST)
    assert (order, why) == (RangeOrder.CURSOR, "chunks are ranges of (update_at, ID) through the index by_update")
    order, why = choose_order(build.table(cursor_index=None), LATER)
    assert order is RangeOrder.KEY
    assert why == (
        "no index serves (update_at, ID): chunks are ranges of (ID), and every run reads the whole table;"
        " an index on update_at would spare that"
    )


def test_a_key_that_is_the_update_order_is_ranged_over_as_such_so_that_the_window_bounds_it() -> None:
    table = build.table(cursor_index=None, key=("update_at", "ID"))
    assert choose_order(table, FIRST) == (RangeOrder.CURSOR, "chunks are ranges of (update_at, ID) without an index")


@pytest.mark.parametrize(
    ("changed", "window", "limit", "order"),
    [
        ({}, FIRST, None, RangeOrder.KEY),
        ({}, FIRST, LARGE_TABLE // 2, RangeOrder.KEY),
        ({}, FIRST, LARGE_TABLE // 2 - 1, RangeOrder.CURSOR),
        ({}, LATER, None, RangeOrder.CURSOR),
        ({"estimated_rows": LARGE_TABLE - 1}, FIRST, None, RangeOrder.CURSOR),
        ({"key_index": "by_number"}, FIRST, None, RangeOrder.CURSOR),
        ({"cursor_index": "PRIMARY"}, FIRST, None, RangeOrder.CURSOR),
    ],
)
def test_the_first_load_of_a_large_table_goes_by_the_order_its_rows_are_stored_in(
    changed: dict[str, Any], window: Window, limit: int | None, order: RangeOrder
) -> None:
    assert choose_order(replace(LARGE, **changed), window, limit=limit)[0] is order


def test_the_order_that_is_wanted_is_taken() -> None:
    assert choose_order(LARGE, FIRST, wanted=RangeOrder.CURSOR)[0] is RangeOrder.CURSOR
    assert choose_order(TABLE, LATER, wanted=RangeOrder.KEY)[0] is RangeOrder.KEY
    plan = make_plan(TABLE, build.fresh_state(), Owed(window=WINDOW), rows=1, wanted=RangeOrder.KEY)
    assert (plan.order, plan.reasons) == (
        RangeOrder.KEY,
        ("chunks are ranges of (ID), as BACKUP_CHUNK_ORDER says: the whole table is read",),
    )


def test_ranges_of_an_update_order_that_no_index_serves_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"BACKUP_CHUNK_ORDER = cursor: no index of .* serves"):
        choose_order(build.table(cursor_index=None), FIRST, wanted=RangeOrder.CURSOR)


def test_a_strategy_is_how_many_tables_are_worked_on_at_once() -> None:
    assert strategy_limits(Strategy.SEQUENTIAL, 4).tables == 1
    assert strategy_limits(Strategy.INTER_TABLE, 4).tables == 4


def test_each_chunk_in_update_order_reaches_its_own_end() -> None:
    assert [reaches(c, RangeOrder.CURSOR) for c in CHUNKS] == [mark(10, 0), mark(20, 0), mark(30, 0)]


def test_of_chunks_by_key_only_the_last_reaches_the_windows_end() -> None:
    chunks = build.run_chunks("r1", [None, (10,), (20,), None], of=WINDOW, columns=("ID",))
    assert [reaches(c, RangeOrder.KEY) for c in chunks] == [None, None, mark(30, 0)]


@pytest.mark.parametrize(
    ("cursor", "seconds", "unit", "start"),
    [
        (dt.datetime(2026, 1, 31, 0, 0, 10), 0, "", (dt.datetime(2026, 1, 31, 0, 0, 10), 5)),
        (dt.datetime(2026, 1, 31, 0, 0, 10), 20, "", (dt.datetime(2026, 1, 30, 23, 59, 50),)),
        (dt.date(2026, 1, 31), 1, "", (dt.date(2026, 1, 30),)),
        (dt.date(2026, 1, 31), 86_401, "", (dt.date(2026, 1, 29),)),
        (1000, 20, "seconds", (980,)),
        (100_000, 20, "milliseconds", (80_000,)),
    ],
)
def test_a_look_back_begins_before_every_row_of_its_first_cursor_value(
    cursor: KeyValue, seconds: int, unit: str, start: tuple[KeyValue, ...]
) -> None:
    assert window_start(Watermark(position=(cursor, 5)), seconds, unit).position == start


def test_a_first_run_has_nothing_to_look_back_on() -> None:
    assert window_start(Watermark.START, 60, "") == Watermark.START


@pytest.mark.parametrize(
    ("upto", "extracted", "end"), [((9, 1), (10, 5), (10, 5)), ((11, 1), (10, 5), (11, 1)), ((9, 1), (), (9, 1))]
)
def test_a_look_back_alone_never_ends_a_window_before_what_was_extracted(
    upto: tuple[int, ...], extracted: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert furthest(mark(*upto), mark(*extracted)) == mark(*end)

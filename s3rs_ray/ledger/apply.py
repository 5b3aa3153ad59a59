"""``apply(state, change) -> state``: pure, so every rule can be tested alone.

A change carries its requirements: it raises LedgerError when the state does not allow it, and a commit that lost a race
is applied again to the state that won.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from ..errors import LeaseLost, LedgerError, TableBusy
from ..model import DataFile, TableName, Watermark
from ..policies import Mode
from ..positions import KeyValue, is_reached
from .changes import (
    Abandon,
    Acquire,
    AddChunks,
    AddFiles,
    Adopt,
    Advance,
    Begin,
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
from .paging import page_in, page_out
from .requirements import open_run, require
from .state import LEASE_SECONDS, RECENT_CHANGES, RECENT_FILES, RECENT_LOADS, Lease, OpenRun, Page, Refresh, TableState


def apply_commit(state: TableState, commit: Commit) -> TableState:
    """The state after a commit.

    Raises:
        TableBusy, LeaseLost: somebody else holds the table.
        LedgerError: a requirement of a change is not met.
    """
    for change in commit.changes:
        if not isinstance(change, Acquire):
            state = _held(state, commit)
        state = apply(state, change, commit.now)
    lease = state.lease
    if lease is not None and lease.holder == commit.holder:
        lease = replace(lease, renewed=commit.now)
    changes = (*state.recent_changes, commit.change_id)[-RECENT_CHANGES:]
    return replace(state, lease=lease, recent_changes=changes, updated_at=commit.now)


def require_holder(state: TableState, holder: str) -> None:
    """Raises LeaseLost when the table is not held by ``holder``."""
    lease = state.lease
    if lease is None or lease.holder != holder:
        raise LeaseLost(
            f"{state.table} is no longer held by this run" + (f"; {_describe(lease)} took it over" if lease else ""),
            hint="this run stops; the other one carries its work on",
        )


def _held(state: TableState, commit: Commit) -> TableState:
    """The state as whoever commits may change it.

    A change by hand ends a lease that ran out: its holder, which may only be frozen, would go on with work that is no
    more.
    """
    if commit.holder:
        require_holder(state, commit.holder)
        return state
    lease = state.lease
    if lease is not None and not lease.expired(commit.now):
        raise _busy(state.table, lease)
    return replace(state, lease=None)


def _busy(table: TableName, lease: Lease) -> TableBusy:
    return TableBusy(
        f"{table} is held by {_describe(lease)}",
        hint=f"wait for it to end; if it is dead, the table is free {LEASE_SECONDS} s after its last sign of life",
        context={"holder": lease.holder, "since": lease.since.isoformat()},
    )


def _describe(lease: Lease) -> str:
    return f"process {lease.pid} on {lease.host} since {lease.since:%Y-%m-%d %H:%M:%S} UTC"


def apply(state: TableState, change: Change, now: dt.datetime) -> TableState:
    """The state after one change; raises LedgerError when a requirement is not met."""
    match change:
        case Acquire():
            return _acquire(state, change, now)
        case Renew():
            return state
        case Release():
            return replace(state, lease=None)
        case Identify():
            return _identify(state, change)
        case Begin():
            return _begin(state, change)
        case BeginRefresh():
            return _begin_refresh(state, change)
        case AddChunks():
            return _add_chunks(state, change)
        case AddFiles():
            return _add_files(state, change)
        case PageOut():
            return page_out(state, change)
        case PageIn():
            return page_in(state, change)
        case Finish():
            return _finish(state, change)
        case Abandon():
            return _abandon(state, change)
        case Seal():
            return _seal(state, change)
        case Advance():
            return _advance(state, change)
        case Unseal():
            require(
                state.sealed is not None and state.sealed.load_id == change.load_id, state, "another load is sealed"
            )
            return replace(state, sealed=None)
        case SetWatermark():
            return _set_watermark(state, change)
        case Adopt():
            return _adopt(state, change)
        case Fail():
            stage = "mysql_status" if change.stage == "extract" else "redshift_status"
            return replace(state, **{stage: "failed"})  # type: ignore[arg-type]


def _acquire(state: TableState, change: Acquire, now: dt.datetime) -> TableState:
    lease = state.lease
    free = lease is None or lease.expired(now) or lease.holder in {change.lease.holder, change.dead}
    if not free and lease is not None:
        raise _busy(state.table, lease)
    return replace(state, lease=change.lease)


def _identify(state: TableState, change: Identify) -> TableState:
    for what, old, new in (("source", state.source, change.source), ("target", state.target, change.target)):
        if old and new and old != new:
            raise LedgerError(
                f"{state.table}: the state was made for the {what} {old}, the settings name {new}",
                hint="use another bucket for another pair, or `s3rs-ray watermark reset` to start anew",
            )
    carried = state.extracted != Watermark.START or state.run is not None or bool(state.backlog)
    if carried and state.follows and change.follows and state.follows != change.follows:
        raise LedgerError(
            f"{state.table}: its watermark follows {state.follows}; the source and the settings now give"
            f" {change.follows}: rows behind it would be missed",
            hint="`s3rs-ray watermark reset` carries all rows again; `watermark set` says from where on it holds",
        )
    if state.mode is Mode.APPEND and change.mode is Mode.MERGE:
        raise LedgerError(
            f"{state.table}: its target holds every version (mode append); a merge would leave only the newest",
            hint="keep `append`, or begin the target anew with `sync --full-refresh`",
        )
    return replace(
        state,
        source=change.source or state.source,
        target=change.target or state.target,
        follows=change.follows or state.follows,
        mode=state.mode if change.mode in (None, Mode.REPLACE) else change.mode,
    )


def _begin(state: TableState, change: Begin) -> TableState:
    require(state.run is None, state, "a run is open already")
    require(state.refresh is None or state.refresh.extracted, state, "a full refresh has to be read first")
    require(change.found == state.extracted, state, "the watermark has moved since the plan was made")
    starts, found = change.run.window.after.position, change.found.position
    before = starts[:1] != found[:1] and is_reached(starts[:1], found[:1])
    require(starts == found or before, state, "the window starts behind the watermark")
    return replace(
        state,
        run=change.run,
        mysql_status="running",
        backup_strategy=change.run.strategy,
        last_run_id=change.run.run_id,
    )


def _begin_refresh(state: TableState, change: BeginRefresh) -> TableState:
    _require_droppable(state)
    require(change.run.window.whole, state, "the run does not read the whole table")
    anew = _anew(state, change.generation, Watermark.START)
    return replace(
        anew,
        source=change.source,
        follows=change.follows,
        mode=change.mode,
        refresh=Refresh(run_id=change.run.run_id),
        run=change.run,
        mysql_status="running",
        backup_strategy=change.run.strategy,
        last_run_id=change.run.run_id,
    )


def _require_droppable(state: TableState) -> None:
    sealed = state.sealed
    require(
        sealed is None or sealed.mode is Mode.REPLACE,
        state,
        f"the load {sealed.load_id[:12] if sealed else ''} is in doubt; run `sync --redshift-only` first",
    )


def _anew(state: TableState, generation: str, watermark: Watermark) -> TableState:
    """The state as a new generation, without the open work of the old one."""
    return replace(
        state,
        follows="",
        generation=generation,
        extracted=watermark,
        loaded=watermark,
        refresh=None,
        run=None,
        backlog=(),
        sealed=None,
        rows_extracted=0,
        rows_loaded=0,
        files_written=0,
        recent_files=(),
        mysql_status="pending",
        redshift_status="pending",
    )


def _add_chunks(state: TableState, change: AddChunks) -> TableState:
    run = open_run(state, change.run_id)
    require(not run.planned or not change.chunks, state, "the plan is complete already")
    expected = range(run.chunk_count, run.chunk_count + len(change.chunks))
    require([c.ordinal for c in change.chunks] == list(expected), state, "chunks out of order")
    return replace(state, run=replace(run, chunks=run.chunks + change.chunks, planned=run.planned or change.planned))


def _add_files(state: TableState, change: AddFiles) -> TableState:
    run = open_run(state, change.run_id)
    known = {f.ordinal: f for f in run.files}
    new = []
    for file in change.files:
        require(file.run_id == run.run_id, state, f"{file.key} is a file of run {file.run_id}")
        require(0 <= file.ordinal < run.chunk_count, state, f"no chunk {file.ordinal} is planned")
        require(file.ordinal >= run.first, state, f"the file of chunk {file.ordinal} is on a page already")
        present = known.get(file.ordinal)
        require(present in (None, file), state, f"chunk {file.ordinal} has another file already")
        if present is None:
            known[file.ordinal] = file
            new.append(file)
    return replace(
        state,
        run=replace(run, files=run.files + tuple(new)),
        rows_extracted=state.rows_extracted + sum(f.rows for f in new),
        files_written=state.files_written + len(new),
        extracted_at=change.at,
    )


def _finish(state: TableState, change: Finish) -> TableState:
    run = open_run(state, change.run_id)
    require(run.complete, state, "chunks of the run are still missing")
    return replace(
        state,
        run=None,
        refresh=_extracted(state, run),
        backlog=state.backlog + run.ready,
        extracted=run.window.upto,
        mysql_status="success",
    )


def _extracted(state: TableState, run: OpenRun) -> Refresh | None:
    """The refresh, once the run that reads it has all its files."""
    refresh = state.refresh
    return replace(refresh, extracted=True) if refresh is not None and refresh.run_id == run.run_id else refresh


def _abandon(state: TableState, change: Abandon) -> TableState:
    run = open_run(state, change.run_id)
    require(state.sealed is None, state, "a load of its files is under way or in doubt")
    by_ordinal = {f.ordinal: f for f in run.files}
    last = by_ordinal.get(run.first + run.consumed + len(run.ready) - 1)
    reached = last.reaches if last is not None else run.reached
    if reached is None:  # no file, or ranges of the key of which the last is missing
        return replace(state, run=None, backlog=tuple(f for f in state.backlog if f.run_id != run.run_id))
    return replace(
        state, run=None, refresh=_extracted(state, run), backlog=state.backlog + run.ready, extracted=reached
    )


def _seal(state: TableState, change: Seal) -> TableState:
    sealed = change.sealed
    require(state.sealed is None, state, "a load is sealed already")
    require(bool(sealed.keys), state, "a load needs a file")
    first = state.loadable[: len(sealed.keys)]
    require(tuple(f.key for f in first) == sealed.keys, state, "the files are not the next to be loaded")
    require(first[-1].reaches == sealed.reaches, state, "the load reaches another watermark")
    alike = all(state.refreshes(f) is (sealed.mode is Mode.REPLACE) for f in first)
    require(alike, state, "a full refresh and changes never share a load")
    return replace(state, sealed=sealed, redshift_status="running")


def _advance(state: TableState, change: Advance) -> TableState:
    load = change.load
    require(
        state.sealed is not None and state.sealed.load_id == load.load_id, state, f"load {load.load_id} is not sealed"
    )
    assert state.sealed is not None
    count = len(state.sealed.keys)
    from_backlog = min(count, len(state.backlog))
    run = state.run
    if run is not None and count > from_backlog:
        consumed = run.consumed + count - from_backlog
        run = replace(run, consumed=consumed)
    rest = state.backlog[from_backlog:]
    replaced = state.sealed.mode is Mode.REPLACE and state.sealed.reaches is not None
    return replace(
        state,
        refresh=None if replaced else state.refresh,
        run=run,
        backlog=rest,
        sealed=None,
        loaded=state.sealed.reaches or state.loaded,
        loaded_at=load.loaded_at,
        loads=(*state.loads, load)[-RECENT_LOADS:],
        rows_loaded=state.rows_loaded + load.rows,
        redshift_status="success",
        recent_files=(*state.recent_files, *state.sealed.keys)[-RECENT_FILES:],
    )


def _set_watermark(state: TableState, change: SetWatermark) -> TableState:
    _require_droppable(state)
    by_hand = change.watermark != Watermark.START
    return replace(
        _anew(state, change.generation, change.watermark),
        backup_strategy=change.strategy if by_hand else "",
        source="" if not by_hand else state.source,
        target="" if not by_hand else state.target,
    )


def _adopt(state: TableState, change: Adopt) -> TableState:
    idle = state.run is None and not state.backlog and state.sealed is None and state.refresh is None
    require(idle, state, "other work is open")
    require(bool(change.files), state, "there is no file to adopt")
    reached = [f.reached if isinstance(f, Page) else f.reaches for f in change.files]
    return replace(
        state,
        backlog=change.files,
        refresh=Refresh(run_id=change.refresh, extracted=True) if change.refresh else None,
        extracted=next((place for place in reversed(reached) if place is not None), state.extracted),
        rows_extracted=state.rows_extracted + sum(f.rows for f in change.files),
        files_written=state.files_written + sum(f.files if isinstance(f, Page) else 1 for f in change.files),
    )


def next_load(state: TableState, most: int) -> Sequence[DataFile]:
    """The files of the next load: at most ``most``, all of one kind, ending where a gapless load may end.

    Rows whose cursor is NULL are loaded by themselves, those of each run apart: nothing in the rows tells which are
    newer, so the horizon they were read behind and the order of the loads do. So are those of a repair, which take the
    place of what is there.
    """
    files: list[DataFile] = []
    for file in state.loadable[:most]:
        if files and (_kind(file) != _kind(files[0]) or state.refreshes(file) != state.refreshes(files[0])):
            break
        files.append(file)
    return files


def _kind(file: DataFile) -> tuple[str, KeyValue | None, bool, str]:
    apart = file.null_horizon is not None or file.mends
    return file.fingerprint, file.null_horizon, file.mends, file.run_id if apart else ""

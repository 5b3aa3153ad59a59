"""TableState, the changes to it, and ``apply(state, change) -> state``: pure, so every rule can be tested alone.

A change carries its requirements: it raises LedgerError when the state does not allow it, and a commit that lost
a race is applied again to the state that won. The life of a row's file::

    planned (AddChunks) -> extracted (AddFiles) -> sealed (Seal) -> loaded (Advance)

``files`` holds what was extracted and not loaded yet, of finished runs (``backlog``) and of the open one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..errors import LeaseLost, LedgerError, TableBusy
from ..model import Chunk, DataFile, Load, Mode, RangeOrder, TableName, Watermark, Window

FORMAT_VERSION = 1
RECENT_LOADS = 20
RECENT_FILES = 1000
RECENT_CHANGES = 16
LEASE_SECONDS = 60
"""A lease not renewed for so long is taken over; it is renewed three times in that span."""

MANUAL = "manual_cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who works on the table.

    Attributes:
        holder: unique to one driver process.
        host, pid: for the message to whoever finds the table busy.
        since, renewed: UTC.
    """

    holder: str
    host: str
    pid: int
    since: dt.datetime
    renewed: dt.datetime

    def expired(self, now: dt.datetime) -> bool:
        return (now - self.renewed).total_seconds() > LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """The run that is extracting: its plan so far and the files that are there.

    Attributes:
        planned: every chunk of the window is in ``chunks``.
        files: in the order of completion.
        consumed: how many chunks, from the first, are loaded already.
    """

    run_id: str
    window: Window
    order: RangeOrder
    rows_per_chunk: int
    fingerprint: str
    strategy: str
    chunks: tuple[Chunk, ...] = ()
    planned: bool = False
    files: tuple[DataFile, ...] = ()
    consumed: int = 0

    @property
    def missing(self) -> tuple[Chunk, ...]:
        """Chunks without a file, in order."""
        done = {f.ordinal for f in self.files}
        return tuple(c for c in self.chunks[self.consumed :] if c.ordinal not in done)

    @property
    def complete(self) -> bool:
        return self.planned and not self.missing

    @property
    def ready(self) -> tuple[DataFile, ...]:
        """The contiguous files behind the loaded ones: what may be loaded next without leaving a gap."""
        by_ordinal = {f.ordinal: f for f in self.files}
        ready = []
        for chunk in self.chunks[self.consumed :]:
            if chunk.ordinal not in by_ordinal:
                break
            ready.append(by_ordinal[chunk.ordinal])
        return tuple(ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The load that is under way or in doubt; nothing else may be loaded before it is settled."""

    load_id: str
    run_id: str
    mode: Mode
    keys: tuple[str, ...]
    rows: int
    reaches: Watermark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """Everything the ledger knows of one table.

    Attributes:
        generation: changes when the watermark is reset or set; part of every load id.
        source, target: identity of both ends, empty until the first run.
        extracted: the last row that lies on S3.
        loaded: the last row durably in the warehouse.
        rows_extracted, rows_loaded, files_written: totals of this generation.
        recent_files: keys of the files loaded last, newest at the end.
        recent_changes: ids of the last commits, by which a commit whose reply was lost finds itself.
    """

    table: TableName
    generation: str
    source: str = ""
    target: str = ""
    extracted: Watermark = Watermark.START
    loaded: Watermark = Watermark.START
    run: OpenRun | None = None
    backlog: tuple[DataFile, ...] = ()
    sealed: Sealed | None = None
    lease: Lease | None = None
    loads: tuple[Load, ...] = ()
    backup_strategy: str = ""
    extracted_at: dt.datetime | None = None
    loaded_at: dt.datetime | None = None
    mysql_status: str = "pending"
    redshift_status: str = "pending"
    rows_extracted: int = 0
    rows_loaded: int = 0
    files_written: int = 0
    recent_files: tuple[str, ...] = ()
    recent_changes: tuple[str, ...] = ()
    last_run_id: str = ""
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def loadable(self) -> tuple[DataFile, ...]:
        """Files that may be loaded next, in order: those of finished runs, then the open run's ready ones."""
        return self.backlog + (self.run.ready if self.run else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquire:
    """Takes the table. Requires that nobody holds it, or that the holder is this one, expired, or known dead."""

    lease: Lease
    dead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Says that the holder is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Gives the table back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify:
    """Fixes source and target. Requires that they are new to the state or the same."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Opens a run. Requires no open run and that the watermark is where the plan found it.

    The window may start before it (a look-back), never behind it.
    """

    run: OpenRun
    found: Watermark


@dataclass(frozen=True, slots=True, kw_only=True)
class AddChunks:
    """Makes chunks durable before they are read. Requires that they follow those that are there."""

    run_id: str
    chunks: tuple[Chunk, ...]
    planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFiles:
    """Records extracted files. A file that is there already is the same file."""

    run_id: str
    files: tuple[DataFile, ...]
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Closes a complete run: its window is on S3, its unloaded files join the backlog."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """Drops an open run whose plan no longer holds.

    Its first files without a hole among them are kept, and the watermark stands behind them; of a run that is not in
    update order nothing is kept. What is dropped is read again by the next run.
    """

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Fixes the next load. Requires that nothing is sealed and that the files are the first loadable ones."""

    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Settles the sealed load. Requires that it is this one."""

    load: Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseal:
    """Gives up a sealed load that is certainly not in the warehouse."""

    load_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWatermark:
    """Moves the watermark. Requires that no load is sealed, and drops open work of the old generation.

    Attributes:
        strategy: what ``backup_strategy`` says from now on; a watermark set by hand says so.
    """

    watermark: Watermark
    generation: str
    strategy: str = MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Takes files found on S3 into the backlog, for loading a warehouse from the backup alone.

    What they reach counts as extracted. Requires that nothing else is open.
    """

    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Records that a stage failed, for people and scripts that read the state."""

    stage: str


Change: TypeAlias = (
    Acquire
    | Renew
    | Release
    | Identify
    | Begin
    | AddChunks
    | AddFiles
    | Finish
    | Abandon
    | Seal
    | Advance
    | Unseal
    | SetWatermark
    | Adopt
    | Fail
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Changes that happen together or not at all.

    Attributes:
        change_id: unique; how a commit in doubt recognises itself.
        holder: the lease it is made under; empty for changes made by hand, which need a free table.
    """

    change_id: str
    holder: str
    now: dt.datetime
    changes: tuple[Change, ...] = field(default_factory=tuple)


def apply_commit(state: TableState, commit: Commit) -> TableState:
    """The state after a commit.

    Raises:
        TableBusy, LeaseLost: somebody else holds the table.
        LedgerError: a requirement of a change is not met.
    """
    for change in commit.changes:
        if not isinstance(change, Acquire):
            _require_holder(state, commit)
        state = apply(state, change, commit.now)
    lease = state.lease
    if lease is not None and lease.holder == commit.holder:
        lease = replace(lease, renewed=commit.now)
    changes = (*state.recent_changes, commit.change_id)[-RECENT_CHANGES:]
    return replace(state, lease=lease, recent_changes=changes, updated_at=commit.now)


def _require_holder(state: TableState, commit: Commit) -> None:
    lease = state.lease
    if commit.holder:
        if lease is None or lease.holder != commit.holder:
            raise LeaseLost(
                f"{state.table} is no longer held by this run"
                + (f"; {_describe(lease)} took it over" if lease else ""),
                hint="this run stops; the other one carries its work on",
            )
    elif lease is not None and not lease.expired(commit.now):
        raise _busy(state.table, lease)


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
        case AddChunks():
            return _add_chunks(state, change)
        case AddFiles():
            return _add_files(state, change)
        case Finish():
            return _finish(state, change)
        case Abandon():
            return _abandon(state, change)
        case Seal():
            return _seal(state, change)
        case Advance():
            return _advance(state, change)
        case Unseal():
            _require(
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


def _require(condition: bool, state: TableState, problem: str) -> None:
    if not condition:
        raise LedgerError(
            f"{state.table}: {problem}",
            hint="look at `s3rs-ray watermark get -t TABLE`; run the command again to go on from what is recorded",
        )


def _open_run(state: TableState, run_id: str) -> OpenRun:
    run = state.run
    _require(run is not None and run.run_id == run_id, state, f"run {run_id} is not the open one")
    assert run is not None
    return run


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
                hint="use another bucket or prefix for another pair, or `s3rs-ray watermark reset` to start anew",
            )
    return replace(state, source=change.source or state.source, target=change.target or state.target)


def _begin(state: TableState, change: Begin) -> TableState:
    _require(state.run is None, state, "a run is open already")
    _require(change.found == state.extracted, state, "the watermark has moved since the plan was made")
    starts, found = change.run.window.after.position, change.found.position
    _require(starts == found or starts[:1] < found[:1], state, "the window starts behind the watermark")
    return replace(
        state,
        run=change.run,
        mysql_status="running",
        backup_strategy=change.run.strategy,
        last_run_id=change.run.run_id,
    )


def _add_chunks(state: TableState, change: AddChunks) -> TableState:
    run = _open_run(state, change.run_id)
    _require(not run.planned or not change.chunks, state, "the plan is complete already")
    expected = range(len(run.chunks), len(run.chunks) + len(change.chunks))
    _require([c.ordinal for c in change.chunks] == list(expected), state, "chunks out of order")
    return replace(state, run=replace(run, chunks=run.chunks + change.chunks, planned=run.planned or change.planned))


def _add_files(state: TableState, change: AddFiles) -> TableState:
    run = _open_run(state, change.run_id)
    known = {f.ordinal: f for f in run.files}
    new = []
    for file in change.files:
        _require(file.run_id == run.run_id, state, f"{file.key} is a file of run {file.run_id}")
        _require(0 <= file.ordinal < len(run.chunks), state, f"no chunk {file.ordinal} is planned")
        present = known.get(file.ordinal)
        _require(present in (None, file), state, f"chunk {file.ordinal} has another file already")
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
    run = _open_run(state, change.run_id)
    _require(run.complete, state, "chunks of the run are still missing")
    return replace(
        state,
        run=None,
        backlog=state.backlog + run.ready,
        extracted=run.window.upto,
        mysql_status="success",
    )


def _abandon(state: TableState, change: Abandon) -> TableState:
    run = _open_run(state, change.run_id)
    _require(state.sealed is None, state, "a load of its files is under way or in doubt")
    if run.order is not RangeOrder.CURSOR:
        return replace(state, run=None)
    done = run.chunks[: run.consumed + len(run.ready)]
    reached = done[-1].range.upto if done else None
    return replace(
        state,
        run=None,
        backlog=state.backlog + run.ready,
        extracted=Watermark(position=reached) if reached else state.extracted,
    )


def _seal(state: TableState, change: Seal) -> TableState:
    sealed = change.sealed
    _require(state.sealed is None, state, "a load is sealed already")
    _require(bool(sealed.keys), state, "a load needs a file")
    first = state.loadable[: len(sealed.keys)]
    _require(tuple(f.key for f in first) == sealed.keys, state, "the files are not the next to be loaded")
    _require(first[-1].reaches == sealed.reaches, state, "the load reaches another watermark")
    return replace(state, sealed=sealed, redshift_status="running")


def _advance(state: TableState, change: Advance) -> TableState:
    load = change.load
    _require(
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
    return replace(
        state,
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
    _require(
        state.sealed is None,
        state,
        f"the load {state.sealed.load_id[:12] if state.sealed else ''} is in doubt; run `sync --redshift-only` first",
    )
    by_hand = change.watermark != Watermark.START
    return replace(
        state,
        generation=change.generation,
        extracted=change.watermark,
        loaded=change.watermark,
        run=None,
        backlog=(),
        backup_strategy=change.strategy if by_hand else "",
        source="" if not by_hand else state.source,
        target="" if not by_hand else state.target,
        rows_extracted=0,
        rows_loaded=0,
        files_written=0,
        recent_files=(),
        mysql_status="pending",
        redshift_status="pending",
    )


def _adopt(state: TableState, change: Adopt) -> TableState:
    _require(state.run is None and not state.backlog and state.sealed is None, state, "other work is open")
    _require(bool(change.files), state, "there is no file to adopt")
    reached = next((f.reaches for f in reversed(change.files) if f.reaches is not None), state.extracted)
    return replace(
        state,
        backlog=change.files,
        extracted=reached,
        rows_extracted=state.rows_extracted + sum(f.rows for f in change.files),
        files_written=state.files_written + len(change.files),
    )


def next_load(state: TableState, most: int) -> Sequence[DataFile]:
    """The files of the next load: at most ``most``, all of one fingerprint, ending where a gapless load may end."""
    files: list[DataFile] = []
    for file in state.loadable[:most]:
        if files and file.fingerprint != files[0].fingerprint:
            break
        files.append(file)
    return files

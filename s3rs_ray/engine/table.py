"""One table from start to end: the eight steps of a sync, one line each."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..errors import IntegrityError, PreconditionFailed, S3rsError, SourceError, UnsupportedTable
from ..ledger.apply import apply
from ..ledger.changes import Abandon, Begin, BeginRefresh, Fail
from ..ledger.document import cursor_text
from ..ledger.state import OpenRun, TableState
from ..model import Chunk, Column, DataFile, Table, TableName, Watermark, Window
from ..policies import Adjusted
from ..source.catalog import Catalog
from ..source.queries import end_queries
from ..storage.layout import CONTRACT, format_run_id, format_run_key, long_keys, parse_run_time
from ..storage.s3 import S3Store
from ..wording import counted
from .adopt import adopt_files, may_adopt
from .ahead import PlanAhead, remaining_chunks
from .check import check_null_cursors, check_window
from .context import Hold, Run, Workplace, give_back_dead, hold_table
from .contract import format_contract
from .deletes import follow_deletes, wanted_deletes
from .events import EventKind, Status, TableResult, adjusted_warnings, failed_result
from .extraction import Extraction, run_extraction
from .inherited import find_inherited
from .loading import Loading
from .mending import Gone
from .plan import Action, TablePlan
from .planning import name_pair, open_source, plan_sizer, plan_table, source_identity, wants_refresh, what_is_followed
from .records import write_record

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What is counted along the way."""

    files: list[DataFile] = field(default_factory=list)
    extract_seconds: float = 0.0
    loading: Loading | None = None
    note: str = ""
    warnings: list[str] = field(default_factory=list)
    verified: int | None = None
    gone: Gone | None = None
    table: Table | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the table carries: as it was discovered, or as the files loaded say."""
        table = self.table or (self.loading.newest if self.loading else None)
        return table.columns if table else ()

    @property
    def adjusted(self) -> Adjusted:
        """What the policies changed in the files written."""
        return sum((f.adjusted for f in self.files), Adjusted())


def sync_table(run: Run, name: TableName) -> TableResult:
    """Moves one table; errors become its result, so that other tables go on."""
    started = time.perf_counter()
    tally = Tally()
    run.say(EventKind.TABLE_STARTED, name)
    try:
        state = _sync(run, name, tally)
    except S3rsError as exc:
        run.say(EventKind.TABLE_FAILED, name, error=exc.message, hint=exc.hint, type=type(exc).__name__)
        return _failed(name, exc, tally, time.perf_counter() - started)
    done = tally.loading
    moved = tally.files or (done and done.loads) or (tally.gone and tally.gone.removed)
    result = TableResult(
        table=name,
        status=Status.SUCCESS if moved else Status.NOTHING,
        rows_extracted=sum(f.rows for f in tally.files),
        rows_loaded=done.rows if done else 0,
        files_created=len(tally.files),
        bytes=sum(f.bytes for f in tally.files),
        duration_seconds=round(time.perf_counter() - started, 3),
        extract_seconds=round(tally.extract_seconds, 3),
        load_seconds=round(done.seconds, 3) if done else 0.0,
        files_loaded=sum(load.files for load in done.loads) if done else 0,
        bytes_loaded=done.bytes if done else 0,
        load_phases=dict(done.phases) if done else {},
        watermark=cursor_text(state.loaded if run.request.load else state.extracted),
        verified_rows=tally.verified,
        gone=tally.gone,
        note=tally.note,
        warnings=(*tally.warnings, *adjusted_warnings(tally.adjusted)),
        adjusted=tally.adjusted,
        columns=tally.columns,
    )
    run.say(
        EventKind.TABLE_DONE,
        name,
        status=result.status.value,
        rows_extracted=result.rows_extracted,
        rows_loaded=result.rows_loaded,
        files=result.files_created,
        bytes=result.bytes,
        seconds=result.duration_seconds,
    )
    return result


def _failed(name: TableName, exc: S3rsError, tally: Tally, seconds: float) -> TableResult:
    done = tally.loading
    return replace(
        failed_result(name, exc),
        rows_extracted=sum(f.rows for f in tally.files),
        rows_loaded=done.rows if done else 0,
        files_created=len(tally.files),
        bytes=sum(f.bytes for f in tally.files),
        duration_seconds=round(seconds, 3),
        load_seconds=round(done.seconds, 3) if done else 0.0,
        files_loaded=sum(load.files for load in done.loads) if done else 0,
        bytes_loaded=done.bytes if done else 0,
        load_phases=dict(done.phases) if done else {},
        warnings=(*tally.warnings, *adjusted_warnings(tally.adjusted)),
        adjusted=tally.adjusted,
        columns=tally.columns,
    )


def require_fit_keys(run: Run, name: TableName) -> None:
    """Raises UnsupportedTable for a table whose objects would need longer keys than S3 has."""
    too_long = long_keys(run.settings.s3_incremental_path, name)
    if too_long:
        raise UnsupportedTable(
            f"{name} cannot be carried: {too_long}", hint="shorten S3_INCREMENTAL_PATH or the name of schema or table"
        )


def _sync(run: Run, name: TableName, tally: Tally) -> TableState:
    require_fit_keys(run, name)
    if not run.request.extract:
        return _load_only(run, name, tally)
    with open_source(run) as catalog:
        table = catalog.discover(name)
        tally.table = table
        state = run.ledger.load(name)
        old = find_inherited(run, catalog, table, state)
        tally.warnings += [old.note] if old.note else []
        state = old.over(state)
        apply(state, name_pair(run, state, table), state.updated_at)  # refused also where there is nothing to do
        plan = plan_table(run, catalog, table, state)
        tally.note = "; ".join(plan.reasons)
        deletes = wanted_deletes(run, table)
        idle = plan.action is Action.NOTHING and not plan.drops and not _waiting(run, state) and not old.change
        if idle and not deletes:
            return give_back_dead(run, name, state)
        with hold_table(run, run.ledger if idle else run.workplace().ledger, name) as hold:
            old.commit(hold)
            identify(hold, table)
            if run.request.load:
                tally.loading = Loading(hold=hold, contracts={table.fingerprint: table}, budget=run.request.limit)
            if tally.loading and plan.refresh:
                tally.loading.settle()  # of a load in doubt it must be known whether it happened
            plan = plan_table(run, catalog, table, hold.load())  # another run may have ended meanwhile
            tally.note = "; ".join(plan.reasons)
            if plan.drops:
                drop_run(hold)
            if tally.loading:
                tally.warnings += _prepare(tally.loading, catalog, plan)
            state = hold.load()
            if state.refresh and not plan.refresh and wants_refresh(run, name):
                tally.warnings.append(
                    f"the full refresh of run {state.refresh.run_id} was not in the target yet and was gone on with:"
                    " what changed at the source since it began comes with the next sync"
                )
            before = Watermark.START if plan.refresh or state.refresh else state.loaded
            if plan.action is not Action.NOTHING:
                extract_plan(hold, run.workplace(), catalog, plan, tally)
            state = tally.loading.finish() if tally.loading else hold.load()
            if run.request.verify:
                run.say(EventKind.VERIFY_STARTED, name)
                _verify(run, catalog, table, Window(after=before, upto=state.loaded), tally)
                run.say(EventKind.VERIFIED, name, rows=tally.verified or 0)
            if deletes and state.loaded != Watermark.START:
                tally.gone = follow_deletes(hold, deletes)
            return state


def _verify(run: Run, catalog: Catalog, table: Table, window: Window, tally: Tally) -> None:
    """Compares what was loaded with the source; a difference that nothing explains is an error."""
    checks = [] if window.after == window.upto else [check_window(catalog, table, window, run.settings)]
    nulls = [f.rows for f in tally.files if f.null_horizon is not None]
    if nulls:
        checks.append(check_null_cursors(catalog, table, sum(nulls), run.settings))
    tally.verified = sum(c.rows for c in checks)
    impossible = sum(c.impossible for c in checks)
    if impossible:
        tally.warnings.append(
            f"the {table.cursor} of {counted(impossible, 'row')} is a date no calendar has: the values of the columns"
            " were not compared"
        )
    changed = sum(c.changed for c in checks)
    if changed:
        tally.warnings.append(
            f"of {counted(tally.verified, 'row')} compared, {changed:,} changed or went at the source since they were"
            " read; the values of the columns were not compared"
        )


def drop_run(hold: Hold) -> None:
    """Ends an open run whose plan no longer holds; the files that are kept stay on record."""
    run = hold.load().run
    assert run is not None
    kept = run.consumed + len(run.ready)
    write_record(
        hold.run.store,
        hold.table,
        replace(run, chunks=run.chunks[:kept], files=tuple(f for f in run.files if f.ordinal < run.first + kept)),
    )
    hold.commit(Abandon(run_id=run.run_id))


def _prepare(loading: Loading, catalog: Catalog, plan: TablePlan) -> list[str]:
    """Makes the target fit before anything is read; says where rows loaded earlier lack what a new column holds."""
    state, table = loading.hold.load(), plan.table
    added = loading.prepare(table, state, anew=plan.refresh).added
    if plan.refresh or state.refresh:
        return []
    return [
        f"{column} was added: rows loaded earlier hold NULL there, the source holds values;"
        " `sync --full-refresh` carries them"
        for column in added
        if state.loaded != Watermark.START and catalog.has_value(table, column, state.loaded)
    ]


def _waiting(run: Run, state: TableState) -> bool:
    """Whether files wait for the load stage."""
    return run.request.load and (state.sealed is not None or bool(state.waiting_files))


def identify(hold: Hold, table: Table | None) -> None:
    """Refuses a state that was made for another source or target, or that follows other columns."""
    state = hold.load()
    pair = name_pair(hold.run, state, table)
    if apply(state, pair, state.updated_at) != state:
        hold.commit(pair)


def extract_plan(
    hold: Hold,
    place: Workplace,
    catalog: Catalog,
    plan: TablePlan,
    tally: Tally,
    chunks: Iterable[Chunk] | None = None,
) -> None:
    """Reads what a plan owes, in a run that is begun or gone on with, while its files are loaded.

    Args:
        chunks: the chunks of a run that is begun, where they are not cut from its window. They name no run yet.
    """
    started = time.perf_counter()
    state = hold.load() if plan.action is Action.RESUME else begin_run(hold, plan)
    assert state.run is not None and plan.window is not None
    if plan.action is Action.RESUME:
        _end_orphans(hold, catalog, state.run.run_id)
    run_id, server = state.run.run_id, catalog.server_version()
    readers = place.executor.places
    sizer = plan_sizer(hold.run, plan.table, plan.estimated_rows, readers)
    given_up = threading.Event()
    attempts = hold.run.settings.backup_retry_attempts
    planned = remaining_chunks(catalog, plan, state.run, sizer, readers=readers, attempts=attempts, given_up=given_up)
    if chunks is not None and plan.action is not Action.RESUME:
        planned = (replace(chunk, run_id=run_id, ordinal=ordinal) for ordinal, chunk in enumerate(chunks))
    planner = PlanAhead(planned, readers)
    extraction = Extraction(
        hold=hold,
        executor=place.executor,
        table=plan.table,
        state=state,
        order=plan.order,
        server=server,
        planner=planner,
        sizer=sizer,
        budget=hold.run.request.limit if plan.action is Action.RESUME else None,
    )
    try:
        run_extraction(extraction, tally.loading.offer if tally.loading else lambda state: None)
    except S3rsError:
        if tally.loading is not None:
            tally.loading.join()
        with suppress(S3rsError):  # the first error is the one to tell
            hold.commit(Fail(stage="extract"))
        raise
    else:
        planner.wait()
    finally:
        given_up.set()
        planner.close()
        tally.files = extraction.files
        tally.extract_seconds = time.perf_counter() - started
    rows = sum(f.rows for f in extraction.files)
    hold.run.say(EventKind.BACKUP_DONE, hold.table, run_id, rows=rows, files=len(extraction.files))


def _end_orphans(hold: Hold, catalog: Catalog, run_id: str) -> None:
    """Ends what workers of a dead driver still read: under the lease nobody else reads for this run."""
    try:
        killed = end_queries(catalog, run_id)
    except SourceError as exc:
        log.warning("%s: whether workers of an earlier try still read cannot be seen: %s", hold.table, exc)
    else:
        if killed:
            log.warning("%s: ended %d queries that workers of an earlier try had left", hold.table, killed)


def begin_run(hold: Hold, plan: TablePlan) -> TableState:
    """Makes the plan durable before any work: the contract as an object, the window in the state."""
    assert plan.window is not None
    run_id = _new_run_id(hold)
    key = format_run_key(hold.table, run_id, CONTRACT)
    _write_contract(hold.run.store, key, format_contract(plan.table))
    opened = OpenRun(
        run_id=run_id,
        window=plan.window,
        order=plan.order,
        fingerprint=plan.table.fingerprint,
        strategy=hold.run.request.strategy.value,
        null_horizon=plan.null_horizon,
    )
    if not plan.refresh:
        return hold.commit(Begin(run=opened, found=plan.found))
    return hold.commit(
        BeginRefresh(
            run=opened,
            generation=secrets.token_hex(6),
            source=source_identity(hold.run, hold.table),
            follows=what_is_followed(plan.table),
            mode=hold.run.settings.mode(hold.table),
        )
    )


def _write_contract(store: S3Store, key: str, body: bytes) -> None:
    try:
        store.put_new(key, body)
    except PreconditionFailed:  # a try whose reply was lost wrote it; no other run has this run's key
        if store.get(key).body != body:
            raise


def _new_run_id(hold: Hold) -> str:
    """The run's second is in every file name, so no two runs of a table may share one: the next free one is taken."""
    now, last = hold.run.clock(), hold.load().last_run_id
    if last:
        now = max(now, parse_run_time(last) + dt.timedelta(seconds=1))
    return format_run_id(now, secrets.token_hex(3))


def _load_only(run: Run, name: TableName, tally: Tally) -> TableState:
    """``--redshift-only``: what lies on S3 and not in the warehouse, without asking the source anything."""
    state = run.ledger.load(name)
    if not _waiting(run, state) and not may_adopt(state):
        tally.note = "no file waits to be loaded"
        return give_back_dead(run, name, state)
    with hold_table(run, run.ledger, name) as hold:
        identify(hold, None)
        state = hold.load()
        if may_adopt(state):
            state = adopt_files(hold, state)
        if not _waiting(run, state):
            tally.note = "no file waits to be loaded"
            return state
        loading = tally.loading = Loading(hold=hold, budget=run.request.limit)
        done = loading.finish()
        if not loading.loads:
            raise IntegrityError(f"{name}: files wait to be loaded and none was", hint="run `s3rs-ray status`")
        return done

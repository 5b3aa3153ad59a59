"""repair(): what a comparison finds is read again, row by row or segment by segment, and takes the target's place.

A repair is a run like any other: its plan and files are in the state, its loads are exactly once, and what it leaves
behind when it dies is finished by the next command on the table. Its window is the watermark alone, which stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..config import Settings
from ..errors import PlanError, UnsupportedTable
from ..ledger.document import cursor_text
from ..ledger.state import TableState
from ..ledger.store import utc_now
from ..model import Chunk, KeyRange, Table, TableName, Window
from ..policies import Deletes, Mode, RangeOrder
from ..source.catalog import Catalog
from ..source.checksums import shown_columns
from ..source.cutting import cut_chunks
from ..storage.layout import REPAIR
from .compare import Asked, Comparison, compare_table, narrowed, open_comparison
from .context import Hold, Request, Run, hold_table
from .deletes import follow_deletes, require_deletable
from .differences import Difference
from .driver import ignore
from .events import EventKind, Report
from .loading import Loading
from .mending import CHUNK_KEYS, LISTED, Gone, Mending, TableRepair, plan_mending, repair_document
from .outcomes import Outcomes, each_table
from .plan import Action, TablePlan
from .planning import open_source, plan_sizer, plan_table
from .records import keep_document
from .segments import Compared
from .table import Tally, drop_run, extract_plan, identify


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairAsked:
    """What the command asks for.

    Attributes:
        tables: names and globs; those of ``exclude`` are left out.
        deletes: what becomes of rows that the source does not hold.
        where, since: of the rows that are compared, see :class:`~.compare.Asked`; empty for all.
        dry_run: compare only.
    """

    tables: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    deletes: Deletes = Deletes.KEEP
    where: str = ""
    since: str = ""
    dry_run: bool = False
    inline: bool = False

    @property
    def compared(self) -> Asked:
        """What is asked of the comparisons."""
        return Asked(tables=(), where=self.where, since=self.since)


def repair(
    settings: Settings, asked: RepairAsked, *, report: Report = ignore, stop: threading.Event | None = None
) -> tuple[TableRepair, ...]:
    """Compares tables, mends what differs, and compares that again.

    Raises:
        PlanError: a table was never loaded, has no key, is replaced by each sync, or a sync has to be finished first.
        TableBusy: another run holds it.
        DoubtfulDeletes, IntegrityError, SourceError, WarehouseError, StorageError.
    """
    return repair_each(settings, asked, report=report, stop=stop).or_raise()


def repair_each(
    settings: Settings, asked: RepairAsked, *, report: Report = ignore, stop: threading.Event | None = None
) -> Outcomes[TableRepair]:
    """:func:`repair` with what ends the repair of a table in the result: the others are repaired all the same.

    Raises:
        ConfigError, TableNotFound, SourceUnavailable, StorageUnavailable: before the first table.
    """
    request = Request(tables=asked.tables, exclude=asked.exclude, inline=asked.inline)
    return each_table(settings, request, lambda run, name: _repair_table(run, asked, name), report, stop)


def _repair_table(run: Run, asked: RepairAsked, name: TableName) -> TableRepair:
    started, began = utc_now(), time.monotonic()
    if asked.dry_run:
        state = run.ledger.load(name)
        _refuse_replaced(run, name, state)
        _require_finished(name, state)
        opened = open_comparison(run, asked.compared, name)
        found, tally, left = _compare(run, opened), Tally(), None
        gone = None
        if asked.deletes is not Deletes.KEEP:
            require_deletable(name, opened.compared.target.mode, opened.table)
            gone = Gone(how=asked.deletes, found=found.counts.get(Difference.EXTRA, 0))
    else:
        with hold_table(run, run.ledger, name) as hold, open_source(run) as catalog:
            tally = Tally()
            _finish_earlier(hold, catalog, asked)
            opened = open_comparison(run, asked.compared, name)
            found = _compare(run, opened)
            _mend(hold, catalog, opened, found, tally)
            gone = _remove_gone(hold, asked, opened, found)
            left = _compare(run, narrowed(opened, found.places)) if found.places else None
    done, rest = tally.loading, left or found
    result = TableRepair(
        table=name,
        target=opened.compared.target.target.qualified,
        run_id=run.execution_id,
        dry_run=asked.dry_run,
        key=shown_columns(opened.table),
        watermark=cursor_text(opened.state.loaded),
        segments=len(opened.segments),
        found=found.counts,
        left=rest.counts,
        rows_again=len(found.keys),
        segments_again=len(found.ranges),
        rows_extracted=sum(f.rows for f in tally.files),
        rows_mended=sum(load.merged for load in done.loads) if done else 0,
        files_created=len(tally.files),
        gone=gone,
        first=rest.first,
        notes=tuple(f"{column} was not compared: {reason}" for column, reason in opened.left_out.items()),
        started=started,
        seconds=time.monotonic() - began,
    )
    keep_document(run.store, name, run.execution_id, REPAIR, repair_document(result))
    run.say(EventKind.REPAIRED, name, status=result.status, rows=result.rows_mended)
    return result


def _compare(run: Run, opened: Comparison) -> Mending:
    run.say(EventKind.VERIFY_STARTED, opened.table.name)
    found = plan_mending(compare_table(run, opened, listed=LISTED))
    run.say(EventKind.VERIFIED, opened.table.name, rows=found.rows, differences=sum(found.counts.values()))
    return found


def _refuse_replaced(run: Run, name: TableName, state: TableState) -> None:
    """Raises for a table that a sync alone can mend."""
    mode = state.mode or run.settings.mode(name)
    if mode is Mode.REPLACE:
        raise UnsupportedTable(
            f"{name} is replaced by every sync: there is nothing to repair",
            hint=f"run `s3rs-ray sync -t {name}` in its mode",
        )


def _require_finished(name: TableName, state: TableState) -> None:
    """Raises for a table that has to be synced first."""
    if state.run is not None or state.backlog or state.sealed is not None:
        raise PlanError(
            f"{name}: a run that was not finished has to be finished before a repair",
            hint=f"run `s3rs-ray {'repair' if _is_repair(state) else 'sync'} -t {name}` first",
        )


def _is_repair(state: TableState) -> bool:
    """Whether all that is open in a state is of a repair."""
    mending = {file.run_id for file in state.loadable if file.mends}
    if state.run is not None and state.run.window.mends:
        mending.add(state.run.run_id)
    return all(item.run_id in mending for item in (*state.backlog, *([state.run] if state.run else [])))


def _finish_earlier(hold: Hold, catalog: Catalog, asked: RepairAsked) -> None:
    """Finishes a repair that was interrupted, and makes the target fit."""
    run, name = hold.run, hold.table
    state = hold.load()
    _refuse_replaced(run, name, state)  # before the state is told of another mode
    table = catalog.discover(name)
    identify(hold, table)
    if not table.key:
        raise UnsupportedTable(
            f"{name} has no key, so none of its rows can be read again by itself",
            hint="`sync --full-refresh` replaces all of them",
        )
    loading = Loading(hold=hold, contracts={table.fingerprint: table})
    if _is_repair(state):
        _finish_run(hold, catalog, table, loading)
    _require_finished(name, hold.load())
    if asked.deletes is not Deletes.KEEP:
        require_deletable(name, state.mode or run.settings.mode(name), table)
    loading.prepare(table, hold.load())


def _finish_run(hold: Hold, catalog: Catalog, table: Table, loading: Loading) -> None:
    plan = plan_table(hold.run, catalog, table, hold.load()) if hold.load().run is not None else None
    if plan is not None and plan.drops:
        drop_run(hold)
    elif plan is not None:
        extract_plan(hold, hold.run.workplace(), catalog, plan, Tally(loading=loading))
    loading.finish()


def _mend(hold: Hold, catalog: Catalog, opened: Comparison, found: Mending, tally: Tally) -> None:
    """Reads what differs again and loads it."""
    table = opened.table
    tally.loading = Loading(hold=hold, contracts={table.fingerprint: table})
    if not found.keys and not found.ranges:
        return
    state = hold.load()
    window = Window(after=state.extracted, upto=state.extracted, mends=True)
    plan = TablePlan(
        action=Action.RUN,
        table=table,
        found=state.extracted,
        window=window,
        order=RangeOrder.KEY,
        estimated_rows=table.estimated_rows,
        rows_per_chunk=0,
    )
    place = hold.run.workplace()
    extract_plan(hold, place, catalog, plan, tally, _chunks(hold.run, catalog, opened.compared, window, found))
    tally.loading.finish()


def _chunks(run: Run, catalog: Catalog, of: Compared, window: Window, found: Mending) -> Iterator[Chunk]:
    """Rows by their keys, then whole segments; nothing names the run yet."""
    table = of.source.table
    for start in range(0, len(found.keys), CHUNK_KEYS):
        keys = found.keys[start : start + CHUNK_KEYS]
        key_range = KeyRange(columns=table.key, keys=keys)
        yield Chunk(run_id="", ordinal=0, range=key_range, window=window, rows=len(keys))
    sizes = plan_sizer(run, table, table.estimated_rows, run.workplace().executor.places)
    since = of.source.since if of.by_cursor else None
    for within in found.ranges:
        if within is not None and within.after is None and since is not None:
            part: KeyRange | None = replace(within, after=(since,))  # rows before it were not compared
        else:
            part = within
        yield from cut_chunks(catalog, table, window, RangeOrder.KEY, run_id="", sizes=sizes, within=part)


def _remove_gone(hold: Hold, asked: RepairAsked, opened: Comparison, found: Mending) -> Gone | None:
    """Rows that the source does not hold, where they are not to stay; one may be there twice as well."""
    if asked.deletes is Deletes.KEEP:
        return None
    if not (found.counts.get(Difference.EXTRA) or found.counts.get(Difference.TWICE)):
        return Gone(how=asked.deletes)
    chosen = narrowed(opened, found.places).chosen
    ranges = [segment for segment in chosen if isinstance(segment, KeyRange)]
    return follow_deletes(hold, asked.deletes, ranges if len(ranges) == len(chosen) else (), asked.compared)

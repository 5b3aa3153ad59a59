"""What a table owes now, asked of the source, and the pair it belongs to: what a plan is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UnsupportedTable, UsageError
from ..ledger.changes import Identify
from ..ledger.state import TableState
from ..model import Table, TableName, Watermark, Window
from ..policies import Mode, NullCursors, RangeOrder
from ..source.catalog import Catalog, Endpoint, open_catalog
from ..source.chunks import run_range
from ..source.horizon import find_horizon
from ..tunnel import open_source_tunnel
from ..wording import counted
from .context import Run
from .executor import own_cpus, reader_count
from .loading import target_identity
from .plan import (
    Owed,
    TablePlan,
    begins_refresh,
    drop_stale_run,
    furthest,
    make_plan,
    make_refresh_plan,
    window_start,
)
from .sizing import ChunkSizer, chunk_sizer

ONE_PIECE_BYTES = 512 * 2**20
"""Arrow bytes of a table without a key that one worker may hold."""

FILTERED = " where "


@contextmanager
def open_source(run: Run) -> Iterator[Catalog]:
    """A catalog of the source, through the bastion where one is set."""
    with (
        open_source_tunnel(run.settings) as (host, port),
        open_catalog(run.settings, Endpoint(host, port)) as catalog,
    ):
        yield catalog


def source_identity(run: Run, name: TableName) -> str:
    """The source as the state knows it."""
    where = run.settings.table(name).where
    return f"mysql://{run.settings.db_host}:{run.settings.db_port}/{name}" + (f"{FILTERED}{where}" if where else "")


def what_is_followed(table: Table) -> str:
    """The columns a watermark speaks of, for people."""
    return f"({', '.join(table.order_columns)})"


def name_pair(run: Run, state: TableState, table: Table | None) -> Identify:
    """Both ends of a table as the settings name them, as far as the request has to do with them.

    A full refresh may follow another filter and other columns, and begin another mode: it leaves nothing of what
    was there.

    Args:
        table: as it was discovered; None where the source is not asked.
    """
    request, name = run.request, state.table
    anew = table is not None and begins_refresh(state, wanted=wants_refresh(run, name), loads=request.load)
    source = source_identity(run, name) if table else ""
    if anew and source.partition(FILTERED)[0] == state.source.partition(FILTERED)[0]:
        source = state.source
    return Identify(
        source=source,
        target=target_identity(name, run.settings) if request.load else "",
        follows=what_is_followed(table) if table and not anew else "",
        mode=run.settings.mode(name) if request.load and not anew else None,
    )


def plan_table(run: Run, catalog: Catalog, table: Table, state: TableState) -> TablePlan:
    """Horizon and high watermark -> the plan: run, resume or nothing."""
    settings = run.settings
    state, dropped = drop_stale_run(state, table)
    wanted = wants_refresh(run, table.name)
    begins = begins_refresh(state, wanted=wanted, loads=run.request.load)
    if begins or state.refresh is not None:
        _require_comparable(run, table)
    if begins:
        return _plan_refresh(run, catalog, table, state)
    if state.run is not None:
        owed = Owed()
    elif wanted and state.refresh is not None:
        owed = Owed(notes=(f"the full refresh of run {state.refresh.run_id} is on S3 and waits to be loaded",))
    else:
        owed = _find_owed(run, catalog, table, state)
    window = state.run.window if state.run else owed.window
    estimate = table.estimated_rows if window and window.whole else 0
    if window and not window.whole:
        estimate = catalog.estimated_rows(table, window)
    return make_plan(
        table,
        state,
        owed,
        estimated_rows=estimate,
        rows=_likely_rows(run, table, estimate),
        dropped=dropped,
        wanted=settings.chunk_order,
        limit=run.request.limit,
    )


def plan_sizer(run: Run, table: Table, window_rows: int, readers: int) -> ChunkSizer:
    """The sizes of the chunks of a run."""
    return chunk_sizer(table, run.settings, window_rows=window_rows, readers=readers)


def _likely_rows(run: Run, table: Table, window_rows: int) -> int:
    """Rows per chunk, before any is measured."""
    return plan_sizer(run, table, window_rows, reader_count(run.settings, own_cpus()))().rows


def wants_refresh(run: Run, name: TableName) -> bool:
    """Whether the command or the table's mode asks for a full refresh."""
    return run.request.full_refresh or run.settings.mode(name) is Mode.REPLACE


def _plan_refresh(run: Run, catalog: Catalog, table: Table, state: TableState) -> TablePlan:
    """The whole table; where it has a cursor, later runs carry on from what was settled before the first read."""
    if run.request.limit:
        raise UsageError(
            f"{table.name}: a full refresh cannot be limited: the rows left out would be gone from the target",
            hint="leave --limit out, or limit the table by `where` in its settings",
        )
    if not table.key:
        _require_one_piece(run, catalog, table)
    rows = _likely_rows(run, table, table.estimated_rows)
    return make_refresh_plan(table, state, _refreshed_up_to(run, catalog, table), rows=rows)


def _refreshed_up_to(run: Run, catalog: Catalog, table: Table) -> Watermark:
    """The last row that is settled before the first read.

    Where rows have no key, one behind it would come again with the next run and could not be told from its copy, so a
    refresh of a history ends there (and at the horizon, where no row is settled); a table that is replaced each time
    has no next run of changes, and is read to its end.
    """
    if not table.cursor or (not table.key and run.settings.mode(table.name) is Mode.REPLACE):
        return Watermark.START
    horizon = find_horizon(catalog, table, run.settings)
    upto = catalog.high_watermark(table, Watermark.START, horizon.upto, None)
    return upto or (Watermark.START if table.key else Watermark(position=(horizon.upto,)))


def _require_comparable(run: Run, table: Table) -> None:
    if run.request.verify and not table.cursor:
        raise UsageError(
            f"{table.name}: --verify-data compares rows by their cursor, and the table has none",
            hint="leave --verify-data out; the rows read, written, staged and replaced are counted all the same",
        )


def _require_one_piece(run: Run, catalog: Catalog, table: Table) -> None:
    """Without a key a table is read by one query, whose rows one worker holds in memory."""
    memory = plan_sizer(run, table, table.estimated_rows, readers=1).row_memory
    most = run.settings.backup_batch_size or int(ONE_PIECE_BYTES / memory)
    whole = Window(after=Watermark.START, upto=Watermark.START, whole=True)
    rows = catalog.count(table, whole, run_range(table, whole, RangeOrder.KEY))
    if rows > most:
        raise UnsupportedTable(
            f"{table.name} has no key, so it is read in one piece, which may have {most:,} rows; it has {rows:,}",
            hint=f"add a primary key; or set --batch-size (BACKUP_BATCH_SIZE) to {rows} or more, if a worker's memory"
            " holds that many rows",
        )


def _find_owed(run: Run, catalog: Catalog, table: Table, state: TableState) -> Owed:
    """The window, its end fixed before any row is read; and what is to be said of it."""
    _require_versions(table, run)
    horizon = find_horizon(catalog, table, run.settings)
    limit = run.request.limit
    nulls = catalog.null_cursors(table)
    reads_nulls = bool(nulls) and not limit and run.settings.backup_null_cursors is NullCursors.LOAD
    notes = [*horizon.reasons, *_null_notes(table, nulls, run, reads_nulls=reads_nulls)]
    # A limited run may not get past the look-back, so it goes without one.
    lookback = 0 if limit else run.settings.backup_lookback_seconds
    after = window_start(state.extracted, lookback, run.settings.backup_cursor_unit)
    upto = catalog.high_watermark(table, after, horizon.upto, limit)
    return Owed(
        window=Window(after=after, upto=furthest(upto, state.extracted)) if upto else None,
        null_horizon=horizon.upto if reads_nulls else None,
        notes=tuple(notes),
    )


def _require_versions(table: Table, run: Run) -> None:
    """Rows without a key that are read a second time would be loaded a second time."""
    again = {
        "BACKUP_LOOKBACK_SECONDS": run.settings.backup_lookback_seconds > 0,
        "BACKUP_NULL_CURSORS=load": run.settings.backup_null_cursors is NullCursors.LOAD,
    }
    if not table.key and any(again.values()):
        raise UnsupportedTable(
            f"{table.name} has no key, and {' and '.join(name for name, given in again.items() if given)} would load"
            " its rows again and again: nothing tells one from its copy",
            hint="add a primary key, or leave the setting out for this table",
        )


def _null_notes(table: Table, count: int, run: Run, *, reads_nulls: bool) -> tuple[str, ...]:
    """What is said of the rows whose cursor is NULL."""
    if not count:
        return ()
    rows = counted(count, "row has", "rows have")
    if reads_nulls:
        return (f"{rows} no {table.cursor}: every run reads all such rows",)
    if run.settings.backup_null_cursors is NullCursors.LOAD:
        return (f"{rows} no {table.cursor}: a run with --limit leaves such rows to one without",)
    return (f"{rows} no {table.cursor}, and no run sees such rows; BACKUP_NULL_CURSORS=load carries them",)

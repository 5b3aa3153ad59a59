"""(Table, TableState, Window, settings) -> TablePlan: what will be done, and why. ``--dry-run`` explains this value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum

from ..errors import ConfigError, SchemaDrift
from ..ledger.apply import apply
from ..ledger.changes import Abandon
from ..ledger.state import OpenRun, TableState
from ..model import Chunk, Table, Watermark, Window
from ..policies import RangeOrder, Strategy
from ..positions import KeyValue, is_reached
from ..source.chunks import PRIMARY
from ..source.collations import ignores_blanks, ignores_case, ignores_more
from ..source.horizon import UNITS
from ..wording import counted

SECONDS_A_DAY = 86_400
LARGE_TABLE = 1_000_000
"""Rows from which a first load goes by the primary key; below it the gain is less than a second, and chunks in update
order let the watermark advance with every load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a strategy is: how many tables are worked on at once."""

    tables: int


def strategy_limits(strategy: Strategy, max_tables: int) -> Limits:
    """The limits behind a strategy's name."""
    return {
        Strategy.SEQUENTIAL: Limits(tables=1),
        Strategy.INTER_TABLE: Limits(tables=max_tables),
    }[strategy]


class Action(StrEnum):
    """What a run does with a table."""

    RUN = "run"
    RESUME = "resume"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a table owes now.

    Attributes:
        window: None when it holds no row.
        null_horizon: set where there are rows whose cursor is NULL, to be read behind it.
        notes: what else is to be said.
    """

    window: Window | None = None
    null_horizon: KeyValue | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """The work on one table.

    Attributes:
        found: the extracted watermark the plan was made from.
        window: what the run owes; None when there is nothing to extract.
        null_horizon: set where the run reads the rows whose cursor is NULL too.
        estimated_rows, rows_per_chunk: what the work may be, for people; measured bytes size the chunks.
        run: the open run that is resumed.
        drops: the open run whose plan no longer holds.
        reasons: why it is done so, one sentence each.
    """

    action: Action
    table: Table
    found: Watermark
    window: Window | None
    order: RangeOrder
    estimated_rows: int
    rows_per_chunk: int
    null_horizon: KeyValue | None = None
    run: OpenRun | None = None
    drops: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def refresh(self) -> bool:
        """Whether it begins a full refresh."""
        return self.action is Action.RUN and self.window is not None and self.window.whole


def choose_order(
    table: Table, window: Window, *, wanted: RangeOrder | None = None, limit: int | None = None
) -> tuple[RangeOrder, str]:
    """Which columns the chunks are ranges of, and why.

    InnoDB keeps rows in the order of the primary key. Ranges of the update order look most rows up one by one, which
    is dear where most of a large table is read: its first load goes by the primary key.

    Args:
        wanted: BACKUP_CHUNK_ORDER; None chooses.
        limit: how many rows the window was bounded to.

    Raises:
        ConfigError: ranges of the update order are wanted and no index serves them.
    """
    update_order, by_key = ", ".join(table.order_columns), f"chunks are ranges of ({', '.join(table.key)})"
    if not table.key:
        return _order_without_key(table, wanted)
    if not table.cursor_index and table.key != table.order_columns:
        if wanted is RangeOrder.CURSOR:
            raise ConfigError(
                f"BACKUP_CHUNK_ORDER = cursor: no index of {table.name} serves ({update_order})",
                hint=f"add an index on {table.cursor}, or leave the setting empty",
            )
        return RangeOrder.KEY, (
            f"no index serves ({update_order}): {by_key}, and every run reads the whole table;"
            f" an index on {table.cursor} would spare that"
        )
    if wanted is RangeOrder.KEY:
        return RangeOrder.KEY, f"{by_key}, as BACKUP_CHUNK_ORDER says: the whole table is read"
    if wanted is None and _is_large_first_load(table, window, limit):
        return RangeOrder.KEY, f"{by_key}: a first load reads the whole table, fastest in the order it is stored in"
    index = f"through the index {table.cursor_index}" if table.cursor_index else "without an index"
    return RangeOrder.CURSOR, f"chunks are ranges of ({update_order}) {index}"


def _order_without_key(table: Table, wanted: RangeOrder | None) -> tuple[RangeOrder, str]:
    """Nothing but the cursor orders the rows."""
    if wanted is RangeOrder.KEY:
        raise ConfigError(
            f"BACKUP_CHUNK_ORDER = key: {table.name} has no key", hint="leave the setting empty, or add a primary key"
        )
    why = f"{table.name} has no key: chunks are ranges of ({table.cursor}) alone"
    if table.cursor_index:
        return RangeOrder.CURSOR, f"{why}, through the index {table.cursor_index}"
    return RangeOrder.CURSOR, f"{why}, without an index: every chunk reads the whole table"


def _is_large_first_load(table: Table, window: Window, limit: int | None) -> bool:
    return (
        window.after == Watermark.START
        and table.key_index == PRIMARY
        and table.cursor_index != PRIMARY
        and table.estimated_rows >= LARGE_TABLE
        and (limit is None or limit >= table.estimated_rows // 2)
    )


def make_plan(
    table: Table,
    state: TableState,
    owed: Owed,
    *,
    rows: int,
    estimated_rows: int = 0,
    dropped: str = "",
    wanted: RangeOrder | None = None,
    limit: int | None = None,
) -> TablePlan:
    """The plan for a table.

    Args:
        rows: rows per chunk, about.
        estimated_rows: of the window.
        dropped: an open run that :func:`drop_stale_run` took out of ``state``.
        wanted, limit: as in :func:`choose_order`.

    Raises:
        SchemaDrift: the open run was planned for other columns, and a load under way keeps it from being dropped.
    """
    also = [*owed.notes]
    if dropped:
        also.append(f"run {dropped} was planned for other columns: its files are read again")
    nothing = TablePlan(
        action=Action.NOTHING,
        table=table,
        found=state.extracted,
        window=None,
        order=RangeOrder.CURSOR,
        estimated_rows=estimated_rows,
        rows_per_chunk=rows,
        drops=dropped,
        reasons=("no settled row lies behind the watermark", *also),
    )
    run = state.run
    if run is not None and run.fingerprint != table.fingerprint:
        raise SchemaDrift(
            f"{table.name}: run {run.run_id} was planned for other columns, and a load is under way or in doubt",
            hint="run `s3rs-ray sync --redshift-only -t TABLE` first: it settles the load",
        )
    if run is not None:
        missing = counted(len(run.missing), "planned chunk is", "planned chunks are")
        unplanned = "" if run.planned else ", the rest is not planned yet"
        unfinished = f"run {run.run_id} was not finished: {missing} missing{unplanned}"
        return replace(
            nothing,
            action=Action.RESUME,
            window=run.window,
            order=run.order,
            null_horizon=run.null_horizon,
            run=run,
            reasons=(unfinished, _what_is_resumed(table, run), *also),
        )
    if owed.window is None and owed.null_horizon is None:
        return nothing
    window = owed.window or Window(after=state.extracted, upto=state.extracted)
    order, why = choose_order(table, window, wanted=wanted, limit=limit)
    return replace(
        nothing,
        action=Action.RUN,
        window=window,
        order=order,
        null_horizon=owed.null_horizon,
        reasons=(why, *also),
    )


def begins_refresh(state: TableState, *, wanted: bool, loads: bool) -> bool:
    """Whether the run is to read the whole table anew. One that is under way is gone on with.

    Args:
        wanted: the command or the table's mode asks for a full refresh.
        loads: the run has a load stage. Without it, a refresh that waits to be loaded gives way to a newer one.
    """
    refresh = state.refresh
    if refresh is None:
        return wanted
    if refresh.extracted:
        return wanted and not loads
    return state.run is None  # its run was dropped


def make_refresh_plan(
    table: Table, state: TableState, upto: Watermark, *, rows: int, notes: tuple[str, ...] = ()
) -> TablePlan:
    """The plan of a run that reads the whole table.

    Args:
        upto: from where later runs carry on, fixed before any read.
    """
    why = f"the whole table is read, in ranges of ({', '.join(table.key)}), and replaces what is there"
    if not table.key:
        why = f"the whole table is read in one piece, because {table.name} has no key, and replaces what is there"
    return TablePlan(
        action=Action.RUN,
        table=table,
        found=state.extracted,
        window=Window(after=Watermark.START, upto=upto, whole=True),
        order=RangeOrder.KEY,
        estimated_rows=table.estimated_rows,
        rows_per_chunk=rows,
        reasons=(why, *notes),
    )


def _range_columns(table: Table, order: RangeOrder) -> tuple[str, ...]:
    return table.order_columns if order is RangeOrder.CURSOR else table.key


def key_notes(table: Table) -> tuple[str, ...]:
    """What is to be known of text keys: which changes of a key's writing Redshift cannot tell from a new key."""
    return tuple(
        f"{name} is compared by {collation}: a key that is written otherwise later replaces its row where only"
        f" {'the case of A-Z' if ignores_case(collation) else 'nothing'}"
        f"{' or trailing blanks' if ignores_blanks(collation) else ''} differ; any other spelling that MySQL takes"
        " for the same is a second row in Redshift"
        for name, collation in zip(table.key, table.key_collations, strict=True)
        if ignores_more(collation)
    )


def _what_is_resumed(table: Table, run: OpenRun) -> str:
    if run.window.whole:
        return "it reads the whole table, to replace what is there"
    if run.window.mends:
        return "it repairs rows: what changed at the source since the last sync comes with the next one"
    return f"its chunks are ranges of ({', '.join(_range_columns(table, run.order))})"


def window_start(extracted: Watermark, lookback_seconds: int, unit: str) -> Watermark:
    """Where the next window begins: the extracted watermark, or as far before it as the look-back reaches.

    A look-back begins before every row of its first cursor value, so it is inclusive.

    Args:
        unit: of an integer cursor, as in BACKUP_CURSOR_UNIT.
    """
    match extracted.cursor:
        case None:
            return extracted
        case _ if not lookback_seconds:
            return extracted
        case dt.datetime() as moment:
            return Watermark(position=(moment - dt.timedelta(seconds=lookback_seconds),))
        case dt.date() as day:
            return Watermark(position=(day - dt.timedelta(days=-(-lookback_seconds // SECONDS_A_DAY)),))
        case int() as number:
            return Watermark(position=(number - lookback_seconds * UNITS[unit],))
        case str():  # a date no calendar has: nothing can be taken from it
            return Watermark.START
        case other:
            raise TypeError(f"a cursor is never a {type(other).__name__}")


def furthest(upto: Watermark, extracted: Watermark) -> Watermark:
    """A window's end that never lies before what was extracted, as a look-back alone could find."""
    if upto.cursor is None or extracted.cursor is None:
        return upto
    return upto if is_reached(extracted.position[:1], upto.position[:1]) else extracted


def drop_stale_run(state: TableState, table: Table) -> tuple[TableState, str]:
    """The state without an open run that was planned for other columns, and that run's id; pure."""
    run = state.run
    if run is None or run.fingerprint == table.fingerprint or state.sealed is not None:
        return state, ""
    return apply(state, Abandon(run_id=run.run_id), state.updated_at), run.run_id


def reaches(chunk: Chunk, order: RangeOrder) -> Watermark | None:
    """The watermark that is reached once this chunk and all before it are loaded."""
    if chunk.window.null_horizon is not None or chunk.window.mends:
        return chunk.window.upto
    if order is RangeOrder.KEY:
        return chunk.window.upto if chunk.range.upto is None else None
    return Watermark(position=chunk.range.upto or ())

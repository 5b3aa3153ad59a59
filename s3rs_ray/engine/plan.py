"""(Table, TableState, Window, settings) -> TablePlan: what will be done, and why. ``--dry-run`` explains this value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..ledger.state import Abandon, OpenRun, TableState, apply
from ..model import Chunk, RangeOrder, Strategy, Table, Watermark, Window


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
class TablePlan:
    """The work on one table.

    Attributes:
        found: the extracted watermark the plan was made from.
        window: what the run owes; None when there is nothing to extract.
        run: the open run that is resumed.
        drops: the open run whose plan no longer holds.
        reasons: why it is done so, one sentence each.
    """

    action: Action
    table: Table
    found: Watermark
    window: Window | None
    order: RangeOrder
    rows_per_chunk: int
    run: OpenRun | None = None
    drops: str = ""
    reasons: tuple[str, ...] = ()


def choose_order(table: Table, after: Watermark) -> RangeOrder:
    """Chunks by the update order where an index serves it, by the key otherwise."""
    return RangeOrder.CURSOR if table.cursor_index else RangeOrder.KEY


def rows_per_chunk(table: Table, batch_size: int, num_chunks: int) -> int:
    """BACKUP_NUM_CHUNKS, where set, cuts the table's estimated rows; BACKUP_BATCH_SIZE counts otherwise."""
    if num_chunks:
        return max(1, -(-table.estimated_rows // num_chunks))
    return batch_size


def make_plan(
    table: Table, state: TableState, window: Window | None, *, rows: int, notes: Sequence[str] = (), dropped: str = ""
) -> TablePlan:
    """The plan for a table.

    Args:
        window: the next window; None when it holds no row.
        rows: rows per chunk.
        notes: what else is to be said.
        dropped: an open run that :func:`drop_stale_run` took out of ``state``.
    """
    order = choose_order(table, state.extracted)
    reasons = [_why_order(table, order), *notes]
    if dropped:
        reasons.append(f"run {dropped} was planned for other columns: its last files are read again")
    if state.run is not None:
        reasons.insert(
            0, f"run {state.run.run_id} was not finished: {len(state.run.missing)} planned chunks are missing"
        )
        return TablePlan(
            action=Action.RESUME,
            table=table,
            found=state.extracted,
            window=state.run.window,
            order=state.run.order,
            rows_per_chunk=state.run.rows_per_chunk,
            run=state.run,
            reasons=tuple(reasons),
        )
    if window is None:
        reasons.insert(0, "no settled row lies behind the watermark")
        return TablePlan(
            action=Action.NOTHING,
            table=table,
            found=state.extracted,
            window=None,
            order=order,
            rows_per_chunk=rows,
            drops=dropped,
            reasons=tuple(reasons),
        )
    return TablePlan(
        action=Action.RUN,
        table=table,
        found=state.extracted,
        window=window,
        order=order,
        rows_per_chunk=rows,
        drops=dropped,
        reasons=tuple(reasons),
    )


def _why_order(table: Table, order: RangeOrder) -> str:
    if order is RangeOrder.CURSOR:
        return f"chunks are ranges of ({', '.join(table.order_columns)}) through the index {table.cursor_index}"
    return (
        f"no index serves ({', '.join(table.order_columns)}): chunks are ranges of ({', '.join(table.key)}), and"
        f" every run reads the whole table; an index on {table.cursor} would spare that"
    )


def window_start(state: TableState, lookback_seconds: int) -> Watermark:
    """Where the next window begins: the extracted watermark, or as far before it as the look-back reaches.

    A look-back begins before every row of its first cursor value, so it is inclusive.
    """
    cursor = state.extracted.cursor
    if not lookback_seconds or cursor is None:
        return state.extracted
    if isinstance(cursor, dt.datetime):
        return Watermark(position=(cursor - dt.timedelta(seconds=lookback_seconds),))
    if isinstance(cursor, dt.date):
        return Watermark(position=(cursor - dt.timedelta(days=-(-lookback_seconds // 86_400)),))
    return state.extracted


def furthest(upto: Watermark, extracted: Watermark) -> Watermark:
    """A window's end that never lies before what was extracted, as a look-back alone could find."""
    if upto.cursor is None or extracted.cursor is None:
        return upto
    return upto if upto.position[:1] >= extracted.position[:1] else extracted


def drop_stale_run(state: TableState, table: Table) -> tuple[TableState, str]:
    """The state without an open run that was planned for other columns, and that run's id; pure."""
    run = state.run
    if run is None or run.fingerprint == table.fingerprint or state.sealed is not None:
        return state, ""
    return apply(state, Abandon(run_id=run.run_id), state.updated_at), run.run_id


def reaches(chunk: Chunk, order: RangeOrder) -> Watermark | None:
    """The watermark that is reached once this chunk and all before it are loaded."""
    if order is RangeOrder.KEY:
        return chunk.window.upto if chunk.range.upto is None else None
    return Watermark(position=chunk.range.upto or ())

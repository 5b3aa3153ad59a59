"""What a comparison of a table is made of, and its segments compared beside each other, results as they come.

``verify`` counts the results; others mend what they tell. Both get them by :func:`compare_table`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..errors import PlanError, SchemaDrift, UsageError
from ..ledger.apply import apply
from ..ledger.state import TableState
from ..model import Column, KeyRange, Table, TableName, Watermark, Window
from ..policies import Mode, NullCursors, RangeOrder, TextForm
from ..positions import KeyValue, Position
from ..source.catalog import Catalog
from ..source.checksums import SourceRows, behind_sql
from ..source.chunks import filter_check_sql
from ..source.cutting import cut_chunks, fixed
from ..warehouse.checksums import TargetRows, is_ordered
from ..warehouse.modes import target_columns
from .by_hand import place_by_hand
from .context import Run
from .differences import SHOWN, SegmentResult
from .loading import open_session, target_of
from .planning import name_pair
from .segments import Compared, Segments, compare_segments
from .table import open_source

SEGMENT_ROWS = 200_000
"""Rows of a segment, where BACKUP_BATCH_SIZE does not say."""
MOST_SEGMENTS = 16
"""Segments that one task compares over one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command asks for.

    Attributes:
        tables: names and globs.
        quick: count rows only.
        columns: compare these and the key; empty for all.
        where: compare the rows of a condition that is SQL on both sides.
        since: compare rows whose cursor is at least this, as people write it; empty for all.
        sample: compare so many percent of the segments.
    """

    tables: tuple[str, ...]
    quick: bool = False
    columns: tuple[str, ...] = ()
    where: str = ""
    since: str = ""
    sample: float = 100.0
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One table and how it is compared.

    Attributes:
        left_out: columns that are not compared, with the reason.
        behind: rows of the source that are newer than the watermark.
        segments: ranges that are all rows together; None is a whole table.
        chosen: those that are compared.
    """

    table: Table
    state: TableState
    compared: Compared
    left_out: dict[str, str]
    behind: int
    segments: tuple[KeyRange | None, ...]
    chosen: tuple[KeyRange | None, ...]


def open_comparison(run: Run, asked: Asked, name: TableName) -> Comparison:
    """Decides how a table is compared; reads counts and boundaries only.

    To compare keys alone, ask for the columns of the key.

    Raises:
        PlanError: it was never loaded; SchemaDrift: its target is not there.
        UsageError, ConfigError: the columns, condition or time are none of the table's.
    """
    with open_source(run) as catalog:
        table = catalog.discover(name)
        state = run.ledger.load(name)
        apply(state, name_pair(run, state, table), state.updated_at)
        _require_loaded(table, state, _mode(run, state))
        columns, left_out = _columns(run, asked, table)
        compared = _compared(run, catalog, asked, table, state, columns)
        segments = _segments(run, catalog, compared)
        return Comparison(
            table=table,
            state=state,
            compared=compared,
            left_out=left_out,
            behind=_behind(catalog, compared),
            segments=segments,
            chosen=_sample(segments, asked.sample),
        )


def compare_table(run: Run, comparison: Comparison, *, listed: int = SHOWN) -> Iterator[SegmentResult]:
    """The results of the chosen segments, in the order in which they end.

    Args:
        listed: at most so many rows of each kind are told of a segment; all are counted.
    """
    executor = run.workplace().executor
    groups = _groups(comparison.chosen, executor.places)
    work = [Segments(compared=comparison.compared, ranges=group, listed=listed) for group in groups]
    for results in executor.run_all(compare_segments, work, run.check_stop):
        yield from results


def _require_loaded(table: Table, state: TableState, mode: Mode) -> None:
    if state.loaded != Watermark.START:
        return
    replaced = bool(state.loads) and state.refresh is None and mode is Mode.REPLACE
    if not replaced:
        raise PlanError(
            f"{table.name}: nothing of it is known to be in the warehouse, so there is nothing to compare",
            hint=f"run `s3rs-ray sync -t {table.name}` to its end first",
        )


def _columns(run: Run, asked: Asked, table: Table) -> tuple[tuple[Column, ...], dict[str, str]]:
    """What is compared, and what is left out and why."""
    known = {c.name.lower(): c.name for c in table.columns}
    unknown = [c for c in asked.columns if c.lower() not in known]
    if unknown:
        raise UsageError(
            f"{table.name} carries no column {', '.join(unknown)}", hint=f"its columns are {', '.join(known.values())}"
        )
    target = target_of(table, run.settings)
    with open_session(run.settings) as warehouse:
        present = target_columns(warehouse, target)
    if not present:
        raise SchemaDrift(f"{target.qualified} is not there", hint=f"run `s3rs-ray sync -t {table.name}` first")
    left_out = {}
    for column in table.columns:
        if column.name.lower() not in present:
            left_out[column.name] = "it is not in the target yet"
        elif column.text_form is TextForm.NONE:
            left_out[column.name] = "a SUPER has no text that is alike on both sides"
    if asked.quick:
        return (), {}
    wanted = {c.lower() for c in asked.columns} | {k.lower() for k in table.key}
    chosen = [c for c in table.columns if not asked.columns or c.name.lower() in wanted]
    return tuple(c for c in chosen if c.name not in left_out), {
        name: reason for name, reason in left_out.items() if name in {c.name for c in chosen}
    }


def _compared(
    run: Run, catalog: Catalog, asked: Asked, table: Table, state: TableState, columns: tuple[Column, ...]
) -> Compared:
    if asked.quick and not table.key:
        raise UsageError(f"{table.name} has no key: its rows cannot be counted by buckets", hint="leave --quick out")
    if asked.where:
        catalog.query(filter_check_sql(table.name, asked.where))
    mode, since = _mode(run, state), _since(run, asked, table)
    upto = state.loaded if state.loaded != Watermark.START else None
    return Compared(
        source=SourceRows(
            table=table,
            columns=columns,
            upto=upto,
            nulls=run.settings.backup_null_cursors is NullCursors.LOAD,
            where=asked.where,
            since=since,
        ),
        target=TargetRows(
            target=target_of(table, run.settings), columns=columns, mode=mode, where=asked.where, since=since
        ),
        by_cursor=bool(since is not None and upto and table.key and table.cursor_index) and mode is not Mode.APPEND,
    )


def _mode(run: Run, state: TableState) -> Mode:
    return state.mode or run.settings.mode(state.table)


def _since(run: Run, asked: Asked, table: Table) -> KeyValue | None:
    if not asked.since:
        return None
    if not table.cursor:
        raise UsageError(f"{table.name} has no cursor, so --since speaks of nothing", hint="use --where")
    return place_by_hand(run.settings, run.store, table.name, asked.since, None).cursor


def _segments(run: Run, catalog: Catalog, compared: Compared) -> tuple[KeyRange | None, ...]:
    """Ranges of about as many rows, over the leading columns that both sides order alike; together they are all rows.

    Texts are ordered by collations at the source and by bytes in Redshift: a table whose key begins with one is a
    single segment.
    """
    source = compared.source
    if not source.table.key:
        return (None,)
    rows = run.settings.backup_batch_size or SEGMENT_ROWS
    window, order = Window(after=Watermark.START, upto=Watermark.START, whole=True), RangeOrder.KEY
    names = source.table.key
    if compared.by_cursor and source.since is not None and source.upto is not None:
        window, order = Window(after=Watermark(position=(source.since,)), upto=source.upto), RangeOrder.CURSOR
        names = source.table.order_columns
    width = _ordered_width(source.table, names)
    if not width:
        return (None,)
    chunks = cut_chunks(catalog, source.table, window, order, run_id="verify", sizes=fixed(rows))
    ends = [chunk.range.upto for chunk in chunks][:-1]
    return ranges_between(names, [end[:width] for end in ends if end is not None])


def ranges_between(names: tuple[str, ...], ends: Sequence[Position]) -> tuple[KeyRange, ...]:
    """The ranges between positions, open at both ends; positions that repeat, or that no calendar has, cut nothing."""
    cuts: list[Position] = []
    for end in ends:
        if end not in cuts[-1:] and not any(isinstance(value, str) for value in end):
            cuts.append(end)
    bounds: list[Position | None] = [None, *cuts, None]
    return tuple(KeyRange(columns=names, after=low, upto=high) for low, high in pairwise(bounds))


def _ordered_width(table: Table, names: Sequence[str]) -> int:
    by_name = {c.name: c for c in table.columns}
    fit = [is_ordered(by_name[name]) for name in names]
    return fit.index(False) if False in fit else len(fit)


def _behind(catalog: Catalog, compared: Compared) -> int:
    if compared.source.upto is None:
        return 0
    return int(str(catalog.query(behind_sql(compared.source))[0][0]))


def _sample(segments: tuple[KeyRange | None, ...], percent: float) -> tuple[KeyRange | None, ...]:
    """So many percent of the segments, at random, in order; at least one."""
    count = max(1, round(len(segments) * percent / 100))
    chosen = sorted(random.sample(range(len(segments)), count))
    return tuple(segments[i] for i in chosen)


def _groups(segments: tuple[KeyRange | None, ...], places: int) -> list[tuple[KeyRange | None, ...]]:
    """Segments for one task each: as many as keep every place busy, over one connection to each side."""
    size = min(-(-len(segments) // places), MOST_SEGMENTS)
    return [segments[i : i + size] for i in range(0, len(segments), size)]

"""What a comparison of a table is made of, and its segments compared beside each other, results as they come.

``verify`` counts the results; others mend what they tell. Both get them by :func:`compare_table`.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import PlanError, SchemaDrift, SourceError, SourceUnavailable, UsageError
from ..ledger.apply import apply
from ..ledger.state import TableState
from ..model import Column, KeyRange, Table, TableName, Watermark
from ..policies import Mode, NullCursors, TextForm
from ..positions import KeyValue
from ..source.catalog import Catalog
from ..source.checksums import SourceRows, behind_sql
from ..source.chunks import any_row_sql, filter_check_sql
from ..table_settings import require_condition
from ..warehouse.checksums import TargetRows
from ..warehouse.loader import lost_hint
from ..warehouse.modes import target_columns, with_marks
from ..warehouse.sql import Target
from .by_hand import place_by_hand
from .context import Run
from .differences import SHOWN, Place, SegmentResult
from .executor import Workers
from .giving_up import end_comparison
from .loading import open_session, target_of
from .planning import name_pair, open_source
from .segment_tasks import (
    Examined,
    Part,
    Segments,
    Sums,
    add_sums,
    compare_segments,
    count_rows,
    differing_buckets,
    examine_buckets,
    sum_part,
)
from .segmenting import SEGMENT_ROWS, Segment, Span, cut_segments
from .segments import Compared, Suspect

log = logging.getLogger(__name__)

MOST_SEGMENTS = 64
"""Segments that one task compares: the warehouse scans its table once or twice for each task."""
THREAD_SEGMENTS = 40
"""Tables of no more segments are compared from threads: the work is the databases', and Ray takes seconds to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command asks for.

    Attributes:
        tables: names and globs; those of ``exclude`` are left out.
        quick: count rows only.
        columns: compare these and the key; empty for all.
        keys: compare keys alone.
        where: compare the rows of a condition that is SQL on both sides.
        since: compare rows whose cursor is at least this, as people write it; empty for all.
        sample: compare so many percent of the segments.
    """

    tables: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    quick: bool = False
    columns: tuple[str, ...] = ()
    keys: bool = False
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
        segments: they are all rows together.
        chosen: those that are compared.
    """

    table: Table
    state: TableState
    compared: Compared
    left_out: dict[str, str]
    behind: int
    segments: tuple[Segment, ...]
    chosen: tuple[Segment, ...]


def open_comparison(run: Run, asked: Asked, name: TableName) -> Comparison:
    """Decides how a table is compared; reads counts and boundaries only.

    Raises:
        PlanError: it was never loaded; SchemaDrift: its target is not there.
        UsageError, ConfigError: the columns, condition or time are none of the table's.
    """
    with open_source(run) as catalog:
        state = run.ledger.load(name)
        table = catalog.discover(name, state.mode)
        pair = replace(name_pair(run, state, table), mode=None)  # it is compared in the mode it was carried in
        apply(state, pair, state.updated_at)
        target, present = _present(run, table)
        blank = not present and _is_blank(catalog, table, state)
        if blank:
            present = {c.name.lower() for c in table.columns}
        _require_comparable(table, target, present, state, _mode(run, state), blank=blank)
        columns, left_out = _columns(asked, table, present)
        compared = _compared(run, catalog, asked, state, SourceRows(table=table, columns=columns, upto=None), target)
        compared, segments = (
            (compared, ()) if blank else cut_segments(catalog, compared, run.settings.backup_batch_size or SEGMENT_ROWS)
        )
        return Comparison(
            table=table,
            state=state,
            compared=compared,
            left_out=left_out,
            behind=_behind(catalog, compared),
            segments=segments,
            chosen=_sample(segments, asked.sample) if segments else (),
        )


def compare_table(run: Run, comparison: Comparison, *, listed: int = SHOWN) -> Iterator[SegmentResult]:
    """The results of the chosen segments, in the order in which they end.

    Args:
        listed: at most so many rows of each kind are told of a segment; all are counted.
    """
    few = len(comparison.chosen) <= THREAD_SEGMENTS
    executor = run.threads() if few else run.workplace().executor
    of = replace(comparison.compared, token=secrets.token_hex(4))
    ended = False
    try:
        if of.parts:
            yield from _compare_spans(run, executor, replace(comparison, compared=of), listed)
        else:
            ranges = tuple(s for s in comparison.chosen if not isinstance(s, Span))
            work = [Segments(compared=of, ranges=group, listed=listed) for group in _groups(ranges, executor.places)]
            for results in executor.run_all(compare_segments, work, run.check_stop):
                yield from results
        ended = True
    finally:
        if not ended:
            end_comparison(run, of)


def narrowed(comparison: Comparison, places: Sequence[Place]) -> Comparison:
    """The comparison of those segments alone that hold a place, in the order of the key."""
    ranges = {within for within, _ in places}
    buckets = {bucket for within, found in places if within is None for bucket in found.chosen}

    def holds(segment: Segment) -> bool:
        if isinstance(segment, Span):
            return any(segment.first <= bucket <= segment.last for bucket in buckets)
        return segment in ranges

    return replace(comparison, chosen=tuple(filter(holds, comparison.segments)))


def _compare_spans(run: Run, executor: Workers, comparison: Comparison, listed: int) -> Iterator[SegmentResult]:
    """Sums of both sides, which grow part by part, then the rows of what differs in them."""
    of = comparison.compared
    every = tuple(s for s in comparison.segments if isinstance(s, Span))
    spans = tuple(s for s in comparison.chosen if isinstance(s, Span)) or every
    only = () if len(spans) == len(every) else tuple((s.first, s.last) for s in spans)
    parts = [Part(compared=of, there=True, only=only), *(Part(compared=of, within=p, only=only) for p in of.parts)]
    here: Sums = {}
    there: Sums = {}
    for of_warehouse, sums in executor.run_all(sum_part, parts, run.check_stop):
        add_sums(there if of_warehouse else here, sums)
    differing = differing_buckets(here, there)
    suspects = []
    for span in spans:
        buckets = range(span.first, span.last + 1)
        rows = _count_rows(here, buckets), _count_rows(there, buckets)
        found = {bucket: differing[bucket] for bucket in buckets if bucket in differing}
        if found:
            suspects.append(Examined(compared=of, suspect=Suspect(None, found), rows=rows, listed=listed))
        else:
            yield SegmentResult(source_rows=rows[0], target_rows=rows[1])
    yield from executor.run_all(examine_buckets, suspects, run.check_stop)


def _count_rows(sums: Sums, buckets: Iterable[int]) -> int:
    return count_rows(sums[bucket] for bucket in buckets if bucket in sums)


def _is_blank(catalog: Catalog, table: Table, state: TableState) -> bool:
    """Whether the source holds no row and none was ever on its way: a sync had nothing to make a target for."""
    idle = state.run is None and state.sealed is None and not state.waiting_files
    return idle and state.loaded == Watermark.START and not catalog.query(any_row_sql(table))


def _require_comparable(
    table: Table, target: Target, present: Collection[str], state: TableState, mode: Mode, *, blank: bool
) -> None:
    replaced = bool(state.loads) and state.refresh is None and mode is Mode.REPLACE
    if state.loaded == Watermark.START and not replaced and not blank:
        raise PlanError(
            f"{table.name}: nothing of it is known to be in the warehouse, so there is nothing to compare",
            hint=f"run `s3rs-ray sync -t {table.name}` to its end first",
        )
    if not present:
        raise SchemaDrift(f"{target.qualified} is not there", hint=lost_hint(table.name))


def _present(run: Run, table: Table) -> tuple[Target, Collection[str]]:
    """The target as it is, and the folded names of its columns; none where it is not there."""
    target = target_of(table, run.settings)
    with open_session(run.settings) as warehouse:
        present = target_columns(warehouse, target)
    return with_marks(target, present), present


def _columns(asked: Asked, table: Table, present: Collection[str]) -> tuple[tuple[Column, ...], dict[str, str]]:
    """What is compared, and what is left out and why."""
    known = {c.name.lower(): c.name for c in table.columns}
    unknown = [c for c in asked.columns if c.lower() not in known]
    if unknown:
        raise UsageError(
            f"{table.name} carries no column {', '.join(unknown)}", hint=f"its columns are {', '.join(known.values())}"
        )
    left_out = {}
    for column in table.columns:
        if column.name.lower() not in present:
            left_out[column.name] = "it is not in the target yet"
        elif column.text_form is TextForm.NONE:
            left_out[column.name] = "a SUPER has no text that is alike on both sides"
    if asked.quick:
        return (), {}
    wanted = {c.lower() for c in asked.columns} | {k.lower() for k in table.key}
    every = not (asked.columns or asked.keys)
    chosen = [c for c in table.columns if every or c.name.lower() in wanted]
    return tuple(c for c in chosen if c.name not in left_out), {
        name: reason for name, reason in left_out.items() if name in {c.name for c in chosen}
    }


def _check_filter(catalog: Catalog, name: TableName, where: str) -> None:
    try:
        require_condition(where)
    except ValueError as exc:
        raise UsageError(f"--where {where!r}: {exc}", hint="give one whole condition") from exc
    try:
        catalog.query(filter_check_sql(name, where))
    except SourceUnavailable:
        raise
    except SourceError as exc:
        raise UsageError(
            f"--where {where!r}: {exc.message}", hint="give a condition in SQL that MySQL and Redshift both understand"
        ) from exc


def _compared(
    run: Run, catalog: Catalog, asked: Asked, state: TableState, rows: SourceRows, target: Target
) -> Compared:
    table, columns = rows.table, rows.columns
    if asked.quick and not table.key:
        raise UsageError(f"{table.name} has no key: its rows cannot be counted by buckets", hint="leave --quick out")
    if asked.where:
        _check_filter(catalog, table.name, asked.where)
    mode, since = _mode(run, state), _since(run, asked, table)
    upto = state.loaded if state.loaded != Watermark.START else None
    return Compared(
        source=replace(
            rows,
            upto=upto,
            nulls=run.settings.backup_null_cursors is NullCursors.LOAD,
            where=asked.where,
            since=since,
        ),
        target=TargetRows(target=target, columns=columns, mode=mode, where=asked.where, since=since),
        run_id=run.execution_id,
        by_cursor=bool(since is not None and upto and table.key and table.cursor_index) and mode is not Mode.APPEND,
    )


def _mode(run: Run, state: TableState) -> Mode:
    return state.mode or run.settings.mode(state.table)


def _since(run: Run, asked: Asked, table: Table) -> KeyValue | None:
    if not asked.since:
        return None
    if not table.cursor:
        raise UsageError(f"{table.name} has no cursor, so --since speaks of nothing", hint="use --where")
    return place_by_hand(run.settings, run.store, table.name, asked.since, None, option="--since").cursor


def _behind(catalog: Catalog, compared: Compared) -> int:
    if compared.source.upto is None:
        return 0
    return int(str(catalog.query(behind_sql(compared.source))[0][0]))


def _sample(segments: tuple[Segment, ...], percent: float) -> tuple[Segment, ...]:
    """So many percent of the segments, at random, in order; at least one."""
    count = max(1, round(len(segments) * percent / 100))
    chosen = sorted(random.sample(range(len(segments)), count))
    return tuple(segments[i] for i in chosen)


def _groups(segments: tuple[KeyRange | None, ...], places: int) -> list[tuple[KeyRange | None, ...]]:
    """Segments for one task each: as many as keep every place busy to the end, over one connection to each side."""
    rounds = -(-len(segments) // (places * MOST_SEGMENTS))
    size = max(1, -(-len(segments) // (places * max(rounds, 1))))
    return [segments[i : i + size] for i in range(0, len(segments), size)]

"""A table as segments of about as many rows that both sides know: ranges of its key, or buckets of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from ..model import KeyRange, Table, Watermark, Window
from ..policies import RangeOrder
from ..positions import Position
from ..row_text import has_cells
from ..source.catalog import Catalog
from ..source.checksums import ends_sql
from ..source.cutting import cut_chunks, even_ends, fixed
from ..warehouse.checksums import is_ordered
from .segment_tasks import bucket_count
from .segments import Compared

SEGMENT_ROWS = 100_000
"""Rows of a segment, where BACKUP_BATCH_SIZE does not say."""
GUESSED_ROWS = 500_000
"""From so many rows on the optimizer is asked how many a range holds: steps along the index take 0.3 s a million."""


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets from the first to the last: a segment of a table that has no ranges that both sides know."""

    first: int
    last: int


Segment: TypeAlias = KeyRange | Span | None
"""None is a whole table."""


def cut_segments(catalog: Catalog, compared: Compared, size: int) -> tuple[Compared, tuple[Segment, ...]]:
    """Ranges of the leading columns that both sides order alike, or else buckets; and the comparison by them.

    Args:
        size: rows of a segment, about.
    """
    source = compared.source
    if not source.table.key:
        return _buckets(compared, (None,), source.table.estimated_rows, size)
    window, order = Window(after=Watermark.START, upto=Watermark.START, whole=True), RangeOrder.KEY
    names = source.table.key
    if compared.by_cursor and source.since is not None and source.upto is not None:
        window, order = Window(after=Watermark(position=(source.since,)), upto=source.upto), RangeOrder.CURSOR
        names = source.table.order_columns
    ends = _ends(catalog, source.table)
    found = replace(compared, source=replace(source, ends=ends), buckets=bucket_count(size))
    if ends is not None and order is RangeOrder.KEY and source.table.estimated_rows >= GUESSED_ROWS:
        return found, _even_ranges(catalog, source.table, window, ends, size)
    chunks = list(cut_chunks(catalog, source.table, window, order, run_id=compared.run_id, sizes=fixed(size)))
    width = _ordered_width(source.table, names)
    steps = [chunk.range.upto for chunk in chunks][:-1]
    ranges = ranges_between(names, [end[:width] for end in steps if end is not None and width])
    # The first column may be the same in most rows, as a tenant's number is.
    if 2 * len(ranges) < len(chunks) and not compared.by_cursor:
        return _buckets(compared, tuple(chunk.range for chunk in chunks), sum(chunk.rows for chunk in chunks), size)
    return found, ranges


def _even_ranges(
    catalog: Catalog, table: Table, window: Window, ends: tuple[int, int], size: int
) -> tuple[KeyRange, ...]:
    """Ranges of a key that is one whole number, by what the optimizer guesses they hold."""

    def guess(after: int, upto: int) -> int:
        return catalog.estimated_rows(table, window, KeyRange(columns=table.key, after=(after,), upto=(upto,)))

    return ranges_between(table.key, [(end,) for end in even_ends(*ends, table.estimated_rows, size, guess)])


def _ends(catalog: Catalog, table: Table) -> tuple[int, int] | None:
    """The least and the greatest key, where an index leads from them to the rows of a bucket."""
    by_name = {c.name: c for c in table.columns}
    if not table.key_index or not has_cells([by_name[name] for name in table.key]):
        return None
    [(least, greatest)] = catalog.query(ends_sql(table))
    return None if least is None else (int(str(least)), int(str(greatest)))


def _buckets(
    compared: Compared, parts: tuple[KeyRange | None, ...], rows: int, size: int
) -> tuple[Compared, tuple[Segment, ...]]:
    """The whole table in buckets, and as many of them in a segment as hold so many rows."""
    buckets = bucket_count(rows)
    step = max(1, round(buckets * size / max(rows, 1)))
    spans = (Span(first, min(first + step, buckets) - 1) for first in range(0, buckets, step))
    return replace(compared, parts=parts, buckets=buckets), tuple(spans)


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

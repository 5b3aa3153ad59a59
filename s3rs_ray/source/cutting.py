"""A window -> chunks of so many rows, by steps along the index that serves them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from ..model import Chunk, ChunkSize, Cut, KeyRange, Table, Window
from ..policies import RangeOrder
from .catalog import Catalog
from .chunks import boundary_sql, run_range


def cut_chunks(
    catalog: Catalog,
    table: Table,
    window: Window,
    order: RangeOrder,
    *,
    run_id: str,
    sizes: Callable[[], ChunkSize],
    done: Sequence[Chunk] = (),
    within: KeyRange | None = None,
) -> Iterator[Chunk]:
    """Cuts a window into chunks, and those into slices, as the caller takes them.

    Args:
        sizes: asked for each chunk, so that later ones can follow what was measured on earlier ones.
        done: the chunks the run has already, at least the last; it goes on from behind the last of this window.
        within: a part of the window's range to cut instead of all of it.
    """
    whole = within or run_range(table, window, order)
    last = next((c for c in reversed(done) if c.window == window), None)
    rest: KeyRange | None = whole
    if last is not None:
        rest = replace(whole, after=last.range.upto) if last.range.upto != whole.upto else None
    for ordinal in count(done[-1].ordinal + 1 if done else 0):
        if rest is None:
            return
        start = rest
        cuts, rest = _step(catalog, table, window, start, sizes())
        yield Chunk(
            run_id=run_id,
            ordinal=ordinal,
            range=replace(start, upto=cuts[-1].at or None),
            window=window,
            rows=sum(c.rows for c in cuts),
            cuts=tuple(cuts[:-1]),
        )


def cut_range(catalog: Catalog, table: Table, chunk: Chunk, *, rows: int) -> Chunk:
    """A chunk with its range cut into slices of ``rows`` rows anew."""
    cuts, _ = _step(catalog, table, chunk.window, chunk.range, ChunkSize(sys.maxsize, rows))
    return replace(chunk, rows=sum(c.rows for c in cuts), cuts=tuple(cuts[:-1]))


def fixed(rows: int) -> Callable[[], ChunkSize]:
    """Chunks of ``rows`` rows and one slice each."""
    return lambda: ChunkSize(rows, rows)


def _step(
    catalog: Catalog, table: Table, window: Window, rest: KeyRange, size: ChunkSize
) -> tuple[list[Cut], KeyRange | None]:
    """The slices of the next chunk, and the range behind them; None behind the last chunk.

    The end of the last slice of all is the range's own: an empty position where that is unbounded.
    """
    if window.whole and not table.key:
        return [Cut(rest.upto or (), catalog.count(table, window, rest))], None  # nothing orders its rows
    cuts: list[Cut] = []
    while (left := size.rows - sum(c.rows for c in cuts)) > 0:
        rows = min(left, size.slice_rows)
        boundary, behind = catalog.step(boundary_sql(table, window, rest, rows), rest.columns)
        if boundary is None or not behind:
            return [*cuts, Cut(rest.upto or (), catalog.count(table, window, rest))], None
        piece, rest = rest.split(boundary)
        # Without a key, the rows that share the last cursor value stay together, so there may be more of them.
        cuts.append(Cut(boundary, rows if table.key else catalog.count(table, window, piece)))
    return cuts, rest

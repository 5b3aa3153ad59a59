"""A window -> chunks of so many rows, by steps along the index that serves them; a key -> ranges of about as many."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise

from ..model import Chunk, ChunkSize, Cut, KeyRange, Table, Window
from ..policies import RangeOrder
from .catalog import Catalog
from .chunks import boundary_sql, run_range

FAR_LARGER = 1.5
"""Times the rows that are wanted by now, beyond which a chunk that waited is cut anew."""


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


def evened(chunks: Iterable[Chunk], sizes: Callable[[], ChunkSize], readers: int) -> Iterator[Chunk]:
    """The chunks of a window, the last of them alike in size and as many as keep every reader busy to the end.

    How many rows a window has is a guess until its end is met, so the last chunk may be of any size, and would be read
    by one reader while the others wait. What follows the first chunk of each reader is held back by one chunk more than
    there are readers; those are shared anew where the window ends, along the slices they have already. A chunk that is
    far larger than is wanted by the time it is given out is cut likewise.
    """
    if sizes().least_rows is None:
        yield from chunks
        return
    first = 0
    for place, chunk in enumerate(_held_back(chunks, sizes, readers)):
        first = first if place else chunk.ordinal
        yield replace(chunk, ordinal=first + place)


def _held_back(chunks: Iterable[Chunk], sizes: Callable[[], ChunkSize], readers: int) -> Iterator[Chunk]:
    held: deque[Chunk] = deque()
    for number, chunk in enumerate(chunks):
        if number < readers:
            yield chunk
            continue
        held.append(chunk)
        if len(held) > readers + 1:
            yield from _reshaped([held.popleft()], sizes(), 1)
    if held:
        yield from _reshaped(held, sizes(), readers)


def _reshaped(chunks: Sequence[Chunk], size: ChunkSize, readers: int) -> Iterator[Chunk]:
    """Chunks that follow each other as so many that none is far too large and, where it pays, no reader waits."""
    rows, largest = sum(chunk.rows for chunk in chunks), max(chunk.rows for chunk in chunks)
    most = size.rows if largest > FAR_LARGER * size.rows else max(largest, size.most_rows or 0, 1)
    fewest = max(1, -(-rows // most))
    for_all = -(-fewest // readers) * readers
    return _shared(chunks, for_all if rows // for_all >= (size.least_rows or 0) else fewest)


def _shared(chunks: Sequence[Chunk], count: int) -> Iterator[Chunk]:
    """Chunks that follow each other as ``count`` chunks of whole slices, about alike in rows; fewer of too few."""
    slices = [part for chunk in chunks for part in chunk.slices]
    count = max(1, min(count, len(slices)))
    share, before, ends = sum(part.rows for part in slices) / count, 0, [0]
    for number, part in enumerate(slices):
        left = count - len(ends)  # chunks that are still to begin behind the one that grows
        # A slice begins the next chunk where more than half of it lies behind the share; each chunk has one at least.
        full = before + part.rows / 2 > share * len(ends) and number > ends[-1]
        if left and (full or len(slices) - number == left):
            ends.append(number)
        before += part.rows
    for first, last in pairwise([*ends, len(slices)]):
        parts = slices[first:last]
        yield replace(
            chunks[0],
            range=replace(parts[0].range, upto=parts[-1].range.upto),
            rows=sum(part.rows for part in parts),
            cuts=tuple(Cut(part.range.upto or (), part.rows) for part in parts[:-1]),
        )


def cut_range(catalog: Catalog, table: Table, chunk: Chunk, *, rows: int) -> Chunk:
    """A chunk with its range cut into slices of ``rows`` rows anew."""
    cuts, _ = _step(catalog, table, chunk.window, chunk.range, ChunkSize(sys.maxsize, rows))
    return replace(chunk, rows=sum(c.rows for c in cuts), cuts=tuple(cuts[:-1]))


def fixed(rows: int) -> Callable[[], ChunkSize]:
    """Chunks of ``rows`` rows and one slice each."""
    return lambda: ChunkSize(rows, rows)


def even_ends(least: int, greatest: int, rows: int, size: int, guess: Callable[[int, int], int]) -> list[int]:
    """The last key of every range but the last, where each shall hold about ``size`` rows; for keys that are whole
    numbers. Pure.

    The span of the keys is cut into as many equal parts as it holds rows for, each of them that holds too many again,
    and neighbours that hold few are joined: gaps need not be known, and no index is read along. A range never holds
    more rows than keys lie in it.

    Args:
        least, greatest: of the keys; rows that come beyond them meanwhile are the first and the last range's.
        rows: about how many there are.
        guess: about how many of them are behind the first key, up to the second.
    """
    parts = list(_even_parts(least - 1, greatest, rows, size, guess))
    share = sum(held for _, held in parts) / max(round(rows / size), 1)  # guesses are all wrong by about one factor
    ends: list[int] = []
    last, total = least, 0
    for end, held in parts:
        if total and total + held > share * 1.25:
            ends.append(last)
            total = 0
        last, total = end, total + held
    return ends


def _even_parts(
    after: int, upto: int, rows: int, size: int, guess: Callable[[int, int], int]
) -> Iterator[tuple[int, int]]:
    """The last keys of parts of a span, and about how many rows each holds."""
    parts = round(min(rows, upto - after) / size)
    if parts <= 1:
        yield upto, rows
        return
    for low, high in pairwise(after + (upto - after) * number // parts for number in range(parts + 1)):
        yield from _even_parts(low, high, guess(low, high), size, guess)


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

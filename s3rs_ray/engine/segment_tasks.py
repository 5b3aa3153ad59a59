"""Segments of a table compared on both sides: plain functions that an executor runs beside others like them.

Both databases count the rows of each bucket of a segment and sum their checksums, at the same time and by one scan
each. A row's bucket follows from its key, so both put it into the same one. Only the rows of buckets that differ are
read: key, checksum, and whether the row was loaded.

Of a table whose key begins with a text only the source knows ranges, because texts are ordered by collations there and
by bytes in Redshift. There a segment is some of the buckets: the source's sums of each range and the warehouse's of
the whole table are taken by tasks of their own, and compared where they meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..config import Settings
from ..model import KeyRange
from ..source import checksums as here_sql
from ..source.catalog import Endpoint, open_catalog
from ..tunnel import open_source_tunnel
from ..warehouse import checksums as there_sql
from ..warehouse.queries import label_queries
from .differences import SHOWN, Buckets, Difference, Finding, SegmentResult
from .loading import open_session
from .segments import Compared, Sides, Suspect, at_work, find_rows

BUCKET_ROWS = 200
"""About how many rows share a bucket."""
MOST_BUCKETS = 20_000

Sums: TypeAlias = dict[int, tuple[int, int, int]]
"""By bucket: rows, and the sums of both numbers of their checksums."""


def bucket_count(rows: int) -> int:
    """Into how many buckets so many rows are cut. Keys often go in steps of ten, so it has no divisor with that."""
    count = min(max(rows // BUCKET_ROWS, 1), MOST_BUCKETS)
    while any(count % prime == 0 for prime in (2, 3, 5, 7)):
        count += 1
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The segments one task compares.

    Attributes:
        ranges: in the order of the key; None is a whole table.
        listed: at most so many rows of each kind are told of a segment; all are counted.
    """

    compared: Compared
    ranges: tuple[KeyRange | None, ...]
    listed: int = SHOWN


def compare_segments(work: Segments, settings: Settings) -> tuple[SegmentResult, ...]:
    """Compares segments in the order of the key, over one connection to each side.

    The source is asked for one after the other, the warehouse for all at once: no index leads it to a range.
    """
    of = work.compared
    with _open_sides(of, settings) as sides:
        buckets = of.buckets if of.source.columns else 1  # counts alone come from an index
        sums = _both(sides, work.ranges, buckets)
        if buckets < of.buckets:
            differ = [number for number, (here, there) in enumerate(sums) if here != there]
            more = _both(sides, tuple(work.ranges[number] for number in differ), of.buckets) if differ else []
            sums = [both if both[0] == both[1] else ({}, {}) for both in sums]
            for number, both in zip(differ, more, strict=True):
                sums[number] = both
        rows = [(count_rows(here.values()), count_rows(there.values())) for here, there in sums]
        suspects = [Suspect(within, differing_buckets(*both)) for within, both in zip(work.ranges, sums, strict=True)]
        return _examined(sides, suspects, rows, work.listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one task sums of a table that has no ranges that both sides know.

    Attributes:
        there: the whole table in the warehouse, and not a range at the source.
        only: first and last of the buckets that are asked for; empty for all.
    """

    compared: Compared
    within: KeyRange | None = None
    there: bool = False
    only: tuple[tuple[int, int], ...] = ()


def sum_part(work: Part, settings: Settings) -> tuple[bool, Sums]:
    """Sums by bucket; whether they are the warehouse's."""
    of = work.compared
    with _open_sides(of, settings) as sides:
        if work.there:
            [sums] = _sums_there(sides.there(there_sql.sums_sql(of.target, [None], of.buckets, work.only)), 1)
            return True, sums
        return False, _sums_here(sides.here(here_sql.sums_sql(of.source, work.within, of.buckets, work.only)))


def add_sums(total: Sums, more: Sums) -> None:
    """Adds the sums of other rows, bucket by bucket."""
    for bucket, (rows, high, low) in more.items():
        before = total.get(bucket, (0, 0, 0))
        total[bucket] = before[0] + rows, before[1] + high, before[2] + low


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A segment that is buckets, some of which differ.

    Attributes:
        rows: of the segment, at the source and in the warehouse.
    """

    compared: Compared
    suspect: Suspect
    rows: tuple[int, int]
    listed: int = SHOWN


def examine_buckets(work: Examined, settings: Settings) -> SegmentResult:
    """Reads the rows of buckets that differ."""
    with _open_sides(work.compared, settings) as sides:
        [result] = _examined(sides, [work.suspect], [work.rows], work.listed)
        return result


def differing_buckets(here: Sums, there: Sums) -> dict[int, int]:
    """The buckets that are not the same, and how many rows each of them holds at most."""
    none = (0, 0, 0)
    every = sorted(here.keys() | there.keys())
    return {b: max(here.get(b, none)[0], there.get(b, none)[0]) for b in every if here.get(b) != there.get(b)}


def count_rows(sums: Iterable[tuple[int, int, int]]) -> int:
    """How many rows were summed."""
    return sum(rows for rows, _, _ in sums)


@contextmanager
def _open_sides(compared: Compared, settings: Settings) -> Iterator[Sides]:
    with (
        open_source_tunnel(settings) as (host, port),
        open_catalog(settings, Endpoint(host, port)) as catalog,
        open_session(settings) as warehouse,
        at_work(compared.token),
    ):
        label_queries(warehouse, compared.label)
        yield Sides(compared, catalog, warehouse)


def _both(sides: Sides, ranges: Sequence[KeyRange | None], buckets: int) -> list[tuple[Sums, Sums]]:
    """The sums of both sides, which work at the same time."""
    of = sides.of
    answer = sides.ask_there(there_sql.sums_sql(of.target, ranges, buckets))
    here = [_sums_here(sides.here(here_sql.sums_sql(of.source, within, buckets))) for within in ranges]
    return list(zip(here, _sums_there(sides.wait(answer), len(ranges)), strict=True))


def _examined(
    sides: Sides, suspects: Sequence[Suspect], rows: Sequence[tuple[int, int]], listed: int
) -> tuple[SegmentResult, ...]:
    buckets = sides.of.buckets
    counts: list[Counter[Difference]] = [Counter() for _ in suspects]
    named: list[list[Finding]] = [[] for _ in suspects]
    for number, finding in find_rows(sides, buckets, suspects):
        counts[number][finding.kind] += 1
        if counts[number][finding.kind] <= listed:
            named[number].append(finding)
    return tuple(
        SegmentResult(
            within=suspect.within,
            buckets=Buckets(buckets, tuple(suspect.buckets)) if counts[number] else None,
            source_rows=rows[number][0],
            target_rows=rows[number][1],
            counts=dict(counts[number]),
            rows=tuple(named[number]),
        )
        for number, suspect in enumerate(suspects)
    )


def _sums_here(rows: Sequence[tuple[Any, ...]]) -> Sums:
    return {int(bucket): (int(count), int(high), int(low)) for bucket, count, high, low in rows}


def _sums_there(rows: Sequence[tuple[Any, ...]], ranges: int) -> list[Sums]:
    """The sums of each range; those of a row that is NULL as a text are NULL."""
    sums: list[Sums] = [{} for _ in range(ranges)]
    for number, bucket, count, high, low in rows:
        sums[number][int(bucket)] = (int(count), int(high or 0), int(low or 0))
    return sums

"""Segments of a table compared on both sides: a plain function that an executor runs beside others like it.

Both databases count the rows of a segment and sum their checksums. Only where these differ are they asked again, for
buckets of the segment (the key's own MD5 tells the bucket, so both sides put a row into the same one), and only the
rows of buckets that differ are read: key, checksum, and whether the row was loaded.

No row is accused that a writer changed meanwhile. The warehouse is read first, the source after it: a row that is at
or before the watermark then was not touched since it was loaded (a cursor grows on every change), so the warehouse
must hold it as it is. A row that is behind the watermark by then explains whatever the warehouse holds of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from ..config import Settings
from ..model import KeyRange
from ..policies import Mode, TextForm
from ..positions import KeyValue
from ..source import checksums as here_sql
from ..source.catalog import Catalog, Endpoint, open_catalog
from ..source.checksums import SourceRows
from ..tunnel import open_source_tunnel
from ..warehouse import checksums as there_sql
from ..warehouse.checksums import TargetRows
from ..warehouse.redshift import Warehouse
from .differences import SHOWN, Buckets, Difference, Finding, SegmentResult
from .loading import open_session

BUCKET_ROWS = 200
"""About how many rows of a segment share a bucket."""
MOST_BUCKETS = 20_000
READ_ROWS = 100_000
"""About how many rows of buckets that differ are read at a time."""
LOOKED_UP = 200
"""How many rows are looked up by one query."""

Key: TypeAlias = tuple[KeyValue, ...]
Plain: TypeAlias = tuple[Any, ...]
"""A key that is equal to the other side's, whichever driver it came through and however the merge folds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One table as it is compared.

    Attributes:
        by_cursor: segments are ranges of the cursor, so a row may be in another one by now.
    """

    source: SourceRows
    target: TargetRows
    by_cursor: bool = False

    @property
    def keyed(self) -> bool:
        return bool(self.source.table.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The segments one task compares.

    Attributes:
        ranges: None is a whole table.
        listed: at most so many rows of each kind are told of a segment; all are counted.
    """

    compared: Compared
    ranges: tuple[KeyRange | None, ...]
    listed: int = SHOWN


def compare_segments(work: Segments, settings: Settings) -> tuple[SegmentResult, ...]:
    """Compares segments one after the other, over one connection to each side."""
    with (
        open_source_tunnel(settings) as (host, port),
        open_catalog(settings, Endpoint(host, port)) as catalog,
        open_session(settings) as warehouse,
    ):
        sides = _Sides(work.compared, catalog, warehouse)
        return tuple(_compare(sides, within, work.listed) for within in work.ranges)


@dataclass(frozen=True, slots=True)
class _Sides:
    of: Compared
    catalog: Catalog
    warehouse: Warehouse


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of either side.

    Attributes:
        loaded: it is at or before the watermark; always true of the warehouse's.
        asked: it meets the conditions of the command.
        texts: of the compared columns, where they were read.
    """

    loaded: bool
    asked: bool
    digest: str
    key: Key
    texts: tuple[str, ...] = ()


def _compare(sides: _Sides, within: KeyRange | None, listed: int) -> SegmentResult:
    of = sides.of
    here = sides.catalog.query(here_sql.totals_sql(of.source, within))[0]
    there = sides.warehouse.query(there_sql.totals_sql(of.target, within))[0]
    totals = _numbers(here), _numbers(there)
    rows = totals[0][0], totals[1][0]
    counts: Counter[Difference] = Counter()
    named: list[Finding] = []
    buckets = None
    if totals[0] != totals[1]:
        buckets, differing = _differing(sides, within, max(rows))
        for finding in _find(sides, within, buckets, differing):
            counts[finding.kind] += 1
            if counts[finding.kind] <= listed:
                named.append(finding)
    return SegmentResult(
        within=within,
        buckets=buckets if counts else None,
        source_rows=rows[0],
        target_rows=rows[1],
        counts=dict(counts),
        rows=tuple(named),
    )


def _differing(sides: _Sides, within: KeyRange | None, rows: int) -> tuple[Buckets, dict[int, int]]:
    """The buckets of a segment that differ, and how many rows each of them holds."""
    of = sides.of
    buckets = min(max(rows // BUCKET_ROWS, 1), MOST_BUCKETS)
    here = _by_bucket(sides.catalog.query(here_sql.buckets_sql(of.source, within, buckets)))
    there = _by_bucket(sides.warehouse.query(there_sql.buckets_sql(of.target, within, buckets)))
    differing = {
        b: max(here.get(b, (0,))[0], there.get(b, (0,))[0]) for b in here | there if here.get(b) != there.get(b)
    }
    return Buckets(buckets, tuple(sorted(differing))), differing


def _find(sides: _Sides, within: KeyRange | None, buckets: Buckets, differing: dict[int, int]) -> Iterator[Finding]:
    """The differences of a segment whose totals differ."""
    of = sides.of
    examined = 0
    for chosen in _batches(differing):
        right = _there(sides, there_sql.bucket_rows_sql(of.target, within, buckets.count, chosen))
        left = _here(sides, here_sql.bucket_rows_sql(of.source, within, buckets.count, chosen))
        if not of.keyed:
            yield from _compare_bags(of, left, right)
            continue
        found = list(_classify(of, left, right))
        moved = [row.key for kind, row in found if kind in (Difference.MISSING, Difference.EXTRA) and _may_move(of)]
        changed = [row.key for kind, row in found if kind is Difference.CHANGED][: max(SHOWN - examined, 0)]
        examined += len(changed)
        again = {_plain(of, key) for key in (*moved, *changed)}
        yield from (Finding(kind=kind, key=row.key) for kind, row in found if _plain(of, row.key) not in again)
        yield from _look_up(sides, [*moved, *changed])


def _batches(rows: dict[int, int]) -> Iterator[list[int]]:
    """Buckets in groups of so many rows as may be held."""
    group: list[int] = []
    size = 0
    for bucket, count in sorted(rows.items()):
        if group and size + count > READ_ROWS:
            yield group
            group, size = [], 0
        group.append(bucket)
        size += count
    if group:
        yield group


def _classify(of: Compared, left: Sequence[_Row], right: Sequence[_Row]) -> Iterator[tuple[Difference, _Row]]:
    """Each key that differs, with a row of it."""
    here = {_plain(of, row.key): row for row in left}
    there: defaultdict[Plain, list[_Row]] = defaultdict(list)
    for row in right:
        there[_plain(of, row.key)].append(row)
    for key in here | there:
        kind = _kind(here.get(key), there.get(key, []))
        if kind is not None:
            yield kind, here.get(key) or there[key][0]


def _kind(here: _Row | None, there: Sequence[_Row]) -> Difference | None:
    """What the rows of one key are; None where they are alike or nobody asked for them."""
    if not any(row.asked for row in (*there, *([here] if here else ()))):
        return None
    if len(there) > 1:
        return Difference.TWICE
    if here is None:
        return Difference.EXTRA
    if not there:
        return Difference.MISSING if here.loaded else None
    if here.digest == there[0].digest:
        return None
    return Difference.CHANGED if here.loaded else Difference.NOT_YET_SYNCED


def _may_move(of: Compared) -> bool:
    """Whether a row may be elsewhere on the other side: by its cursor, or by how its key is written."""
    return of.by_cursor or bool(of.target.target.folded or of.target.target.padded)


def _look_up(sides: _Sides, keys: Sequence[Key]) -> Iterator[Finding]:
    """The differences of single keys, with the columns that differ."""
    of = sides.of
    names = [c.name for c in of.source.columns]
    wanted = list({_plain(of, key): key for key in keys}.values())
    for start in range(0, len(wanted), LOOKED_UP):
        some = wanted[start : start + LOOKED_UP]
        right = _there(sides, there_sql.key_rows_sql(of.target, some))
        left = _here(sides, here_sql.key_rows_sql(of.source, some))
        chosen = {_plain(of, key) for key in some}
        left = [row for row in left if _plain(of, row.key) in chosen]
        right = [row for row in right if _plain(of, row.key) in chosen]
        texts = {_plain(of, row.key): row.texts for row in right}
        for kind, row in _classify(of, left, right):
            pairs = zip(names, row.texts, texts.get(_plain(of, row.key), row.texts), strict=True)
            columns = tuple(name for name, ours, theirs in pairs if ours != theirs)
            yield Finding(kind=kind, key=row.key, columns=columns if kind is Difference.CHANGED else ())


def _compare_bags(of: Compared, left: Sequence[_Row], right: Sequence[_Row]) -> Iterator[Finding]:
    """Rows without a key: nothing but all their values tells them apart.

    The warehouse's others are older versions where a history is kept, and cannot be told from deleted rows there.
    """
    here = Counter(row.digest for row in left if row.loaded and row.asked)
    there = Counter(row.digest for row in right if row.asked)
    rows = {row.digest: row for row in (*right, *left)}
    for digest in here | there:
        less = there[digest] - here[digest]
        if less < 0:
            kind = Difference.MISSING
        elif less and here[digest]:
            kind = Difference.TWICE
        elif less and of.target.mode is not Mode.APPEND:
            kind = Difference.EXTRA
        else:
            continue
        for _ in range(abs(less)):
            yield Finding(kind=kind, key=rows[digest].key)


def _here(sides: _Sides, sql: str) -> list[_Row]:
    width = len(here_sql.shown_columns(sides.of.source.table))
    return [
        _Row(bool(loaded), bool(asked), _text(digest), tuple(rest[:width]), tuple(map(_text, rest[width:])))
        for loaded, asked, digest, *rest in _any(sides.catalog.query(sql))
    ]


def _there(sides: _Sides, sql: str) -> list[_Row]:
    of = sides.of
    names = here_sql.shown_columns(of.source.table)
    binary = {c.name for c in of.source.table.columns if c.text_form is TextForm.BINARY}
    read: list[Callable[[Any], Any]] = [_unhex if name in binary else _same for name in names]
    return [
        _Row(
            True,
            bool(asked),
            _text(digest),
            tuple(convert(value) for convert, value in zip(read, rest, strict=False)),
            tuple(map(_text, rest[len(names) :])),
        )
        for asked, digest, *rest in _any(sides.warehouse.query(sql))
    ]


def _any(rows: list[tuple[object, ...]]) -> list[tuple[Any, ...]]:
    return rows


def _same(value: Any) -> Any:
    return value


def _unhex(value: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(of: Compared, key: Key) -> Plain:
    """The key as the merge compares it."""
    target = of.target.target
    folded = (there_sql.fold(target, name, value) for name, value in zip(target.key, key, strict=True))
    return tuple(int(v) if isinstance(v, Decimal) and v == v.to_integral_value() else v for v in folded)


def _numbers(row: Sequence[object]) -> tuple[int, int]:
    count, checksum = (int(str(value)) for value in row)
    return count, checksum


def _by_bucket(rows: Sequence[Sequence[object]]) -> dict[int, tuple[int, ...]]:
    return {int(str(bucket)): _numbers(rest) for bucket, *rest in rows}

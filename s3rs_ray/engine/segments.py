"""Rows of a segment that differ: read from both sides, told apart, looked up. ``segment_tasks`` finds where they are.

No row is accused that a writer changed meanwhile. The warehouse is read first, the source after it: a row that is at
or before the watermark then was not touched since it was loaded (a cursor grows on every change), so the warehouse
must hold it as it is. A row that is behind the watermark by then explains whatever the warehouse holds of it.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from ..errors import Interrupted
from ..model import KeyRange
from ..policies import Mode, TextForm
from ..positions import KeyValue
from ..row_text import row_size
from ..source import checksums as here_sql
from ..source.catalog import Catalog
from ..source.checksums import SourceRows
from ..source.chunks import comment_sql
from ..warehouse import checksums as there_sql
from ..warehouse.checksums import TargetRows
from ..warehouse.redshift import Warehouse
from .differences import SHOWN, Buckets, Difference, Finding, SegmentResult

READ_ROWS, TEXT_BYTES = 100_000, 32 * 2**20
"""About how many rows of buckets that differ are read at a time, and in how many bytes at most with all their texts."""
LOOKED_UP = 200
"""How many rows are looked up by one query."""

Key: TypeAlias = tuple[KeyValue, ...]
Plain: TypeAlias = tuple[Any, ...]
"""A key that is equal to the other side's, whichever driver it came through and however the merge folds it."""


_given_up: dict[str, None] = {}
"""The tokens of comparisons whose tasks in this process shall end soon."""
MOST_GIVEN_UP = 100
"""Tokens that are kept: a task ends soon after its own was given up, and a process may live for months."""
_at_work: Counter[str] = Counter()
_lock = threading.Lock()
WAIT_SECONDS = 0.5


@contextmanager
def at_work(token: str) -> Iterator[None]:
    """While the block runs, a task of a comparison is at work in this process."""
    with _lock:
        _at_work[token] += 1
    try:
        yield
    finally:
        with _lock:
            _at_work[token] -= 1
            if not _at_work[token]:
                del _at_work[token]


def is_at_work(token: str) -> bool:
    """Whether any task of a comparison is at work in this process."""
    with _lock:
        return _at_work[token] > 0


def give_up(token: str) -> None:
    """Ends the tasks of a comparison in this process soon."""
    with _lock:
        _given_up[token] = None
        if len(_given_up) > MOST_GIVEN_UP:
            del _given_up[next(iter(_given_up))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One table as it is compared.

    Attributes:
        run_id, token: name the queries at the source; each comparison has a token of its own.
        buckets: into how many a segment is cut, or the whole table where its segments are buckets.
        parts: ranges that are all rows together, for a table that only the source can cut into ranges; it is read
            range by range there. Empty for a table of which both sides know the ranges.
        by_cursor: segments are ranges of the cursor, so a row may be in another one by now.
    """

    source: SourceRows
    target: TargetRows
    run_id: str = ""
    token: str = ""
    buckets: int = 1
    parts: tuple[KeyRange | None, ...] = ()
    by_cursor: bool = False

    @property
    def label(self) -> str:
        """What the comments of its queries say beside the run."""
        return f"verify={self.token}"

    @property
    def given_up(self) -> bool:
        return self.token in _given_up

    @property
    def keyed(self) -> bool:
        return bool(self.source.table.key)

    def source_ranges(self, within: KeyRange | None) -> tuple[KeyRange | None, ...]:
        """The ranges in which the source is asked for a segment."""
        return self.parts or (within,)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both connections of one task."""

    of: Compared
    catalog: Catalog
    warehouse: Warehouse

    def here(self, sql: str) -> list[tuple[Any, ...]]:
        """Asks the source; the query can be found and ended by the comment.

        Raises:
            Interrupted: the comparison was given up.
        """
        if self.of.given_up:
            raise Interrupted("the comparison was given up")
        return self.catalog.query(comment_sql(self.of.run_id, self.of.label) + sql)

    def there(self, sql: str) -> list[tuple[Any, ...]]:
        """Asks the warehouse.

        Raises:
            Interrupted: the run was given up meanwhile.
        """
        return self.wait(self.ask_there(sql))

    def wait(self, answer: Future[list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        """What the warehouse says, once it does; raises as :meth:`there`."""
        while True:
            try:
                return answer.result(timeout=WAIT_SECONDS)
            except TimeoutError:
                if self.of.given_up:
                    raise Interrupted("the comparison was given up") from None

    def ask_there(self, sql: str) -> Future[list[tuple[Any, ...]]]:
        """Asks the warehouse, without waiting for what it says. It is asked one thing at a time."""
        answer: Future[list[tuple[Any, ...]]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self.warehouse.query(sql))
            except BaseException as exc:  # noqa: BLE001  raised again by whoever waits
                answer.set_exception(exc)

        threading.Thread(target=ask, name="warehouse", daemon=True).start()
        return answer


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of either side.

    Attributes:
        segment: in which it was found.
        loaded: it is at or before the watermark; always true of the warehouse's.
        asked: it meets the conditions of the command.
        digest, texts: of the compared columns; where their texts were read the checksum is empty.
    """

    segment: int
    loaded: bool
    asked: bool
    digest: str
    key: Key
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspect:
    """A segment that is not the same on both sides.

    Attributes:
        buckets: those that differ, and how many rows each of them holds.
    """

    within: KeyRange | None
    buckets: dict[int, int]


def find_within(
    of: Compared, catalog: Catalog, warehouse: Warehouse, segment: SegmentResult, buckets: Buckets
) -> Iterator[Finding]:
    """The differences in some buckets of a segment, as many rows in memory at a time as :data:`READ_ROWS`."""
    rows = -(-max(segment.source_rows, segment.target_rows) // buckets.count)
    suspect = Suspect(segment.within, dict.fromkeys(buckets.chosen, rows))
    for _, finding in find_rows(Sides(of, catalog, warehouse), buckets.count, [suspect]):
        yield finding


def find_rows(sides: Sides, buckets: int, suspects: Sequence[Suspect]) -> Iterator[tuple[int, Finding]]:
    """The differences in segments, which are in the order of the key, each with the number of its segment.

    The warehouse is asked once for all of them, since no index leads it to a range, as far as memory allows. Where
    few rows are read, the texts of their columns come along, so that it need not be asked again which of them differ.
    """
    of = sides.of
    examined: Counter[int] = Counter()
    for chosen, rows in _batches(suspects):
        some = [(suspects[number].within, numbers) for number, numbers in chosen.items()]
        segments = list(chosen)
        texts = of.keyed and rows * row_size(of.source.columns) <= TEXT_BYTES
        right = _there(sides, there_sql.bucket_rows_sql(of.target, some, buckets, texts=texts), segments)
        left: list[_Row] = []
        for number, numbers in chosen.items():
            for part in of.source_ranges(suspects[number].within):
                left += _here(sides, here_sql.bucket_rows_sql(of.source, part, buckets, numbers, texts=texts), number)
        if not of.keyed:
            yield from _compare_bags(of, left, right)
            continue
        known: dict[Plain, int] = {}
        again: list[Key] = []
        for segment, finding in _classify(of, left, right):
            told = texts or examined[segment] >= SHOWN
            changed = finding.kind is Difference.CHANGED and not told
            examined[segment] += changed
            moved = finding.kind in (Difference.MISSING, Difference.EXTRA) and _may_move(of)
            if (changed or moved) and finding.position is not None:
                known[plain_key(of, finding.key)] = segment
                again.append(finding.position)
            else:
                yield segment, finding
        for _, finding in _look_up(sides, again):
            yield known[plain_key(of, finding.key)], finding


def _batches(suspects: Sequence[Suspect]) -> Iterator[tuple[dict[int, list[int]], int]]:
    """Buckets by the number of their segment, in groups of so many rows as may be held, with the number of those."""
    group: dict[int, list[int]] = {}
    size = 0
    for number, suspect in enumerate(suspects):
        for bucket, count in sorted(suspect.buckets.items()):
            if group and size + count > READ_ROWS:
                yield group, size
                group, size = {}, 0
            group.setdefault(number, []).append(bucket)
            size += count
    if group:
        yield group, size


def _classify(of: Compared, left: Sequence[_Row], right: Sequence[_Row]) -> Iterator[tuple[int, Finding]]:
    """Each key that differs, with the number of its segment, and the columns that differ where rows have texts."""
    here = {plain_key(of, row.key): row for row in left}
    there: defaultdict[Plain, list[_Row]] = defaultdict(list)
    for row in right:
        there[plain_key(of, row.key)].append(row)
    for key in here | there:
        ours, theirs = here.get(key), there.get(key, [])
        row = ours or theirs[0]
        if None in row.key:  # no row of the source: each is one too many
            for extra in theirs:
                if extra.asked:
                    yield extra.segment, Finding(kind=Difference.EXTRA, key=extra.key)
            continue
        kind = _kind(ours, theirs)
        if kind is not None:
            changed = _changed(of, row, theirs[0]) if kind is Difference.CHANGED else ()
            yield row.segment, Finding(kind=kind, key=row.key, columns=changed)


def _changed(of: Compared, ours: _Row, theirs: _Row) -> tuple[str, ...]:
    """The columns that differ; empty where rows have no texts."""
    texts = zip(ours.texts, theirs.texts, strict=True)
    return tuple(c.name for c, (one, other) in zip(of.source.columns, texts, strict=False) if one != other)


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
    if (here.digest, here.texts) == (there[0].digest, there[0].texts):
        return None
    return Difference.CHANGED if here.loaded else Difference.NOT_YET_SYNCED


def _may_move(of: Compared) -> bool:
    """Whether a row may be elsewhere on the other side: by its cursor, or by how its key is written."""
    return of.by_cursor or bool(of.target.target.folded or of.target.target.padded)


def _look_up(sides: Sides, keys: Sequence[Key]) -> Iterator[tuple[int, Finding]]:
    """The differences of single keys, with the columns that differ."""
    of = sides.of
    wanted = list({plain_key(of, key): key for key in keys}.values())
    for start in range(0, len(wanted), LOOKED_UP):
        some = wanted[start : start + LOOKED_UP]
        right = _there(sides, there_sql.key_rows_sql(of.target, some))
        left = _here(sides, here_sql.key_rows_sql(of.source, some))
        chosen = {plain_key(of, key) for key in some}
        left = [row for row in left if plain_key(of, row.key) in chosen]
        right = [row for row in right if plain_key(of, row.key) in chosen]
        yield from _classify(of, left, right)


def _compare_bags(of: Compared, left: Sequence[_Row], right: Sequence[_Row]) -> Iterator[tuple[int, Finding]]:
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
            yield rows[digest].segment, Finding(kind=kind, key=rows[digest].key)


def _here(sides: Sides, sql: str, segment: int = 0) -> list[_Row]:
    width = len(here_sql.shown_columns(sides.of.source.table))
    return [
        _Row(segment, bool(loaded), bool(asked), _text(digest), tuple(rest[:width]), tuple(map(_text, rest[width:])))
        for loaded, asked, digest, *rest in sides.here(sql)
    ]


def _there(sides: Sides, sql: str, segments: Sequence[int] = (0,)) -> list[_Row]:
    of = sides.of
    names = here_sql.shown_columns(of.source.table)
    binary = {c.name for c in of.source.table.columns if c.text_form is TextForm.BINARY}
    read: list[Callable[[Any], Any]] = [_unhex if name in binary else _same for name in names]
    return [
        _Row(
            segments[number],
            True,
            bool(asked),
            _text(digest),
            tuple(convert(value) for convert, value in zip(read, rest, strict=False)),
            tuple(map(_text, rest[len(names) :])),
        )
        for number, asked, digest, *rest in sides.there(sql)
    ]


def _same(value: Any) -> Any:
    return value


def _unhex(value: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def plain_key(of: Compared, key: Sequence[KeyValue | None]) -> Plain:
    """The key as the merge compares it."""
    target = of.target.target
    pairs = zip(target.key, key, strict=True)
    folded = (None if value is None else there_sql.fold(target, name, value) for name, value in pairs)
    return tuple(int(v) if isinstance(v, Decimal) and v == v.to_integral_value() else v for v in folded)

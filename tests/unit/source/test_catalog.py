"""The catalog's own decisions; its answers from a real server are tested in integration."""

from __future__ import annotations

import contextlib
import sqlite3
import ssl
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.errors import ConfigError, SourceError
from s3rs_ray.model import Chunk, ChunkSize, TableName, Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.positions import Position
from s3rs_ray.source.catalog import Catalog, tls_context
from s3rs_ray.source.chunks import where_sql
from s3rs_ray.source.cutting import cut_chunks, cut_range, even_ends, evened, fixed
from s3rs_ray.source.types import contract
from tests.support import build
from tests.support.sqlite import database, rows_where, translated


def settings(**values: object) -> Settings:
    return Settings.load(environment={}, flags=values)


NOT_CONNECTED = cast("pymysql.connections.Connection[pymysql.cursors.Cursor]", None)


class Answering(Catalog):
    """A catalog whose queries are answered in turn."""

    def __init__(self, *answers: object, **values: object) -> None:
        super().__init__(NOT_CONNECTED, settings(**values))
        self.answers = list(answers)
        self.asked: list[str] = []

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        self.asked.append(sql)
        return [(self.answers.pop(0),)]


class OverSQLite(Catalog):
    """A catalog whose queries SQLite carries out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(NOT_CONNECTED, settings())
        self.connection = connection

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return list(self.connection.execute(translated(sql)))


TABLE = build.table(name=TableName("main", "t"), key=("day", "ID"))
WHOLE = build.window((), (9, 9, 9))

small = st.integers(0, 4)
rows_of_table = st.lists(st.tuples(st.none() | small, small, small), max_size=30, unique_by=lambda r: r[1:])


@given(rows_of_table, st.integers(1, 7), st.sampled_from(RangeOrder))
def test_chunks_cut_along_the_index_are_equal_in_rows_and_hold_every_row_once(
    rows: list[tuple[int | None, int, int]], size: int, order: RangeOrder
) -> None:
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        chunks = list(cut_chunks(OverSQLite(connection), TABLE, WHOLE, order, run_id="r", sizes=fixed(size)))
        held = [rows_held(connection, c) for c in chunks]
    seen = [row for chunk in held for row in chunk]
    assert sorted(seen) == [n for n, row in enumerate(rows) if row[0] is not None]
    assert [len(h) for h in held] == [c.rows for c in chunks]
    assert {c.rows for c in chunks[:-1]} <= {size}
    assert chunks[-1].rows <= size
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))


@given(rows_of_table, st.integers(1, 7), st.integers(1, 7), st.sampled_from(RangeOrder))
def test_slices_hold_every_row_of_their_chunk_once_and_as_many_as_planned(
    rows: list[tuple[int | None, int, int]], size: int, slice_rows: int, order: RangeOrder
) -> None:
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        catalog = OverSQLite(connection)
        chunks = list(cut_chunks(catalog, TABLE, WHOLE, order, run_id="r", sizes=lambda: ChunkSize(size, slice_rows)))
        for chunk in chunks:
            held = [rows_held(connection, part) for part in chunk.slices]
            assert [len(h) for h in held] == [part.rows for part in chunk.slices]
            assert sorted(row for part in held for row in part) == sorted(rows_held(connection, chunk))
            assert all(part.rows <= slice_rows for part in chunk.slices)
            finer = cut_range(catalog, TABLE, chunk, rows=1)
            assert (finer.range, finer.rows) == (chunk.range, chunk.rows)
            assert [part.rows for part in finer.slices] == [1] * chunk.rows or chunk.rows == 0
    assert sum(c.rows for c in chunks) == sum(row[0] is not None for row in rows)
    assert {c.rows for c in chunks[:-1]} <= {size}


far = st.integers(-(10**6), 10**6) | st.integers(-(2**63), 2**64 - 1)


@given(st.sets(st.integers(-300, 300) | far, min_size=1, max_size=200), st.integers(1, 40))
def test_ranges_cut_by_true_guesses_are_even_whatever_the_gaps(keys: set[int], size: int) -> None:
    guesses = []

    def guess(after: int, upto: int) -> int:
        guesses.append(sum(after < key <= upto for key in keys))
        return guesses[-1]

    ends = even_ends(min(keys), max(keys), len(keys), size, guess)
    assert ends == sorted(set(ends))
    assert all(min(keys) <= end < max(keys) for end in ends)
    bounds = [float("-inf"), *ends, float("inf")]
    held = [sum(low < key <= high for key in keys) for low, high in pairwise(bounds)]
    assert max(held) <= 2 * size
    assert all(one + other > size for one, other in pairwise(held))
    assert len(guesses) <= 200 * (len(keys) // size + 1)


@given(st.integers(0, 3), st.integers(1, 10_000), st.integers(1, 50), st.integers(2, 5))
def test_wrong_guesses_cut_into_no_more_ranges_than_there_are_rows_for(
    base: int, rows: int, size: int, factor: int
) -> None:
    ends = even_ends(0, rows - 1, rows, size, lambda after, upto: base + factor * (upto - after))
    assert len(ends) <= 2 * round(rows / size)
    assert ends == sorted({*ends})


def test_guesses_of_nothing_cut_nothing() -> None:
    assert even_ends(1, 1000, 1000, 100, lambda after, upto: 0) == []
    assert even_ends(5, 5, 1, 100, lambda after, upto: 1) == []


def test_each_chunk_is_as_large_as_is_said_when_it_is_cut() -> None:
    sizes = iter([ChunkSize(1, 1), ChunkSize(4, 3)])
    rows = [(n, 0, n) for n in range(5)]
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        cut = cut_chunks(OverSQLite(connection), TABLE, WHOLE, RangeOrder.KEY, run_id="r", sizes=lambda: next(sizes))
        chunks = list(cut)
    assert [[part.rows for part in c.slices] for c in chunks] == [[1], [3, 1]]
    assert chunks[-1].range.upto is None


def test_a_chunk_ends_with_the_table_rather_than_in_a_slice_without_rows() -> None:
    rows = [(n, 0, n) for n in range(4)]
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        sizes = lambda: ChunkSize(9, 2)  # noqa: E731
        [chunk] = cut_chunks(OverSQLite(connection), TABLE, WHOLE, RangeOrder.KEY, run_id="r", sizes=sizes)
    assert ([part.rows for part in chunk.slices], chunk.range.upto) == ([2, 2], None)


@given(rows_of_table, st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9))
def test_the_last_chunks_are_shared_anew_among_the_readers(
    rows: list[tuple[int | None, int, int]], size: int, slice_rows: int, readers: int, least: int
) -> None:
    sizes = lambda: ChunkSize(size, min(size, slice_rows), least, size)  # noqa: E731
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        catalog = OverSQLite(connection)
        cut = list(cut_chunks(catalog, TABLE, WHOLE, RangeOrder.KEY, run_id="r", sizes=sizes))
        chunks = list(evened(cut, sizes, readers))
        assert [len(rows_held(connection, c)) for c in chunks] == [c.rows for c in chunks]
        assert [len(rows_held(connection, p)) for c in chunks for p in c.slices] == [
            p.rows for c in cut for p in c.slices
        ]
    assert [p.range for c in chunks for p in c.slices] == [p.range for c in cut for p in c.slices]
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    settled = len(cut) - (readers + 1)
    assert chunks[: max(settled, min(readers, len(cut)))] == cut[: max(settled, min(readers, len(cut)))]
    last = [c.rows for c in chunks[max(settled, min(readers, len(cut))) :]]
    assert max(last, default=0) - min(last, default=0) <= 2 * slice_rows


@pytest.mark.parametrize(
    ("rows", "readers", "shared"),
    [
        ((9, 9, 9, 3), 2, (9, 9, 6, 6)),  # neither waits for the other's last file
        ((9, 9, 9, 9, 1), 2, (9, 9, 10, 9)),  # rather than three
        ((9, 9, 9, 9, 5), 2, (9, 9, 6, 6, 5, 6)),
        ((9, 9, 9), 2, (9, 9, 5, 4)),
        ((9, 9, 3), 2, (9, 9, 3)),  # too little to be worth two files
        ((9, 9, 9, 3), 1, (9, 9, 6, 6)),  # no tiny file behind the others
        ((9, 1), 2, (9, 1)),  # each reader has one, and has begun it
        ((9, 9, 9, 9, 9, 9, 3), 3, (9, 9, 9, 10, 10, 10)),
        ((0,), 2, (0,)),
    ],
)
def test_what_is_left_at_the_end_of_a_window_is_shared_by_all_readers(
    rows: tuple[int, ...], readers: int, shared: tuple[int, ...]
) -> None:
    total = sum(rows)
    table = [(0, 0, n) for n in range(total)]
    with contextlib.closing(database(("update_at", "day", "ID"), table)) as connection:
        sizes = lambda: ChunkSize(9, 1, 4, 10)  # noqa: E731
        cut = list(cut_chunks(OverSQLite(connection), TABLE, WHOLE, RangeOrder.KEY, run_id="r", sizes=sizes))
    assert tuple(c.rows for c in cut) == rows
    assert tuple(c.rows for c in evened(cut, sizes, readers)) == shared


def test_a_chunk_that_waited_is_cut_where_smaller_ones_are_wanted_by_then() -> None:
    table = [(0, 0, n) for n in range(54)]
    wanted = [9] * 5
    sizes = lambda: ChunkSize(wanted.pop(0) if wanted else 2, 1, 1)  # noqa: E731
    with contextlib.closing(database(("update_at", "day", "ID"), table)) as connection:
        catalog = OverSQLite(connection)
        cut = cut_chunks(catalog, TABLE, WHOLE, RangeOrder.KEY, run_id="r", sizes=sizes)
        chunks = list(evened(cut, sizes, 2))
    rows = [c.rows for c in chunks]
    assert rows[:2] == [9, 9], "what a reader has begun stays as it is"
    assert max(rows[2:]) <= 2
    assert sum(rows) == 54
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    assert [c.range.after for c in chunks[1:]] == [c.range.upto for c in chunks[:-1]]


def test_the_first_chunk_of_each_reader_does_not_wait_for_the_end_of_the_plan() -> None:
    chunks = iter(build.run_chunks("r", [None, *((n,) for n in range(1, 11))], of=WHOLE, columns=("c",)))
    shared = evened(chunks, fixed(10), 3)
    assert [next(shared).ordinal for _ in range(3)] == [0, 1, 2]
    assert next(chunks).ordinal == 3


def rows_held(connection: sqlite3.Connection, chunk: Chunk) -> list[int]:
    return rows_where(connection, where_sql(TABLE, chunk.window, chunk.range))


@given(rows_of_table, st.integers(1, 5), st.sampled_from(RangeOrder), st.data())
def test_a_plan_taken_up_again_goes_on_behind_the_chunks_that_are_done(
    rows: list[tuple[int | None, int, int]], size: int, order: RangeOrder, data: st.DataObject
) -> None:
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        catalog = OverSQLite(connection)
        chunks = list(cut_chunks(catalog, TABLE, WHOLE, order, run_id="r", sizes=fixed(size)))
        done = chunks[: data.draw(st.integers(0, len(chunks)))]
        rest = list(cut_chunks(catalog, TABLE, WHOLE, order, run_id="r", sizes=fixed(size), done=done))
    assert done + rest == chunks


@given(rows_of_table, st.lists(small, max_size=3).map(tuple), small, st.none() | st.integers(1, 10))
def test_the_high_watermark_is_the_last_row_that_will_be_extracted(
    rows: list[tuple[int | None, int, int]], after: Position, horizon: int, limit: int | None
) -> None:
    settled = sorted((c, *key) for c, *key in rows if c is not None and c <= horizon and (c, *key) > after)
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        mark = OverSQLite(connection).high_watermark(TABLE, Watermark(position=after), horizon, limit)
    expected = settled[:limit][-1] if settled else None
    assert mark == (None if expected is None else Watermark(position=tuple(expected)))


def test_a_key_value_of_a_type_that_cannot_be_carried_is_refused() -> None:
    with pytest.raises(SourceError, match="float"):
        Answering(1.5).high_watermark(build.table(), Watermark.START, 1, None)


def test_rows_without_a_cursor_are_not_counted_where_there_can_be_none() -> None:
    strict = [contract(build.source_column("update_at", "datetime", nullable=False))]
    assert Answering().null_cursors(build.table(of=strict)) == 0
    assert Answering(3).null_cursors(build.table()) == 3


def test_tls_follows_the_mode() -> None:
    assert tls_context(settings()) is None
    assert tls_context(settings(db_ssl_mode="preferred")) is None
    wanted = {"required": (False, ssl.CERT_NONE), "verify_ca": (False, ssl.CERT_REQUIRED)}
    wanted["verify_identity"] = (True, ssl.CERT_REQUIRED)
    for mode, (hostname, verified) in wanted.items():
        context = tls_context(settings(db_ssl_mode=mode))
        assert context is not None
        assert (context.check_hostname, context.verify_mode) == (hostname, verified)


def test_a_missing_ca_file_is_named() -> None:
    with pytest.raises(ConfigError, match="DB_SSL_CA /nowhere/ca"):
        tls_context(settings(db_ssl_mode="verify_ca", db_ssl_ca="/nowhere/ca.pem"))


def test_a_window_is_never_wider_than_asked_by_the_limit() -> None:
    rows = [(n, 0, n) for n in range(5)]
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        catalog = OverSQLite(connection)
        mark = catalog.high_watermark(TABLE, Watermark.START, 4, 3)
        assert mark is not None
        window = Window(after=Watermark.START, upto=mark)
        [chunk] = cut_chunks(catalog, TABLE, window, RangeOrder.CURSOR, run_id="r", sizes=fixed(100))
    assert chunk.rows == 3

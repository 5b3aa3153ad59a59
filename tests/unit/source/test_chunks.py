"""The text of keyset predicates: what they say (golden), and that they partition the rows (run by SQLite)."""

from __future__ import annotations

import contextlib
import datetime as dt
from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.model import Chunk, KeyRange, TableName, Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.positions import KeyValue, Position
from s3rs_ray.source import chunks
from s3rs_ray.source.types import contract
from tests.support import build
from tests.support.build import source_column
from tests.support.golden import assert_golden_sql
from tests.support.sqlite import database, rows_where

GOLDEN = Path(__file__).with_name("golden")

WHEN = dt.datetime(2026, 1, 31, 23, 59, 59, 999999)
ALPHA = ("a", "b", "c")


def test_predicates_read_as_they_were_reviewed() -> None:
    texts: dict[str, str] = {}
    for width in (1, 2, 3):
        columns = ALPHA[:width]
        for given_values in range(1, width + 1):
            position = (10, 20, 30)[:given_values]
            texts[f"after, {given_values} of {width} columns"] = chunks.after_sql(columns, position)
            texts[f"upto, {given_values} of {width} columns"] = chunks.upto_sql(columns, position)
    texts["open at both ends"] = chunks.range_sql(KeyRange(columns=("a",)))
    texts["open above"] = chunks.range_sql(KeyRange(columns=("a",), after=(1,)))
    texts["open below"] = chunks.range_sql(KeyRange(columns=("a",), upto=(9,)))
    texts["closed, and a name with a back-quote"] = chunks.range_sql(KeyRange(columns=("a`b",), after=(1,), upto=(9,)))
    assert_golden_sql(GOLDEN / "predicates.sql", texts)


LITERALS: dict[str, tuple[KeyValue, str]] = {
    "zero": (0, "0"),
    "negative": (-5, "-5"),
    "BIGINT UNSIGNED": (2**64 - 1, "18446744073709551615"),
    "decimal": (Decimal("-12.50"), "-12.50"),
    "decimal of 38 digits": (Decimal("9" * 28 + "." + "9" * 10), "9" * 28 + "." + "9" * 10),
    "decimal with an exponent": (Decimal("1E+3"), "1000"),
    "small decimal": (Decimal("1E-8"), "0.00000001"),
    "text": ("AB-1", "_utf8mb4 x'41422d31'"),
    "empty text": ("", "_utf8mb4 x''"),
    "quotes and backslashes": ("'\"\\`%", "_utf8mb4 x'27225c6025'"),
    "an end of statement": ("'; DROP TABLE t; --", "_utf8mb4 x'273b2044524f50205441424c4520743b202d2d'"),
    "emoji": ("📦", "_utf8mb4 x'f09f93a6'"),
    "Chinese": ("包裹", "_utf8mb4 x'e58c85e8a3b9'"),
    "a NUL": ("\0", "_utf8mb4 x'00'"),
    "bytes": (b"\x00\xff'\\", "x'00ff275c'"),
    "no bytes": (b"", "x''"),
    "date": (dt.date(2026, 1, 31), "DATE'2026-01-31'"),
    "first date": (dt.date(1, 1, 1), "DATE'0001-01-01'"),
    "datetime": (WHEN, "TIMESTAMP'2026-01-31 23:59:59.999999'"),
    "whole second": (dt.datetime(2026, 1, 31), "TIMESTAMP'2026-01-31 00:00:00.000000'"),
}


@pytest.mark.parametrize("name", LITERALS)
def test_a_literal_needs_no_escaping_and_loses_nothing(name: str) -> None:
    value, text = LITERALS[name]
    assert chunks.literal_sql(value) == text


@pytest.mark.parametrize("value", [True, 1.5, None, (1,)])
def test_a_value_that_is_never_a_key_has_no_literal(value: object) -> None:
    with pytest.raises(TypeError, match="a key is never a"):
        chunks.literal_sql(cast(KeyValue, value))


def test_statements_read_as_they_were_reviewed() -> None:
    table = build.table()
    by_key = build.table(cursor_index=None)
    odd = build.table(name=TableName("we`ird", "in dex"), cursor_index="by `it`", key=("day", "ID"))
    of = build.window((WHEN, 5), (dt.datetime(2026, 2, 1), 9))
    first = build.window((), (WHEN, 5))
    middle = KeyRange(columns=("update_at", "ID"), after=(WHEN, 5), upto=(WHEN, 7))
    keys = KeyRange(columns=("ID",), after=(100,), upto=(200,))
    texts = {
        "select by cursor": chunks.select_sql(table, chunk(middle, of)),
        "select by cursor, guarded": chunks.select_sql(table, chunk(middle, of), guarded=True),
        "select by key": chunks.select_sql(by_key, chunk(keys, of)),
        "select by key, all of a first window": chunks.select_sql(by_key, chunk(KeyRange(columns=("ID",)), first)),
        "select without an index": chunks.select_sql(build.table(cursor_index=None, key_index=""), chunk(keys, of)),
        "select without dates": chunks.select_sql(
            build.table(of=[c for c in build.columns() if not c.zero_dates]), chunk(middle, of)
        ),
        "select of a text that may hold strays": chunks.select_sql(
            build.table(of=[contract(source_column("c", "varchar(9)", characters=9, character_set="gbk"))]),
            chunk(middle, of),
            marked=True,
            counted=True,
        ),
        "count": chunks.count_sql(table, of, middle),
        "boundary": chunks.boundary_sql(table, of, chunks.run_range(table, of, RangeOrder.CURSOR), 1000),
        "boundary of one row by key": chunks.boundary_sql(
            by_key, first, chunks.run_range(by_key, first, RangeOrder.KEY), 1
        ),
        "high watermark": chunks.high_watermark_sql(table, Watermark.START, WHEN, None),
        "high watermark behind another": chunks.high_watermark_sql(table, Watermark(position=(WHEN, 5)), WHEN, None),
        "high watermark behind one set by hand": chunks.high_watermark_sql(
            table, Watermark(position=(WHEN,)), WHEN, None
        ),
        "high watermark with a limit": chunks.high_watermark_sql(table, Watermark.START, WHEN, 500),
        "high watermark of odd names": chunks.high_watermark_sql(odd, Watermark.START, WHEN, None),
        "null cursors": chunks.null_cursors_sql(table),
    }
    assert_golden_sql(GOLDEN / "statements.sql", texts)


def chunk(of: KeyRange, within: Window) -> Chunk:
    return Chunk(run_id="20260131T235959Z-1a2b3c", ordinal=7, range=of, window=within, rows=10)


# Any key partitions: the text itself is run, against Python's order of tuples as the second opinion. Values are few,
# so that ties, repeated rows and borders on rows are the rule.

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1]),
    "text": st.sampled_from(["", "a", "a'", "A", "\\", "ab", "é", "包", "📦", "a\0"]),
    "bytes": st.sampled_from([b"", b"\x00", b"\x00\x00", b"\x7f", b"\x80", b"'"]),
    "decimal": st.sampled_from([Decimal(t) for t in ("-1.5", "-1.25", "0", "0.10", "99999.99", "100000.00")]),
    "date": st.dates(dt.date(2026, 1, 30), dt.date(2026, 2, 2)),
    "datetime": st.sampled_from([WHEN + dt.timedelta(microseconds=n) for n in (-1, 0, 1, 10**6)]),
}


@st.composite
def keyed_rows(draw: st.DrawFn) -> tuple[tuple[str, ...], list[Position], list[Position]]:
    """Columns, rows and sorted borders; the borders are rows, other places, or prefixes of either."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    row = st.tuples(*(VALUES[kind] for kind in kinds))
    rows: list[Position] = draw(st.lists(row, max_size=12))
    anywhere = st.sampled_from(rows) | row if rows else row
    border = st.tuples(anywhere, st.integers(1, len(kinds))).map(lambda p: p[0][: p[1]])
    borders: list[Position] = sorted(draw(st.lists(border, max_size=5, unique=True)))
    return ALPHA[: len(kinds)], rows, borders


def cut(whole: KeyRange, borders: list[Position]) -> list[KeyRange]:
    pieces, rest = [], whole
    for border in borders:
        piece, rest = rest.split(border)
        pieces.append(piece)
    return [*pieces, rest]


@given(keyed_rows())
def test_every_row_is_in_exactly_one_piece_and_in_the_right_one(
    drawn: tuple[tuple[str, ...], list[Position], list[Position]],
) -> None:
    columns, rows, borders = drawn
    pieces = cut(KeyRange(columns=columns), borders)
    held: dict[int, list[int]] = {n: [] for n in range(len(rows))}
    with contextlib.closing(database(columns, rows)) as connection:
        for number, piece in enumerate(pieces):
            for row in rows_where(connection, chunks.range_sql(piece)):
                held[row].append(number)
    # Piece n ends at border n, inclusive: a row belongs to the first border that is not before it.
    assert held == {n: [bisect_left(borders, row)] for n, row in enumerate(rows)}


@st.composite
def windowed_rows(draw: st.DrawFn) -> tuple[RangeOrder, list[tuple[KeyValue | None, ...]], Window, list[Position]]:
    """Rows (cursor, day, ID) with some NULL cursors, a window over the update order, and borders in the run's order."""
    order = draw(st.sampled_from(RangeOrder))
    small = st.integers(0, 4)
    row = st.tuples(st.none() | small, small, small)
    rows: list[tuple[KeyValue | None, ...]] = list(draw(st.lists(row, max_size=15)))
    place = st.tuples(small, small, small).flatmap(lambda p: st.integers(1, 3).map(lambda n: p[:n]))
    ends = draw(st.lists(place, min_size=2, max_size=2).map(sorted))
    after = () if draw(st.booleans()) else ends[0]
    width = 3 if order is RangeOrder.CURSOR else 2
    border = st.tuples(st.tuples(*[small] * width), st.integers(1, width)).map(lambda p: p[0][: p[1]])
    borders: list[Position] = sorted(draw(st.lists(border, max_size=4, unique=True)))
    if order is RangeOrder.CURSOR:  # the borders of a run lie inside its window
        borders = [b for b in borders if after < b < ends[1]]
    return order, rows, build.window(after, ends[1]), borders


@given(windowed_rows())
def test_the_chunks_of_a_run_hold_each_row_of_its_window_once_and_no_other(
    drawn: tuple[RangeOrder, list[tuple[KeyValue | None, ...]], Window, list[Position]],
) -> None:
    order, rows, of, borders = drawn
    table = build.table(key=("day", "ID"))
    seen: list[int] = []
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        for piece in cut(chunks.run_range(table, of, order), borders):
            seen += rows_where(connection, chunks.where_sql(table, of, piece))
    assert sorted(seen) == [
        n for n, row in enumerate(rows) if row[0] is not None and of.after.position < row <= of.upto.position
    ]


@given(windowed_rows(), st.data())
def test_two_windows_in_a_row_hold_each_row_once(
    drawn: tuple[RangeOrder, list[tuple[KeyValue | None, ...]], Window, list[Position]], data: st.DataObject
) -> None:
    order, rows, of, _ = drawn
    table = build.table(key=("day", "ID"))
    following = build.window(of.upto.position, (9, 9, 9))
    with contextlib.closing(database(("update_at", "day", "ID"), rows)) as connection:
        seen = [
            row
            for w in (of, following)
            for row in rows_where(connection, chunks.where_sql(table, w, chunks.run_range(table, w, order)))
        ]
    assert sorted(seen) == [n for n, row in enumerate(rows) if row[0] is not None and row > of.after.position]


@pytest.mark.parametrize("sql", [chunks.after_sql, chunks.upto_sql])
def test_no_row_constructor_is_written_because_mysql_would_scan_the_table(
    sql: Callable[[tuple[str, ...], Position], str],
) -> None:
    assert "," not in sql(ALPHA, (1, 2, 3))

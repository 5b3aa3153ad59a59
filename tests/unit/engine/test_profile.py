"""Statistics that are gathered batch by batch, compared with what the whole column says."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from s3rs_ray.engine.profile import DISTINCT_LIMIT, ColumnProfile, plain, shown

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def profile(kind: pa.DataType, *batches: list[Any]) -> ColumnProfile:
    found = ColumnProfile(name="c")
    for values in batches:
        found.add(pl.Series(pl.from_arrow(pa.array(values, kind))), NOW)
    return found


def odd(found: ColumnProfile) -> dict[str, int]:
    return {o.kind: o.count for o in found.oddities()}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int64(), [3, None, -1, 3, 2**62]),
        (pa.decimal128(20, 2), [Decimal("1.10"), Decimal("-5.00"), None, Decimal("1.10"), Decimal("9.99")]),
        (pa.float64(), [1.5, None, 1.5, -0.25, 2.0]),
        (pa.string(), ["b", None, "a", "b", "é"]),
        (pa.binary(), [b"\x01", None, b"\x00", b"\x01", b"\xff"]),
        (pa.date32(), [dt.date(2026, 1, 1), None, dt.date(2025, 1, 1), dt.date(2026, 1, 1), dt.date(2024, 1, 1)]),
        (pa.timestamp("us"), [dt.datetime(2026, 1, n, 1, 2, 3, 4) if n else None for n in (2, 0, 1, 2, 3)]),
        (pa.bool_(), [True, None, False, True, True]),
    ],
    ids=str,
)
def test_batches_together_say_what_the_column_says(kind: pa.DataType, values: list[Any]) -> None:
    found = profile(kind, values[:2], values[2:], [])
    present = [v for v in values if v is not None]
    assert (found.rows, found.nulls, found.exact) == (5, 1, True)
    assert (found.least, found.greatest, found.distinct) == (min(present), max(present), len(set(present)))


def test_distinct_values_are_counted_up_to_a_bound() -> None:
    many = profile(pa.int64(), list(range(DISTINCT_LIMIT)), [1, 2])
    assert (many.distinct, many.exact) == (DISTINCT_LIMIT, True)
    more = profile(pa.int64(), list(range(DISTINCT_LIMIT)), [-1], [-2])
    assert (more.distinct, more.exact, more.rows) == (DISTINCT_LIMIT, False, DISTINCT_LIMIT + 2)


def test_columns_without_values_or_with_one_are_told() -> None:
    assert odd(profile(pa.int32(), [None, None])) == {"all_null": 2}
    assert odd(profile(pa.int32(), [None, None, 1])) == {"mostly_null": 2}
    assert odd(profile(pa.int32(), [None, 1])) == {}
    constant = profile(pa.string(), ["x", "x"], ["x"])
    assert odd(constant) == {"constant": 3}
    assert next(constant.oddities()).message == "every value is x"
    assert odd(profile(pa.int32(), [1])) == {}


def test_values_that_look_odd_are_counted() -> None:
    assert odd(profile(pa.string(), ["", " \t", "a"], ["\ufffd", ""])) == {"blank": 3, "replacement_character": 1}
    days = [dt.date(1970, 1, 1), dt.date(1971, 1, 1), dt.date(2026, 6, 2), dt.date(2026, 6, 3)]
    assert odd(profile(pa.date32(), days)) == {"early_date": 1, "future_date": 1}
    times = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), dt.datetime(2026, 1, 1)]
    assert odd(profile(pa.timestamp("us"), times)) == {"early_date": 1, "future_date": 1}
    numbers = profile(pa.float64(), [float("nan"), float("inf"), 1.0, -2.0])
    assert odd(numbers) == {"not_a_number": 2}
    assert (numbers.least, numbers.greatest) == (-2.0, float("inf"))
    assert profile(pa.float64(), [float("nan")]).least is None


@pytest.mark.parametrize(
    ("value", "as_text", "as_json"),
    [
        (None, "", None),
        (b"\x00\xff", "00ff", "00ff"),
        (Decimal("1E+2"), "1E+2", "100"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02 03:04:05.000006", "2026-01-02 03:04:05.000006"),
        (float("nan"), "nan", "nan"),
        (1.5, "1.5", 1.5),
        ("x" * 200, "x" * 99 + "…", "x" * 200),
    ],
)
def test_values_are_shown_and_written(value: object, as_text: str, as_json: object) -> None:
    assert (shown(value), plain(value)) == (as_text, as_json)

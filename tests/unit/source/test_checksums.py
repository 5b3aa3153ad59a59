"""The statements by which both sides are compared, as they were reviewed: MySQL's and Redshift's side by side."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.engine.compare import MOST_SEGMENTS, _groups
from s3rs_ray.model import Column, KeyRange, Watermark
from s3rs_ray.policies import JsonForm, LongText, Mode, NulBytes, Policy, TextForm
from s3rs_ray.row_text import (
    CELL,
    CENTRE,
    MAX_TEXT,
    MOST_CELLS,
    NUMBER_SIZE,
    Bin,
    cell_ranges,
    central_bin,
    digest_groups,
    float_bins,
)
from s3rs_ray.source import checksums as here
from s3rs_ray.source.checksums import SourceRows
from s3rs_ray.source.types import contract
from s3rs_ray.warehouse import checksums as there
from s3rs_ray.warehouse.checksums import TargetRows
from s3rs_ray.warehouse.sql import Target
from tests.support import build
from tests.support.golden import assert_golden_sql

GOLDEN = Path(__file__).parent / "golden" / "checksums.sql"
NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 500000)
TABLE = build.table()
SOURCE = SourceRows(table=TABLE, columns=TABLE.columns, upto=Watermark(position=(NOON, 7)))
TARGET = TargetRows(
    target=Target(schema="public", name="parcels", columns=TABLE.columns, key=("ID",), cursor="update_at"),
    columns=TABLE.columns,
    mode=Mode.MERGE,
)
ENDED = replace(SOURCE, ends=(-300, 900))
RANGE = KeyRange(columns=("ID",), after=(100,), upto=(200,))
RANGES = [
    KeyRange(columns=("ID",), upto=(100,)),
    RANGE,
    KeyRange(columns=("ID",), after=(300,), upto=(400,)),
    KeyRange(columns=("ID",), after=(400,)),
]
BY_TWO = KeyRange(columns=("ID", "part"), upto=(1, 2))
CUT = Policy(long_text=LongText.TRUNCATE, nul_bytes=NulBytes.REMOVE)


PART = contract(build.source_column("part", "smallint"))
BY_PART = (*TABLE.columns, PART)


def columns() -> dict[str, Column]:
    """A column for each form of text."""
    made = {
        "integer": build.source_column("c", "int(3) unsigned zerofill"),
        "decimal": build.source_column("c", "decimal(10,2)", precision=10, scale=2),
        "date": build.source_column("c", "date"),
        "moment": build.source_column("c", "datetime(3)"),
        "time": build.source_column("c", "time(6)"),
        "short text": build.source_column("c", "varchar(9)", characters=9, character_set="utf8mb4"),
        "text of another character set": build.source_column("c", "char(9)", characters=9, character_set="latin1"),
        "text": build.source_column("c", "varchar(900)", characters=900, character_set="utf8mb4"),
        "text of an expression": build.source_column("c", "json"),
        "short binary value": build.source_column("c", "binary(16)", characters=16),
        "binary value": build.source_column("c", "varbinary(200)", characters=200),
        "large binary value": build.source_column("c", "blob", characters=65535),
        "single": build.source_column("c", "float"),
    }
    found = {name: contract(column) for name, column in made.items()}
    long = build.source_column("c", "longtext", characters=2**32 - 1, character_set="utf8mb4")
    return found | {"text that is cut": contract(long, CUT)}


def statements() -> dict[str, str]:
    history, folded = replace(TARGET, mode=Mode.APPEND), replace(TARGET.target, key=("note",), folded=("note",))
    two, two_there = (
        replace(SOURCE, table=replace(TABLE, key=("ID", "part"), columns=BY_PART)),
        replace(TARGET, target=replace(TARGET.target, key=("ID", "part"), columns=BY_PART)),
    )
    text, text_there = replace(SOURCE, table=replace(TABLE, key=("note",))), replace(TARGET, target=folded)
    pairs = {
        "sums": (here.sums_sql(SOURCE, RANGE, 8), there.sums_sql(TARGET, [RANGE], 8)),
        "sums of some buckets of the whole table": (
            here.sums_sql(SOURCE, None, 64, [(0, 7), (24, 31)]),
            there.sums_sql(TARGET, [None], 64, [(0, 7), (24, 31)]),
        ),
        "counts alone": (
            here.sums_sql(replace(SOURCE, columns=()), RANGE, 1),
            there.sums_sql(replace(TARGET, columns=()), [RANGE], 1),
        ),
        "counts by bucket": (
            here.sums_sql(replace(SOURCE, columns=()), RANGE, 8),
            there.sums_sql(replace(TARGET, columns=()), [RANGE], 8),
        ),
        "sums under conditions": (
            here.sums_sql(replace(SOURCE, nulls=True, where="amount > 3", since=NOON), RANGE, 8),
            there.sums_sql(replace(TARGET, where="amount > 3", since=NOON), [RANGE], 8),
        ),
        "buckets of two columns": (here.bucket_sql(two, 8), there.chosen_sql(two_there, None, 8, [1])),
        "buckets of a text": (here.bucket_sql(text, 8), there.chosen_sql(text_there, None, 8, [1])),
        "rows of buckets": (
            here.bucket_rows_sql(SOURCE, RANGE, 11, [1, 5]),
            there.bucket_rows_sql(TARGET, [(RANGE, [1, 5])], 11),
        ),
        "rows of buckets, with texts, where the source knows their places": (
            here.bucket_rows_sql(ENDED, replace(RANGE, upto=(700,)), 11, [0, 7], texts=True),
            there.bucket_rows_sql(TARGET, [(replace(RANGE, upto=(700,)), [0, 7])], 11, texts=True),
        ),
        "rows of keys": (here.key_rows_sql(SOURCE, [(7,), (8,)]), there.key_rows_sql(TARGET, [(7,), (8,)])),
    }
    sides = {
        f"{name}: {side}": sql
        for name, both in pairs.items()
        for side, sql in zip(("here", "there"), both, strict=True)
    }
    for name, within in {"from the start": KeyRange(columns=("ID",), upto=(700,)), "that hold no row": RANGE}.items():
        sides[f"places of buckets {name}: here"] = here.chosen_sql(ENDED, within, 11, [7, 8])
    sides["both ends of the key: here"] = here.ends_sql(TABLE)
    sides["rows behind the watermark: here"] = here.behind_sql(SOURCE)
    sides["sums of a history: there"] = there.sums_sql(history, [RANGE], 8)
    sides["counts of ranges, some of which touch: there"] = there.sums_sql(replace(TARGET, columns=()), RANGES, 8)
    sides["rows of buckets of two ranges of two columns: there"] = there.bucket_rows_sql(
        replace(two_there, columns=()), [(BY_TWO, [1]), (replace(BY_TWO, after=(5, 6), upto=(7,)), [2])], 8
    )
    sides["rows of a text key: there"] = there.key_rows_sql(replace(TARGET, target=folded, columns=()), [("Ab 'c",)])
    for name, column in columns().items():
        sides[f"{name}: here"], sides[f"{name}: there"] = here.field_sql(column), there.field_sql(column)
    return sides


def test_statements_are_as_reviewed() -> None:
    assert_golden_sql(GOLDEN, statements())


def test_texts_are_gathered_in_groups_that_fit_a_varchar() -> None:
    assert len("-29:4611686018427387903:4611686018427387904,") <= NUMBER_SIZE
    kinds = ("double", "varchar", "varchar", "varbinary", "text", "json")
    characters = (None, 250, 251, 200, 65_535, None)
    sizes = (NUMBER_SIZE, 1000 + 7, 1000 + 7, 2 * 200 + 2, 1000 + 7, NUMBER_SIZE)
    made = [
        contract(build.source_column(f"c{i}", kinds[i % 6], characters=characters[i % 6], character_set="utf8mb4"))
        for i in range(1200)
    ]
    groups = digest_groups(made)
    assert [c for group in groups for c in group] == made
    totals = [sum(sizes[int(c.name[1:]) % 6] for c in group) for group in groups]
    assert all(MAX_TEXT - max(sizes) < total <= MAX_TEXT for total in totals[:-1])
    assert here.digest_sql(made).count("MD5(CONCAT_WS(") == len(groups) > 1


@given(
    st.integers(-(10**6), 10**6) | st.integers(-(2**63), 2**64 - 1),
    st.integers(0, 5_000),
    st.sampled_from([11, 13, 503]),
    st.sets(st.integers(0, 502), min_size=1, max_size=5),
)
def test_the_places_of_buckets_hold_their_keys_and_no_others(
    first: int, size: int, buckets: int, some: set[int]
) -> None:
    last, chosen = first + size, {number % buckets for number in some}

    def bucket(key: int) -> int:
        """As the SQL of both sides computes it: their remainder has the number's sign, Python's the divisor's."""
        rest = key % CELL if key >= 0 else -(-key % CELL)
        return abs(key - rest) % buckets

    found = cell_ranges(first, last, buckets, chosen)
    assert found is not None
    named = [key for low, high in found for key in range(low, high + 1)]
    assert named == [key for key in range(first, last + 1) if bucket(key) in chosen]
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(found))


@pytest.mark.parametrize("count", range(1, 9))
def test_each_row_is_in_the_range_that_holds_it(count: int) -> None:
    """Ranges that touch and ranges that do not; NULL is in the first, where that one is asked for."""
    ends = [None, *range(10, 10 * count, 10), None]
    ranges = [KeyRange(columns=("ID",), after=a and (a,), upto=b and (b,)) for a, b in itertools.pairwise(ends)]
    with sqlite3.connect(":memory:") as warehouse:
        warehouse.execute("ATTACH ':memory:' AS public")
        warehouse.execute("CREATE TABLE public.parcels (id)")
        rows = [*range(-3, 10 * count + 3), None]
        warehouse.executemany("INSERT INTO public.parcels VALUES (?)", [(row,) for row in rows])
        for some in (ranges, ranges[::2], ranges[1:], ranges[:-1]):
            found = warehouse.execute(there.sums_sql(replace(TARGET, columns=()), some, 1)).fetchall() if some else []
            expected = {}
            for number, within in enumerate(some):
                low, high = within.after or (-math.inf,), within.upto or (math.inf,)
                inside = [row is not None and low[0] < row <= high[0] for row in rows]
                expected[number] = sum(inside) + (within.after is None)
            assert {number: rows for number, _, rows, *_ in found} == {n: c for n, c in expected.items() if c}


def test_tasks_are_as_many_as_keep_every_place_busy() -> None:
    ranges = tuple(KeyRange(columns=("ID",), upto=(i,)) for i in range(500))
    for count, places in itertools.product((1, 2, 3, 40, 64, 65, 129, 200, 500), (1, 2, 3, 8)):
        groups = _groups(ranges[:count], places)
        assert [within for group in groups for within in group] == list(ranges[:count])
        sizes = list(map(len, groups))
        assert max(sizes) <= MOST_SEGMENTS
        assert len(sizes) <= places * math.ceil(count / places / MOST_SEGMENTS)
    assert _groups((), 2) == []


def test_places_are_not_named_where_they_are_too_many() -> None:
    assert cell_ranges(0, CELL * (MOST_CELLS + 1), 503, [7]) is None
    assert cell_ranges(0, CELL * MOST_CELLS, 11, [7]) is None
    assert len(cell_ranges(0, CELL * MOST_CELLS, 503, [7]) or ()) == 100
    assert cell_ranges(10, 5, 11, [7]) == []


def test_a_super_has_no_text() -> None:
    column = contract(build.source_column("c", "json"), Policy(json_form=JsonForm.SUPER))
    assert column.text_form is TextForm.NONE
    for side in (here.field_sql, there.field_sql):
        with pytest.raises(ValueError, match="alike on both sides"):
            side(column)


def bin_of(value: float, form: TextForm) -> Bin:
    """As the SQL chooses it."""
    centre = central_bin(form)
    if centre.at_least <= value < 2.0**CENTRE:
        return centre
    return next(b for b in float_bins(form) if b != centre and value >= b.at_least)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, exclude_min=True))
def test_every_binary_number_is_told_from_all_others_by_two_whole_numbers(value: float) -> None:
    """What the SQL computes, in Python's own binary numbers: each step exact, the value back again from its text."""
    chosen = bin_of(value, TextForm.DOUBLE)
    scaled = value
    for factor in chosen.factors:
        scaled *= factor
    whole = math.floor(scaled)
    rest = (scaled - whole) * 2.0**62
    assert whole < 2**62
    assert rest == int(rest) <= 2**62
    back = whole + int(rest) / 2**62 if whole == 0 else scaled
    assert back == scaled
    for factor in reversed(chosen.factors):
        back /= factor
    assert back == value


@given(st.floats(allow_nan=False, allow_infinity=False, width=32, min_value=0, exclude_min=True))
def test_single_binary_numbers_too(value: float) -> None:
    chosen = bin_of(value, TextForm.SINGLE)
    scaled = value * math.prod(chosen.factors)
    rest = (scaled - math.floor(scaled)) * 2.0**62
    assert math.floor(scaled) < 2**62
    assert rest == int(rest)


def test_redshift_is_given_no_percent_sign() -> None:
    """The driver would look for a parameter behind it."""
    assert not [name for name, sql in statements().items() if name.endswith("there") and re.search("%", sql)]

"""The nouns: positions, ranges and names."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.model import KeyRange, Table, TableName, Watermark, meant
from s3rs_ray.positions import Position, is_reached
from tests.support import build


@pytest.mark.parametrize("bound", [(), (1, 2, 3)])
@pytest.mark.parametrize("end", ["after", "upto"])
def test_a_bound_has_between_one_value_and_as_many_as_there_are_columns(end: str, bound: tuple[int, ...]) -> None:
    after, upto = (bound, None) if end == "after" else (None, bound)
    with pytest.raises(ValueError, match=f"{end} has {len(bound)} values for the columns a, b"):
        KeyRange(columns=("a", "b"), after=after, upto=upto)


def test_a_range_needs_a_column() -> None:
    with pytest.raises(ValueError, match="at least one column"):
        KeyRange(columns=())


def test_a_bound_may_be_a_prefix_of_the_columns_or_missing() -> None:
    KeyRange(columns=("a", "b"), after=(1,), upto=(1, 2))
    KeyRange(columns=("a",))


@given(st.lists(st.integers(), min_size=3, max_size=3, unique=True).map(sorted), st.integers())
def test_every_position_of_a_split_range_is_in_exactly_one_half(bounds: list[int], row: int) -> None:
    low, at, high = bounds
    whole = KeyRange(columns=("a",), after=(low,), upto=(high,))
    held = [piece for piece in whole.split((at,)) if holds(piece, row)]
    assert len(held) == (1 if holds(whole, row) else 0)


def holds(piece: KeyRange, row: int) -> bool:
    return (piece.after is None or piece.after < (row,)) and (piece.upto is None or (row,) <= piece.upto)


def test_splitting_keeps_open_ends_and_columns() -> None:
    left, right = KeyRange(columns=("a", "b")).split((1,))
    assert left == KeyRange(columns=("a", "b"), upto=(1,))
    assert right == KeyRange(columns=("a", "b"), after=(1,))


def test_a_range_cannot_be_split_at_a_position_longer_than_its_columns() -> None:
    with pytest.raises(ValueError, match="upto has 2 values"):
        KeyRange(columns=("a",)).split((1, 2))


def test_the_start_stands_before_every_row() -> None:
    assert Watermark.START.after is None
    assert Watermark.START.cursor is None
    assert Watermark.START.key == ()
    assert Watermark() == Watermark.START


def test_a_watermark_is_a_cursor_and_a_key_and_the_lower_bound_of_the_next_range() -> None:
    mark = build.mark(7, 1, 2)
    assert (mark.cursor, mark.key, mark.after) == (7, (1, 2), (7, 1, 2))


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("parcels", "home", "parcels"),
        ("settlement.parcels", "settlement", "parcels"),
        ("settlement.parcels.2026", "settlement", "parcels.2026"),
        ("包裹.明细", "包裹", "明细"),
        ("with space.and-dash", "with space", "and-dash"),
    ],
)
def test_a_table_name_ends_its_schema_at_the_first_dot(text: str, schema: str, name: str) -> None:
    assert TableName.parse(text, "home") == TableName(schema, name)


@given(st.text(alphabet=st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1), st.text())
def test_a_written_table_name_is_parsed_as_itself(schema: str, name: str) -> None:
    assert TableName.parse(str(TableName(schema, name)), "home") == TableName(schema, name)


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (("ID",), ("update_at", "ID")),
        (("day", "update_at", "ID"), ("update_at", "day", "ID")),
        (("update_at",), ("update_at",)),
    ],
)
def test_the_update_order_is_the_cursor_and_then_the_rest_of_the_key(
    key: tuple[str, ...], order: tuple[str, ...]
) -> None:
    assert build.table(key=key).order_columns == order


def test_the_nouns_cannot_be_changed() -> None:
    table: Table = build.table()
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.cursor = "other"  # type: ignore[misc]


DAY = dt.date(2026, 1, 31)
NIGHT = dt.datetime(2026, 1, 31)


@pytest.mark.parametrize(
    ("position", "by", "reached"),
    [
        ((), (), True),
        ((), (1,), True),
        ((1,), (), False),
        ((1,), (1, 5), True),
        ((1, 5), (1,), False),
        ((1, 5), (1, 5), True),
        ((1, 4), (1, 5), True),
        ((1, 6), (1, 5), False),
        ((1, 6), (2, 5), True),
        ((1, "a"), (1, "a"), True),
        ((1, "a"), (1, "b"), False),
        ((1, "b"), (1, "a"), False),
        ((1, "b"), (2, "a"), True),
        ((1, 2, "b"), (1, 3, "a"), True),
        ((1, b"a"), (1, b"b"), True),
        ((DAY,), (NIGHT,), True),
        ((NIGHT,), (DAY,), True),
        ((NIGHT,), (NIGHT.replace(microsecond=1),), True),
        (("0000-00-00 00:00:00",), (NIGHT,), True),
        (("0000-00-00",), (DAY,), True),
        ((NIGHT,), ("0000-00-00 00:00:00",), False),
        (("2026-00-31",), (DAY,), True),
    ],
)
def test_a_position_is_reached_where_that_is_certain(position: Position, by: Position, reached: bool) -> None:
    assert is_reached(position, by) is reached


def test_a_name_that_was_probably_meant_is_asked_for() -> None:
    known = [TableName("settlement", "claim_detail"), TableName("settlement", "partner")]
    assert meant(known, TableName("settlement", "claim_detial")) == "did you mean settlement.claim_detail? "
    assert meant(known, TableName("SETTLEMENT", "Claim_Detail")) == "did you mean settlement.claim_detail? "
    assert meant(known, TableName("settlement", "v")) == ""  # a long schema makes no other table alike
    assert meant(known, TableName("settlement", "claim_*")) == ""
    assert meant(known, TableName("settlement", "audit_of_nobody")) == ""

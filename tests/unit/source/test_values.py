"""What the policies do to values that Redshift has no form for: each change counted, each refusal with its row."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.errors import IntegrityError
from s3rs_ray.model import Column
from s3rs_ray.policies import Adjusted, LongText, NulBytes, Policy, ZeroDates
from s3rs_ray.source.types import MAX_VARBYTE, MAX_VARCHAR, arrow_schema, contract
from s3rs_ray.source.values import MAX_ROW_BYTES, SourceNulls, apply_policies, require_unicode
from tests.support import build
from tests.support.build import source_column

NO_NULLS: SourceNulls = dict.fromkeys(ZeroDates)
DAY = dt.date(2026, 1, 31)


def carry(column: Column, values: list[Any], nulls: SourceNulls = NO_NULLS) -> tuple[list[Any], Adjusted]:
    """A column's values under its policies, in a table whose key is ID = 1, 2, …"""
    columns = [contract(source_column("ID", "bigint(20)", nullable=False)), column]
    table = build.table(of=columns)
    arrays = [pa.array(range(1, len(values) + 1), pa.int64()), pa.array(values)]
    data = pa.table([pa.chunked_array([a[:2], a[2:]]) for a in arrays], names=["ID", column.name])
    made, adjusted = apply_policies(data.cast(arrow_schema(columns)), table, nulls)
    values_back: list[Any] = made.column(column.name).to_pylist()
    return values_back, adjusted


def refusal(column: Column, values: list[Any], nulls: SourceNulls = NO_NULLS) -> IntegrityError:
    with pytest.raises(IntegrityError) as refused:
        carry(column, values, nulls)
    return refused.value


def text(**policy: Any) -> Column:
    column = source_column("note", "longtext", characters=2**32 - 1, octets=2**32 - 1, character_set="utf8mb4")
    return contract(column, Policy(**policy))


def dates(policy: ZeroDates, *, nullable: bool = False) -> Column:
    return contract(source_column("day", "date", nullable=nullable), Policy(zero_dates=policy))


@pytest.mark.parametrize("longest", ["x" * MAX_VARCHAR, "包" * (MAX_VARCHAR // 3)])
def test_a_text_of_as_many_bytes_as_redshift_holds_comes_through(longest: str) -> None:
    assert carry(text(), [longest, None, ""]) == ([longest, None, ""], Adjusted())


@pytest.mark.parametrize("long", ["x" * (MAX_VARCHAR + 1), "包" * (MAX_VARCHAR // 3) + "é"])
def test_a_text_of_more_bytes_is_refused_with_row_column_and_length(long: str) -> None:
    refused = refusal(text(), ["short", None, long])
    assert "column note of the row (ID) = (3)" in refused.message
    assert f"{len(long.encode()):,} bytes" in refused.message
    assert refused.context == {"column": "note", "bytes": str(len(long.encode()))}
    assert "long_text: truncate" in refused.hint
    assert "exclude" in refused.hint


@given(st.integers(0, 4), st.sampled_from("aé包🚚"), st.integers(0, 9))
def test_a_text_is_cut_at_the_last_character_that_fits(shift: int, letter: str, more: int) -> None:
    long = "x" * shift + letter * (MAX_VARCHAR // len(letter.encode()) + 1 + more)
    (kept, same), adjusted = carry(text(long_text=LongText.TRUNCATE), [long, "short"])
    assert long.startswith(kept)
    assert MAX_VARCHAR - len(letter.encode()) < len(kept.encode()) <= MAX_VARCHAR
    assert (same, adjusted) == ("short", Adjusted(truncated_texts=1))


def test_json_is_refused_where_a_text_would_be_cut() -> None:
    column = contract(source_column("doc", "json"), Policy(long_text=LongText.TRUNCATE))
    refused = refusal(column, ['"' + "x" * MAX_VARCHAR + '"'])
    assert "truncate" not in refused.hint
    assert "exclude the column" in refused.hint


def test_a_binary_value_longer_than_redshift_holds_is_refused_with_its_length() -> None:
    column = contract(source_column("blob", "longblob", characters=2**32 - 1))
    assert carry(column, [b"x" * MAX_VARBYTE])[0] == [b"x" * MAX_VARBYTE]
    assert refusal(column, [b"x" * (MAX_VARBYTE + 1)]).context["bytes"] == str(MAX_VARBYTE + 1)


@pytest.mark.parametrize("value", ["\0", "a\0", "\0🚚", "a\0b\0c"])
def test_a_nul_byte_is_refused_or_removed_and_counted_once_for_each_text(value: str) -> None:
    refused = refusal(text(), ["ab", value])
    assert "column note of the row (ID) = (2) holds a NUL byte" in refused.message
    assert "nul_bytes: remove" in refused.hint
    kept, adjusted = carry(text(nul_bytes=NulBytes.REMOVE), [value, None, "ab", value])
    assert kept == [value.replace("\0", ""), None, "ab", value.replace("\0", "")]
    assert adjusted == Adjusted(stripped_texts=2)


@pytest.mark.parametrize(
    ("kind", "sizes", "value"),
    [
        ("varchar(3)", {"characters": 3, "character_set": "utf8mb4"}, "x" * 13),
        ("varbinary(3)", {"characters": 3}, b"1234"),
        ("decimal(39,1)", {"precision": 39, "scale": 1}, "1" * 42),
    ],
)
def test_a_value_longer_than_its_contract_is_refused_because_copy_would(
    kind: str, sizes: dict[str, Any], value: Any
) -> None:
    column = contract(source_column("c", kind, **sizes))
    assert carry(column, [value[:-1], None])[0] == [value[:-1], None]
    refused = refusal(column, [None, value])
    assert f"column c ({kind}) holds {len(value)} bytes" in refused.message
    assert "run the command again" in refused.hint


@pytest.mark.parametrize("more", [0, 1])
def test_a_row_may_be_as_large_as_copy_takes_and_no_larger(more: int) -> None:
    columns = [contract(source_column("ID", "bigint(20)", nullable=False))]
    columns += [contract(source_column(name, "longblob", characters=2**32 - 1)) for name in "abcde"]
    quarter = MAX_ROW_BYTES // 4
    rows: dict[str, list[Any]] = {"ID": [1, 2], **{n: [None, b"x" * quarter] for n in "abcd"}, "e": [b"x", b"y" * more]}
    data = pa.table(rows).cast(arrow_schema(columns))
    table = build.table(of=columns)
    if not more:
        assert apply_policies(data, table, None) == (data, Adjusted())
        return
    with pytest.raises(IntegrityError, match=r"the row \(ID\) = \(2\) holds 4,000,001 bytes"):
        apply_policies(data, table, None)


def test_a_row_of_a_table_without_a_key_is_named_by_its_cursor() -> None:
    columns = [contract(source_column("seen", "int(11)", nullable=False)), text()]
    data = pa.table({"seen": [7, 8], "note": ["a", "a\0"]}).cast(arrow_schema(columns))
    with pytest.raises(IntegrityError, match=r"the row \(seen\) = \(8\) holds a NUL byte"):
        apply_policies(data, build.table(of=columns, key=(), cursor="seen"), None)


def test_a_character_that_is_not_in_unicode_is_refused_with_row_and_column() -> None:
    columns = [contract(source_column("ID", "bigint(20)", nullable=False)), text()]
    data = pa.table({"ID": [7, 8, 9], "note": ["?", "?", "?"]}).cast(arrow_schema(columns))
    table = build.table(of=columns)
    require_unicode(data, table, pa.chunked_array([pa.array([0, 0, 0])]))
    require_unicode(data.slice(0, 0), table, pa.chunked_array([pa.array([], pa.int64())]))
    with pytest.raises(IntegrityError, match=r"column note of the row \(ID\) = \(8\)") as refused:
        require_unicode(data, table, pa.chunked_array([pa.array([0, 2, 2])]))
    assert "exclude the column" in refused.value.hint


def test_a_zero_byte_that_belongs_to_no_value_changes_nothing() -> None:
    values = pa.chunked_array([pa.array(["a\0", "b"])[1:]])
    table = build.table(of=[contract(source_column("ID", "bigint(20)")), text()])
    data = pa.table([pa.chunked_array([pa.array([1])]), values], names=["ID", "note"])
    assert apply_policies(data, table, NO_NULLS) == (data, Adjusted())


def test_binary_values_keep_their_zero_bytes() -> None:
    column = contract(source_column("b", "varbinary(9)", characters=9), Policy(nul_bytes=NulBytes.REMOVE))
    assert carry(column, [b"\0a\0"]) == ([b"\0a\0"], Adjusted())


def test_nothing_is_counted_where_no_date_was_impossible() -> None:
    columns = [contract(source_column("ID", "bigint(20)", nullable=False)), dates(ZeroDates.REFUSE, nullable=True)]
    data = pa.table({"ID": [1, 2], "day": [None, DAY]}).cast(arrow_schema(columns))
    assert apply_policies(data, build.table(of=columns), None) == (data, Adjusted())


def test_every_null_of_a_not_null_date_was_a_date_no_calendar_has() -> None:
    assert carry(dates(ZeroDates.NULL), [DAY, None, None])[1] == Adjusted(nulled_dates=2)


def test_the_nulls_of_the_source_are_not_counted_as_dates_that_became_null() -> None:
    nulls = {**NO_NULLS, ZeroDates.NULL: pa.chunked_array([pa.array([0, 1, 0])])}
    assert carry(dates(ZeroDates.NULL, nullable=True), [DAY, None, None], nulls)[1] == Adjusted(nulled_dates=1)


def test_a_date_no_calendar_has_is_refused_with_its_row_and_column() -> None:
    nulls = {**NO_NULLS, ZeroDates.REFUSE: pa.chunked_array([pa.array([1, 0, 0])])}
    for refused in (
        refusal(dates(ZeroDates.REFUSE, nullable=True), [None, DAY, None], nulls),
        refusal(dates(ZeroDates.REFUSE), [DAY, DAY, None]),
    ):
        assert "column day of the row (ID) = (3)" in refused.message
        assert "zero_dates: null" in refused.hint
    assert carry(dates(ZeroDates.REFUSE, nullable=True), [None, DAY, DAY], nulls)[1] == Adjusted()


def test_no_remedy_is_offered_that_would_change_a_key() -> None:
    column = dataclasses.replace(dates(ZeroDates.REFUSE), name="ID")
    table = build.table(of=[column])
    with pytest.raises(IntegrityError) as refused:
        apply_policies(pa.table({"ID": pa.array([None], pa.date32())}), table, NO_NULLS)
    assert refused.value.hint == "correct the row at the source"

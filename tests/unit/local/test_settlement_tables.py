from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.local.settlement_tables import DELIVERY_TABLE, SCHEMA, Rows, first_free_row

ROWS = Rows(seed=1, first="2026-01-01 00:00:00", span_s=5_184_000, first_row=1, last_row=1000)


def delivery_columns() -> dict[str, str]:
    table = next(statement for statement in SCHEMA if DELIVERY_TABLE in statement)
    return dict(re.findall(r"^ +`(\w+)` (\w+)", table, re.MULTILINE))


def test_the_delivery_table_has_51_columns_14_of_them_decimal() -> None:
    types = list(delivery_columns().values())
    assert len(types) == 51
    assert types.count("DECIMAL") == 14
    assert {"ENUM", "SET", "JSON", "DOUBLE", "FLOAT", "YEAR", "DATE", "DATETIME", "TIMESTAMP", "TEXT"} <= set(types)


def test_every_column_gets_a_value() -> None:
    named = re.search(r"INSERT INTO \S+ \((.*)\)", ROWS.delivery_sql())
    assert named
    assert {name.strip("` ") for name in named[1].split(",")} == set(delivery_columns())


def test_the_same_seed_is_the_same_statement_and_another_is_not() -> None:
    again = Rows(seed=1, first=ROWS.first, span_s=ROWS.span_s, first_row=1, last_row=1000)
    other = Rows(seed=2, first=ROWS.first, span_s=ROWS.span_s, first_row=1, last_row=1000)
    assert again.delivery_sql() == ROWS.delivery_sql() != other.delivery_sql()


def lowest_id(row: int) -> int:
    return row * 3 + row // 10_000 * 50_021


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=0, max_value=2))
def test_the_first_free_row_follows_the_last_one(row: int, jitter: int) -> None:
    assert first_free_row(lowest_id(row) + jitter) == row + 1


@given(st.integers(min_value=0, max_value=10**12))
def test_ids_of_free_rows_are_above_all_there_are(highest_id: int) -> None:
    row = first_free_row(highest_id)
    assert lowest_id(row) > highest_id
    assert row == 1 or lowest_id(row - 1) <= highest_id

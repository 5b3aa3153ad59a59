"""The one table of types: what every MySQL type becomes, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from s3rs_ray.errors import UnsupportedType
from s3rs_ray.model import Column, Treatment
from s3rs_ray.source import types
from s3rs_ray.source.types import MAX_VARBYTE, MAX_VARCHAR, arrow_schema, arrow_type, contract, fingerprint
from tests.support.build import source_column

EXACT, WIDENED, TEXT, NUMBER = Treatment.EXACT, Treatment.WIDENED, Treatment.AS_TEXT, Treatment.AS_NUMBER
AS_CHAR = "CAST(`c` AS CHAR)"
NO_ZERO_DATE = "IF(MONTH(`c`)*DAYOFMONTH(`c`)=0, NULL, `c`)"
MICROSECONDS = (
    "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'2000-01-01 00:00:00.000000',"
    " ADDTIME(TIMESTAMP'2000-01-01 00:00:00.000000', `c`))"
)

# type text, sizes, SELECT, Arrow, Redshift, treatment
RULES: list[tuple[str, dict[str, Any], str, str, str, Treatment]] = [
    ("tinyint(1)", {}, "`c`", "int16", "SMALLINT", WIDENED),
    ("tinyint(4)", {}, "`c`", "int16", "SMALLINT", WIDENED),
    ("tinyint(3) unsigned", {}, "`c`", "int16", "SMALLINT", WIDENED),
    ("smallint(6)", {}, "`c`", "int16", "SMALLINT", EXACT),
    ("smallint(5) unsigned", {}, "`c`", "int32", "INTEGER", WIDENED),
    ("mediumint(9)", {}, "`c`", "int32", "INTEGER", WIDENED),
    ("mediumint(8) unsigned", {}, "`c`", "int32", "INTEGER", WIDENED),
    ("int(11)", {}, "`c`", "int32", "INTEGER", EXACT),
    ("int(10) unsigned", {}, "`c`", "int64", "BIGINT", WIDENED),
    ("bigint(20)", {}, "`c`", "int64", "BIGINT", EXACT),
    ("bigint(20) unsigned zerofill", {}, "`c`", "decimal128(20, 0)", "DECIMAL(20,0)", WIDENED),
    ("bit(1)", {"precision": 1}, "`c`+0", "int16", "SMALLINT", NUMBER),
    ("bit(15)", {"precision": 15}, "`c`+0", "int16", "SMALLINT", NUMBER),
    ("bit(16)", {"precision": 16}, "`c`+0", "int32", "INTEGER", NUMBER),
    ("bit(63)", {"precision": 63}, "`c`+0", "int64", "BIGINT", NUMBER),
    ("bit(64)", {"precision": 64}, "`c`+0", "decimal128(20, 0)", "DECIMAL(20,0)", NUMBER),
    ("decimal(10,2)", {"precision": 10, "scale": 2}, AS_CHAR, "decimal128(10, 2)", "DECIMAL(10,2)", EXACT),
    ("decimal(18,0)", {"precision": 18, "scale": 0}, AS_CHAR, "decimal128(18, 0)", "DECIMAL(18,0)", EXACT),
    ("decimal(19,4)", {"precision": 19, "scale": 4}, AS_CHAR, "decimal128(20, 4)", "DECIMAL(20,4)", WIDENED),
    ("decimal(20,4)", {"precision": 20, "scale": 4}, AS_CHAR, "decimal128(20, 4)", "DECIMAL(20,4)", EXACT),
    ("decimal(38,30)", {"precision": 38, "scale": 30}, AS_CHAR, "decimal128(38, 30)", "DECIMAL(38,30)", EXACT),
    ("decimal(39,2)", {"precision": 39, "scale": 2}, AS_CHAR, "string", "VARCHAR(41)", TEXT),
    ("decimal(65,30)", {"precision": 65, "scale": 30}, AS_CHAR, "string", "VARCHAR(67)", TEXT),
    ("float", {"precision": 12}, "`c`", "float", "REAL", EXACT),
    ("double", {"precision": 22}, "`c`", "double", "DOUBLE PRECISION", EXACT),
    ("date", {}, NO_ZERO_DATE, "date32[day]", "DATE", EXACT),
    ("datetime", {}, NO_ZERO_DATE, "timestamp[us]", "TIMESTAMP", EXACT),
    ("datetime(6)", {}, NO_ZERO_DATE, "timestamp[us]", "TIMESTAMP", EXACT),
    ("timestamp(3)", {}, NO_ZERO_DATE, "timestamp[us]", "TIMESTAMP", EXACT),
    ("time(6)", {}, MICROSECONDS, "int64", "BIGINT", NUMBER),
    ("year(4)", {}, "`c`", "int16", "SMALLINT", WIDENED),
    ("json", {}, AS_CHAR, "string", "VARCHAR(65535)", TEXT),
    ("uuid", {}, AS_CHAR, "string", "VARCHAR(36)", TEXT),
    ("inet4", {}, AS_CHAR, "string", "VARCHAR(15)", TEXT),
    ("inet6", {}, AS_CHAR, "string", "VARCHAR(45)", TEXT),
    ("enum('a','é')", {"characters": 1, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(4)", EXACT),
    ("set('a','b')", {"characters": 3, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(12)", EXACT),
    ("char(36)", {"characters": 36, "character_set": "ascii"}, "`c`", "string", "VARCHAR(36)", EXACT),
    ("varchar(0)", {"characters": 0, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(1)", EXACT),
    ("tinytext", {"characters": 255, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(255)", EXACT),
    ("text", {"characters": 65_535, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(65535)", EXACT),
    ("longtext", {"characters": 2**32 - 1, "character_set": "utf8mb4"}, "`c`", "string", "VARCHAR(65535)", EXACT),
    ("binary(16)", {"characters": 16}, "`c`", "binary", "VARBYTE(16)", EXACT),
    ("varbinary(0)", {"characters": 0}, "`c`", "binary", "VARBYTE(1)", EXACT),
    ("tinyblob", {"characters": 255}, "`c`", "binary", "VARBYTE(255)", EXACT),
    ("longblob", {"characters": 2**32 - 1}, "`c`", "binary", f"VARBYTE({MAX_VARBYTE})", EXACT),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r[0])
def test_every_type_has_one_contract(rule: tuple[str, dict[str, Any], str, str, str, Treatment]) -> None:
    column_type, sizes, select, arrow, redshift, treatment = rule
    assert contract(source_column("c", column_type, **sizes)) == Column(
        name="c",
        source_type=column_type,
        select=select,
        arrow_type=arrow,
        redshift_type=redshift,
        treatment=treatment,
        nullable=True,
        zero_dates=column_type.startswith(("date", "timestamp")),
    )


def test_every_rule_is_in_the_table_above() -> None:
    tested = {source_column("c", rule[0]).data_type for rule in RULES}
    kinds_with_one_rule = {"mediumtext", "varbinary", "blob", "mediumblob"}
    assert set(types._RULES) - tested <= kinds_with_one_rule


@pytest.mark.parametrize("characters", [1, 50, 255, 16_383, 21_845, 65_535])
@pytest.mark.parametrize(
    ("character_set", "most"),
    [
        ("utf8mb4", 4),
        ("utf8mb3", 3),
        ("utf8", 3),
        ("latin1", 3),
        ("gbk", 3),
        ("gb18030", 4),
        ("utf16", 4),
        ("ucs2", 3),
        ("ascii", 1),
        (None, 3),
    ],
)
def test_a_varchar_counts_the_bytes_its_characters_may_take(
    character_set: str | None, most: int, characters: int
) -> None:
    column = source_column("c", "varchar(n)", characters=characters, character_set=character_set)
    assert contract(column).redshift_type == f"VARCHAR({min(characters * most, MAX_VARCHAR)})"


@pytest.mark.parametrize(
    ("character_set", "sample"), [("latin1", "€"), ("gbk", "包"), ("utf8mb4", "📦"), ("utf8mb3", "包"), ("ascii", "~")]
)
def test_the_widest_character_of_a_set_fits_the_bytes_given_to_it(character_set: str, sample: str) -> None:
    column = contract(source_column("c", "char(1)", characters=1, character_set=character_set))
    assert len(sample.encode()) <= int(column.redshift_type[8:-1])


@pytest.mark.parametrize(
    ("character_set", "size"), [("utf8mb4", 255), ("utf8mb3", 255), ("ascii", 255), ("utf16", 255), ("latin1", 765)]
)
def test_a_text_types_limit_counts_bytes_already(character_set: str, size: int) -> None:
    column = source_column("c", "tinytext", characters=255, character_set=character_set)
    assert contract(column).redshift_type == f"VARCHAR({size})"


@pytest.mark.parametrize("column_type", ["geometry", "point", "vector(3)", "enum8", ""])
def test_an_unknown_type_is_refused_with_column_type_and_remedy(column_type: str) -> None:
    with pytest.raises(UnsupportedType) as refused:
        contract(source_column("place", column_type))
    assert "column place" in refused.value.message
    assert column_type in refused.value.message
    assert "exclude the column" in refused.value.hint
    assert refused.value.context == {"column": "place", "type": column_type}


def test_a_name_is_quoted_wherever_it_is_written() -> None:
    for column_type in ("int(11)", "decimal(10,2)", "datetime", "time", "bit(1)", "json"):
        select = contract(source_column("a`b", column_type)).select
        assert "`a``b`" in select
        assert "a`b" not in select.replace("``", "")


def test_whether_the_source_allows_null_is_kept_and_every_file_column_may_hold_it() -> None:
    column = contract(source_column("c", "int(11)", nullable=False))
    assert not column.nullable
    assert arrow_schema([column]).field("c").nullable


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r[0])
def test_every_arrow_type_is_read_back_from_its_text(
    rule: tuple[str, dict[str, Any], str, str, str, Treatment],
) -> None:
    assert str(arrow_type(rule[3])) == rule[3]


def test_no_arrow_type_is_unsigned_nor_in_nanoseconds_nor_in_a_zone() -> None:
    kinds = {arrow_type(rule[3]) for rule in RULES}
    assert not any(pa.types.is_unsigned_integer(k) or pa.types.is_int8(k) for k in kinds)
    assert {k for k in kinds if pa.types.is_timestamp(k)} == {pa.timestamp("us")}


COLUMN = contract(source_column("c", "decimal(10,2)", precision=10, scale=2))


@pytest.mark.parametrize(
    "change",
    [{"name": "d"}, {"select": "`c`"}, {"arrow_type": "string"}, {"redshift_type": "VARCHAR(12)"}],
    ids=lambda c: next(iter(c)),
)
def test_the_fingerprint_changes_with_each_part_of_the_contract(change: dict[str, str]) -> None:
    other = dataclasses.replace(COLUMN, **change)  # type: ignore[arg-type]
    assert fingerprint([COLUMN], ("c",)) != fingerprint([other], ("c",))


def test_the_fingerprint_changes_with_columns_their_order_and_the_update_order() -> None:
    other = dataclasses.replace(COLUMN, name="d")
    made = [
        fingerprint([COLUMN], ("c",)),
        fingerprint([COLUMN, other], ("c",)),
        fingerprint([other, COLUMN], ("c",)),
        fingerprint([COLUMN, other], ("c", "d")),
        fingerprint([COLUMN, other], ("d", "c")),
    ]
    assert len(set(made)) == len(made)


def test_the_fingerprint_is_the_same_in_every_process_and_version() -> None:
    assert fingerprint([COLUMN], ("c", "ID")) == "9dd22789f4fabe2c"


@pytest.mark.parametrize(
    "change", [{"nullable": False}, {"treatment": NUMBER}, {"source_type": "decimal(10,2) zerofill"}]
)
def test_the_fingerprint_ignores_what_no_file_depends_on(change: dict[str, object]) -> None:
    other = dataclasses.replace(COLUMN, **change)  # type: ignore[arg-type]
    assert fingerprint([COLUMN], ("c",)) == fingerprint([other], ("c",))

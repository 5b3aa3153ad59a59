"""The one table of types: what every MySQL type becomes, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from s3rs_ray.errors import UnsupportedType
from s3rs_ray.model import Column
from s3rs_ray.policies import Comparison, GeometryForm, LongText, NulBytes, Policy, TextForm, Treatment, ZeroDates
from s3rs_ray.source import types
from s3rs_ray.source.types import MAX_VARBYTE, MAX_VARCHAR, arrow_schema, arrow_type, contract, fingerprint
from tests.support.build import source_column

EXACT, WIDENED, TEXT, NUMBER = Treatment.EXACT, Treatment.WIDENED, Treatment.AS_TEXT, Treatment.AS_NUMBER
BINARY = Treatment.AS_BINARY
AS_CHAR = "CAST(`c` AS CHAR)"
REAL_DATE = "IF(FROM_DAYS(TO_DAYS(`c`))=`c`,`c`,NULL)"
REAL_DATETIME = "IF(FROM_DAYS(TO_DAYS(`c`))=DATE(`c`),`c`,NULL)"
SRID = "ST_SRID(`c`)"
WKB = "ST_AsBinary(`c`)"
EWKB = (
    f"IF({SRID}=0,{WKB},CONCAT(SUBSTRING({WKB},1,4),x'20',"
    f"CHAR({SRID}>>0&255,{SRID}>>8&255,{SRID}>>16&255,{SRID}>>24&255),SUBSTRING({WKB},6)))"
)
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
    ("decimal(38,38)", {"precision": 38, "scale": 38}, AS_CHAR, "string", "VARCHAR(41)", TEXT),
    ("decimal(65,30)", {"precision": 65, "scale": 30}, AS_CHAR, "string", "VARCHAR(67)", TEXT),
    ("float", {"precision": 12}, "`c`", "float", "REAL", EXACT),
    ("double", {"precision": 22}, "`c`", "double", "DOUBLE PRECISION", EXACT),
    ("date", {}, REAL_DATE, "date32[day]", "DATE", EXACT),
    ("datetime", {}, REAL_DATETIME, "timestamp[us]", "TIMESTAMP", EXACT),
    ("datetime(6)", {}, REAL_DATETIME, "timestamp[us]", "TIMESTAMP", EXACT),
    ("timestamp(3)", {}, "NULLIF(`c`,0)", "timestamp[us]", "TIMESTAMP", EXACT),
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
    *((shape, {}, EWKB, "binary", f"VARBYTE({MAX_VARBYTE})", BINARY) for shape in sorted(types.GEOMETRY_TYPES)),
    ("binary(16)", {"characters": 16}, "`c`", "binary", "VARBYTE(16)", EXACT),
    ("varbinary(0)", {"characters": 0}, "`c`", "binary", "VARBYTE(1)", EXACT),
    ("tinyblob", {"characters": 255}, "`c`", "binary", "VARBYTE(255)", EXACT),
    ("longblob", {"characters": 2**32 - 1}, "`c`", "binary", f"VARBYTE({MAX_VARBYTE})", EXACT),
]


# Arrow type -> what is compared after a load, and the expression where it is not the SELECT's
COMPARED = {
    **dict.fromkeys(("int16", "int32", "int64", "date32[day]", "timestamp[us]"), (Comparison.ORDERED, "")),
    **dict.fromkeys(("string", "binary"), (Comparison.COUNTED, "")),
    **dict.fromkeys(("float", "double"), (Comparison.ORDERED, "`c`*1e0")),
}

TEXT_FORMS = {
    "float": TextForm.SINGLE,
    "double": TextForm.DOUBLE,
    "date32[day]": TextForm.DATE,
    "timestamp[us]": TextForm.MOMENT,
    "string": TextForm.TEXT,
    "binary": TextForm.BINARY,
}


def compared(rule: tuple[str, dict[str, Any], str, str, str, Treatment]) -> tuple[Comparison, str]:
    """A DECIMAL is ordered as a number and not as the text it is read as; an integer is as it is read."""
    if rule[3].startswith("decimal"):
        expression = "`c`" if rule[0].startswith("decimal") else rule[2]
        return Comparison.ORDERED, expression + "+0" * ("zerofill" in rule[0])
    comparison, expression = COMPARED[rule[3]]
    if rule[0].startswith("year"):  # 0000 as text
        expression = "`c`+0"
    if rule[1].get("character_set", "utf8mb4") != "utf8mb4":
        expression = "CONVERT(`c` USING utf8mb4)"
    return comparison, expression or rule[2]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r[0])
def test_every_type_has_one_contract(rule: tuple[str, dict[str, Any], str, str, str, Treatment]) -> None:
    column_type, sizes, select, arrow, redshift, treatment = rule
    made = contract(source_column("c", column_type, **sizes))
    comparison, expression = compared(rule)
    assert dataclasses.replace(
        made, max_bytes=0, note="", unmapped="", zero_dates=None, long_text=None, nul_bytes=None
    ) == Column(
        name="c",
        source_type=column_type,
        select=select,
        arrow_type=arrow,
        redshift_type=redshift,
        comparison=comparison,
        compared=expression,
        text_form=TEXT_FORMS.get(arrow, TextForm.NUMBER),
        treatment=treatment,
        nullable=True,
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
    ("character_set", "size"),
    [
        *((name, 255) for name in ("utf8mb4", "utf8mb3", "utf8", "ascii", "utf32")),
        *((name, 765) for name in ("utf16", "ucs2", "gb18030", "gbk", "latin1", "sjis")),
    ],
)
def test_a_text_types_limit_counts_bytes_of_its_own_set(character_set: str, size: int) -> None:
    column = source_column("c", "tinytext", characters=127, octets=255, character_set=character_set)
    assert contract(column).redshift_type == f"VARCHAR({size})"


@pytest.mark.parametrize("column_type", ["vector(3)", "enum8", ""])
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
    "change",
    [
        {"nullable": False},
        {"treatment": NUMBER},
        {"source_type": "decimal(10,2) zerofill"},
        {"comparison": Comparison.COUNTED},
        {"compared": "`d`"},
    ],
)
def test_the_fingerprint_ignores_what_no_file_depends_on(change: dict[str, object]) -> None:
    other = dataclasses.replace(COLUMN, **change)  # type: ignore[arg-type]
    assert fingerprint([COLUMN], ("c",)) == fingerprint([other], ("c",))


@pytest.mark.parametrize("character_set", ["utf8mb4", "utf8mb3", "ucs2", "utf16", "utf32", "gb18030", "latin1"])
def test_no_text_is_looked_at_for_strays_where_every_character_is_in_unicode(character_set: str) -> None:
    assert not contract(source_column("c", "text", octets=65_535, character_set=character_set)).unmapped


@pytest.mark.parametrize("kind", ["varchar(9)", "enum('a')", "set('a')", "longtext", "char(1)"])
@pytest.mark.parametrize("character_set", ["ascii", "gbk", "big5", "sjis", "cp1251", "koi8r", "one to come"])
def test_every_other_text_is(kind: str, character_set: str) -> None:
    assert contract(source_column("c", kind, characters=9, octets=9, character_set=character_set)).unmapped


POLICY = Policy(
    zero_dates=ZeroDates.REFUSE,
    long_text=LongText.TRUNCATE,
    nul_bytes=NulBytes.REMOVE,
    geometry=GeometryForm.WKT,
)
LONG = {"characters": 2**32 - 1, "octets": 2**32 - 1, "character_set": "utf8mb4"}


@pytest.mark.parametrize("kind", ["date", "datetime(6)", "timestamp"])
def test_only_dates_have_a_policy_for_zero_dates(kind: str) -> None:
    column = source_column("c", kind)
    assert (contract(column).zero_dates, contract(column, POLICY).zero_dates) == (ZeroDates.NULL, ZeroDates.REFUSE)
    assert (contract(column).long_text, contract(column).nul_bytes, contract(column).max_bytes) == (None, None, 0)


@pytest.mark.parametrize(
    ("kind", "sizes", "may_be_long"),
    [
        ("varchar(16383)", {"characters": 16_383, "character_set": "utf8mb4"}, False),
        ("varchar(16384)", {"characters": 16_384, "character_set": "utf8mb4"}, True),
        ("text", {"octets": 65_535, "character_set": "utf8mb4"}, False),
        ("text", {"octets": 65_535, "character_set": "latin1"}, True),
        ("mediumtext", {"octets": 2**24 - 1, "character_set": "utf8mb4"}, True),
    ],
)
def test_a_text_has_a_policy_for_its_length_where_it_may_be_too_long(
    kind: str, sizes: dict[str, Any], may_be_long: bool
) -> None:
    made = contract(source_column("c", kind, **sizes), POLICY)
    assert (made.max_bytes, made.long_text) == ((MAX_VARCHAR, LongText.TRUNCATE) if may_be_long else (0, None))
    assert made.nul_bytes is NulBytes.REMOVE


@pytest.mark.parametrize(("kind", "sizes"), [("json", LONG), ("geometry", {}), ("longblob", LONG)])
def test_what_means_nothing_once_it_is_cut_is_never_cut(kind: str, sizes: dict[str, Any]) -> None:
    made = contract(source_column("c", kind, **sizes), POLICY)
    assert made.long_text is LongText.REFUSE
    assert made.max_bytes


def test_a_binary_value_is_limited_only_where_it_may_be_too_long() -> None:
    assert contract(source_column("c", "mediumblob", characters=2**24 - 1)).max_bytes == MAX_VARBYTE
    assert contract(source_column("c", "blob", characters=65_535)).max_bytes == 0


def test_the_axes_of_a_geometry_are_asked_for_where_the_server_would_swap_them() -> None:
    mysql = dataclasses.replace(source_column("c", "point"), axis_order=True)
    for policy in (Policy(), POLICY):
        assert "'axis-order=long-lat'" in contract(mysql, policy).select
        assert "axis-order" not in contract(source_column("c", "point"), policy).select
    assert contract(mysql, POLICY).redshift_type == "VARCHAR(65535)"

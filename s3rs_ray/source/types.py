"""The one table of types: MySQL column -> SELECT expression, Arrow type, Redshift type, comparison afterwards.

Discovery, extraction, DDL and verification all read what :func:`contract` decides; nothing decides it again.

Sources: MySQL 8.0 Reference Manual, chapter "Data Types" (ranges, storage); Amazon Redshift Database Developer
Guide, "Data types" (VARCHAR counts bytes, at most 65,535; DECIMAL at most 38 digits, 37 of them behind the point, 19
digits stored in 8 bytes; no unsigned types; VARBYTE at most 1,024,000 bytes); what ConnectorX 0.4.6 returns for each
type was measured.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import pyarrow as pa

from ..errors import UnsupportedType
from ..model import Column
from ..policies import Comparison, GeometryForm, JsonForm, LongText, Policy, TextForm, Treatment

MAX_VARCHAR = 65_535
MAX_VARBYTE = 1_024_000
MAX_DECIMAL = 38
MAX_SCALE = 37

UTF8_BYTES_PER_CHARACTER = {
    "ascii": 1,
    "utf8mb4": 4,
    "gb18030": 4,
    "utf16": 4,
    "utf16le": 4,
    "utf32": 4,
}
"""Most UTF-8 bytes one character of a MySQL character set can become; 3 (the BMP) for every other set."""

CHARACTER_TYPES = frozenset({"char", "varchar", "enum", "set"})
KEPT_BYTES = frozenset({"ascii", "utf8", "utf8mb3", "utf8mb4", "utf32"})
"""Character sets whose text takes no more bytes in UTF-8 than at the source."""

SUBSETS_OF_UTF8MB4 = frozenset({"utf8", "utf8mb3", "utf8mb4"})
"""Character sets whose text has in UTF-8 the very bytes it has at the source."""

WHOLE_SETS = frozenset(
    {"utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf16le", "utf32", "gb18030", "latin1", "binary"}
)
"""Character sets of which every character is in Unicode; MySQL turns the others' strays into question marks."""

TEXT_TYPES = frozenset({"tinytext", "text", "mediumtext", "longtext"})
BINARY_TYPES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
GEOMETRY_TYPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)

KEY_TYPES = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "date", "datetime", "timestamp"}
    | {"char", "varchar", "binary", "varbinary", "uuid"}
)
"""Types a key column may have: those whose literals compare as their rows are ordered (ENUM and SET do not)."""

CURSOR_TYPES = frozenset({"datetime", "timestamp", "date", "int", "bigint"})
"""Types a cursor column may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A row of ``information_schema.COLUMNS``: lower-case type names, sizes as the server gives them.

    Attributes:
        data_type: e.g. ``decimal``.
        column_type: e.g. ``decimal(10,2) unsigned``.
        characters: CHARACTER_MAXIMUM_LENGTH; for TEXT types no more than a bound.
        octets: CHARACTER_OCTET_LENGTH: bytes in the column's own character set.
        precision, scale: NUMERIC_PRECISION, NUMERIC_SCALE.
        json_checked: a MariaDB JSON column: a LONGTEXT whose values are checked.
        collation: COLLATION_NAME; empty where the column is no text.
        axis_order: the server is one (MySQL 8) that swaps the axes of some geometries unless told not to.
    """

    name: str
    data_type: str
    column_type: str
    nullable: bool
    characters: int | None = None
    character_set: str | None = None
    precision: int | None = None
    scale: int | None = None
    octets: int | None = None
    axis_order: bool = False
    json_checked: bool = False
    collation: str = ""

    @property
    def unsigned(self) -> bool:
        return "unsigned" in self.column_type


_UNORDERED = frozenset({"string", "binary"})
"""Arrow types of the values that source and warehouse order differently, as text also numbers of over 38 digits."""

_TEXT_FORMS = {
    "float": TextForm.SINGLE,
    "double": TextForm.DOUBLE,
    "date32[day]": TextForm.DATE,
    "timestamp[us]": TextForm.MOMENT,
    "string": TextForm.TEXT,
    "binary": TextForm.BINARY,
}
"""By Arrow type; all others are numbers."""

Rule: TypeAlias = Callable[[SourceColumn, Policy], Column]


def quote_name(name: str) -> str:
    """A MySQL identifier in back-quotes (MySQL manual, "Schema Object Names")."""
    return "`" + name.replace("`", "``") + "`"


def contract(column: SourceColumn, policy: Policy = Policy()) -> Column:  # noqa: B008  a frozen value
    """The whole contract of one column.

    Args:
        policy: the user's choice for values that Redshift has no form for.

    Raises:
        UnsupportedType: the type is not one this program is known to carry exactly.
    """
    rule = _RULES.get(column.data_type)
    if rule is None:
        raise UnsupportedType(
            f"column {column.name} has the type {column.column_type}, which cannot be carried exactly",
            hint="exclude the column, or convert it in a view or a generated column",
            context={"column": column.name, "type": column.column_type},
        )
    return rule(column, policy)


def _column(
    column: SourceColumn,
    arrow: str,
    redshift: str,
    treatment: Treatment = Treatment.EXACT,
    select: str | None = None,
    compared: str | None = None,
) -> Column:
    """A contract; ``compared`` is given where the source orders another expression as the warehouse does the value."""
    select = select or quote_name(column.name)
    return Column(
        name=column.name,
        source_type=column.column_type,
        select=select,
        arrow_type=arrow,
        redshift_type=redshift,
        comparison=Comparison.COUNTED if arrow in _UNORDERED else Comparison.ORDERED,
        compared=compared or select,
        text_form=_TEXT_FORMS.get(arrow, TextForm.NUMBER),
        treatment=treatment,
        nullable=column.nullable,
    )


_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_INTEGER_TARGETS = ((16, "int16", "SMALLINT"), (32, "int32", "INTEGER"), (64, "int64", "BIGINT"))


def _integer(column: SourceColumn, policy: Policy) -> Column:
    """The narrowest signed type that holds every value; unsigned needs one bit more."""
    bits = _INTEGER_BITS[column.data_type] + (1 if column.unsigned else 0)
    treatment = Treatment.EXACT if bits in (16, 32, 64) else Treatment.WIDENED
    for width, arrow, redshift in _INTEGER_TARGETS:
        if bits <= width:
            return _column(column, arrow, redshift, treatment, compared=_unpadded(column))
    return _column(column, "decimal128(20, 0)", "DECIMAL(20,0)", treatment, compared=_unpadded(column))


def _unpadded(column: SourceColumn) -> str:
    """A number that has no zeros in front when it is told as text, whatever ZEROFILL says."""
    quoted = quote_name(column.name)
    return f"{quoted}+0" if "zerofill" in column.column_type else quoted


def _decimal(column: SourceColumn, policy: Policy) -> Column:
    """Read as text, because ConnectorX reads every DECIMAL as decimal128(38,10) and rounds larger scales."""
    precision, scale = column.precision or 10, column.scale or 0
    quoted = quote_name(column.name)
    select = f"CAST({quoted} AS CHAR)"
    if precision > MAX_DECIMAL or scale > MAX_SCALE:
        size = precision + (3 if precision == scale else 2)  # sign and point, and the 0 before a lone point
        made = _column(column, "string", f"VARCHAR({size})", Treatment.AS_TEXT, select)
        return replace(made, note="more digits than a DECIMAL has")
    # DECIMAL(19,s) is stored in 8 bytes and overflows at 2^63-1, short of 19 nines.
    declared = 20 if precision == 19 else precision
    treatment = Treatment.EXACT if declared == precision else Treatment.WIDENED
    arrow, redshift = f"decimal128({declared}, {scale})", f"DECIMAL({declared},{scale})"
    return _column(column, arrow, redshift, treatment, select, compared=_unpadded(column))


def _date(column: SourceColumn, policy: Policy) -> Column:
    made = _column(column, "date32[day]", "DATE", select=_valid_sql(quote_name(column.name), quote_name(column.name)))
    return replace(made, zero_dates=policy.zero_dates)


def _datetime(column: SourceColumn, policy: Policy) -> Column:
    quoted = quote_name(column.name)
    made = _column(column, "timestamp[us]", "TIMESTAMP", select=_valid_sql(quoted, f"DATE({quoted})"))
    return replace(made, zero_dates=policy.zero_dates)


def _valid_sql(value: str, day: str) -> str:
    """The value, or NULL for a date no calendar has; ConnectorX panics on those.

    A day number that is turned back gives another date, or none, for ``0000-00-00``, a month or day 0, a day its
    month does not have (ALLOW_INVALID_DATES) and the year 0, which Redshift lacks: 1 BC comes before 1 AD (MySQL
    manual, "Date and Time Functions", TO_DAYS and FROM_DAYS). IF keeps the type.
    """
    return f"IF(FROM_DAYS(TO_DAYS({value}))={day},{value},NULL)"


def of_valid_sql(column: Column, expression: Callable[[str], str]) -> str:
    """An expression of the column's value, or an empty text where that is NULL or a date no calendar has."""
    value = quote_name(column.name)
    condition, rest, _ = column.compared.partition(f",{value},NULL)")
    if condition.startswith("IF(") and rest:
        return f"{condition},{expression(value)},'')"
    return f"IFNULL({expression(column.compared)},'')"


def _timestamp(column: SourceColumn, policy: Policy) -> Column:
    """UTC, because the session's time zone is; the one value no calendar has is ``0000-00-00 00:00:00``."""
    made = _column(column, "timestamp[us]", "TIMESTAMP", select=f"NULLIF({quote_name(column.name)},0)")
    return replace(made, note="in UTC", zero_dates=policy.zero_dates)


def _characters(column: SourceColumn, policy: Policy) -> Column:
    per_character = UTF8_BYTES_PER_CHARACTER.get(column.character_set or "", 3)
    return _varchar(column, (column.characters or 0) * per_character, policy)


def _text(column: SourceColumn, policy: Policy) -> Column:
    if column.json_checked and policy.json_form is JsonForm.SUPER:
        return _json(column, policy)
    if column.json_checked:
        return _whole_text(column, quote_name(column.name), policy)
    # The limit of a TEXT type counts bytes of its own character set; a byte of some sets becomes three (latin1's
    # euro sign, half-width katakana), two bytes of UTF-16 as well.
    octets = column.octets or column.characters or MAX_VARCHAR
    return _varchar(column, octets * (1 if column.character_set in KEPT_BYTES else 3), policy)


def _varchar(column: SourceColumn, size: int, policy: Policy) -> Column:
    quoted = quote_name(column.name)
    in_utf8 = quoted if column.character_set in SUBSETS_OF_UTF8MB4 else f"CONVERT({quoted} USING utf8mb4)"
    made = _column(column, "string", f"VARCHAR({min(max(size, 1), MAX_VARCHAR)})", compared=in_utf8)
    if size > MAX_VARCHAR:
        made = replace(made, max_bytes=MAX_VARCHAR, long_text=policy.long_text)
    return replace(made, nul_bytes=policy.nul_bytes, unmapped=_unmapped_sql(column))


def _unmapped_sql(column: SourceColumn) -> str:
    """True of a text that gains a question mark, or holds U+FFFD, in Unicode; empty where none can.

    User-defined characters of gbk and big5, unassigned bytes of cp1251 or greek, bytes over 127 in ascii: the server
    sends ``?`` for them (U+FFFD in tis620) and says nothing (measured on MariaDB 10.11; MySQL manual, "Unicode
    Support"). One character is one character on both sides, so lengths without question marks tell.
    """
    if column.character_set is None or column.character_set in WHOLE_SETS:
        return ""
    stored = quote_name(column.name)
    sent = f"CONVERT({stored} USING utf8mb4) COLLATE utf8mb4_bin"
    lengths = (f"CHAR_LENGTH(REPLACE({text},'?',''))" for text in (stored, sent))
    return f"(LOCATE('?',{sent}) AND {'<>'.join(lengths)} OR LOCATE(_utf8mb4 x'EFBFBD',{sent}))"


def _binary(column: SourceColumn, policy: Policy) -> Column:
    return _varbyte(column, MAX_VARBYTE + 1 if column.characters is None else column.characters)


def _varbyte(
    column: SourceColumn, size: int, treatment: Treatment = Treatment.EXACT, select: str | None = None
) -> Column:
    made = _column(column, "binary", f"VARBYTE({min(max(size, 1), MAX_VARBYTE)})", treatment, select)
    return replace(made, max_bytes=MAX_VARBYTE, long_text=LongText.REFUSE) if size > MAX_VARBYTE else made


def _json(column: SourceColumn, policy: Policy) -> Column:
    # Read natively, MySQL's JSON is rewritten on the way: key order, 1.10 -> 1.1, large numbers to double.
    made = _whole_text(column, f"CAST({quote_name(column.name)} AS CHAR)", policy)
    if policy.json_form is JsonForm.TEXT:
        return made
    # JSON_SERIALIZE's blanks, order of keys and form of numbers are not documented, so no text of it can be compared.
    return replace(
        made,
        redshift_type="SUPER",
        text_form=TextForm.NONE,
        treatment=Treatment.AS_DOCUMENT,
        note="parsed by JSON_PARSE",
    )


def _whole_text(column: SourceColumn, select: str, policy: Policy) -> Column:
    """A text that means nothing once it is cut: too long a one is refused, or the column excluded."""
    made = _column(column, "string", f"VARCHAR({MAX_VARCHAR})", Treatment.AS_TEXT, select)
    long_text = LongText.EXCLUDE if policy.long_text is LongText.EXCLUDE else LongText.REFUSE
    return replace(made, max_bytes=MAX_VARCHAR, long_text=long_text)


def _geometry(column: SourceColumn, policy: Policy) -> Column:
    """WKB, or EWKB where the value has a reference system: without it the value would have changed.

    EWKB is WKB with a flag in the type and the reference system behind it (PostGIS manual, "ST_AsEWKB"; Redshift
    guide, "Querying spatial data"). Both servers write WKB in little-endian order.
    """
    quoted = quote_name(column.name)
    order = ",'axis-order=long-lat'" if column.axis_order else ""
    srid = f"ST_SRID({quoted})"
    if policy.geometry is GeometryForm.WKT:
        text = f"ST_AsText({quoted}{order})"
        made = _whole_text(column, f"IF({srid}=0,{text},CONCAT('SRID=',{srid},';',{text}))", policy)
        return replace(made, note="WKT, EWKT with a reference system")
    wkb = f"ST_AsBinary({quoted}{order})"
    bytes_ = ",".join(f"{srid}>>{shift}&255" for shift in (0, 8, 16, 24))
    extended = f"CONCAT(SUBSTRING({wkb},1,4),x'20',CHAR({bytes_}),SUBSTRING({wkb},6))"
    made = _varbyte(column, MAX_VARBYTE + 1, Treatment.AS_BINARY, f"IF({srid}=0,{wkb},{extended})")
    return replace(made, note="WKB, EWKB with a reference system")


def _time(column: SourceColumn, policy: Policy) -> Column:
    """Microseconds as BIGINT: MySQL's TIME runs from -838:59:59 to 838:59:59 and fits no TIME of Redshift."""
    start = "TIMESTAMP'2000-01-01 00:00:00.000000'"
    select = f"TIMESTAMPDIFF(MICROSECOND, {start}, ADDTIME({start}, {quote_name(column.name)}))"
    made = _column(column, "int64", "BIGINT", Treatment.AS_NUMBER, select)
    return replace(made, note="microseconds")


def _year(column: SourceColumn, policy: Policy) -> Column:
    # As text the year 0 is told with four digits.
    return _column(column, "int16", "SMALLINT", Treatment.WIDENED, compared=f"{quote_name(column.name)}+0")


def _bit(column: SourceColumn, policy: Policy) -> Column:
    bits = (column.precision or 1) + 1
    select = f"{quote_name(column.name)}+0"
    for width, arrow, redshift in _INTEGER_TARGETS:
        if bits <= width:
            return _column(column, arrow, redshift, Treatment.AS_NUMBER, select)
    return _column(column, "decimal128(20, 0)", "DECIMAL(20,0)", Treatment.AS_NUMBER, select)


def _float(column: SourceColumn, policy: Policy) -> Column:
    return _column(column, "float", "REAL", compared=_whole_double(column))


def _double(column: SourceColumn, policy: Policy) -> Column:
    return _column(column, "double", "DOUBLE PRECISION", compared=_whole_double(column))


def _whole_double(column: SourceColumn) -> str:
    """A number that is told with all its digits: a FLOAT is told with six, a DOUBLE(20,5) with five behind the point.

    The two zeros are equal to each other on both sides (IEEE 754), so either may be the least or greatest value.
    """
    return f"{quote_name(column.name)}*1e0"


def _printed(size: int) -> Rule:
    def rule(column: SourceColumn, policy: Policy) -> Column:
        return _column(
            column, "string", f"VARCHAR({size})", Treatment.AS_TEXT, f"CAST({quote_name(column.name)} AS CHAR)"
        )

    return rule


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_INTEGER_BITS, _integer),
    **dict.fromkeys(CHARACTER_TYPES, _characters),
    **dict.fromkeys(TEXT_TYPES, _text),
    **dict.fromkeys(BINARY_TYPES, _binary),
    **dict.fromkeys(GEOMETRY_TYPES, _geometry),
    "bit": _bit,
    "date": _date,
    "datetime": _datetime,
    "decimal": _decimal,
    "double": _double,
    "float": _float,
    "inet4": _printed(15),
    "inet6": _printed(45),
    "json": _json,
    "time": _time,
    "timestamp": _timestamp,
    "uuid": _printed(36),
    "year": _year,
}

_ARROW_TYPES: dict[str, pa.DataType] = {
    str(kind): kind
    for kind in (
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.string(),
        pa.binary(),
        pa.date32(),
        pa.timestamp("us"),
    )
}


def arrow_type(text: str) -> pa.DataType:
    """The pyarrow type written as ``text`` in a :class:`~s3rs_ray.model.Column`."""
    match = re.fullmatch(r"decimal128\((\d+), (\d+)\)", text)
    if match:
        return pa.decimal128(int(match[1]), int(match[2]))
    return _ARROW_TYPES[text]


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of every file of a table."""
    return pa.schema([pa.field(c.name, arrow_type(c.arrow_type), nullable=True) for c in columns])


def fingerprint(columns: Sequence[Column], order_columns: Sequence[str], where: str = "") -> str:
    """Digest of everything the files and the target depend on: sha256, the first 16 hex digits.

    How values are compared afterwards, and which are refused, is not in it: the same files may share a COPY.
    """
    text = (
        repr([(c.name, c.select, c.arrow_type, c.redshift_type) for c in columns]) + repr(tuple(order_columns)) + where
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""The one table of types: MySQL column -> SELECT expression, Arrow type, Redshift type.

Discovery, extraction, DDL and verification all read what :func:`contract` decides; nothing decides it again.

Sources: MySQL 8.0 Reference Manual, chapter "Data Types" (ranges, storage); Amazon Redshift Database Developer
Guide, "Data types" (VARCHAR counts bytes, at most 65,535; DECIMAL at most 38 digits, 19 digits stored in 8 bytes;
no unsigned types; VARBYTE at most 1,024,000 bytes); what ConnectorX 0.4.6 returns for each type was measured.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..errors import UnsupportedType
from ..model import Column, Treatment

MAX_VARCHAR = 65_535
MAX_VARBYTE = 1_024_000
MAX_DECIMAL = 38

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
TEXT_TYPES = frozenset({"tinytext", "text", "mediumtext", "longtext"})
BINARY_TYPES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})

KEY_TYPES = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "date", "datetime", "timestamp"}
    | {"char", "varchar", "binary", "varbinary", "uuid"}
)
"""Types a key column may have: those whose literals compare as their rows are ordered (ENUM and SET do not)."""

CURSOR_TYPES = frozenset({"datetime", "timestamp", "date"})
"""Types a cursor column may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """A row of ``information_schema.COLUMNS``: lower-case type names, sizes as the server gives them.

    Attributes:
        data_type: e.g. ``decimal``.
        column_type: e.g. ``decimal(10,2) unsigned``.
        characters: CHARACTER_MAXIMUM_LENGTH; for TEXT types this counts bytes of the column's character set.
        precision, scale: NUMERIC_PRECISION, NUMERIC_SCALE.
    """

    name: str
    data_type: str
    column_type: str
    nullable: bool
    characters: int | None = None
    character_set: str | None = None
    precision: int | None = None
    scale: int | None = None

    @property
    def unsigned(self) -> bool:
        return "unsigned" in self.column_type


def quote_name(name: str) -> str:
    """A MySQL identifier in back-quotes (MySQL manual, "Schema Object Names")."""
    return "`" + name.replace("`", "``") + "`"


def contract(column: SourceColumn) -> Column:
    """The whole contract of one column.

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
    return rule(column)


def _column(
    column: SourceColumn,
    arrow: str,
    redshift: str,
    treatment: Treatment = Treatment.EXACT,
    select: str | None = None,
) -> Column:
    return Column(
        name=column.name,
        source_type=column.column_type,
        select=select or quote_name(column.name),
        arrow_type=arrow,
        redshift_type=redshift,
        treatment=treatment,
        nullable=column.nullable,
        zero_dates=column.data_type in ZERO_DATE_TYPES,
    )


_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_INTEGER_TARGETS = ((16, "int16", "SMALLINT"), (32, "int32", "INTEGER"), (64, "int64", "BIGINT"))


def _integer(column: SourceColumn) -> Column:
    """The narrowest signed type that holds every value; unsigned needs one bit more."""
    bits = _INTEGER_BITS[column.data_type] + (1 if column.unsigned else 0)
    treatment = Treatment.EXACT if bits in (16, 32, 64) else Treatment.WIDENED
    for width, arrow, redshift in _INTEGER_TARGETS:
        if bits <= width:
            return _column(column, arrow, redshift, treatment)
    return _column(column, "decimal128(20, 0)", "DECIMAL(20,0)", treatment)


def _decimal(column: SourceColumn) -> Column:
    """Read as text, because ConnectorX reads every DECIMAL as decimal128(38,10) and rounds larger scales."""
    precision, scale = column.precision or 10, column.scale or 0
    select = f"CAST({quote_name(column.name)} AS CHAR)"
    if precision > MAX_DECIMAL:
        return _column(column, "string", f"VARCHAR({precision + 2})", Treatment.AS_TEXT, select)
    # DECIMAL(19,s) is stored in 8 bytes and overflows at 2^63-1, short of 19 nines.
    declared = 20 if precision == 19 else precision
    treatment = Treatment.EXACT if declared == precision else Treatment.WIDENED
    return _column(column, f"decimal128({declared}, {scale})", f"DECIMAL({declared},{scale})", treatment, select)


ZERO_DATE_TYPES = frozenset({"date", "datetime", "timestamp"})


def zero_date_sql(name: str) -> str:
    """True for ``0000-00-00`` and for dates with a zero month or day; NULL for NULL.

    MONTH() and DAYOFMONTH() return 0 for such dates (MySQL manual, "Date and Time Functions").
    """
    quoted = quote_name(name)
    return f"MONTH({quoted})*DAYOFMONTH({quoted})=0"


def _date(column: SourceColumn) -> Column:
    return _column(column, "date32[day]", "DATE", select=_without_zero_dates(column.name))


def _timestamp(column: SourceColumn) -> Column:
    return _column(column, "timestamp[us]", "TIMESTAMP", select=_without_zero_dates(column.name))


def _without_zero_dates(name: str) -> str:
    # IF keeps the column's type; NULLIF(c, 0) would miss 2024-00-10, on which ConnectorX panics.
    return f"IF({zero_date_sql(name)}, NULL, {quote_name(name)})"


def _characters(column: SourceColumn) -> Column:
    per_character = UTF8_BYTES_PER_CHARACTER.get(column.character_set or "", 3)
    size = max(1, (column.characters or 0) * per_character)
    return _column(column, "string", f"VARCHAR({min(size, MAX_VARCHAR)})")


def _text(column: SourceColumn) -> Column:
    # The limit of a TEXT type counts bytes of its own character set: only a set whose characters grow in UTF-8
    # needs more room than that.
    grows = (column.character_set or "") not in UTF8_BYTES_PER_CHARACTER and column.character_set not in UTF8MB3
    size = (column.characters or MAX_VARCHAR) * (3 if grows else 1)
    return _column(column, "string", f"VARCHAR({min(size, MAX_VARCHAR)})")


UTF8MB3 = frozenset({"utf8", "utf8mb3"})


def _binary(column: SourceColumn) -> Column:
    size = MAX_VARBYTE if column.characters is None else max(1, column.characters)
    return _column(column, "binary", f"VARBYTE({min(size, MAX_VARBYTE)})")


def _json(column: SourceColumn) -> Column:
    # Read natively, MySQL's JSON is rewritten on the way: key order, 1.10 -> 1.1, large numbers to double.
    return _column(
        column, "string", f"VARCHAR({MAX_VARCHAR})", Treatment.AS_TEXT, f"CAST({quote_name(column.name)} AS CHAR)"
    )


def _time(column: SourceColumn) -> Column:
    """Microseconds as BIGINT: MySQL's TIME runs from -838:59:59 to 838:59:59 and fits no TIME of Redshift."""
    start = "TIMESTAMP'2000-01-01 00:00:00.000000'"
    select = f"TIMESTAMPDIFF(MICROSECOND, {start}, ADDTIME({start}, {quote_name(column.name)}))"
    return _column(column, "int64", "BIGINT", Treatment.AS_NUMBER, select)


def _year(column: SourceColumn) -> Column:
    return _column(column, "int16", "SMALLINT", Treatment.WIDENED)


def _bit(column: SourceColumn) -> Column:
    bits = (column.precision or 1) + 1
    select = f"{quote_name(column.name)}+0"
    for width, arrow, redshift in _INTEGER_TARGETS:
        if bits <= width:
            return _column(column, arrow, redshift, Treatment.AS_NUMBER, select)
    return _column(column, "decimal128(20, 0)", "DECIMAL(20,0)", Treatment.AS_NUMBER, select)


def _float(column: SourceColumn) -> Column:
    return _column(column, "float", "REAL")


def _double(column: SourceColumn) -> Column:
    return _column(column, "double", "DOUBLE PRECISION")


def _printed(size: int) -> Callable[[SourceColumn], Column]:
    def rule(column: SourceColumn) -> Column:
        return _column(
            column, "string", f"VARCHAR({size})", Treatment.AS_TEXT, f"CAST({quote_name(column.name)} AS CHAR)"
        )

    return rule


_RULES: dict[str, Callable[[SourceColumn], Column]] = {
    **dict.fromkeys(_INTEGER_BITS, _integer),
    **dict.fromkeys(CHARACTER_TYPES, _characters),
    **dict.fromkeys(TEXT_TYPES, _text),
    **dict.fromkeys(BINARY_TYPES, _binary),
    "bit": _bit,
    "date": _date,
    "datetime": _timestamp,
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


def fingerprint(columns: Sequence[Column], order_columns: Sequence[str]) -> str:
    """Digest of everything the files and the target depend on: sha256, the first 16 hex digits."""
    text = repr([(c.name, c.select, c.arrow_type, c.redshift_type) for c in columns]) + repr(tuple(order_columns))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

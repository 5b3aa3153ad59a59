"""Counts and checksums of rows in MySQL's SQL; ``warehouse.checksums`` gives the same numbers in Redshift's. Pure.

A row is written as one text, each column by its :class:`~s3rs_ray.model.TextForm`: an empty text for NULL, which no
value is written as; a comma behind each. The first 15 digits of the text's MD5 are a number of 60 bits, and the sum of
these over many rows does not depend on their order, and changes when a row comes twice.

Sources: MySQL manual, "String Functions", "Encryption and Compression Functions" (MD5, CONV), "Date and Time
Functions" (DATE_FORMAT), "Cast Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model import (
    GROUP_COLUMNS,
    HEX_PIECE,
    MAX_TEXT,
    SHORT_BINARY,
    SHORT_TEXT,
    Column,
    KeyRange,
    Table,
    Watermark,
    float_bins,
)
from ..policies import LongText, NulBytes, TextForm
from ..positions import KeyValue
from .chunks import after_sql, filtered_sql, from_sql, literal_sql, range_sql, upto_sql
from .types import quote_name

DATE_FORM, MOMENT_FORM = "%Y-%m-%dAD", "%Y-%m-%d %H:%i:%s.%fAD"
BEHIND_POINT = 2.0**62


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRows:
    """Which rows and columns of a source table are compared.

    Attributes:
        columns: empty where rows are counted only.
        upto: the last row that was loaded; None where the table has no cursor.
        nulls: rows whose cursor is NULL were loaded as well, as they were then.
        where: a condition in SQL that both sides know; empty for all rows.
        since: the least cursor; None for all.
    """

    table: Table
    columns: tuple[Column, ...]
    upto: Watermark | None
    nulls: bool = False
    where: str = ""
    since: KeyValue | None = None


def totals_sql(rows: SourceRows, within: KeyRange | None) -> str:
    """Count and checksum of a segment."""
    return f"SELECT COUNT(*), {_sum(rows)} FROM {_from(rows, within)} WHERE {_compared(rows, within)}"


def buckets_sql(rows: SourceRows, within: KeyRange | None, buckets: int) -> str:
    """Bucket, count and checksum of those buckets of a segment that hold rows."""
    return (
        f"SELECT {bucket_sql(rows, buckets)} AS s3rs_bucket, COUNT(*), {_sum(rows)}"
        f" FROM {_from(rows, within)} WHERE {_compared(rows, within)} GROUP BY s3rs_bucket"
    )


def bucket_rows_sql(rows: SourceRows, within: KeyRange | None, buckets: int, chosen: Sequence[int]) -> str:
    """Every row of some buckets: whether it was loaded, whether it is asked for, its checksum, cursor and key."""
    named = [quote_name(c) for c in shown_columns(rows.table)]
    where = filtered_sql(rows.table, chosen_sql(rows, within, buckets, chosen))
    return f"SELECT {', '.join([*_flags(rows), row_sql(rows), *named])} FROM {_from(rows, within)} WHERE {where}"


def chosen_sql(rows: SourceRows, within: KeyRange | None, buckets: int, chosen: Sequence[int]) -> str:
    """True of the rows of some buckets of a segment, and of no others."""
    inside = f"{bucket_sql(rows, buckets)} IN ({', '.join(map(str, chosen))})"
    return inside if within is None else f"{range_sql(within)} AND {inside}"


def key_rows_sql(rows: SourceRows, keys: Sequence[Sequence[KeyValue]]) -> str:
    """The rows of some keys as :func:`bucket_rows_sql`, then each compared column's text."""
    fields = [field_sql(c) for c in rows.columns]
    named = [quote_name(c) for c in shown_columns(rows.table)]
    same = " OR ".join(
        "("
        + " AND ".join(f"{quote_name(c)} = {literal_sql(v)}" for c, v in zip(rows.table.key, key, strict=True))
        + ")"
        for key in keys
    )
    selected = ", ".join([*_flags(rows), row_sql(rows), *named, *fields])
    return (
        f"SELECT {selected} FROM {from_sql(rows.table, rows.table.key)} WHERE {filtered_sql(rows.table, f'({same})')}"
    )


def behind_sql(rows: SourceRows) -> str:
    """Counts the rows that are newer than the last one loaded."""
    assert rows.upto is not None
    after = after_sql(rows.table.order_columns, rows.upto.position)
    source = from_sql(rows.table, rows.table.order_columns)
    return f"SELECT COUNT(*) FROM {source} WHERE {filtered_sql(rows.table, f'{after} AND {_asked(rows)}')}"


def shown_columns(table: Table) -> tuple[str, ...]:
    """The columns by which a row is named: its key, or its cursor where it has none."""
    return table.key or ((table.cursor,) if table.cursor else ())


def bucket_sql(rows: SourceRows, buckets: int) -> str:
    """A number below ``buckets`` that a row has on both sides: by its key, or by all of it where it has none."""
    keys = [c for c in rows.table.columns if c.name in rows.table.key]
    return f"CAST(CONV(LEFT({digest_sql(keys or rows.columns)},8),16,10) AS UNSIGNED)%{buckets}"


def row_sql(rows: SourceRows) -> str:
    """The checksum of a row: 32 hexadecimal digits; empty where rows are counted only."""
    return digest_sql(rows.columns) if rows.columns else "''"


def digest_sql(columns: Sequence[Column]) -> str:
    """MD5 of the columns' texts; of the MD5s of groups of them where they are many."""
    groups = [columns[i : i + GROUP_COLUMNS] for i in range(0, len(columns), GROUP_COLUMNS)]
    digests = [f"MD5(CONCAT({','.join(f'{field_sql(c)},{_COMMA}' for c in group)}))" for group in groups]
    return digests[0] if len(digests) == 1 else f"MD5(CONCAT({','.join(digests)}))"


_COMMA = "','"


def field_sql(column: Column) -> str:
    """A column's text, empty for NULL."""
    return f"COALESCE({_text(column)},'')"


def _text(column: Column) -> str:
    value = column.compared
    match column.text_form:
        case TextForm.NUMBER:
            return f"CAST({value} AS CHAR)"
        case TextForm.SINGLE | TextForm.DOUBLE:
            return _binary_number(value, column.text_form)
        case TextForm.DATE:
            return f"DATE_FORMAT({value},'{DATE_FORM}')"
        case TextForm.MOMENT:
            return f"DATE_FORMAT({value},'{MOMENT_FORM}')"
        case TextForm.TEXT:
            return _characters(column)
        case TextForm.BINARY:
            return _hex(value, column.size)
    raise ValueError(f"{column.name} has no text that is alike on both sides")


def _binary_number(value: str, form: TextForm) -> str:
    """``bin:whole:rest`` with the sign in front. Both zeros are ``0``, as they are equal to both servers."""
    size = f"ABS({value})"
    cases = []
    for number, part in enumerate(float_bins(form)):
        scaled = "*".join([size, *map(_double, part.factors)])
        rest = f"({scaled}-FLOOR({scaled}))*{_double(BEHIND_POINT)}"
        text = f"CONCAT('{number}:',CAST(FLOOR({scaled}) AS SIGNED),':',CAST({rest} AS SIGNED))"
        cases.append(f"WHEN {size}>={_double(part.at_least)} THEN {text}")
    return f"CASE WHEN {value}=0 THEN '0' ELSE CONCAT(IF({value}<0,'-',''),CASE {' '.join(cases)} END) END"


def _double(value: float) -> str:
    """A literal with an exponent: without one MySQL reads a DECIMAL."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def _characters(column: Column) -> str:
    text = f"CONVERT({column.compared} USING utf8mb4)"
    if column.nul_bytes is NulBytes.REMOVE:
        text = f"REPLACE({text} COLLATE utf8mb4_bin,_utf8mb4 x'00','')"
    if column.size <= SHORT_TEXT:
        return f"CONCAT(OCTET_LENGTH({text}),':',{text})"
    if column.long_text is LongText.TRUNCATE:
        text = _truncated(f"CAST({text} AS BINARY)")
    return f"MD5({text})"


def _truncated(data: str) -> str:
    """Bytes of UTF-8 cut behind the last whole character that fits: a byte of 0x80 to 0xBF carries one on."""
    whole = " ".join(
        f"WHEN COALESCE(ORD(SUBSTRING({data},{size + 1},1)),0) NOT BETWEEN 128 AND 191 THEN LEFT({data},{size})"
        for size in range(MAX_TEXT, MAX_TEXT - 3, -1)
    )
    return f"CASE {whole} ELSE LEFT({data},{MAX_TEXT - 3}) END"


def _hex(value: str, size: int) -> str:
    if size <= SHORT_BINARY:
        return f"CONCAT('x',LOWER(HEX({value})))"
    whole = f"MD5(LOWER(HEX({value})))"
    if size <= HEX_PIECE:
        return whole
    pieces = (f"MD5(LOWER(HEX(SUBSTRING({value},{start},{HEX_PIECE}))))" for start in range(1, size + 1, HEX_PIECE))
    return f"CASE WHEN OCTET_LENGTH({value})<={HEX_PIECE} THEN {whole} ELSE MD5(CONCAT({','.join(pieces)})) END"


def _sum(rows: SourceRows) -> str:
    if not rows.columns:
        return "0"
    return f"COALESCE(SUM(CAST(CONV(LEFT({row_sql(rows)},15),16,10) AS UNSIGNED)),0)"


def _from(rows: SourceRows, within: KeyRange | None) -> str:
    return from_sql(rows.table, () if within is None else within.columns)


def _compared(rows: SourceRows, within: KeyRange | None) -> str:
    loaded = _loaded(rows)
    if rows.nulls and rows.table.cursor:
        loaded = f"({loaded} OR {quote_name(rows.table.cursor)} IS NULL)"
    parts = [] if within is None else [range_sql(within)]
    return filtered_sql(rows.table, " AND ".join([*parts, loaded, _asked(rows)]))


def _flags(rows: SourceRows) -> list[str]:
    return [f"({_loaded(rows)}) IS TRUE", f"({_asked(rows)}) IS TRUE"]


def _loaded(rows: SourceRows) -> str:
    """Rows that must be in the warehouse as they are; of those whose cursor is NULL nothing says when they changed."""
    return "TRUE" if rows.upto is None else f"({upto_sql(rows.table.order_columns, rows.upto.position)})"


def _asked(rows: SourceRows) -> str:
    parts = [f"({rows.where})"] if rows.where else []
    if rows.since is not None:
        parts.append(f"{quote_name(rows.table.cursor)} >= {literal_sql(rows.since)}")
    return f"({' AND '.join(parts)})" if parts else "TRUE"

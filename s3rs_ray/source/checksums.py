"""Counts and checksums of rows in MySQL's SQL; ``warehouse.checksums`` gives the same numbers in Redshift's. Pure.

A row is written as one text (see :mod:`~s3rs_ray.row_text`). Its MD5 is two numbers of 60 bits and two digits that are
not used; the sums of both over many rows do not depend on their order, and change when a row comes twice.

Sources: MySQL manual, "String Functions" (CONCAT_WS leaves NULL out: no field is NULL), "Encryption and Compression
Functions" (MD5), "Mathematical Functions" (CONV), "Date and Time Functions" (DATEDIFF, TIMESTAMPDIFF), "Cast Functions
and Operators", "Optimizing Derived Tables" (one with LIMIT is not merged).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..model import Column, KeyRange, Table, Watermark
from ..policies import LongText, NulBytes, TextForm
from ..positions import KeyValue, Position
from ..row_text import (
    CELL,
    CENTRE,
    HEX_PIECE,
    INLINE_BINARY,
    INLINE_TEXT,
    MAX_TEXT,
    Held,
    cell_ranges,
    central_bin,
    digest_groups,
    float_bins,
    has_cells,
    held,
    is_whole,
)
from .chunks import after_sql, filtered_sql, from_sql, literal_sql, range_sql, upto_sql
from .types import of_valid_sql, quote_name

DAY_ZERO, MOMENT_ZERO = "DATE'2000-01-01'", "TIMESTAMP'2000-01-01 00:00:00'"
NO_LIMIT = 2**64 - 1
"""A LIMIT that limits nothing (MySQL manual, "SELECT Statement")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRows:
    """Which rows and columns of a source table are compared.

    Attributes:
        columns: empty where rows are counted only.
        upto: the last row that was loaded; None where the table has no cursor.
        nulls: rows whose cursor is NULL were loaded as well, as they were then.
        where: a condition in SQL that both sides know; empty for all rows.
        since: the least cursor; None for all.
        ends: about the least and the greatest key, where buckets are cells of it; None elsewhere.
    """

    table: Table
    columns: tuple[Column, ...]
    upto: Watermark | None
    nulls: bool = False
    where: str = ""
    since: KeyValue | None = None
    ends: tuple[int, int] | None = None


def sums_sql(rows: SourceRows, within: KeyRange | None, buckets: int, only: Sequence[tuple[int, int]] = ()) -> str:
    """Bucket, count and both sums of those buckets of a segment that hold rows.

    The rows' MD5s are gathered in a derived table: MySQL would compute each once more for the second sum.

    Args:
        only: first and last of the buckets that are asked for; empty for all.
    """
    bucket = bucket_sql(rows, buckets) if buckets > 1 else "0"
    inside = [_compared(rows, within), *([_between(bucket, only)] if only else [])]
    tail = f"FROM {_from(rows, within)} WHERE {' AND '.join(inside)}"
    if not rows.columns:
        return f"SELECT {bucket} AS s3rs_bucket, COUNT(*), 0, 0 {tail} GROUP BY s3rs_bucket"
    inner = f"SELECT {bucket} AS s3rs_bucket, CONVERT({row_sql(rows)} USING latin1) AS s3rs_md5 {tail} LIMIT {NO_LIMIT}"
    numbers = (f"CONV({part},16,10)" for part in ("LEFT(s3rs_md5,15)", "SUBSTRING(s3rs_md5,16,15)"))
    sums = ", ".join(f"SUM(CAST({number} AS UNSIGNED))" for number in numbers)
    return f"SELECT s3rs_bucket, COUNT(*), {sums} FROM ({inner}) AS s3rs_rows GROUP BY s3rs_bucket"


def _between(bucket: str, only: Sequence[tuple[int, int]]) -> str:
    return f"({' OR '.join(f'{bucket} BETWEEN {first} AND {last}' for first, last in only)})"


def bucket_rows_sql(
    rows: SourceRows, within: KeyRange | None, buckets: int, chosen: Sequence[int], *, texts: bool = False
) -> str:
    """Every row of some buckets: whether it was loaded, whether it is asked for, its checksum, cursor and key.

    Args:
        texts: each compared column's text follows; the checksum of them is empty.
    """
    where = filtered_sql(rows.table, chosen_sql(rows, within, buckets, chosen))
    return f"SELECT {_described(rows, texts=texts)} FROM {_from(rows, within)} WHERE {where}"


def chosen_sql(rows: SourceRows, within: KeyRange | None, buckets: int, chosen: Sequence[int]) -> str:
    """True of the rows of some buckets of a segment, and of no others; an index leads to them where it can."""
    inside = f"{bucket_sql(rows, buckets)} IN ({', '.join(map(str, chosen))})"
    if within is None:
        return inside
    return " AND ".join([range_sql(within), *_places(rows, within, buckets, chosen), inside])


def _places(rows: SourceRows, within: KeyRange, buckets: int, chosen: Sequence[int]) -> list[str]:
    """True of all rows of some buckets and of few others, as ranges of the key; empty where they are too many.

    Rows that came beyond the ends of the table meanwhile are among them.
    """
    if rows.ends is None or within.columns != rows.table.key:
        return []
    least, greatest = rows.ends
    first = least if within.after is None else _whole(within.after) + 1
    last = greatest if within.upto is None else _whole(within.upto)
    found = cell_ranges(first, last, buckets, chosen)
    if found is None:
        return []
    name = quote_name(rows.table.key[0])
    places = [f"{name} BETWEEN {low} AND {high}" for low, high in found]
    places += [f"{name} < {first}"] if within.after is None else []
    places += [f"{name} > {last}"] if within.upto is None else []
    return [f"({' OR '.join(places)})"] if places else ["FALSE"]


def _whole(position: Position) -> int:
    """The key of a position in a table whose key is one whole number, which may come as a DECIMAL."""
    (value,) = position
    assert isinstance(value, int | Decimal)
    return int(value)


def ends_sql(table: Table) -> str:
    """The least and the greatest key, which the index has at its ends; NULL where there is no row."""
    name = quote_name(table.key[0])
    return f"SELECT MIN({name}), MAX({name}) FROM {from_sql(table, table.key)}"


def key_rows_sql(rows: SourceRows, keys: Sequence[Sequence[KeyValue]]) -> str:
    """The rows of some keys as :func:`bucket_rows_sql` tells them, with texts."""
    same = " OR ".join(
        "("
        + " AND ".join(f"{quote_name(c)} = {literal_sql(v)}" for c, v in zip(rows.table.key, key, strict=True))
        + ")"
        for key in keys
    )
    where = filtered_sql(rows.table, f"({same})")
    return f"SELECT {_described(rows, texts=True)} FROM {from_sql(rows.table, rows.table.key)} WHERE {where}"


def _described(rows: SourceRows, *, texts: bool) -> str:
    named = [quote_name(c) for c in shown_columns(rows.table)]
    fields = [field_sql(c) for c in rows.columns] if texts else []
    return ", ".join([*_flags(rows), "''" if texts else row_sql(rows), *named, *fields])


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
    keys = [next(c for c in rows.table.columns if c.name == name) for name in rows.table.key]
    if keys and all(map(is_whole, keys)):
        values = [c.compared for c in keys]
        if has_cells(keys):
            values = [f"{value}-MOD({value},{CELL})" for value in values]
        return f"ABS({_remainder(values, buckets)})"
    return f"CAST(CONV(LEFT({digest_sql(keys or rows.columns)},8),16,10) AS UNSIGNED)%{buckets}"


def _remainder(values: Sequence[str], buckets: int) -> str:
    """Of whole numbers; it costs a small part of what their MD5 does."""
    *before, last = values
    rest = f"CAST(MOD({last},{buckets}) AS SIGNED)"  # of an unsigned column it would make the sum unsigned
    return f"MOD({_remainder(before, buckets)}*31+{rest},{buckets})" if before else rest


def row_sql(rows: SourceRows) -> str:
    """The checksum of a row: 32 hexadecimal digits; empty where rows are counted only."""
    return digest_sql(rows.columns) if rows.columns else "''"


def digest_sql(columns: Sequence[Column]) -> str:
    """MD5 of the columns' texts; of the MD5s of groups of them where they are many or long."""
    digests = [f"MD5({_joined([part for c in group for part in _fields(c)])})" for group in digest_groups(columns)]
    return digests[0] if len(digests) == 1 else f"MD5(CONCAT({','.join(digests)}))"


def field_sql(column: Column) -> str:
    """A column's part of the row's text."""
    return _joined(_fields(column))


def _joined(fields: Sequence[str]) -> str:
    return f"CONCAT_WS(',',{','.join(fields)})"


def _fields(column: Column) -> list[str]:
    """None of them is ever NULL."""
    value = column.compared
    match column.text_form:
        case TextForm.NUMBER:
            return [_filled(value)]
        case TextForm.SINGLE | TextForm.DOUBLE:
            return [_binary_number(quote_name(column.name), column.text_form)]
        case TextForm.DATE:
            return [of_valid_sql(column, lambda day: f"DATEDIFF({day},{DAY_ZERO})")]
        case TextForm.MOMENT:
            return [of_valid_sql(column, lambda moment: f"TIMESTAMPDIFF(MICROSECOND,{MOMENT_ZERO},{moment})")]
        case TextForm.TEXT:
            return _characters(column)
        case TextForm.BINARY:
            return [_filled(_hex(value, column.size))]
    raise ValueError(f"{column.name} has no text that is alike on both sides")


def _filled(value: str) -> str:
    return f"IFNULL({value},'')"


def _binary_number(value: str, form: TextForm) -> str:
    """Whole part and rest of it, or of it times some powers of two, with the sign in front.

    Both zeros are ``0``, as they are equal to both servers.
    """
    size, centre = f"ABS({value})", central_bin(form)
    least, most = centre.at_least, 2.0**CENTRE
    cases = []
    for number, part in enumerate(float_bins(form)):
        if part != centre:
            text = f"CONCAT('{number}:',{_two_numbers('*'.join([size, *map(_double, part.factors)]))})"
            cases.append(f"WHEN {size}>={_double(part.at_least)} THEN {text}")
    return (
        f"CASE WHEN {value}>={_double(least)} AND {value}<{_double(most)} THEN CONCAT({_two_numbers(value)})"
        f" WHEN {value}<={_double(-least)} AND {value}>{_double(-most)} THEN CONCAT('-',{_two_numbers(f'-{value}')})"
        f" WHEN {value}=0 THEN '0' WHEN {value} IS NULL THEN ''"
        f" ELSE CONCAT(IF({value}<0,'-',''),CASE {' '.join(cases)} END) END"
    )


def _two_numbers(size: str) -> str:
    rest = f"({size}-FLOOR({size}))*{_double(2.0**CENTRE)}"
    return f"CAST(FLOOR({size}) AS SIGNED),':',CAST({rest} AS SIGNED)"


def _double(value: float) -> str:
    """A literal with an exponent: without one MySQL reads a DECIMAL."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def _characters(column: Column) -> list[str]:
    text = column.compared
    if column.nul_bytes is NulBytes.REMOVE:
        text = f"REPLACE({text} COLLATE utf8mb4_bin,_utf8mb4 x'00','')"
    if column.long_text is LongText.TRUNCATE:
        text = _truncated(f"CAST({text} AS BINARY)")
    size = f"OCTET_LENGTH({text})"
    match held(column):
        case Held.ALL:
            return [_filled(size), _filled(text)]
        case Held.SHORT:
            return [_filled(size), _filled(f"IF({size}>{INLINE_TEXT},MD5({text}),{text})")]
    return [_filled(f"MD5({text})")]


def _truncated(data: str) -> str:
    """Bytes of UTF-8 cut behind the last whole character that fits: a byte of 0x80 to 0xBF carries one on."""
    whole = " ".join(
        f"WHEN COALESCE(ORD(SUBSTRING({data},{size + 1},1)),0) NOT BETWEEN 128 AND 191 THEN LEFT({data},{size})"
        for size in range(MAX_TEXT, MAX_TEXT - 3, -1)
    )
    return f"CASE {whole} ELSE LEFT({data},{MAX_TEXT - 3}) END"


def _hex(value: str, size: int) -> str:
    if size <= INLINE_BINARY:
        return f"CONCAT('x',LOWER(HEX({value})))"
    whole = f"MD5(LOWER(HEX({value})))"
    if size <= HEX_PIECE:
        return whole
    pieces = (f"MD5(LOWER(HEX(SUBSTRING({value},{start},{HEX_PIECE}))))" for start in range(1, size + 1, HEX_PIECE))
    return f"CASE WHEN OCTET_LENGTH({value})<={HEX_PIECE} THEN {whole} ELSE MD5(CONCAT({','.join(pieces)})) END"


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

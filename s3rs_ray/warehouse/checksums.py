"""Counts and checksums of rows in Redshift's SQL; ``source.checksums`` says what they are of, and is their twin. Pure.

Sources: Amazon Redshift Database Developer Guide, "MD5", "STRTOL", "MOD", "TO_HEX", "SUBSTRING" (of VARBYTE too),
"VARBYTE operators", "DATEDIFF" with "Date parts", "FLOOR" (returns its argument's type), "RANK".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ..model import Column, KeyRange
from ..policies import Mode, TextForm
from ..positions import KeyValue, Position
from ..row_text import (
    CELL,
    CENTRE,
    HEX_PIECE,
    INLINE_BINARY,
    INLINE_TEXT,
    Held,
    central_bin,
    digest_groups,
    float_bins,
    has_cells,
    held,
    is_whole,
)
from .mode_sql import key_values
from .sql import Target, quote_name, quote_text

DAY_ZERO, MOMENT_ZERO = "DATE '2000-01-01'", "TIMESTAMP '2000-01-01 00:00:00'"
ORDERED_FORMS = frozenset({TextForm.NUMBER, TextForm.DATE, TextForm.MOMENT, TextForm.BINARY})
"""Values that Redshift orders as MySQL does: texts are ordered by collations there and by bytes here."""
LARGEST = {TextForm.SINGLE: 3.4028234663852886e38, TextForm.DOUBLE: 1.7976931348623157e308}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRows:
    """Which rows and columns of a target table are compared.

    Attributes:
        columns: empty where rows are counted only.
        mode: of a history (``append``) the newest version of each key counts.
        where: a condition in SQL that both sides know; empty for all rows.
        since: the least cursor; None for all.
    """

    target: Target
    columns: tuple[Column, ...]
    mode: Mode
    where: str = ""
    since: KeyValue | None = None


def sums_sql(
    rows: TargetRows, ranges: Sequence[KeyRange | None], buckets: int, only: Sequence[tuple[int, int]] = ()
) -> str:
    """Number of the range, bucket, count and both sums of those buckets of each range that hold rows, by one scan.

    Args:
        ranges: in the order of the key.
        only: first and last of the buckets that are asked for; empty for all.
    """
    bucket = _bucket(rows, buckets) if buckets > 1 else "0"
    chosen = " OR ".join(f"{bucket} BETWEEN {first} AND {last}" for first, last in only)
    source = _from(rows, _within(ranges), " AND ".join([asked_sql(rows), *([f"({chosen})"] if chosen else [])]))
    md5 = f", {_row(rows)} AS s3rs_md5" if rows.columns else ""
    inner = f"SELECT {_number(ranges)} AS s3rs_range, {bucket} AS s3rs_bucket{md5} FROM {source}"
    numbers = (f"STRTOL({part},16)" for part in ("LEFT(s3rs_md5,15)", "SUBSTRING(s3rs_md5,16,15)"))
    sums = ", ".join(f"SUM(CAST({number} AS DECIMAL(38,0)))" for number in numbers) if md5 else "0, 0"
    return (
        f"SELECT s3rs_range, s3rs_bucket, count(*), {sums} FROM ({inner}) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket"
    )


def bucket_rows_sql(
    rows: TargetRows, chosen: Sequence[tuple[KeyRange | None, Sequence[int]]], buckets: int, *, texts: bool = False
) -> str:
    """Every row of some buckets of some ranges, by one scan.

    The number of the range, whether the row is asked for, its checksum, and its key, binary values as digits.

    Args:
        texts: each compared column's text follows; the checksum of them is empty.
    """
    ranges = [within for within, _ in chosen]
    inside = _in_buckets(rows, buckets, sorted({bucket for _, some in chosen for bucket in some}))
    if len(chosen) > 1:  # which of them a row's own range has is asked of the few rows that are left
        inside += f" AND ({' OR '.join(f'({chosen_sql(rows, within, buckets, some)})' for within, some in chosen)})"
    return f"SELECT {_number(ranges)}, {_described(rows, texts=texts)} FROM {_from(rows, _within(ranges), inside)}"


def chosen_sql(rows: TargetRows, within: KeyRange | None, buckets: int, chosen: Sequence[int]) -> str:
    """True of the rows of some buckets of a segment, and of no others: all versions of them, in a history."""
    return " AND ".join(filter(None, (_within([within]), _in_buckets(rows, buckets, chosen))))


def _in_buckets(rows: TargetRows, buckets: int, chosen: Sequence[int]) -> str:
    return f"{_bucket(rows, buckets)} IN ({', '.join(map(str, chosen))})"


def key_rows_sql(rows: TargetRows, keys: Sequence[Sequence[KeyValue]]) -> str:
    """The rows of some keys as :func:`bucket_rows_sql` tells them, with texts."""
    return f"SELECT 0, {_described(rows, texts=True)} FROM {_from(rows, _same_keys(rows.target, keys), '')}"


def is_ordered(column: Column) -> bool:
    """Whether ranges of a column hold the same rows on both sides."""
    return column.text_form in ORDERED_FORMS


def digest_sql(columns: Sequence[Column]) -> str:
    """MD5 of the columns' texts; of the MD5s of groups of them where they are many or long."""
    digests = [f"MD5({_joined([field_sql(c) for c in group])})" for group in digest_groups(columns)]
    return digests[0] if len(digests) == 1 else f"MD5({'||'.join(digests)})"


def _joined(fields: Sequence[str]) -> str:
    """Fields with commas between them, joined by halves: joined one by one, each would copy all before it."""
    if len(fields) == 1:
        return fields[0]
    middle = len(fields) // 2
    return f"({_joined(fields[:middle])}||','||{_joined(fields[middle:])})"


def field_sql(column: Column) -> str:
    """A column's part of the row's text."""
    name = quote_name(column.name)
    match column.text_form:
        case TextForm.NUMBER:
            return _filled(_digits(name))
        case TextForm.SINGLE | TextForm.DOUBLE:
            return _filled(_binary_number(name, column.text_form))
        case TextForm.DATE:
            return _filled(_digits(f"DATEDIFF(day,{DAY_ZERO},{name})"))
        case TextForm.MOMENT:
            return _filled(_digits(f"DATEDIFF(microsecond,{MOMENT_ZERO},{name})"))
        case TextForm.TEXT:
            return _characters(column, name)
        case TextForm.BINARY:
            return _filled(_hex(name, column.size))
    raise ValueError(f"{column.name} has no text that is alike on both sides")


def _filled(value: str) -> str:
    return f"COALESCE({value},'')"


def _digits(value: str) -> str:
    return f"CAST({value} AS VARCHAR)"


def _characters(column: Column, name: str) -> str:
    size = f"OCTET_LENGTH({name})"
    match held(column):
        case Held.ALL:
            text = name
        case Held.SHORT:
            text = f"CASE WHEN {size}>{INLINE_TEXT} THEN MD5({name}) ELSE {name} END"
        case Held.DIGEST:
            return _filled(f"MD5({name})")
    return f"{_filled(_digits(size))}||','||{_filled(text)}"


def _binary_number(name: str, form: TextForm) -> str:
    value = f"CAST({name} AS DOUBLE PRECISION)" if form is TextForm.SINGLE else name
    size, centre = f"ABS({value})", central_bin(form)
    least, most = centre.at_least, 2.0**CENTRE
    cases = [f"WHEN {size}>{_double(LARGEST[form])} THEN 'none'"]  # NaN and the infinities, which MySQL lacks
    for number, part in enumerate(float_bins(form)):
        if part != centre:
            text = f"'{number}:'||{_two_numbers('*'.join([size, *map(_double, part.factors)]))}"
            cases.append(f"WHEN {size}>={_double(part.at_least)} THEN {text}")
    return (
        f"CASE WHEN {value}>={_double(least)} AND {value}<{_double(most)} THEN {_two_numbers(value)}"
        f" WHEN {value}<={_double(-least)} AND {value}>{_double(-most)} THEN '-'||{_two_numbers(f'(-{value})')}"
        f" WHEN {value}=0 THEN '0' WHEN {value} IS NULL THEN NULL"
        f" ELSE CASE WHEN {value}<0 THEN '-' ELSE '' END||CASE {' '.join(cases)} END END"
    )


def _two_numbers(size: str) -> str:
    rest = f"({size}-FLOOR({size}))*{_double(2.0**CENTRE)}"
    return f"{_digits(f'CAST(FLOOR({size}) AS BIGINT)')}||':'||{_digits(f'CAST({rest} AS BIGINT)')}"


def _double(value: float) -> str:
    """A binary number: a bare literal is a DECIMAL."""
    return f"CAST('{value!r}' AS DOUBLE PRECISION)"


def _hex(name: str, size: int) -> str:
    if size <= INLINE_BINARY:
        return f"'x'||LOWER(TO_HEX({name}))"
    whole = f"MD5(LOWER(TO_HEX({name})))"
    if size <= HEX_PIECE:
        return whole
    pieces = (f"MD5(LOWER(TO_HEX(SUBSTRING({name},{start},{HEX_PIECE}))))" for start in range(1, size + 1, HEX_PIECE))
    return f"CASE WHEN OCTET_LENGTH({name})<={HEX_PIECE} THEN {whole} ELSE MD5({'||'.join(pieces)}) END"


def _row(rows: TargetRows) -> str:
    return digest_sql(rows.columns) if rows.columns else "''"


def _bucket(rows: TargetRows, buckets: int) -> str:
    keys = [next(c for c in rows.target.columns if c.name == name) for name in rows.target.key]
    if keys and all(map(is_whole, keys)):
        values = [quote_name(c.name) for c in keys]
        if has_cells(keys):
            values = [f"{value}-MOD({value},{CELL})" for value in values]
        return f"COALESCE(ABS({_remainder(values, buckets)}),0)"
    return f"MOD(STRTOL(LEFT({digest_sql(keys or rows.columns)},8),16),{buckets})"


def _remainder(values: Sequence[str], buckets: int) -> str:
    *before, last = values
    rest = f"MOD({last},{buckets})"
    return f"MOD({_remainder(before, buckets)}*31+{rest},{buckets})" if before else rest


def _described(rows: TargetRows, *, texts: bool) -> str:
    target = rows.target
    binary = {c.name for c in target.columns if c.text_form is TextForm.BINARY}
    named = target.key or ((target.cursor,) if target.cursor else ())
    shown = (f"LOWER(TO_HEX({quote_name(c)}))" if c in binary else quote_name(c) for c in named)
    fields = [field_sql(c) for c in rows.columns] if texts else []
    return ", ".join([f"CASE WHEN {asked_sql(rows)} THEN 1 ELSE 0 END", "''" if texts else _row(rows), *shown, *fields])


def _within(ranges: Sequence[KeyRange | None]) -> str:
    """The rows of ranges in the order of the key; those that touch are told as one."""
    joined: list[KeyRange] = []
    for within in ranges:
        if within is None:
            return ""
        if joined and within.after is not None and joined[-1].upto == within.after:
            joined[-1] = replace(joined[-1], upto=within.upto)
        else:
            joined.append(within)
    texts = [_range_sql(within) for within in joined]
    return "" if "" in texts or not texts else f"({' OR '.join(texts)})" if len(texts) > 1 else texts[0]


def _range_sql(within: KeyRange) -> str:
    """A range; a key that holds NULL, which no row of the source does, is in the first."""
    nulls = _nulls(within)
    if _is_first(within):
        return f"({' OR '.join([range_sql(within), *nulls])})"
    behind = [f"NOT {null}" for null in nulls[1:]]  # what is compared to the first column is not NULL anyway
    return " AND ".join([f"({range_sql(within)})", *behind]) if behind else range_sql(within)


def _number(ranges: Sequence[KeyRange | None]) -> str:
    """Of the range that a row in one of them is in, found by halves; a key that holds NULL is in the first."""
    ends = [_side(r.columns, r.upto, "<") for r in ranges[:-1] if r is not None and r.upto is not None]
    number = _halves(ends, 0)
    first = ranges[0]
    if first is None or not ends or not _is_first(first):
        return number
    return f"CASE WHEN {' OR '.join(_nulls(first))} THEN 0 ELSE {number} END"


def _halves(ends: Sequence[str], first: int) -> str:
    """The number, from ``first`` on, of the first predicate that is true of a row, as all behind it are then."""
    if not ends:
        return str(first)
    half = len(ends) // 2
    below, above = _halves(ends[:half], first), _halves(ends[half + 1 :], first + half + 1)
    return f"CASE WHEN {ends[half]} THEN {below} ELSE {above} END"


def _is_first(within: KeyRange) -> bool:
    return within.after is None and within.upto is not None


def _nulls(within: KeyRange) -> list[str]:
    return [f"{quote_name(name)} IS NULL" for name in within.columns[: len(within.after or within.upto or ())]]


def _from(rows: TargetRows, within: str, more: str) -> str:
    """The rows of two predicates; of a history the newest version of each key, twice where it is there twice.

    Args:
        within: is true of all versions of a key or of none.
    """
    target = rows.target
    if rows.mode is not Mode.APPEND or not target.key:
        return f"{target.qualified}{_where(within, more, target.live)}"
    ranked = (
        f"RANK() OVER (PARTITION BY {', '.join(key_values(target))}"
        f" ORDER BY {quote_name(target.cursor)} DESC NULLS LAST) AS s3rs_rank"
    )
    ranks = f"SELECT t.*, {ranked} FROM {target.qualified} AS t{_where(within)}"
    return f"({ranks}) AS x{_where('s3rs_rank = 1', more)}"


def _where(*predicates: str) -> str:
    given = [p for p in predicates if p]
    return f" WHERE {' AND '.join(given)}" if given else ""


def asked_sql(rows: TargetRows) -> str:
    """True of the rows that are asked for."""
    parts = [f"({rows.where})"] if rows.where else []
    if rows.since is not None:
        parts.append(f"{quote_name(rows.target.cursor)} >= {literal_sql(rows.since)}")
    return f"({' AND '.join(parts)})" if parts else "TRUE"


def _same_keys(target: Target, keys: Sequence[Sequence[KeyValue]]) -> str:
    """Rows of keys, and of those that Redshift takes for them: the caller tells them apart.

    A list is looked up in; of a long chain of ORs each would be tried on every row.
    """
    columns = key_values(target)[: len(target.key)]
    literals = [[literal_sql(fold(target, name, v)) for name, v in zip(target.key, key, strict=True)] for key in keys]
    first = f"{columns[0]} IN ({', '.join(dict.fromkeys(literal for literal, *_ in literals))})"
    if len(columns) == 1:
        return first
    pairs = (zip(columns, literal, strict=True) for literal in literals)
    rows = " OR ".join(f"({' AND '.join(f'{column} = {value}' for column, value in pair)})" for pair in pairs)
    return f"{first} AND ({rows})"


def fold(target: Target, name: str, value: KeyValue) -> KeyValue:
    """A key's text as the merge compares it: see :func:`~s3rs_ray.warehouse.mode_sql.key_values`."""
    if not isinstance(value, str):
        return value
    if name in target.folded:
        value = "".join(c.lower() if "A" <= c <= "Z" else c for c in value)
    return value.rstrip(" ") if name in target.padded else value


def literal_sql(value: KeyValue) -> str:
    """A key's value as a Redshift literal."""
    match value:
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case dt.datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ', timespec='microseconds')}'"
        case dt.date():
            return f"DATE '{value.isoformat()}'"
        case bytes():
            return f"FROM_HEX('{value.hex()}')"
        case str():
            return quote_text(value)
    raise TypeError(f"a key is never a {type(value).__name__}")


def range_sql(within: KeyRange) -> str:
    """``(after, upto]`` as ``source.chunks.range_sql`` writes it, over columns that both sides order alike."""
    parts = []
    if within.after is not None:
        parts.append(_side(within.columns, within.after, ">"))
    if within.upto is not None:
        parts.append(_side(within.columns, within.upto, "<"))
    return " AND ".join(parts)


def _side(columns: Sequence[str], position: Position, strict: str) -> str:
    whole = len(position) == len(columns)
    *head, last = [(quote_name(c), literal_sql(v)) for c, v in zip(columns, position, strict=False)]
    # A position shorter than the columns stands before the rows that share it.
    comparison = (">" if whole else ">=") if strict == ">" else ("<=" if whole else "<")
    text = f"{last[0]} {comparison} {last[1]}"
    for column, literal in reversed(head):
        text = f"({column} {strict} {literal} OR ({column} = {literal} AND {text}))"
    return text

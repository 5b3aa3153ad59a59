"""What the policies make of values that Redshift has no form for; each change is counted, each refusal names a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import IntegrityError
from ..model import Column, Table
from ..policies import Adjusted, LongText, NulBytes, ZeroDates

YEAR_ONE_DAYS = -719_162
YEAR_ONE_US = YEAR_ONE_DAYS * 86_400_000_000

MAX_ROW_BYTES = 4_000_000
"""Largest row that COPY takes: "4 MB" (Amazon Redshift Database Developer Guide, "Usage notes" of COPY); not MiB."""

SourceNulls = Mapping[ZeroDates, pa.ChunkedArray | None]
"""By policy, how many nullable date columns of each row are NULL at the source; None where there are none."""


def apply_policies(data: pa.Table, table: Table, source_nulls: SourceNulls | None) -> tuple[pa.Table, Adjusted]:
    """The rows as they may be written, and what was changed in them.

    Args:
        data: the rows under the table's contract, with NULL for every date no calendar has.
        source_nulls: None when there was no such date.

    Raises:
        IntegrityError: a value that the user's policy refuses, with column, row key and remedy.
    """
    adjusted = Adjusted(nulled_dates=_nulled_dates(data, table, source_nulls) if source_nulls is not None else 0)
    for index, column in enumerate(table.columns):
        values = data.column(index)
        if column.nul_bytes is not None and _has_zero_byte(values):
            values, stripped = _without_nuls(data, table, column)
            adjusted = replace(adjusted, stripped_texts=adjusted.stripped_texts + stripped)
        if column.max_bytes and (pc.max(pc.binary_length(values)).as_py() or 0) > column.max_bytes:
            values, truncated = _shortened(data, table, column, values)
            adjusted = replace(adjusted, truncated_texts=adjusted.truncated_texts + truncated)
        if values is not data.column(index):
            data = data.set_column(index, data.schema.field(index), values)
    _require_sizes(data, table)
    return data, adjusted


def holds_mark(values: pa.ChunkedArray) -> bool:
    """Whether a text holds what MySQL sends for a character Unicode does not have, or the same of its own."""
    return any(pc.any(pc.match_substring(values, mark)).as_py() for mark in "?\ufffd")


def require_unicode(data: pa.Table, table: Table, marks: pa.ChunkedArray) -> None:
    """Raises IntegrityError when a mark names a column (from 1 on) whose text Unicode does not have."""
    if not (pc.max(marks).as_py() or 0):
        return
    row = pc.index(pc.greater(marks, 0), True).as_py()
    column = table.columns[marks[row].as_py() - 1]
    raise IntegrityError(
        f"column {column.name} of the row {row_text(data, table, row)} holds a character that is not in Unicode; MySQL"
        " would send a question mark for it",
        hint="correct the row at the source" + ("" if column.name in table.key else ", or exclude the column"),
        context={"column": column.name},
    )


def _require_sizes(data: pa.Table, table: Table) -> None:
    """No file is written that COPY would refuse for a value's or a row's size; such a file could never be loaded."""
    longest = 0
    for index, column in enumerate(table.columns):
        size = re.fullmatch(r"VAR(?:CHAR|BYTE)\((\d+)\)", column.staging_type)
        if size is None:
            continue
        most = pc.max(pc.binary_length(data.column(index))).as_py() or 0
        longest += most
        if most > int(size[1]):
            raise IntegrityError(
                f"column {column.name} ({column.source_type}) holds {most:,} bytes, more than {column.staging_type}",
                hint="the column was widened at the source since the run was planned: run the command again",
                context={"column": column.name},
            )
    if longest > MAX_ROW_BYTES:
        _require_row_sizes(data, table)


def _require_row_sizes(data: pa.Table, table: Table) -> None:
    sizes = pa.array([0] * data.num_rows, pa.int64())
    for index, column in enumerate(table.columns):
        if column.arrow_type in ("string", "binary"):
            lengths = pc.binary_length(data.column(index)).cast(pa.int64())
            sizes = pc.add(sizes, pc.fill_null(lengths, 0))
    largest = pc.max(sizes).as_py() or 0
    if largest > MAX_ROW_BYTES:
        row = pc.index(sizes, largest).as_py()
        raise IntegrityError(
            f"the row {row_text(data, table, row)} holds {largest:,} bytes of texts and binary values; Redshift takes"
            " rows of at most 4 MB",
            hint=f"exclude a large column in the settings of {table.name}, or shorten the values at the source",
        )


def before_year_one(values: pa.ChunkedArray) -> bool:
    """Whether a date of the year 0 is among dates (days since 1970) or timestamps (microseconds since 1970)."""
    earliest = pc.min(values).value
    return earliest is not None and earliest < (YEAR_ONE_DAYS if pa.types.is_date32(values.type) else YEAR_ONE_US)


def _nulled_dates(data: pa.Table, table: Table, source_nulls: SourceNulls) -> int:
    """How many dates became NULL; those of the columns that refuse them are not allowed to."""
    nulled: dict[ZeroDates, int] = {}
    for policy in ZeroDates:
        names = [c.name for c in table.columns if c.zero_dates is policy]
        counted = source_nulls[policy]
        own: int = 0 if counted is None else pc.sum(counted).as_py() or 0
        nulled[policy] = sum(data.column(name).null_count for name in names) - own
        if nulled[policy] and policy is ZeroDates.REFUSE:
            raise _refused_date(data, table, names, counted)
    return nulled[ZeroDates.NULL]


def _refused_date(data: pa.Table, table: Table, names: list[str], counted: pa.ChunkedArray | None) -> IntegrityError:
    nulls = [data.column(name).is_null().cast(pa.int64()) for name in names]
    total = nulls[0]
    for more in nulls[1:]:
        total = pc.add(total, more)
    if counted is not None:
        total = pc.subtract(total, counted)
    row = pc.index(pc.greater(total, 0), True).as_py()
    suspects = [n for n in names if data.column(n)[row].as_py() is None]
    return IntegrityError(
        f"column {' or '.join(suspects)} of the row {row_text(data, table, row)} holds a date that no calendar has,"
        " such as 0000-00-00",
        hint="correct the row at the source"
        + ("" if set(suspects) & set(table.key) else ", or let such dates become NULL with zero_dates: null"),
        context={"column": ", ".join(suspects)},
    )


def _has_zero_byte(values: pa.ChunkedArray) -> bool:
    """Looks at the bytes of all texts at once; may be true of a byte that belongs to no value."""
    for chunk in values.chunks:
        buffer = chunk.buffers()[2]
        if buffer is not None and buffer.size:
            every_byte = pa.Array.from_buffers(pa.uint8(), buffer.size, [None, buffer])
            if pc.min(every_byte).as_py() == 0:
                return True
    return False


def _without_nuls(data: pa.Table, table: Table, column: Column) -> tuple[pa.ChunkedArray, int]:
    values = data.column(column.name)
    holding = pc.match_substring(values, "\0")
    found = pc.sum(holding).as_py() or 0
    if found and column.nul_bytes is NulBytes.REFUSE:
        row = pc.index(holding, True).as_py()
        raise IntegrityError(
            f"column {column.name} of the row {row_text(data, table, row)} holds a NUL byte, which a VARCHAR of"
            " Redshift does not take",
            hint="correct the row at the source"
            + ("" if column.name in table.key else ", set nul_bytes: remove, or exclude the column"),
            context={"column": column.name},
        )
    return (pc.replace_substring(values, "\0", "") if found else values), found


def _shortened(data: pa.Table, table: Table, column: Column, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Cuts texts at the last character that fits."""
    if column.long_text is not LongText.TRUNCATE:
        raise _refused_length(data, table, column, values)
    chunks, count = [], 0
    for chunk in values.chunks:
        long = pc.fill_null(pc.greater(pc.binary_length(chunk), column.max_bytes), False)
        texts = pc.filter(chunk.cast(pa.binary()), long).to_pylist()
        # The bytes are UTF-8: what "ignore" drops is the character that was cut in two.
        cut = [text[: column.max_bytes].decode("utf-8", "ignore") for text in texts]
        chunks.append(pc.replace_with_mask(chunk, long, pa.array(cut, chunk.type)))
        count += len(cut)
    return pa.chunked_array(chunks, values.type), count


def _refused_length(data: pa.Table, table: Table, column: Column, values: pa.ChunkedArray) -> IntegrityError:
    lengths = pc.binary_length(values)
    row = pc.index(pc.greater(lengths, column.max_bytes), True).as_py()
    remedy = "set long_text: truncate, or exclude the column" if _may_be_cut(column) else "exclude the column"
    return IntegrityError(
        f"column {column.name} of the row {row_text(data, table, row)} holds {lengths[row].as_py():,} bytes;"
        f" {column.redshift_type} is the longest Redshift takes",
        hint=f"{remedy} in the settings of {table.name}, or shorten the value at the source",
        context={"column": column.name, "bytes": str(lengths[row].as_py())},
    )


def _may_be_cut(column: Column) -> bool:
    return column.redshift_type.startswith("VARCHAR") and column.nul_bytes is not None


def row_text(data: pa.Table, table: Table, row: int) -> str:
    """A row by its key, e.g. ``(ID) = (7)``; by its cursor in a table without a key."""
    names = table.key or (table.cursor,)
    values = [data.column(name)[row].as_py() for name in names]
    shown = ", ".join(repr(v) if isinstance(v, (str, bytes)) else str(v) for v in values)
    return f"({', '.join(names)}) = ({shown})"

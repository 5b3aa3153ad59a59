"""Keyset predicates and the SELECT statements around them, as text.

MySQL does not use an index for row constructors such as ``(a, b) > (x, y)`` (measured: a full scan, even with
FORCE INDEX), so every comparison of tuples is written out: ``(a > x OR (a = x AND b > y))``. MySQL alone orders
and compares keys; nothing here compares values in Python.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from ..model import Chunk, Column, KeyRange, Table, TableName, Watermark, Window, ordered_columns
from ..policies import RangeOrder, ZeroDates
from ..positions import KeyValue, Position
from .types import quote_name

PRIMARY = "PRIMARY"
"""The name of every primary key's index; InnoDB keeps the rows themselves in it (MySQL manual, "Clustered Indexes")."""

NULL_DATES_ALIASES = {policy: f"s3rs_null_dates_{policy}" for policy in ZeroDates}
"""The extra columns behind a table's own: how many dates of a row are NULL at the source, by policy."""


def literal_sql(value: KeyValue) -> str:
    """A value as a MySQL literal that needs no escaping (MySQL manual, "Literal Values")."""
    match value:
        case bool():
            raise TypeError("a key is never a bool")
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case dt.datetime():
            return f"TIMESTAMP'{value.isoformat(sep=' ', timespec='microseconds')}'"
        case dt.date():
            return f"DATE'{value.isoformat()}'"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            return f"_utf8mb4 x'{value.encode().hex()}'"
    raise TypeError(f"a key is never a {type(value).__name__}")


def after_sql(columns: Sequence[str], position: Position) -> str:
    """Rows behind ``position``. A position shorter than the columns stands before the rows that share it."""
    *head, last = [(quote_name(c), literal_sql(v)) for c, v in zip(columns, position, strict=False)]
    comparison = ">" if len(position) == len(columns) else ">="
    text = f"{last[0]} {comparison} {last[1]}"
    for column, literal in reversed(head):
        text = f"({column} > {literal} OR ({column} = {literal} AND {text}))"
    return text


def upto_sql(columns: Sequence[str], position: Position) -> str:
    """Rows up to and including ``position``; with a shorter position, the rows before those that share it."""
    *head, last = [(quote_name(c), literal_sql(v)) for c, v in zip(columns, position, strict=False)]
    comparison = "<=" if len(position) == len(columns) else "<"
    text = f"{last[0]} {comparison} {last[1]}"
    for column, literal in reversed(head):
        text = f"({column} < {literal} OR ({column} = {literal} AND {text}))"
    return text


def range_sql(key_range: KeyRange) -> str:
    """The predicate of ``(after, upto]`` and its keys; ``TRUE`` when both ends are open and no key is named."""
    parts = []
    if key_range.after is not None:
        parts.append(after_sql(key_range.columns, key_range.after))
    if key_range.upto is not None:
        parts.append(upto_sql(key_range.columns, key_range.upto))
    if key_range.keys:
        parts.append(keys_sql(key_range.columns, key_range.keys))
    return " AND ".join(parts) or "TRUE"


def keys_sql(columns: Sequence[str], keys: Sequence[Sequence[KeyValue]]) -> str:
    """The rows of some keys, each looked up in the index."""
    names = [quote_name(c) for c in columns]
    rows = (" AND ".join(f"{n} = {literal_sql(v)}" for n, v in zip(names, key, strict=True)) for key in keys)
    return f"({' OR '.join(f'({row})' for row in rows)})"


def window_range(table: Table, window: Window) -> KeyRange:
    """The window as a range over the update order."""
    return KeyRange(columns=table.order_columns, after=window.after.after, upto=window.upto.after)


def run_range(table: Table, window: Window, order: RangeOrder) -> KeyRange:
    """The range that the chunks of a run are cut from."""
    if order is RangeOrder.CURSOR and window.null_horizon is None:
        return window_range(table, window)
    return KeyRange(columns=table.key or (table.columns[0].name,))  # without a key a whole table is one range


def where_sql(table: Table, window: Window, key_range: KeyRange) -> str:
    """The predicate of one chunk: its range and, where that is not over the update order, the window as well."""
    parts = [] if key_range == KeyRange(columns=key_range.columns) else [range_sql(key_range)]
    if window.null_horizon is not None:
        parts.append(f"{quote_name(table.cursor)} IS NULL")
    elif window.whole and not table.key and window.upto.after is not None:
        parts.append(range_sql(window_range(table, window)))  # of a history: see engine.planning
    elif key_range.columns != table.order_columns and not window.whole and not window.mends:
        parts.append(range_sql(window_range(table, window)))
    return filtered_sql(table, " AND ".join(parts) or "TRUE")


def filtered_sql(table: Table, predicate: str) -> str:
    """A predicate, and the table's own filter."""
    return f"{predicate} AND ({table.where})" if table.where else predicate


def filter_check_sql(name: TableName, where: str) -> str:
    """Fails when the server does not take a filter; reads nothing."""
    return f"SELECT 1 FROM {quote_name(name.schema)}.{quote_name(name.name)} WHERE ({where}) LIMIT 0"


def chunk_from_sql(table: Table, window: Window, key_range: KeyRange) -> str:
    """The table with the index that serves a chunk: rows without a cursor lie together, ordered by the key."""
    if window.whole and not table.key:
        return from_sql(table, ())
    by_cursor = window.null_horizon is not None and table.cursor_index
    return from_sql(table, table.order_columns if by_cursor else key_range.columns)


def from_sql(table: Table, columns: Sequence[str]) -> str:
    """``schema.table`` with the index that serves ranges over ``columns``.

    Without the hint the optimizer leaves the index once it expects more than about 7 % of the table (measured).
    """
    name = f"{quote_name(table.name.schema)}.{quote_name(table.name.name)}"
    index = _serving_index(table, columns)
    return f"{name} FORCE INDEX ({quote_name(index)})" if index else name


def looks_rows_up(table: Table, columns: Sequence[str]) -> bool:
    """Whether a range over ``columns`` finds its rows through a secondary index, out of the primary key's order."""
    return _serving_index(table, columns) not in {None, PRIMARY}


def _serving_index(table: Table, columns: Sequence[str]) -> str | None:
    if not columns:
        return None
    return table.cursor_index if table.cursor and tuple(columns) == table.order_columns else table.key_index


def comment_sql(run_id: str, what: str) -> str:
    """The comment that names a query in the server's process list."""
    return f"/* s3rs-ray run={run_id} {what} */ "


def nullable_dates(columns: Sequence[Column], policy: ZeroDates) -> tuple[Column, ...]:
    """The date columns under a policy in which a NULL may be the source's own.

    In a column that is NOT NULL every NULL was a date no calendar has: there is nothing to count at the source.
    """
    return tuple(c for c in columns if c.zero_dates is policy and c.nullable)


UNMAPPED_ALIAS = "s3rs_unmapped"
"""The extra column that names, from 1 on, the first column of a row whose text Unicode does not have; else 0."""

ROWS_ALIAS = "s3rs_rows"
"""The extra column that says in every row how many there are, where the read brings its own count."""


def snapshot_sql(table: Table, chunk: Chunk) -> list[str]:
    """Opens a snapshot in the session and counts the chunk's rows in it, for a read that follows in the same one.

    Both are consistent reads of one moment (MySQL manual, "START TRANSACTION … WITH CONSISTENT SNAPSHOT"), so their
    numbers agree however fast the rows change.
    """
    return [
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        f"SET @{ROWS_ALIAS} = ({count_sql(table, chunk.window, chunk.range)})",
    ]


def select_sql(
    table: Table, chunk: Chunk, *, guarded: bool = False, marked: bool = False, counted: bool = False
) -> str:
    """The one query that reads a chunk: every column by its own expression, named, in the table's order.

    Args:
        guarded: dates no calendar has become NULL, and the NULLs that are the source's own are counted beside them.
            The guard doubles what a date costs to read; without it ConnectorX panics on most such dates.
        marked: every row says which of its texts, if any, is not in Unicode.
        counted: every row says how many the snapshot of :func:`snapshot_sql` holds.
    """
    expressions = [
        f"{quote_name(c.name) if c.zero_dates and not guarded else c.select} AS {quote_name(c.name)}"
        for c in table.columns
    ]
    for policy, alias in NULL_DATES_ALIASES.items() if guarded else ():
        columns = [quote_name(c.name) for c in nullable_dates(table.columns, policy)]
        if columns:
            expressions.append("+".join(f"ISNULL({name})" for name in columns) + f" AS {alias}")
    unmapped = [f"WHEN {c.unmapped} THEN {number}" for number, c in enumerate(table.columns, 1) if c.unmapped]
    if marked and unmapped:
        expressions.append(f"CASE {' '.join(unmapped)} ELSE 0 END AS {UNMAPPED_ALIAS}")
    if counted:
        expressions.append(f"CAST(@{ROWS_ALIAS} AS SIGNED) AS {ROWS_ALIAS}")
    return (
        comment_sql(chunk.run_id, f"chunk={chunk.ordinal}")
        + f"SELECT {', '.join(expressions)} FROM {chunk_from_sql(table, chunk.window, chunk.range)}"
        + f" WHERE {where_sql(table, chunk.window, chunk.range)}"
    )


def count_sql(table: Table, window: Window, key_range: KeyRange) -> str:
    """Counts the rows of a range."""
    source = chunk_from_sql(table, window, key_range)
    return f"SELECT COUNT(*) FROM {source} WHERE {where_sql(table, window, key_range)}"


def boundary_sql(table: Table, window: Window, key_range: KeyRange, rows: int) -> str:
    """The positions of the ``rows``-th row of a range and of the next: one step along the index.

    Chunks cut so hold equal numbers of rows, whatever the gaps in the key.
    """
    names = ", ".join(quote_name(c) for c in key_range.columns)
    return (
        f"SELECT {names}{_stray_sql(table, key_range.columns)} FROM {chunk_from_sql(table, window, key_range)}"
        f" WHERE {where_sql(table, window, key_range)}"
        f" ORDER BY {names} LIMIT 2 OFFSET {rows - 1}"
    )


def high_watermark_sql(table: Table, after: Watermark, horizon: KeyValue, limit: int | None) -> str:
    """The last row whose cursor is at or before ``horizon``; with ``limit``, the limit-th row behind ``after``."""
    names = [quote_name(c) for c in table.order_columns]
    where = f"{names[0]} <= {literal_sql(horizon)}"
    if after.after is not None:
        where = f"{after_sql(table.order_columns, after.after)} AND {where}"
    where = filtered_sql(table, where)
    direction, tail = (" DESC", "LIMIT 1") if limit is None else ("", f"LIMIT 1 OFFSET {limit - 1}")
    order = ", ".join(f"{name}{direction}" for name in names)
    return (
        f"SELECT {', '.join(names)}{_stray_sql(table, table.order_columns)}"
        f" FROM {from_sql(table, table.order_columns)} WHERE {where} ORDER BY {order} {tail}"
    )


def _stray_sql(table: Table, columns: Sequence[str]) -> str:
    """Whether a text of a position is not in Unicode: rows could not be told by what the server sends for it."""
    predicates = [c.unmapped for c in table.columns if c.name in columns and c.unmapped]
    return f", {' OR '.join(predicates)} AS {UNMAPPED_ALIAS}" if predicates else ""


def null_cursors_sql(table: Table) -> str:
    """Counts the rows no range over the cursor ever sees."""
    where = filtered_sql(table, f"{quote_name(table.cursor)} IS NULL")
    return f"SELECT COUNT(*) FROM {from_sql(table, table.order_columns)} WHERE {where}"


def any_row_sql(table: Table) -> str:
    """One row when the table holds any."""
    name = f"{quote_name(table.name.schema)}.{quote_name(table.name.name)}"
    return f"SELECT 1 FROM {name} WHERE {filtered_sql(table, '1 = 1')} LIMIT 1"


def has_value_sql(table: Table, column: str, upto: Watermark) -> str:
    """One row when any row up to the watermark holds a value in a column."""
    where = f"{quote_name(column)} IS NOT NULL"
    if upto.after is not None:
        where += f" AND {upto_sql(table.order_columns, upto.after)}"
    name = f"{quote_name(table.name.schema)}.{quote_name(table.name.name)}"
    return f"SELECT 1 FROM {name} WHERE {filtered_sql(table, where)} LIMIT 1"


def positions_sql(table: Table, window: Window) -> str:
    """Cursor and key of every row of a window, from the index alone."""
    named = ", ".join(quote_name(c) for c in table.order_columns)
    whole = run_range(table, window, RangeOrder.CURSOR)
    return f"SELECT {named} FROM {chunk_from_sql(table, window, whole)} WHERE {where_sql(table, window, whole)}"


def cursors_sql(table: Table, keys: Sequence[Sequence[KeyValue]]) -> str:
    """Cursor, then key, of those of the keys that are there."""
    named = ", ".join(quote_name(c) for c in (table.cursor, *table.key))
    name = f"{quote_name(table.name.schema)}.{quote_name(table.name.name)}"
    return f"SELECT {named} FROM {name} WHERE {filtered_sql(table, keys_sql(table.key, keys))}"


def aggregates_sql(table: Table, window: Window) -> str:
    """Counts of all columns, then minimum and maximum of the ordered ones, over a window."""
    parts = [f"COUNT({c.compared})" for c in table.columns]
    parts += [f"{function}({c.compared})" for c in ordered_columns(table.columns) for function in ("MIN", "MAX")]
    whole = window_range(table, window)
    where = filtered_sql(table, range_sql(whole))
    return f"SELECT {', '.join(parts)} FROM {from_sql(table, whole.columns)} WHERE {where}"

"""``--verify-data``: what a run carried, compared on both sides after the load.

Every key and cursor of the window is compared, in pieces of a chunk's size. A row of the warehouse that is not in the
source's window any more is looked up by its key: if it was changed or deleted there since, that is the explanation.
Where nothing changed meanwhile, counts, minima and maxima of the columns are compared as well.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeAlias, cast

from ..config import Settings
from ..errors import IntegrityError
from ..model import Table, Watermark, Window, ordered_columns
from ..policies import RangeOrder
from ..positions import KeyValue, Position, is_reached
from ..source.catalog import Catalog
from ..source.cutting import cut_chunks, fixed
from ..warehouse import sql
from ..warehouse.modes import target_columns, with_marks
from ..warehouse.redshift import Warehouse
from ..warehouse.sql import Target
from ..wording import counted
from .loading import open_session, target_of

PIECE_ROWS = 200_000
"""Rows compared at a time, where BACKUP_BATCH_SIZE does not say; their keys are held in memory."""
SHOWN = 5
"""How many differences an error names."""
LOOKED_UP = 500
"""How many rows are looked up by one query."""

Plain: TypeAlias = tuple[Any, ...]
"""A row whose values compare alike, whichever driver they came through."""


@dataclass(slots=True)
class Check:
    """What a comparison found.

    Attributes:
        rows: rows of the window in the warehouse.
        changed: rows that were changed or deleted at the source since they were read.
        differences: what nothing explains, one sentence each.
        impossible: rows whose cursor is a date no calendar has; where there are any, columns are not compared.
    """

    rows: int = 0
    changed: int = 0
    differences: list[str] = field(default_factory=list)
    impossible: int = 0


def check_window(catalog: Catalog, table: Table, window: Window, settings: Settings) -> Check:
    """Compares the rows of a window that was loaded.

    Raises:
        IntegrityError: naming the first differences that no change at the source explains.
    """
    check, target = Check(), target_of(table, settings)
    with open_session(settings) as warehouse:
        target = with_marks(target, target_columns(warehouse, target))
        for piece in _pieces(catalog, table, window, settings.backup_batch_size or PIECE_ROWS):
            extra = _compare_keys(catalog, warehouse, target, table, piece, check)
            for start in range(0, len(extra), LOOKED_UP):
                _explain(catalog, table, extra[start : start + LOOKED_UP], check)
            if not check.changed and not check.differences and not check.impossible:
                _compare_columns(catalog, warehouse, target, table, piece, check)
    return _without_differences(check, table, target)


def check_null_cursors(catalog: Catalog, table: Table, read: int, settings: Settings) -> Check:
    """Compares the keys of the rows whose cursor is NULL, after a run that loaded them.

    Nothing says when such a row was written. Of those that only the source has, so many are explained as its rows
    have become more than were read, counting those that have left; any more are a difference.

    Args:
        read: how many the run read.

    Raises:
        IntegrityError: as :func:`check_window`.
    """
    check, target = Check(), target_of(table, settings)
    nulls = Window(after=Watermark.START, upto=Watermark.START, null_horizon=0)
    here = {_plain(row) for row in catalog.positions(table, nulls)}
    with open_session(settings) as warehouse:
        target = with_marks(target, target_columns(warehouse, target))
        there = [_plain(row) for row in warehouse.query(sql.null_positions_sql(target, table.order_columns))]
    held = set(there)
    check.rows = len(there)
    if len(held) != len(there):
        check.differences.append(_doubled(len(there) - len(held)))
    missing, left = sorted(here - held, key=repr), len(held - here)
    if len(missing) > max(0, len(here) - read + left):
        check.differences += [f"the row {_shown(row)} is missing" for row in missing]
    else:
        check.changed = len(missing) + left
    return _without_differences(check, table, target)


def _without_differences(check: Check, table: Table, target: Target) -> Check:
    if check.differences:
        more = len(check.differences) - SHOWN
        raise IntegrityError(
            f"{table.name}: {target.qualified} differs from the source: {'; '.join(check.differences[:SHOWN])}"
            + (f"; and {more} more differences" if more > 0 else ""),
            hint="`watermark set` to a time before the first difference, and another sync, carry these rows again",
        )
    return check


def _pieces(catalog: Catalog, table: Table, window: Window, rows: int) -> Iterator[Window]:
    """The window in windows that end between two cursor values, each of about ``rows`` rows.

    The first cursor value is compared whole, because earlier runs carried the rest of it.
    """
    start = window.after.position[:1]
    ends: list[Position] = [start]
    if table.cursor_index:
        whole = Window(after=Watermark(position=start), upto=window.upto)
        for chunk in cut_chunks(catalog, table, whole, RangeOrder.CURSOR, run_id="check", sizes=fixed(rows)):
            cursor = (chunk.range.upto or ())[:1]
            if cursor not in (ends[-1], window.upto.position[:1]):
                ends.append(cursor)
    for after, upto in pairwise([*ends, window.upto.position]):
        yield Window(after=Watermark(position=after), upto=Watermark(position=upto))


def _compare_keys(
    catalog: Catalog, warehouse: Warehouse, target: Target, table: Table, piece: Window, check: Check
) -> list[Plain]:
    """Compares cursors and keys; returns the rows that only the warehouse has there."""
    rows = [_plain(row) for row in catalog.positions(table, piece)]
    read = [row for row in rows if not isinstance(row[0], str)]
    if len(read) < len(rows):
        _compare_impossible(warehouse, target, table, [row for row in rows if isinstance(row[0], str)], check)
    low, closed, parameters = _bounds(table, piece)
    asked = sql.positions_sql(target, table.order_columns, low=low, closed=closed)
    there = [_plain(row) for row in warehouse.query(asked, parameters)]
    if not table.key:
        return _compare_counts(Counter(read), Counter(there), check)
    here, held = set(read), set(there)
    check.rows += len(there)
    if len(held) != len(there):
        check.differences.append(_doubled(len(there) - len(held)))
    check.differences += [f"the row {_shown(row)} is missing" for row in sorted(here - held, key=repr)]
    return sorted(held - here, key=repr)


def _compare_impossible(
    warehouse: Warehouse, target: Target, table: Table, rows: Sequence[Plain], check: Check
) -> None:
    """Looks for rows whose cursor is a date no calendar has: there it is NULL."""
    asked = sql.null_positions_sql(target, table.order_columns)
    left = Counter(_plain(row)[1:] for row in warehouse.query(asked))
    for row in rows:
        left[row[1:]] -= 1
    missing = [row for row in rows if left[row[1:]] < 0]
    check.rows += len(rows) - len(missing)
    check.differences += [f"the row {_shown(row)} is missing" for row in missing]
    check.impossible += len(rows)


def _compare_counts(here: Counter[Plain], there: Counter[Plain], check: Check) -> list[Plain]:
    """Compares how many rows hold each cursor, all that can be told of rows without a key.

    A row that was changed or deleted since has left its cursor here; none can have joined one that is settled.
    """
    check.rows += there.total()
    check.changed += (there - here).total()
    check.differences += [
        f"of the cursor {_shown(row)}, {counted(count, 'row is', 'rows are')} missing"
        for row, count in sorted((here - there).items())
    ]
    return []


def _bounds(table: Table, piece: Window) -> tuple[bool, bool, tuple[object, ...]]:
    """Whether a piece has a first cursor value and holds its last, and these values as parameters."""
    low, high = piece.after.cursor, piece.upto.cursor
    closed = len(piece.upto.position) == len(table.order_columns) and not isinstance(high, str)
    low, high = (_next_day(v) if isinstance(v, str) else v for v in (low, high))
    return low is not None, closed, tuple(v for v in (low, high) if v is not None)


def _next_day(text: str) -> dt.date:
    """The first day behind a date no calendar has, such as 0000-00-00, 2026-00-10 and 2026-02-31."""
    year, month, day = (int(part) for part in text[:10].split("-"))
    if not year:
        return dt.date(1, 1, 1)
    if month and day:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return dt.date(year, max(month, 1), 1)


def _explain(catalog: Catalog, table: Table, rows: Sequence[Plain], check: Check) -> None:
    """Looks rows of the warehouse up at the source: a later cursor, or none, explains them."""
    places = [table.order_columns.index(name) for name in table.key]
    binary = {c.name for c in table.columns if c.arrow_type == "binary"}
    keys = [
        tuple(bytes.fromhex(row[p]) if name in binary else row[p] for name, p in zip(table.key, places, strict=True))
        for row in rows
    ]
    now = {_plain(key): cursor for cursor, *key in catalog.cursors(table, keys)}
    for row, key in zip(rows, keys, strict=True):
        cursor = now.get(_plain(key))
        if cursor is not None and is_reached((cast(KeyValue, cursor),), row[:1]):
            check.differences.append(f"the row {_shown(row)} has {table.cursor} {cursor} at the source")
        else:
            check.changed += 1


def _compare_columns(
    catalog: Catalog, warehouse: Warehouse, target: Target, table: Table, piece: Window, check: Check
) -> None:
    """Counts of values, and the least and greatest of those both sides order alike."""
    here = catalog.aggregates(table, piece)
    low, closed, parameters = _bounds(table, piece)
    there = warehouse.query(sql.aggregates_sql(target, low=low, closed=closed), parameters)[0]
    names = [f"count of {c.name}" for c in table.columns]
    names += [f"{what} of {c.name}" for c in ordered_columns(table.columns) for what in ("minimum", "maximum")]
    for name, ours, theirs in zip(names, here, there, strict=True):
        if _plain((ours,)) != _plain((theirs,)):
            check.differences.append(f"the {name} is {ours} at the source and {theirs} there")


def _plain(row: Sequence[object]) -> Plain:
    return tuple(_plain_value(value) for value in row)


def _plain_value(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value


def _shown(row: Plain) -> str:
    return f"({', '.join(map(str, row))})"


def _doubled(rows: int) -> str:
    return f"{counted(rows, 'row is', 'rows are')} there more than once"

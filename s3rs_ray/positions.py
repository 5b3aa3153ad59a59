"""Positions: tuples of key values, as MySQL gave them, compared and written as JSON."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TypeAlias

KeyValue: TypeAlias = int | str | bytes | Decimal | dt.datetime | dt.date
"""A value of a key or cursor column, as MySQL gave it. Naive datetimes, in the column's own time zone."""


Position: TypeAlias = tuple[KeyValue, ...]


_MIDNIGHT = "0000-00-00 00:00:00.000000"


def order_value(value: KeyValue) -> int | Decimal | bytes | str:
    """A value that Python orders as MySQL does, among those of one column; texts of keys have none.

    Times are written out to the microsecond: days count as their midnight, and dates no calendar has, which come as
    texts, take their place among the others.
    """
    match value:
        case dt.datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case dt.date():
            return value.isoformat() + _MIDNIGHT[10:]
        case str():
            return value + _MIDNIGHT[len(value) :]
    return value


def is_reached(position: Position, by: Position) -> bool:
    """Whether ``position`` is certainly at or before ``by`` in an update order, ``(cursor, *key)``.

    MySQL orders texts by their collation, which Python does not know: behind two texts that differ nothing is certain.
    """
    for place, (ours, theirs) in enumerate(zip(position, by, strict=False)):
        if place and isinstance(ours, str) and ours != theirs:
            return False
        left, right = order_value(ours), order_value(theirs)
        if left != right:
            return left < right  # type: ignore[operator]  # of one column, so of one kind
    return len(position) <= len(by)


def format_position(position: Position) -> list[object]:
    """A position as JSON: integers and texts as they are, other kinds named."""
    return [format_value(v) for v in position]


def format_value(value: KeyValue) -> object:
    match value:
        case int() | str():
            return value
        case Decimal():
            return {"decimal": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case dt.datetime():
            return {"datetime": value.isoformat(sep=" ", timespec="microseconds")}
        case dt.date():
            return {"date": value.isoformat()}
    raise TypeError(f"no JSON form for {type(value).__name__}")


def parse_position(values: object) -> Position:
    if not isinstance(values, list):
        raise TypeError(f"a position must be a list, not {values!r}")
    return tuple(parse_value(v) for v in values)


def parse_value(value: object) -> KeyValue:
    match value:
        case int() | str():
            return value
        case {"decimal": str(text)}:
            return _decimal(text)
        case {"bytes": str(text)}:
            return bytes.fromhex(text)
        case {"datetime": str(text)}:
            return dt.datetime.fromisoformat(text)
        case {"date": str(text)}:
            return dt.date.fromisoformat(text)
    raise ValueError(f"not a key value: {value!r}")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as exc:
        raise ValueError(f"not a decimal: {text!r}") from exc

"""A place in a table's update order, as people write it: checked against the columns it speaks of."""

from __future__ import annotations

import datetime as dt

from ..config import DB_NAMES, Settings
from ..errors import ConfigError, UsageError
from ..ledger.document import cursor_text
from ..model import Table, TableName, Watermark
from ..positions import KeyValue
from ..source.catalog import Endpoint, open_catalog
from ..source.horizon import EPOCH, UNITS
from ..storage.layout import CONTRACT, RUN_PREFIX, format_table
from ..storage.s3 import ObjectStore
from ..tunnel import open_source_tunnel
from .contract import parse_contract

FURTHEST_AHEAD = dt.timedelta(hours=14)
"""UTC+14, the time zone of Kiritimati."""
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


def place_by_hand(
    settings: Settings,
    store: ObjectStore,
    name: TableName,
    cursor: str,
    key: int | None,
    *,
    option: str = "--timestamp",
) -> Watermark:
    """The watermark at a cursor value and, where given, a key.

    The columns are those of the last run's contract; a table that was never run is looked up at the source.

    Args:
        cursor: ``YYYY-MM-DD HH:MM:SS[.ffffff]``, ``YYYY-MM-DD`` for a DATE, also the number itself for an integer.
        option: by which it was given.

    Raises:
        UsageError: the value is none of the cursor column, or the key is not a single integer.
        ConfigError: the cursor is an integer and BACKUP_CURSOR_UNIT is not set.
    """
    written = _parse(cursor, option)
    table = _last_contract(store, name)
    if table is None or table.cursor.lower() != settings.cursor_column(name).lower():
        table = _at_the_source(settings, name)
    place = _cursor_value(table, written, settings.backup_cursor_unit, option)
    if key is None:
        return Watermark(position=(place,))
    columns = table.order_columns[1:]
    if len(columns) != 1 or not _kind(table, columns[0]).startswith(INTEGERS):
        raise UsageError(
            f"--id {key}: the key of {name} is {', '.join(table.key) or 'missing'}, not one integer column",
            hint="leave out --id: the rows of that very time are carried again",
        )
    return Watermark(position=(place, key))


def require_no_future(watermark: Watermark, unit: str, now: dt.datetime) -> None:
    """Refuses a place that no row of today can have: all rows until then would count as done.

    Args:
        unit: what an integer cursor counts; of one that counts nothing known, nothing can be said.
        now: in UTC. A cursor may be written in the time zone that is furthest ahead of it.

    Raises:
        UsageError: naming the place.
    """
    latest = now.replace(tzinfo=None) + FURTHEST_AHEAD
    ahead, place = False, watermark.cursor
    match place:
        case dt.datetime() as moment:
            ahead = moment > latest
        case dt.date() as day:
            ahead = day > latest.date()
        case int() as number if unit in UNITS:
            ahead = number > (latest - EPOCH) // dt.timedelta(microseconds=1_000_000 // UNITS[unit])
    if ahead:
        raise UsageError(
            f"--timestamp {cursor_text(watermark)} lies in the future: rows written until then would count as done,"
            " and no sync would carry them",
            hint="give a time up to which the rows are carried",
        )


def _last_contract(store: ObjectStore, name: TableName) -> Table | None:
    prefix = f"{RUN_PREFIX}{format_table(name)}/"
    keys = [item.key for item in store.list(prefix) if item.key.endswith(f"/{CONTRACT}")]
    return parse_contract(store.get(keys[-1]).body, keys[-1]) if keys else None


def _at_the_source(settings: Settings, name: TableName) -> Table:
    settings.require(*DB_NAMES)
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        return catalog.discover(name)


def _kind(table: Table, column: str) -> str:
    return next(c.source_type for c in table.columns if c.name == column)


def _parse(text: str, option: str) -> int | dt.datetime:
    """The number or the time that was written."""
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise UsageError(
            f"{option} {text!r} is not a time of the form 'YYYY-MM-DD HH:MM:SS[.ffffff]'",
            hint="give it as the cursor column holds it, without a time zone",
        )
    return moment


def cursor_at(table: Table, moment: dt.datetime, unit: str) -> KeyValue:
    """The cursor at a time; of a DATE its day.

    Raises:
        ConfigError: the cursor is an integer and nothing says what it counts.
    """
    if _kind(table, table.cursor) == "date":
        return moment.date()
    return _cursor_value(table, moment, unit)


def _cursor_value(table: Table, written: int | dt.datetime, unit: str, option: str = "") -> KeyValue:
    kind, named = _kind(table, table.cursor), f"the cursor {table.cursor} of {table.name}"
    if kind.startswith(INTEGERS):
        if isinstance(written, int):
            return written
        if unit not in UNITS:
            raise ConfigError(
                f"{named} is an integer ({kind}), and nothing says what it counts",
                hint=f"set BACKUP_CURSOR_UNIT to one of {', '.join(UNITS)} since 1970, or give the number itself",
            )
        return (written - EPOCH) // dt.timedelta(microseconds=1_000_000 // UNITS[unit])
    if isinstance(written, int):
        raise UsageError(f"{option} {written}: {named} is a {kind}", hint="give it as YYYY-MM-DD[ HH:MM:SS]")
    if kind == "date":
        if written.time() != dt.time():
            raise UsageError(
                f"{option} {str(written)!r}: {named} holds whole days",
                hint="give the day alone: the rows of that day are carried again",
            )
        return written.date()
    return written

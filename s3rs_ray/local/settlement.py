"""Fills the settlement case: a delivery table of 51 columns, claims and partners, and changes it afterwards.

The rows are made inside the server (``INSERT … SELECT`` from a sequence): several times faster than sending them.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TypeAlias

import pymysql

from ..errors import LocalStackError
from .settlement_tables import (
    CLAIM_TABLE,
    DATABASE,
    DELIVERY_TABLE,
    PARTNER_TABLE,
    PARTNERS,
    SCHEMA,
    Rows,
    first_free_row,
)

__all__ = [
    "CLAIM_TABLE",
    "DATABASE",
    "DELIVERY_TABLE",
    "PARTNER_TABLE",
    "Change",
    "Connection",
    "change",
    "create_schema",
    "fill",
]

_ROWS_PER_CLAIM = 20
_HISTORY = datetime.timedelta(days=60)
_FILL_AGE = datetime.timedelta(minutes=10)
_CHANGE_AGE = datetime.timedelta(seconds=20)
_CHANGE_SPAN = datetime.timedelta(seconds=10)

Connection: TypeAlias = "pymysql.Connection[pymysql.cursors.Cursor]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What ``fill`` or ``change`` did to the delivery table.

    Attributes:
        inserted, updated: rows; no row is counted in both.
        after: no touched row has an ``update_at`` before this (UTC).
        upto: nor one after this (UTC).
    """

    inserted: int
    updated: int
    after: datetime.datetime
    upto: datetime.datetime


def create_schema(connection: Connection) -> None:
    """Makes the database ``settlement`` and its three tables where they are missing.

    Raises:
        pymysql.Error: as pymysql does; so does every function here.
    """
    _run(connection, *SCHEMA)


def fill(connection: Connection, rows: int, seed: int = 1, *, upto: datetime.datetime | None = None) -> Change:
    """Adds rows to the three tables: ``rows`` to the delivery table, a twentieth of that to the claims.

    Args:
        connection: a MariaDB connection with autocommit.
        rows: at least 1.
        seed: the same seed on empty tables gives the same rows, when ``upto`` is the same.
        upto: the newest ``update_at`` (aware); the oldest row is 60 days older. None: ten minutes ago.
    """
    newest = upto.astimezone(datetime.UTC) if upto else _server_time(connection) - _FILL_AGE
    oldest = newest - _HISTORY
    first_row = first_free_row(_highest(connection, DELIVERY_TABLE))
    claims = max(1, rows // _ROWS_PER_CLAIM)
    first_claim = _highest(connection, CLAIM_TABLE) // 2 + 1
    deliveries = _rows(seed, oldest, newest, first_row, rows)
    _run(connection, deliveries.delivery_sql(), _rows(seed, oldest, newest, first_claim, claims).claim_sql())
    if not _highest(connection, PARTNER_TABLE):
        _run(connection, _rows(seed, oldest, newest, 1, PARTNERS).partner_sql())
    _run(connection, *(f"ANALYZE TABLE `{DATABASE}`.`{table}`" for table in (DELIVERY_TABLE, CLAIM_TABLE)))
    return Change(inserted=rows, updated=0, after=oldest, upto=newest)


def change(
    connection: Connection, inserts: int, updates: int, seed: int = 1, *, upto: datetime.datetime | None = None
) -> Change:
    """Updates rows of the delivery table and adds others, as a day's work would.

    Half of the updates share one ``update_at`` (a bulk update), the others and the new rows are spread over at most
    ten seconds. All are later than every ``update_at`` there was.

    Args:
        connection: a MariaDB connection with autocommit.
        inserts, updates: rows; as many rows are updated as there are, at most ``updates``.
        seed: chooses rows and values.
        upto: the newest ``update_at`` (aware). None: 20 s ago, so that a run which leaves the last seconds to the
            next one sees all of it.

    Raises:
        LocalStackError: the table holds rows as new as ``upto``; there is no time left in between.
    """
    newest_there = _newest(connection)
    after = newest_there + datetime.timedelta(seconds=1)
    limit = upto.astimezone(datetime.UTC) if upto else _server_time(connection) - _CHANGE_AGE
    newest = min(limit.replace(microsecond=0), after + _CHANGE_SPAN)
    if newest < after:
        raise LocalStackError(
            f"the newest row is of {newest_there:%Y-%m-%d %H:%M:%S} UTC; a change has to lie before "
            f"{limit:%Y-%m-%d %H:%M:%S} UTC",
            hint="wait some seconds, or pass a later `upto`",
        )
    first_row = first_free_row(_highest(connection, DELIVERY_TABLE))
    updated = _update(connection, updates, seed, after, newest) if updates else 0
    if inserts:
        _run(connection, _rows(seed, after, newest, first_row, inserts).delivery_sql())
    return Change(inserted=inserts, updated=updated, after=after, upto=newest)


def _update(connection: Connection, updates: int, seed: int, after: datetime.datetime, upto: datetime.datetime) -> int:
    table, chosen = f"`{DATABASE}`.`{DELIVERY_TABLE}`", f"`{DATABASE}`.`chosen`"
    span_s = int((upto - after).total_seconds())
    _run(
        connection,
        f"CREATE OR REPLACE TEMPORARY TABLE {chosen} (ID BIGINT PRIMARY KEY, place INT NOT NULL) "
        "SELECT ID, CAST(ROW_NUMBER() OVER (ORDER BY chance, ID) AS INT) AS place FROM "
        f"(SELECT ID, CRC32(CONCAT({seed}, ':', ID)) AS chance FROM {table} ORDER BY chance, ID LIMIT {updates}) drawn",
    )
    updated = _run(
        connection,
        f"""UPDATE {table} t JOIN {chosen} c ON c.ID = t.ID SET
            t.latest_status = ELT(1 + c.place MOD 3, 'delivered', 'returned', 'failed'),
            t.attempt_count = LEAST(255, t.attempt_count + 1),
            t.is_returned = IF(c.place MOD 3 = 1, 1, NULL),
            t.settlement_amount = IF(ABS(t.settlement_amount) > 1000000000, 0, t.settlement_amount + c.place / 100),
            t.ledger_units = IF(c.place MOD 50 = 0, '-99999999999999999999999999999999999999', t.ledger_units),
            t.recipient_note = IF(t.recipient_note IS NULL, CONCAT('signed by a neighbour 🖊 ', c.place), NULL),
            t.delivery_date = DATE('{_text(upto)}'),
            t.scanned_at = '{_text(upto)}' + INTERVAL c.place MICROSECOND,
            t.update_at = '{_text(after)}' + INTERVAL IF(c.place MOD 2 = 0, 0, c.place MOD {span_s + 1}) SECOND""",
    )
    _run(connection, f"DROP TEMPORARY TABLE {chosen}")
    return updated


def _rows(seed: int, oldest: datetime.datetime, newest: datetime.datetime, first_row: int, rows: int) -> Rows:
    return Rows(
        seed=seed,
        first=_text(oldest),
        span_s=int((newest - oldest).total_seconds()),
        first_row=first_row,
        last_row=first_row + rows - 1,
    )


def _run(connection: Connection, *statements: str) -> int:
    """Runs them; how many rows the last one changed."""
    affected = 0
    with connection.cursor() as cursor:
        for statement in statements:
            affected = cursor.execute(statement)
    return affected


def _value(connection: Connection, query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return row[0] if row else None


def _highest(connection: Connection, table: str) -> int:
    value = _value(connection, f"SELECT MAX(ID) FROM `{DATABASE}`.`{table}`")
    return value if isinstance(value, int) else 0


def _newest(connection: Connection) -> datetime.datetime:
    value = _value(connection, f"SELECT MAX(update_at) FROM `{DATABASE}`.`{DELIVERY_TABLE}`")
    if not isinstance(value, datetime.datetime):
        raise LocalStackError(f"{DATABASE}.{DELIVERY_TABLE} is empty", hint="fill it before changing it")
    return value.replace(tzinfo=datetime.UTC)


def _server_time(connection: Connection) -> datetime.datetime:
    value = _value(connection, "SELECT UTC_TIMESTAMP()")
    assert isinstance(value, datetime.datetime)
    return value.replace(tzinfo=datetime.UTC)


def _text(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"

"""MySQL's predicates carried out for real, by SQLite: only the literals are translated."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Sequence

from s3rs_ray.positions import KeyValue

_LITERAL = re.compile(r"(?:TIMESTAMP|DATE)'([^']*)'|_utf8mb4 x'([0-9a-f]*)'")


def translated(sql: str) -> str:
    """Dates become texts that sort as they do; ``_utf8mb4 x'…'`` becomes a text; index hints vanish."""

    def literal(match: re.Match[str]) -> str:
        return f"'{match[1]}'" if match[1] is not None else f"CAST(x'{match[2]}' AS TEXT)"

    return _LITERAL.sub(literal, re.sub(r" FORCE INDEX \(`(?:``|[^`])*`\)", "", sql))


def stored(value: KeyValue | None) -> object:
    """A value as a SQLite column holds it."""
    if value is None or isinstance(value, (int, bytes, str)):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    return float(value)


def database(
    columns: Sequence[str], rows: Sequence[Sequence[KeyValue | None]], *, table: str = "t"
) -> sqlite3.Connection:
    """A database in memory with one table; ``rowid`` tells the rows apart, counted from 1."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE `{table}` ({', '.join(f'`{c}`' for c in columns)})")
    places = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO `{table}` VALUES ({places})", [tuple(map(stored, row)) for row in rows])
    return connection


def rows_where(connection: sqlite3.Connection, predicate: str, *, table: str = "t") -> list[int]:
    """Which rows a predicate selects, by position from 0."""
    found = connection.execute(f"SELECT rowid FROM `{table}` WHERE {translated(predicate)} ORDER BY rowid")
    return [int(row[0]) - 1 for row in found]

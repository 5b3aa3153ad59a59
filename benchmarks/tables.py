"""The tables that are measured, filled inside the server from MariaDB's sequence engine, in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from s3rs_ray.local import settlement
from s3rs_ray.local.settlement import Connection

BATCH_ROWS = 1_000_000
"""Rows of one INSERT: undo and redo logs stay small, whatever the size of the table."""
HISTORY_S = 60 * 86_400
OLDEST = "2024-01-01 00:00:00"
"""The first ``update_at``; the last is 60 days later and long settled."""
SAME_CURSOR_ROWS = 10_000

Fill: TypeAlias = Callable[[Connection, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A table.

    Attributes:
        row_bytes: what a row may take in InnoDB's cache, indexes included.
        fill: makes the table with so many rows.
    """

    name: str
    title: str
    row_bytes: int
    fill: Fill

    @property
    def full_name(self) -> str:
        return f"{settlement.DATABASE}.{self.name}"


def run(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _fill_delivery(connection: Connection, rows: int) -> None:
    settlement.create_schema(connection)
    settlement.fill(connection, rows)


def _filler(name: str, columns: dict[str, str], keys: str, values: Callable[[int], dict[str, str]]) -> Fill:
    """Fills a table batch by batch.

    Args:
        columns: definitions by name.
        values: expressions over the row's number ``n`` (from 0) by column, for so many rows in all.
    """

    def fill(connection: Connection, rows: int) -> None:
        defined = ", ".join(f"`{column}` {definition}" for column, definition in columns.items())
        run(connection, f"CREATE TABLE `{name}` ({defined}, {keys}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")
        expressions = values(rows)
        listed = ", ".join(f"`{column}`" for column in expressions)
        for first in range(0, rows, BATCH_ROWS):
            last = min(first + BATCH_ROWS, rows) - 1
            run(
                connection,
                f"INSERT INTO `{name}` ({listed}) SELECT {', '.join(expressions.values())}"
                f" FROM (SELECT seq AS n FROM seq_{first}_to_{last}) numbers ORDER BY n",
            )
        run(connection, f"ANALYZE TABLE `{name}`")

    return fill


_SMALL = {
    "ID": "BIGINT NOT NULL",
    "partner": "INT NOT NULL",
    "status": "TINYINT NOT NULL",
    "amount": "DECIMAL(12,2) NOT NULL",
    "update_at": "DATETIME NOT NULL",
}
_BOTH_KEYS = "PRIMARY KEY (`ID`), KEY `idx_update_at` (`update_at`)"


def _small_values(key: str, update_at: str) -> dict[str, str]:
    return {
        "ID": key,
        "partner": "CRC32(n) MOD 500",
        "status": "n MOD 7",
        "amount": "CRC32(n * 7) MOD 5000000 * 0.01",
        "update_at": update_at,
    }


def _evenly(rows: int) -> str:
    """An ``update_at`` that rises with the row's number."""
    return f"'{OLDEST}' + INTERVAL n * {HISTORY_S} DIV {rows} SECOND"


DELIVERY = Kind(name=settlement.DELIVERY_TABLE, title="51 columns", row_bytes=600, fill=_fill_delivery)

NARROW = Kind(
    name="bench_narrow",
    title="5 narrow columns",
    row_bytes=90,
    fill=_filler("bench_narrow", _SMALL, _BOTH_KEYS, lambda rows: _small_values("n + 1", _evenly(rows))),
)

WIDE = Kind(
    name="bench_wide",
    title="long texts, ten times as long in the last third",
    row_bytes=16_000,
    fill=_filler(
        "bench_wide",
        {"ID": "BIGINT NOT NULL", "body": "TEXT NOT NULL", "update_at": "DATETIME NOT NULL"},
        _BOTH_KEYS,
        lambda rows: {
            "ID": "n + 1",
            "body": f"REPEAT(SHA2(n, 512), (1 + n MOD 32) * IF(n < {rows * 2 // 3}, 1, 10))",
            "update_at": _evenly(rows),
        },
    ),
)

GAPS = Kind(
    name="bench_gaps",
    title="IDs with huge gaps",
    row_bytes=90,
    fill=_filler(
        "bench_gaps",
        _SMALL,
        _BOTH_KEYS,
        lambda rows: _small_values(
            "n + 1 + (n DIV 1000) * (n DIV 1000) * 1000003 + (n MOD 1000 > 900) * 500000", _evenly(rows)
        ),
    ),
)

SAME_CURSORS = Kind(
    name="bench_same_cursors",
    title=f"{SAME_CURSOR_ROWS:,} rows to each cursor value",
    row_bytes=90,
    fill=_filler(
        "bench_same_cursors",
        _SMALL,
        _BOTH_KEYS,
        lambda rows: _small_values("n + 1", f"'{OLDEST}' + INTERVAL n DIV {SAME_CURSOR_ROWS} SECOND"),
    ),
)

NO_CURSOR_INDEX = Kind(
    name="bench_no_cursor_index",
    title="no index on the cursor",
    row_bytes=60,
    fill=_filler(
        "bench_no_cursor_index", _SMALL, "PRIMARY KEY (`ID`)", lambda rows: _small_values("n + 1", _evenly(rows))
    ),
)

ONE_ROW = Kind(
    name="bench_one_row",
    title="one row",
    row_bytes=90,
    fill=_filler("bench_one_row", _SMALL, _BOTH_KEYS, lambda rows: _small_values("n + 1", _evenly(rows))),
)


def _fill_shuffled(connection: Connection, rows: int) -> None:
    """The delivery table's rows with an ``update_at`` that has nothing to do with the key.

    The index is made at the end, by sorting: inserts at random places of it would read and write a page for each row.
    """
    name, source = SHUFFLED.name, settlement.DELIVERY_TABLE
    _fill_delivery(connection, rows)
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW COLUMNS FROM `{source}`")
        columns = [str(row[0]) for row in cursor.fetchall()]
    shuffled = f"'{OLDEST}' + INTERVAL CRC32(ID) MOD {HISTORY_S} SECOND"
    values = ", ".join(shuffled if column == "update_at" else f"`{column}`" for column in columns)
    run(
        connection,
        f"CREATE TABLE `{name}` LIKE `{source}`",
        f"ALTER TABLE `{name}` DROP INDEX idx_update_at",
        f"INSERT INTO `{name}` SELECT {values} FROM `{source}` ORDER BY ID",
        f"ALTER TABLE `{name}` ADD INDEX idx_update_at (update_at)",
        f"ANALYZE TABLE `{name}`",
        f"DROP TABLE `{source}`",
    )


SHUFFLED = Kind(
    name="bench_shuffled", title="51 columns, update order random against the key", row_bytes=600, fill=_fill_shuffled
)

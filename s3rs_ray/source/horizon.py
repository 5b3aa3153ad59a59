"""The horizon: the largest cursor value that no open or later transaction can still write.

A value ``c`` of resolution ``r`` may be written until the clock passes ``c + r``, so it is settled when ``c + r`` is at
or before the *bound*: the least of

- the server's time less ``BACKUP_SETTLE_SECONDS``, for clients that make up the cursor before they send it;
- the start of the oldest open transaction that writes, because its rows become visible only at its commit
  (``information_schema.INNODB_TRX``, MySQL and MariaDB manuals; it tells times in the server's own time zone);
- the server's time less the replication lag, on a replica (``SHOW REPLICA STATUS``, ``SHOW ALL SLAVES STATUS``).
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config import Settings
from ..errors import ConfigError, SourceError
from ..model import Table
from ..positions import KeyValue
from .chunks import literal_sql

log = logging.getLogger(__name__)

NO_PRIVILEGE = frozenset({"1045", "1142", "1227"})
UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
WRITES = (
    "^([[:space:](]|/[*].*[*]/)*(INSERT|REPLACE|UPDATE|DELETE|LOAD|CALL|WITH.*[[:space:])](UPDATE|DELETE)[[:space:]])"
)
"""A statement that will write. While it still reads, its time is fixed, and READ COMMITTED takes no lock for it."""
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  cursors are naive


class Asked(Protocol):
    """Something that answers queries: the catalog."""

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]: ...

    def query_named(self, sql: str) -> list[dict[str, object]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The largest settled cursor value, and what held it back, for people."""

    upto: KeyValue
    reasons: tuple[str, ...] = ()


def find_horizon(source: Asked, table: Table, settings: Settings) -> Horizon:
    """The horizon of a table's cursor, by the server's clock and at the cursor's resolution.

    Raises:
        ConfigError: the time zone is not known to the server, or an integer cursor's unit is not set.
        SourceError: the source is a replica that has stopped.
    """
    kind = next(c.source_type for c in table.columns if c.name == table.cursor)
    now = _now(source, _zone(source, kind, settings))
    reasons: list[str] = []
    behind = max(
        dt.timedelta(seconds=settings.backup_settle_seconds),
        _oldest_writer(source, reasons),
        replica_lag(source, reasons),
    )
    return Horizon(upto=settled_cursor(kind, now - behind, settings.backup_cursor_unit), reasons=tuple(reasons))


def settled_cursor(kind: str, bound: dt.datetime, unit: str) -> KeyValue:
    """The largest value of a cursor column that is settled at ``bound``.

    Args:
        kind: the column's full type, e.g. ``datetime(3)``.
        bound: in the cursor's own time zone; UTC for integers.
        unit: of an integer cursor: seconds, milliseconds or microseconds since 1970.
    """
    if kind == "date":
        return bound.date() - dt.timedelta(days=1)
    if not kind.startswith(("datetime", "timestamp")):
        if unit not in UNITS:
            raise ConfigError(
                f"the cursor is an integer ({kind}), and nothing says what it counts",
                hint=f"set BACKUP_CURSOR_UNIT to one of {', '.join(UNITS)} since 1970",
            )
        return (bound - EPOCH) // dt.timedelta(microseconds=1_000_000 // UNITS[unit]) - 1
    step = resolution(kind)
    return EPOCH + (bound - EPOCH) // step * step - step


def resolution(kind: str) -> dt.timedelta:
    """The step of a DATETIME or TIMESTAMP column: a second, or 10^-n of one for ``datetime(n)``."""
    digits = kind.partition("(")[2].rstrip(")")
    return dt.timedelta(microseconds=10 ** (6 - int(digits or 0)))


def _zone(source: Asked, kind: str, settings: Settings) -> str:
    """A DATETIME holds the time of whoever wrote it; everything else counts in UTC."""
    if not kind.startswith("date"):
        return "+00:00"
    return settings.backup_cursor_time_zone or str(source.query("SELECT @@global.time_zone")[0][0])


def _now(source: Asked, zone: str) -> dt.datetime:
    now = source.query(f"SELECT CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', {literal_sql(zone)})")[0][0]
    if not isinstance(now, dt.datetime):
        raise ConfigError(
            f"MySQL does not know the time zone {zone}", hint="give BACKUP_CURSOR_TIME_ZONE as an offset such as +08:00"
        )
    return now


def missing_privileges(source: Asked) -> tuple[str, ...]:
    """The privileges without which some of what holds a window back cannot be seen.

    Raises:
        SourceError: the source is a replica that has stopped.
    """
    unseen: list[str] = []
    for privilege, look in (("PROCESS", _oldest_writer), ("REPLICATION CLIENT", replica_lag)):
        reasons: list[str] = []
        look(source, reasons)
        unseen += [privilege for reason in reasons if f"no {privilege} privilege" in reason]
    return tuple(unseen)


def _oldest_writer(source: Asked, reasons: list[str]) -> dt.timedelta:
    """How long ago the oldest open writing transaction began; zero when there is none or none can be seen."""
    try:
        rows = source.query(
            "SELECT TIMESTAMPDIFF(SECOND, MIN(trx_started), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) + 1"
            " FROM information_schema.INNODB_TRX WHERE (trx_rows_modified > 0 OR trx_lock_structs > 0"
            f" OR REPLACE(trx_query, CHAR(10), ' ') REGEXP '{WRITES}') AND trx_mysql_thread_id <> CONNECTION_ID()"
        )
    except SourceError as exc:
        if exc.context.get("code") not in NO_PRIVILEGE:
            raise
        reasons.append(
            "open transactions cannot be seen (no PROCESS privilege): BACKUP_SETTLE_SECONDS alone guards against late"
            " commits"
        )
        return dt.timedelta()
    seconds = rows[0][0]
    if seconds is None:
        return dt.timedelta()
    age = dt.timedelta(seconds=max(0, int(str(seconds))))
    reasons.append(
        f"a transaction that writes has been open for {age.total_seconds():.0f} s: the window ends before it"
    )
    return age


def replica_lag(source: Asked, reasons: list[str]) -> dt.timedelta:
    """How far this server is behind its source; zero when it is no replica."""
    version = str(source.query("SELECT VERSION()")[0][0])
    statement = "SHOW ALL SLAVES STATUS" if "mariadb" in version.lower() else "SHOW REPLICA STATUS"
    try:
        channels = source.query_named(statement)
    except SourceError as exc:
        if exc.context.get("code") not in NO_PRIVILEGE | {"1064"}:
            raise
        reasons.append("whether this is a replica cannot be seen (no REPLICATION CLIENT privilege)")
        return dt.timedelta()
    return max((_channel_lag(c, reasons) for c in channels), default=dt.timedelta())


def _channel_lag(channel: dict[str, object], reasons: list[str]) -> dt.timedelta:
    lag = channel.get("Seconds_Behind_Source", channel.get("Seconds_Behind_Master"))
    if lag is None:
        raise SourceError(
            "this MySQL is a replica whose replication does not run: how far it is behind cannot be told",
            hint="start replication there, or name its source in DB_HOST",
        )
    seconds = int(str(lag))
    if seconds:
        reasons.append(f"the replica is {seconds} s behind its source: the window ends earlier by as much")
    return dt.timedelta(seconds=seconds)

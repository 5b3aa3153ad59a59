"""What the source knows of its tables: discovery, horizon, high watermark, boundaries, counts. pymysql lives here."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pymysql
import pymysql.cursors

from ..config import Settings
from ..errors import ConfigError, IntegrityError, SourceError, SourceUnavailable, TableNotFound
from ..model import KeyRange, Table, TableName, Watermark, Window, matching, meant
from ..policies import Mode
from ..positions import KeyValue, Position
from . import chunks
from .columns import ColumnContract
from .discovery import Discovery, whole_number
from .types import quote_name

log = logging.getLogger(__name__)

SYSTEM_SCHEMAS = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
TABLE_KINDS = frozenset({"BASE TABLE", "SYSTEM VERSIONED"})
"""``TABLE_TYPE`` of tables; the others are views (MariaDB documentation, "Information Schema TABLES Table")."""
UNAVAILABLE = frozenset({1040, 1044, 1045, 1049, 1129, 1130, 1203, 1226, 1251, 2002, 2003, 2005, 2013, 2026})

LOST = frozenset({0, 2006, 2013, 2055})
"""pymysql's codes for a connection that was cut: an interface error, CR_SERVER_GONE_ERROR, CR_SERVER_LOST."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the source is reached from here: the address behind a tunnel is the tunnel's local end."""

    host: str
    port: int


@contextmanager
def open_catalog(settings: Settings, endpoint: Endpoint) -> Iterator[Catalog]:
    """A connection for discovery and boundaries, in UTC.

    Raises:
        SourceUnavailable: within ``DB_CONNECT_TIMEOUT_SECONDS``, naming host and reason.
    """
    try:
        connection = pymysql.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=settings.db_user,
            password=settings.db_password.get_secret_value(),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=settings.db_connect_timeout_seconds,
            read_timeout=settings.db_connect_timeout_seconds,
            write_timeout=settings.db_connect_timeout_seconds,
            ssl=tls_context(settings),
            init_command="SET SESSION time_zone='+00:00', sql_mode=''",
        )
    except pymysql.err.OperationalError as exc:
        raise _translated(exc, settings) from exc
    except (OSError, RuntimeError) as exc:  # RuntimeError: pymysql's word for a missing auth module
        raise SourceUnavailable(f"cannot reach MySQL at {settings.db_host}:{settings.db_port}: {exc}") from exc
    # The login must answer as fast as the connection; a count or a boundary over a large range may take longer.
    vars(connection)["_read_timeout"] = settings.backup_timeout_seconds
    try:
        yield Catalog(connection, settings)
    finally:
        if connection.open:
            connection.close()


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of ``DB_SSL_MODE``; None for a plain connection."""
    mode = settings.db_ssl_mode
    if mode in {"disabled", "preferred"}:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.db_ssl_ca or None)
    except OSError as exc:
        raise ConfigError(f"cannot read DB_SSL_CA {settings.db_ssl_ca}: {exc}") from exc
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context


def half_pair() -> IntegrityError:
    """What is said of half a surrogate pair: MariaDB stores it, and sends it as bytes that are not UTF-8."""
    return IntegrityError(
        "a text holds half a surrogate pair, which is no character and has no form in UTF-8",
        hint="find it with HEX(CONVERT(column USING utf8mb4)) REGEXP '^(..)*ED[AB]', and correct it or exclude its"
        " column",
    )


def _translated(exc: pymysql.err.MySQLError, settings: Settings) -> SourceError:
    code = exc.args[0] if exc.args else 0
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    where = f"{settings.db_host}:{settings.db_port}"
    if code in {1044, 1045}:
        return SourceUnavailable(
            f"MySQL at {where} refused user {settings.db_user}: {text}", hint="check DB_USER and DB_PASSWORD"
        )
    if code in UNAVAILABLE:
        return SourceUnavailable(
            f"cannot reach MySQL at {where}: {text}", hint="check DB_HOST, DB_PORT and the network or bastion"
        )
    return SourceError(f"MySQL error {code}: {text}", context={"code": str(code)})


def _was_lost(exc: pymysql.err.MySQLError) -> bool:
    """Whether the connection was cut, and not given up by us after BACKUP_TIMEOUT_SECONDS or killed by the server."""
    code, text = (*exc.args, 0, "")[:2] if exc.args else (0, "")
    return code in LOST and "timed out" not in str(text)


class Catalog:
    """One connection to the source and the questions asked of it."""

    def __init__(self, connection: pymysql.connections.Connection[pymysql.cursors.Cursor], settings: Settings) -> None:
        self._connection = connection
        self._settings = settings

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query.

        Raises:
            SourceError: the server refused it; SourceUnavailable: the connection was lost.
        """
        return [tuple(row) for row in self._ask(sql, tuple(arguments) or None, pymysql.cursors.Cursor)]

    def query_named(self, sql: str) -> list[dict[str, object]]:
        """All rows of a query as dictionaries, for SHOW statements whose columns differ between versions."""
        return [dict(row) for row in self._ask(sql, None, pymysql.cursors.DictCursor)]

    def _ask(self, sql: str, arguments: tuple[object, ...] | None, kind: type[pymysql.cursors.Cursor]) -> Sequence[Any]:
        """Every question is a read that depends on none before it, so one may be asked again on a new connection."""
        try:
            try:
                return self._fetch(sql, arguments, kind)
            except pymysql.err.MySQLError as exc:
                if not _was_lost(exc):
                    raise
                log.warning("the connection to MySQL was lost (%s); connecting anew", exc)
                self._connect_anew()
                return self._fetch(sql, arguments, kind)
        except pymysql.err.MySQLError as exc:
            raise _translated(exc, self._settings) from exc
        except UnicodeDecodeError:
            raise half_pair() from None

    def _connect_anew(self) -> None:
        patience = vars(self._connection)
        patience["_read_timeout"] = self._settings.db_connect_timeout_seconds
        try:
            self._connection.connect()
        finally:
            patience["_read_timeout"] = self._settings.backup_timeout_seconds

    def _fetch(
        self, sql: str, arguments: tuple[object, ...] | None, kind: type[pymysql.cursors.Cursor]
    ) -> Sequence[Any]:
        with self._connection.cursor(kind) as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall()

    def server_version(self) -> str:
        return str(self.query("SELECT VERSION()")[0][0])

    def require_readable(self, name: TableName) -> None:
        """Raises SourceError unless the user may SELECT from a table."""
        self.query(f"SELECT 1 FROM {quote_name(name.schema)}.{quote_name(name.name)} LIMIT 0")

    def table_names(self, patterns: Sequence[str]) -> tuple[TableName, ...]:
        """The tables that the patterns name, each once, in the order of the patterns.

        Args:
            patterns: ``schema.table``, ``table`` (in ``DB_DATABASE``), or globs such as ``settlement.*``.

        Raises:
            TableNotFound: a pattern names no table.
        """
        found: dict[TableName, None] = {}
        rows = self.query("SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES ORDER BY 1, 2")
        kinds = {TableName(str(s), str(t)): str(kind) for s, t, kind in rows if str(s).lower() not in SYSTEM_SCHEMAS}
        known = [name for name, kind in kinds.items() if kind in TABLE_KINDS]
        for pattern in patterns:
            wanted = self._settings.table_name(pattern)
            named = matching(known, wanted)
            if not named and wanted in kinds:
                raise TableNotFound(f"{wanted} is a view, not a table", hint="name the tables that it reads")
            if not named:
                raise TableNotFound(
                    f"the source has no table {wanted}",
                    hint=f"{meant(known, wanted)}check the name, DB_DATABASE, and that DB_USER may SELECT from it",
                    context={"table": str(wanted)},
                )
            found.update(dict.fromkeys(named))
        return tuple(found)

    def sizes(self) -> dict[TableName, int]:
        """The server's estimate of every table's bytes without indexes (MySQL manual, INFORMATION_SCHEMA TABLES)."""
        rows = self.query("SELECT TABLE_SCHEMA, TABLE_NAME, DATA_LENGTH FROM information_schema.TABLES")
        return {TableName(str(s), str(t)): whole_number(size) or 0 for s, t, size in rows}

    def discover(self, name: TableName, mode: Mode | None = None) -> Table:
        """The table as it is now, with the contract of every column.

        Args:
            mode: by which it is carried; that of the settings unless given.

        Raises:
            TableNotFound, UnsupportedType, UnsupportedTable: with the column or key that is missing or unfit.
        """
        return self._discovery.describe(name, mode or self._settings.mode(name))

    def list_columns(self, name: TableName) -> tuple[ColumnContract, ...]:
        """What becomes of every column of a table; refuses none.

        Raises:
            TableNotFound; ConfigError: the table's settings name a column it does not have.
        """
        return self._discovery.list_columns(name)

    @property
    def _discovery(self) -> Discovery:
        return Discovery(query=self.query, settings=self._settings)

    def high_watermark(self, table: Table, after: Watermark, horizon: KeyValue, limit: int | None) -> Watermark | None:
        """The last row of the next window, or None when it is empty. ``limit`` bounds the window's rows."""
        if limit is not None:
            limited = self.position(chunks.high_watermark_sql(table, after, horizon, limit), table.order_columns)
            if limited is not None:
                return Watermark(position=limited)
        position = self.position(chunks.high_watermark_sql(table, after, horizon, None), table.order_columns)
        return None if position is None else Watermark(position=position)

    def null_cursors(self, table: Table) -> int:
        """How many rows have no cursor value."""
        nullable = next(c.nullable for c in table.columns if c.name == table.cursor)
        return self._number(chunks.null_cursors_sql(table)) if nullable else 0

    def has_value(self, table: Table, column: str, upto: Watermark) -> bool:
        """Whether a row up to the watermark holds a value in a column."""
        return bool(self.query(chunks.has_value_sql(table, column, upto)))

    def count(self, table: Table, window: Window, key_range: KeyRange) -> int:
        """How many rows a range holds now."""
        return self._number(chunks.count_sql(table, window, key_range))

    def positions(self, table: Table, window: Window) -> list[tuple[object, ...]]:
        """Cursor and key of every row of a window."""
        return self.query(chunks.positions_sql(table, window))

    def cursors(self, table: Table, keys: Sequence[Sequence[KeyValue]]) -> list[tuple[object, ...]]:
        """Cursor, then key, of those of the keys that are there."""
        return self.query(chunks.cursors_sql(table, keys))

    def aggregates(self, table: Table, window: Window) -> tuple[object, ...]:
        """Counts of all columns, then minimum and maximum of the ordered ones, over a window."""
        return self.query(chunks.aggregates_sql(table, window))[0]

    def estimated_rows(self, table: Table, window: Window, within: KeyRange | None = None) -> int:
        """The optimizer's guess at the rows of a window: a dive into the index, twice too many or too few at times.

        InnoDB answers with at most half of the table's rows; where it says so many, the whole table is meant.

        Args:
            within: a range of another index to look into instead of the window's.
        """
        key_range = within or chunks.window_range(table, window)
        row = self.query("EXPLAIN " + chunks.count_sql(table, window, key_range))[0]
        # MariaDB ends in (rows, Extra), MySQL in (rows, filtered, Extra).
        guess = whole_number(row[-2 if len(row) == 10 else -3]) or 0
        return max(guess, table.estimated_rows) if 2 * guess >= table.estimated_rows else guess

    def step(self, sql: str, columns: Sequence[str]) -> tuple[Position | None, bool]:
        """The first row of a query for two positions, as :meth:`position` has it, and whether another follows."""
        rows = self.query(sql)
        return self._position(rows, columns), len(rows) > 1

    def position(self, sql: str, columns: Sequence[str]) -> Position | None:
        """The first row of a query for a position; None when it has none.

        Raises:
            IntegrityError: the row's key is not in Unicode, and could not be told from others by what the server sends.
        """
        return self._position(self.query(sql), columns)

    def _position(self, rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> Position | None:
        if not rows:
            return None
        position = tuple(_key_value(v) for v in rows[0][: len(columns)])
        if any(rows[0][len(columns) :]):
            raise IntegrityError(
                f"the key of the row ({', '.join(columns)}) = ({', '.join(map(str, position))}) holds a character"
                " that is not in Unicode; MySQL sends a question mark for it",
                hint="correct the row at the source",
            )
        return position

    def _number(self, sql: str) -> int:
        return whole_number(self.query(sql)[0][0]) or 0


def _key_value(value: object) -> KeyValue:
    if isinstance(value, (int, str, bytes, Decimal, dt.date)):
        return value
    raise SourceError(f"a key value of the type {type(value).__name__} cannot be carried")

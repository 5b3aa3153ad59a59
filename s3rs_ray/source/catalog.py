"""What the source knows of its tables: discovery, horizon, high watermark, boundaries, counts. pymysql lives here."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

import pymysql
import pymysql.cursors

from ..config import Settings
from ..errors import ConfigError, IntegrityError, SourceError, SourceUnavailable, TableNotFound, UnsupportedTable
from ..model import (
    Index,
    KeyRange,
    KeyValue,
    Mode,
    Position,
    Table,
    TableName,
    Watermark,
    Window,
    order_columns,
)
from . import chunks
from .columns import (
    ColumnContract,
    carried_columns,
    describe_columns,
    keep_keys,
    require_carried,
    require_fit_name,
    require_known,
)
from .types import CURSOR_TYPES, GEOMETRY_TYPES, KEY_TYPES, SourceColumn, fingerprint

log = logging.getLogger(__name__)

SYSTEM_SCHEMAS = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
UNAVAILABLE = frozenset({1040, 1044, 1045, 1049, 1129, 1130, 1203, 1226, 1251, 2002, 2003, 2005, 2013, 2026})


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
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, tuple(arguments) or None)
                return list(cursor.fetchall())
        except pymysql.err.MySQLError as exc:
            raise _translated(exc, self._settings) from exc
        except UnicodeDecodeError:
            raise half_pair() from None

    def query_named(self, sql: str) -> list[dict[str, object]]:
        """All rows of a query as dictionaries, for SHOW statements whose columns differ between versions."""
        try:
            with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        except pymysql.err.MySQLError as exc:
            raise _translated(exc, self._settings) from exc

    def server_version(self) -> str:
        return str(self.query("SELECT VERSION()")[0][0])

    def table_names(self, patterns: Sequence[str]) -> tuple[TableName, ...]:
        """The tables that the patterns name, each once, in the order of the patterns.

        Args:
            patterns: ``schema.table``, ``table`` (in ``DB_DATABASE``), or globs such as ``settlement.*``.

        Raises:
            TableNotFound: a pattern names no table.
        """
        found: dict[TableName, None] = {}
        rows = self.query(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE',"
            " 'SYSTEM VERSIONED') ORDER BY 1, 2"
        )
        known = [TableName(str(s), str(t)) for s, t in rows if str(s).lower() not in SYSTEM_SCHEMAS]
        for pattern in patterns:
            if "." not in pattern:
                self._settings.require("DB_DATABASE")
            wanted = TableName.parse(pattern, self._settings.db_database)
            matching = [name for name in known if name == wanted] or [
                name
                for name in known
                if fnmatchcase(name.schema, wanted.schema) and fnmatchcase(name.name, wanted.name)
            ]
            if not matching:
                raise TableNotFound(
                    f"the source has no table {wanted}",
                    hint="check the name, DB_DATABASE, and that DB_USER may SELECT from it",
                    context={"table": str(wanted)},
                )
            found.update(dict.fromkeys(matching))
        return tuple(found)

    def discover(self, name: TableName) -> Table:
        """The table as it is now, with the contract of every column.

        Raises:
            TableNotFound, UnsupportedType, UnsupportedTable: with the column or key that is missing or unfit.
        """
        source_columns = self._columns(name)
        if self._settings.target(name)[1] == name.name:
            require_fit_name(name, self._same_names(name))
        contracts = self._describe(name, source_columns)
        columns = carried_columns(name, contracts)
        indexes = self._indexes(name)
        by_name = {c.name: c for c in source_columns}
        cursor = self._cursor(name, by_name)
        key = self._key(name, by_name, indexes)
        ordered = order_columns(cursor, key)
        require_carried(name, contracts, ordered)
        columns = keep_keys(columns, key)
        rows, row_bytes = self._estimates(name)
        where = self._where(name)
        return Table(
            name=name,
            columns=columns,
            cursor=cursor,
            key=key,
            cursor_index=_serving_index(indexes, ordered, key) if cursor else None,
            key_index=next((i.name for i in indexes if key and i.columns[: len(key)] == key), ""),
            estimated_rows=rows,
            average_row_bytes=row_bytes,
            fingerprint=fingerprint(columns, ordered, where),
            where=where,
            key_collations=tuple(by_name[k].collation for k in key),
        )

    def list_columns(self, name: TableName) -> tuple[ColumnContract, ...]:
        """What becomes of every column of a table; refuses none.

        Raises:
            TableNotFound; ConfigError: the table's settings name a column it does not have.
        """
        return self._describe(name, self._columns(name))

    def _describe(self, name: TableName, columns: Sequence[SourceColumn]) -> tuple[ColumnContract, ...]:
        require_known(name, columns, self._settings.own_table(name))
        return describe_columns(columns, self._settings.table(name), self._settings.policy)

    def _columns(self, name: TableName) -> list[SourceColumn]:
        rows = self.query(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH,"
            " CHARACTER_OCTET_LENGTH, CHARACTER_SET_NAME, NUMERIC_PRECISION, NUMERIC_SCALE,"
            " COLLATION_NAME"
            " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (name.schema, name.name),
        )
        if not rows:
            raise TableNotFound(f"the source has no table {name}", hint="check the name and the grants of DB_USER")
        checked = self._json_columns(name) if any(str(row[1]).lower() == "longtext" for row in rows) else frozenset()
        spatial = any(str(row[1]).lower() in GEOMETRY_TYPES for row in rows)
        axis_order = spatial and "mariadb" not in self.server_version().lower()
        return [
            SourceColumn(
                name=str(column),
                data_type=str(data_type).lower(),
                column_type=str(column_type),
                nullable=nullable == "YES",
                characters=_whole(characters),
                octets=_whole(octets),
                character_set=None if character_set is None else str(character_set),
                precision=_whole(precision),
                scale=_whole(scale),
                axis_order=axis_order,
                json_checked=str(column) in checked,
                collation="" if collation is None else str(collation).lower(),
            )
            for (
                column,
                data_type,
                column_type,
                nullable,
                characters,
                octets,
                character_set,
                precision,
                scale,
                collation,
            ) in rows
        ]

    def _json_columns(self, name: TableName) -> frozenset[str]:
        """MariaDB's JSON is a LONGTEXT with the check ``json_valid(column)`` (MariaDB manual, "JSON Data Type")."""
        if "mariadb" not in self.server_version().lower():
            return frozenset()
        rows = self.query(
            "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS"
            " WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s AND LEVEL = 'Column'",
            (name.schema, name.name),
        )
        return frozenset(str(column) for column, clause in rows if str(clause).lower().startswith("json_valid("))

    def _same_names(self, name: TableName) -> list[str]:
        """The tables of the schema whose name differs in case at most."""
        rows = self.query(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND LOWER(TABLE_NAME) = LOWER(%s)",
            (name.schema, name.name),
        )
        return [str(row[0]) for row in rows]

    def _indexes(self, name: TableName) -> list[Index]:
        """Usable B-tree indexes over whole columns; the primary key first, then unique ones."""
        rows = self.query(
            "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE FROM information_schema.STATISTICS"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_TYPE = 'BTREE'"
            " ORDER BY INDEX_NAME <> 'PRIMARY', NON_UNIQUE, INDEX_NAME, SEQ_IN_INDEX",
            (name.schema, name.name),
        )
        columns: dict[str, list[str]] = {}
        unfit: set[str] = set()
        unique: set[str] = set()
        for index, column, part, non_unique in rows:
            columns.setdefault(str(index), []).append(str(column))
            if column is None or part is not None:  # an expression, or a prefix of a column
                unfit.add(str(index))
            if not _whole(non_unique):
                unique.add(str(index))
        return [
            Index(name=index, columns=tuple(names), unique=index in unique)
            for index, names in columns.items()
            if index not in unfit
        ]

    def _cursor(self, name: TableName, by_name: dict[str, SourceColumn]) -> str:
        wanted = self._settings.cursor_column(name)
        cursor = _match_name(wanted, by_name)
        if self._settings.mode(name) is Mode.REPLACE and not (cursor and self._may_follow(name, by_name[cursor])):
            return ""
        if cursor is None:
            raise UnsupportedTable(
                f"{name} has no column {wanted} to follow its changes by",
                hint="name another column that grows on every insert and update in BACKUP_CURSOR_COLUMN, or in `cursor`"
                f" of the settings of {name}; or carry the table whole each time with `--mode replace`",
            )
        if by_name[cursor].data_type not in CURSOR_TYPES:
            raise UnsupportedTable(
                f"{name}: the cursor column {cursor} has the type {by_name[cursor].column_type}",
                hint=f"a cursor must be one of {', '.join(sorted(CURSOR_TYPES))}; name another in BACKUP_CURSOR_COLUMN,"
                f" or in `cursor` of the settings of {name}",
            )
        return cursor

    def _may_follow(self, name: TableName, column: SourceColumn) -> bool:
        """Whether a column can tell how far a table was carried; a table that is replaced needs none that can."""
        kind = column.data_type
        counted = kind.startswith("date") or kind == "timestamp" or self._settings.backup_cursor_unit != ""
        return kind in CURSOR_TYPES and counted and self._settings.table(name).carries(column.name)

    def _where(self, name: TableName) -> str:
        """The filter of the table's settings, which the server has taken once.

        Raises:
            ConfigError: it refuses the condition.
        """
        where = self._settings.table(name).where
        if where:
            try:
                self.query(chunks.filter_check_sql(name, where))
            except SourceUnavailable:
                raise
            except SourceError as exc:
                raise ConfigError(
                    f"`where` of {name}: {exc.message}",
                    hint="give a condition over the table's own columns, in MySQL's SQL",
                ) from exc
        return where

    def _key(self, name: TableName, by_name: dict[str, SourceColumn], indexes: Sequence[Index]) -> tuple[str, ...]:
        wanted = tuple(_match_name(k, by_name) or k for k in self._settings.key_columns(name))
        if wanted and not any(i.unique and set(i.columns) <= set(wanted) for i in indexes):
            raise UnsupportedTable(
                f"{name}: no unique index covers the key columns {', '.join(wanted)}",
                hint="name the columns of a primary or unique key in BACKUP_KEY_COLUMNS, or in `key` of its settings",
            )
        candidates = [wanted] if wanted else [i.columns for i in indexes if i.unique]
        for key in candidates:
            if all(by_name[k].data_type in KEY_TYPES and not by_name[k].nullable for k in key):
                return key
        if self._settings.mode(name) is Mode.MERGE:
            raise UnsupportedTable(
                f"{name} has no primary or unique key of NOT NULL columns that can be ordered: no row can be told from"
                " another, so none can be merged",
                hint=f"add a primary key, or give it another mode, by `mode` in the settings of {name} or by --mode:"
                " append keeps every version, replace reads the whole table each time",
            )
        return ()

    def _estimates(self, name: TableName) -> tuple[int, int]:
        rows = self.query(
            "SELECT TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            (name.schema, name.name),
        )
        return (_whole(rows[0][0]) or 0, _whole(rows[0][1]) or 0) if rows else (0, 0)

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

    def estimated_rows(self, table: Table, window: Window) -> int:
        """The optimizer's guess at the rows of a window: a dive into the index, twice too many or too few at times.

        InnoDB answers with at most half of the table's rows; where it says so many, the whole table is meant.
        """
        row = self.query("EXPLAIN " + chunks.count_sql(table, window, chunks.window_range(table, window)))[0]
        # MariaDB ends in (rows, Extra), MySQL in (rows, filtered, Extra).
        guess = _whole(row[-2 if len(row) == 10 else -3]) or 0
        return max(guess, table.estimated_rows) if 2 * guess >= table.estimated_rows else guess

    def position(self, sql: str, columns: Sequence[str]) -> Position | None:
        """The first row of a query for a position; None when it has none.

        Raises:
            IntegrityError: the row's key is not in Unicode, and could not be told from others by what the server sends.
        """
        rows = self.query(sql)
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
        return _whole(self.query(sql)[0][0]) or 0


def _serving_index(indexes: Sequence[Index], order_columns: Sequence[str], key: Sequence[str]) -> str | None:
    """The index whose order is ``(cursor, *key)``; a secondary index ends in the primary key without saying so."""
    primary = next((i.columns for i in indexes if i.name == chunks.PRIMARY), ())
    wanted = tuple(order_columns)
    for index in indexes:
        columns = index.columns if index.name == chunks.PRIMARY else _extended(index.columns, primary)
        if columns[: len(wanted)] == wanted:
            return index.name
    return next((i.name for i in indexes if i.columns[0] == wanted[0] and tuple(key) != primary), None)


def _extended(columns: tuple[str, ...], primary: tuple[str, ...]) -> tuple[str, ...]:
    return columns + tuple(c for c in primary if c not in columns)


def _match_name(wanted: str, names: dict[str, SourceColumn]) -> str | None:
    """MySQL column names compare without regard to case."""
    return wanted if wanted in names else next((n for n in names if n.lower() == wanted.lower()), None)


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))


def _key_value(value: object) -> KeyValue:
    if isinstance(value, (int, str, bytes, Decimal, dt.date)):
        return value
    raise SourceError(f"a key value of the type {type(value).__name__} cannot be carried")

"""A table's name -> the table: its columns with their contracts, cursor, key, indexes and estimates.

Source of what is asked: MySQL manual, "INFORMATION_SCHEMA Tables".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config import Settings
from ..errors import ConfigError, SourceError, SourceUnavailable, TableNotFound, UnsupportedTable
from ..model import Index, Table, TableName, order_columns
from ..policies import Mode
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


class Query(Protocol):
    """Asks the source; all rows of the answer."""

    def __call__(self, sql: str, arguments: Sequence[object] = (), /) -> list[tuple[object, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The questions that describe a table, under the settings that say what is carried of it."""

    query: Query
    settings: Settings

    def describe(self, name: TableName, mode: Mode) -> Table:
        """The table as it is now, with the contract of every column, to be carried by ``mode``.

        Raises:
            TableNotFound, UnsupportedType, UnsupportedTable: with the column or key that is missing or unfit.
        """
        source_columns = self._columns(name)
        if self.settings.target(name)[1] == name.name:
            require_fit_name(name, self._same_names(name))
        contracts = self._contracts(name, source_columns)
        columns = carried_columns(name, contracts)
        indexes = self._indexes(name)
        by_name = {c.name: c for c in source_columns}
        cursor = self._cursor(name, by_name, mode)
        key = self._key(name, by_name, indexes, mode)
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
        return self._contracts(name, self._columns(name))

    def _contracts(self, name: TableName, columns: Sequence[SourceColumn]) -> tuple[ColumnContract, ...]:
        require_known(name, columns, self.settings.own_table(name))
        return describe_columns(columns, self.settings.table(name), self.settings.policy)

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
        axis_order = spatial and "mariadb" not in self._server_version().lower()
        return [
            SourceColumn(
                name=str(column),
                data_type=str(data_type).lower(),
                column_type=str(column_type),
                nullable=nullable == "YES",
                characters=whole_number(characters),
                octets=whole_number(octets),
                character_set=None if character_set is None else str(character_set),
                precision=whole_number(precision),
                scale=whole_number(scale),
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
        if "mariadb" not in self._server_version().lower():
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
            if not whole_number(non_unique):
                unique.add(str(index))
        return [
            Index(name=index, columns=tuple(names), unique=index in unique)
            for index, names in columns.items()
            if index not in unfit
        ]

    def _cursor(self, name: TableName, by_name: dict[str, SourceColumn], mode: Mode) -> str:
        wanted = self.settings.cursor_column(name)
        cursor = _match_name(wanted, by_name)
        if mode is Mode.REPLACE and not (cursor and self._may_follow(name, by_name[cursor])):
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
        counted = kind.startswith("date") or kind == "timestamp" or self.settings.backup_cursor_unit != ""
        return kind in CURSOR_TYPES and counted and self.settings.table(name).carries(column.name)

    def _where(self, name: TableName) -> str:
        """The filter of the table's settings, which the server has taken once.

        Raises:
            ConfigError: it refuses the condition.
        """
        where = self.settings.table(name).where
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

    def _key(
        self, name: TableName, by_name: dict[str, SourceColumn], indexes: Sequence[Index], mode: Mode
    ) -> tuple[str, ...]:
        wanted = tuple(_match_name(k, by_name) or k for k in self.settings.key_columns(name))
        if wanted and not any(i.unique and set(i.columns) <= set(wanted) for i in indexes):
            raise UnsupportedTable(
                f"{name}: no unique index covers the key columns {', '.join(wanted)}",
                hint="name the columns of a primary or unique key in BACKUP_KEY_COLUMNS, or in `key` of its settings",
            )
        candidates = [wanted] if wanted else [i.columns for i in indexes if i.unique]
        for key in candidates:
            if all(by_name[k].data_type in KEY_TYPES and not by_name[k].nullable for k in key):
                return key
        if mode is Mode.MERGE:
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
        return (whole_number(rows[0][0]) or 0, whole_number(rows[0][1]) or 0) if rows else (0, 0)

    def _server_version(self) -> str:
        return str(self.query("SELECT VERSION()")[0][0])


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


def whole_number(value: object) -> int | None:
    """A number of information_schema, which drivers give as they like."""
    return None if value is None else int(str(value))

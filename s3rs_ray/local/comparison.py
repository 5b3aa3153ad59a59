"""Compares a source table with its copy by other clients than the product's: pymysql here, psycopg there.

Nothing of the product's type table is used: what is compared follows from the source's declared types alone, so a
mistake in that table shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql

if TYPE_CHECKING:  # the class takes no argument at run time
    Source = pymysql.Connection[pymysql.cursors.Cursor]

NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "float", "double"})
TIMES = frozenset({"date", "datetime", "timestamp"})
INEXACT = frozenset({"float", "double"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that differs: where, and what both sides say."""

    where: str
    source: object
    warehouse: object


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What was compared.

    Attributes:
        rows: rows of the source.
        aggregates: how many aggregates over all rows were compared.
        cells: how many single values were compared, in ``sampled`` rows.
        differences: the first of them.
    """

    rows: int = 0
    aggregates: int = 0
    sampled: int = 0
    cells: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A source table, its key column, and its copy's quoted name."""

    schema: str
    table: str
    key: str
    target: str

    @property
    def source(self) -> str:
        return f"{_mysql(self.schema)}.{_mysql(self.table)}"


def connect_warehouse(environment: dict[str, str]) -> psycopg.Connection[tuple[Any, ...]]:
    """A psycopg session with the stand-in; no server-side cursors or prepared statements."""
    return psycopg.connect(
        host=environment["REDSHIFT_HOST"],
        port=int(environment["REDSHIFT_PORT"]),
        user=environment["REDSHIFT_USER"],
        password=environment["REDSHIFT_PASSWORD"],
        dbname=environment["REDSHIFT_DATABASE"],
        sslmode="disable",
        autocommit=True,
        prepare_threshold=None,
    )


def compare(
    source: Source, warehouse: psycopg.Connection[tuple[Any, ...]], pair: Pair, sample_rows: int = 20_000
) -> Comparison:
    """Counts, sums, minima and maxima of every column over all rows, and every cell of a sample.

    Args:
        sample_rows: at least so many rows are compared cell by cell, spread over the table; all when it has fewer.
    """
    columns = _columns(source, pair)
    result = Comparison()
    _compare_aggregates(source, warehouse, pair, columns, result)
    _compare_cells(source, warehouse, pair, columns, sample_rows, result)
    return result


def _columns(source: Source, pair: Pair) -> list[tuple[str, str]]:
    return [
        (str(name), str(kind))
        for name, kind in _mysql_rows(
            source,
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
            " AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (pair.schema, pair.table),
        )
    ]


def _compare_aggregates(
    source: Source,
    warehouse: psycopg.Connection[tuple[Any, ...]],
    pair: Pair,
    columns: Sequence[tuple[str, str]],
    result: Comparison,
) -> None:
    here, there, names = ["COUNT(*)"], ["count(*)"], ["count of rows"]
    for column, kind in columns:
        for name, mysql, redshift in _aggregates(column, kind):
            names.append(f"{name} of {column}")
            here.append(mysql)
            there.append(redshift)
    left = next(_mysql_rows(source, f"SELECT {', '.join(here)} FROM {pair.source}"))
    right = _warehouse_rows(warehouse, f"SELECT {', '.join(there)} FROM {pair.target}")[0]
    result.rows = int(left[0])
    result.aggregates = len(names)
    for name, ours, theirs in zip(names, left, right, strict=True):
        _note(result, name, ours, theirs)


def _aggregates(column: str, kind: str) -> Iterator[tuple[str, str, str]]:
    """Name, MySQL expression, Redshift expression of what is compared for a column."""
    mysql, redshift = _mysql(column), _redshift(column)
    yield "count", f"COUNT({mysql})", f"count({redshift})"
    if kind in INEXACT:
        mysql, redshift = f"({mysql} * 1e0)", f"CAST({redshift} AS DOUBLE PRECISION)"
    elif kind not in NUMBERS | TIMES:
        text = f"CONVERT({mysql} USING utf8mb4)"
        yield "bytes", f"CAST(SUM(LENGTH({text})) AS SIGNED)", f"CAST(sum(octet_length({redshift})) AS BIGINT)"
        mysql = f"{text} COLLATE utf8mb4_nopad_bin"
    if kind in NUMBERS:
        exact = f"CAST(sum({redshift}) AS DOUBLE PRECISION)" if kind in INEXACT else f"sum({redshift})"
        if kind == "bigint":  # a sum of BIGINTs may leave BIGINT
            exact = f"sum(CAST({redshift} AS DECIMAL(38,0)))"
        yield "sum", f"SUM({mysql})", exact
    yield "minimum", f"MIN({mysql})", f"min({redshift})"
    yield "maximum", f"MAX({mysql})", f"max({redshift})"


def _compare_cells(
    source: Source,
    warehouse: psycopg.Connection[tuple[Any, ...]],
    pair: Pair,
    columns: Sequence[tuple[str, str]],
    sample_rows: int,
    result: Comparison,
) -> None:
    step = max(1, result.rows // max(sample_rows, 1))
    keys = [row[0] for row in _mysql_rows(source, f"SELECT {_mysql(pair.key)} FROM {pair.source} ORDER BY 1")]
    for chunk in _chunks(keys[::step], 2000):
        listed = ", ".join(str(int(k)) for k in chunk)
        here = ", ".join(_mysql_cell(c, k) for c, k in columns)
        there = ", ".join(_redshift_cell(c, k) for c, k in columns)
        left = list(
            _mysql_rows(
                source,
                f"SELECT {here} FROM {pair.source} WHERE {_mysql(pair.key)} IN ({listed}) ORDER BY {_mysql(pair.key)}",
            )
        )
        right = _warehouse_rows(
            warehouse,
            f"SELECT {there} FROM {pair.target} WHERE {_redshift(pair.key)} IN ({listed})"
            f" ORDER BY {_redshift(pair.key)}",
        )
        _note(result, f"rows among {len(chunk)} keys from {chunk[0]}", len(left), len(right))
        for ours, theirs, key in zip(left, right, chunk, strict=False):
            for (column, _), mine, other in zip(columns, ours, theirs, strict=True):
                _note(result, f"{column} of the row {key}", mine, other)
            result.cells += len(columns)
        result.sampled += len(left)


def _mysql_cell(column: str, kind: str) -> str:
    # The text protocol prints a FLOAT with 6 digits; multiplied by a double it is printed with all of them.
    return f"{_mysql(column)} * 1e0" if kind == "float" else _mysql(column)


def _redshift_cell(column: str, kind: str) -> str:
    return f"CAST({_redshift(column)} AS DOUBLE PRECISION)" if kind == "float" else _redshift(column)


def _note(result: Comparison, where: str, source: object, warehouse: object) -> None:
    same = source == warehouse and (source is None) == (warehouse is None)
    if not same and len(result.differences) < 20:
        result.differences.append(Difference(where=where, source=source, warehouse=warehouse))


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _mysql_rows(source: Source, sql: str, arguments: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
    with source.cursor() as cursor:
        cursor.execute(sql, tuple(arguments) or None)
        yield from cursor.fetchall()


def _warehouse_rows(warehouse: psycopg.Connection[tuple[Any, ...]], sql: str) -> list[tuple[Any, ...]]:
    with warehouse.cursor() as cursor:
        cursor.execute(sql.encode())
        return cursor.fetchall()


def _mysql(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _redshift(name: str) -> str:
    return '"' + name.lower().replace('"', '""') + '"'

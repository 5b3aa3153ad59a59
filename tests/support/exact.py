"""Compares a table cell by cell on both ends, by other clients and other rules than the product's.

What a value of a source type must be in the warehouse is said here once more, independently: from the source's own
bytes and texts, through pymysql and psycopg.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.integration.conftest import World

T = TypeVar("T")
Value = object
Read = tuple[str, Callable[[Any], Value]]
"""An expression over ``{c}`` and what makes its result comparable."""

MOMENT = dt.datetime(2026, 1, 1)


def examples(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Values that Hypothesis draws, the same in every run."""
    drawn: list[T] = []

    @settings(
        max_examples=max(1, count // 20),
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=20, max_size=20))
    def draw(values: list[T]) -> None:
        drawn.extend(values)

    draw()
    assert len(drawn) >= count // 2, "Hypothesis drew too little"
    return drawn[:count]


def same(value: Any) -> Value:
    return value


def bits(value: float | None) -> Value:
    """Tells -0.0 from 0.0."""
    return None if value is None else struct.pack(">d", value).hex()


def microseconds(text: str | None) -> Value:
    """MySQL's text of a TIME as microseconds."""
    if text is None:
        return None
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole = int(hours) * 3600 + int(minutes) * 60
    count = whole * 1_000_000 + int(Decimal(seconds) * 1_000_000)
    return -count if text.startswith("-") else count


def big_endian(value: bytes | None) -> Value:
    return None if value is None else int.from_bytes(value, "big")


def unhex(value: str | None) -> Value:
    return None if value is None else bytes.fromhex(value)


def ewkb(stored: bytes | None) -> Value:
    """MySQL's own form of a geometry (4 bytes of reference system, then WKB) as EWKB, as PostGIS defines it."""
    if stored is None:
        return None
    srid, wkb = stored[:4], stored[4:]
    assert wkb[0] == 1, "little-endian"
    if srid == b"\0\0\0\0":
        return wkb
    (kind,) = struct.unpack("<I", wkb[1:5])
    return b"\x01" + struct.pack("<I", kind | 0x20000000) + srid + wkb[5:]


WHOLE = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json")
BINARIES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
SHAPES = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")

SOURCE: dict[str, Read] = {
    **dict.fromkeys(WHOLE, ("{c}", same)),
    **dict.fromkeys(TEXTS, ("{c}", same)),
    **dict.fromkeys(BINARIES, ("{c}", same)),
    **dict.fromkeys((*SHAPES, "geometrycollection"), ("{c}", ewkb)),
    "bit": ("{c}", big_endian),
    "decimal": ("{c}", same),
    # The text protocol prints a FLOAT with six digits and a DOUBLE(20,5) with five behind the point.
    "float": ("{c} * 1e0", bits),
    "double": ("{c} * 1e0", bits),
    "date": ("{c}", same),
    "datetime": ("{c}", same),
    "timestamp": ("{c}", same),
    "time": ("CAST({c} AS CHAR)", microseconds),
    "uuid": ("CAST({c} AS CHAR)", same),
    "inet4": ("CAST({c} AS CHAR)", same),
    "inet6": ("CAST({c} AS CHAR)", same),
}
WAREHOUSE: dict[str, Read] = {
    "real": ("CAST({c} AS DOUBLE PRECISION)", bits),
    "double precision": ("{c}", bits),
    "varbyte": ("to_hex({c})", unhex),
    "binary varying": ("to_hex({c})", unhex),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What was compared: the cells of each column that are not NULL, and all of them."""

    rows: int
    values: int


def fill(world: World, columns: Sequence[str], rows: Sequence[Sequence[object]], table: str = "t") -> None:
    """Makes a table of ``id``, ``update_at`` and the given definitions, and inserts rows of the latter's values."""
    definitions = ", ".join(columns)
    world.execute(
        f"CREATE TABLE `{table}` (id INT PRIMARY KEY, update_at DATETIME(6) NOT NULL, {definitions}, KEY (update_at))"
        " ROW_FORMAT=DYNAMIC"
    )
    add(world, rows, table)


def add(world: World, rows: Sequence[Sequence[object]], table: str = "t", first: int = 1) -> None:
    if rows:
        marks = ", ".join(["%s"] * (2 + len(rows[0])))
        values = [(first + i, MOMENT + dt.timedelta(microseconds=first + i), *row) for i, row in enumerate(rows)]
        world.execute(f"INSERT INTO `{table}` VALUES ({marks})", values)


def assert_exact(world: World, table: str = "t", *, leave_out: Sequence[str] = ()) -> Cells:
    """Every cell of a table is in the warehouse what it is at the source."""
    kinds = _source_types(world, table)
    names = [name for name in kinds if name not in leave_out]
    target = _target_types(world, table)
    assert list(target) == [name.lower() for name in names]
    here = [SOURCE[kinds[name]] for name in names]
    there = [WAREHOUSE.get(target[name.lower()], ("{c}", same)) for name in names]
    left = world.source_rows(
        table, ", ".join(e.format(c=_mysql(n)) for n, (e, _) in zip(names, here, strict=True)), "ORDER BY id"
    )
    right = world.target_rows(
        table, ", ".join(e.format(c=_redshift(n)) for n, (e, _) in zip(names, there, strict=True)), "ORDER BY id"
    )
    assert len(left) == len(right)
    values = 0
    for ours, theirs in zip(left, right, strict=True):
        for index, name in enumerate(names):
            mine, other = here[index][1](ours[index]), there[index][1](theirs[index])
            if isinstance(mine, Decimal) and isinstance(other, str):
                mine = format(mine, "f")
            assert mine == other and (mine is None) == (other is None), (
                f"{name} ({kinds[name]}) of the row {ours[0]}: {mine!r} at the source, {other!r} in the warehouse"
            )
            values += mine is not None
    return Cells(rows=len(left), values=values)


def _source_types(world: World, table: str) -> dict[str, str]:
    with world.source.cursor() as cursor:
        cursor.execute(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
            " AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (world.schema, table),
        )
        return {str(name): str(kind) for name, kind in cursor.fetchall()}


def _target_types(world: World, table: str) -> dict[str, str]:
    with world.warehouse.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM svv_columns WHERE table_schema = %s AND table_name = %s"
            " ORDER BY ordinal_position",
            (world.schema.lower(), table.lower()),
        )
        return {str(name): str(kind) for name, kind in cursor.fetchall()}


def target_type(world: World, column: str, table: str = "t") -> str:
    """A column's type in the warehouse with its size, e.g. ``numeric(20,4)``."""
    with world.warehouse.cursor() as cursor:
        cursor.execute(
            "SELECT data_type, character_maximum_length, numeric_precision, numeric_scale FROM svv_columns"
            " WHERE table_schema = %s AND table_name = %s AND column_name = %s",
            (world.schema.lower(), table.lower(), column.lower()),
        )
        kind, length, precision, scale = cursor.fetchall()[0]
    if kind == "numeric":
        return f"numeric({precision},{scale})"
    return f"{kind}({length})" if length else str(kind)


def _mysql(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _redshift(name: str) -> str:
    return '"' + name.lower().replace('"', '""') + '"'

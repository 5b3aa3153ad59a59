"""COPY ... FORMAT AS PARQUET from a manifest, through redshift_connector. Each test names the source of its rule."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest

from tests.integration.local.redshift.lake import Lake, error_of, parquet_bytes

Run = Callable[..., list[list[object]]]

EVERY_TYPE: dict[str, tuple[str, pa.DataType, list[object]]] = {
    "a": ("BIGINT", pa.int64(), [1, -(2**63), None]),
    "b": ("INTEGER", pa.int32(), [1, -(2**31), None]),
    "c": ("SMALLINT", pa.int16(), [1, -(2**15), None]),
    "d": ("BOOLEAN", pa.bool_(), [True, False, None]),
    "e": ("REAL", pa.float32(), [1.5, -0.25, None]),
    "f": ("DOUBLE PRECISION", pa.float64(), [1e300, -0.125, None]),
    "g": ("DATE", pa.date32(), [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), None]),
    "h": ("DECIMAL(20,0)", pa.decimal128(20, 0), [Decimal(2**64 - 1), Decimal(-1), None]),
    "i": ("DECIMAL(38,10)", pa.decimal128(38, 10), [Decimal("1.0000000001"), Decimal("-12345678901234567890.5"), None]),
    "j": (
        "TIMESTAMP",
        pa.timestamp("us"),
        [
            datetime.datetime.fromisoformat("2024-02-29T23:59:59.999999"),
            datetime.datetime.fromisoformat("1969-12-31T00:00:00.000001"),
            None,
        ],
    ),
    "k": ("VARCHAR(12)", pa.string(), ["héé 😀 ", "", None]),
}


def test_every_documented_type_arrives_exact(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY, table of exact types."""
    columns = ", ".join(f"{name} {kind[0]}" for name, kind in EVERY_TYPE.items())
    run(f"CREATE TABLE {schema}.t ({columns})")
    table = pa.table({name: pa.array(values, kind) for name, (_, kind, values) in EVERY_TYPE.items()})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), f"({', '.join(EVERY_TYPE)})"))
    rows = run(f"SELECT * FROM {schema}.t")
    assert [list(row) for row in zip(*rows, strict=True)] == [values for _, _, values in EVERY_TYPE.values()]


def test_columns_match_by_position(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: columns match by position, not name."""
    run(f"CREATE TABLE {schema}.t (a BIGINT, b BIGINT)")
    table = pa.table({"b": pa.array([1], pa.int64()), "a": pa.array([2], pa.int64())})
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), '("A", "B")'))
    run(lake.copy_sql(f"{schema}.t", lake.manifest_of(table), "(b, a)"))
    assert sorted(run(f"SELECT a, b FROM {schema}.t")) == [[1, 2], [2, 1]]


def test_a_wrong_number_of_columns_is_15007(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY: 15007 Unmatched number of columns between table and file."""
    run(f"CREATE TABLE {schema}.t (a BIGINT, b BIGINT)")
    url = lake.manifest_of(pa.table({"a": pa.array([1], pa.int64())}))
    error = error_of(run, lake.copy_sql(f"{schema}.t", url))
    assert (error["C"], error["M"]) == ("XX000", "Spectrum Scan Error")
    assert "code:      15007" in error["D"]
    assert "Unmatched number of columns between table and file. Table columns: 2, Data columns: 1" in error["D"]


@pytest.mark.parametrize("autocommit", [True, False])
def test_copy_keeps_to_the_transaction(
    connect: Callable[..., object], run: Run, schema: str, lake: Lake, autocommit: bool
) -> None:
    """The stand-in loads on the client's own session and transaction."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    url = lake.manifest_of(pa.table({"a": pa.array(range(1000), pa.int64())}))
    connection = connect(autocommit=autocommit)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(lake.copy_sql(f"{schema}.t", url))
    assert cursor.rowcount == -1
    cursor.execute("SELECT pg_last_copy_count()")
    assert cursor.fetchone() == [1000]
    assert run(f"SELECT count(*) FROM {schema}.t") == [[1000 if autocommit else 0]]
    if not autocommit:
        connection.rollback()  # type: ignore[attr-defined]
        assert run(f"SELECT count(*) FROM {schema}.t") == [[0]]


def test_a_file_listed_twice_is_loaded_twice(run: Run, schema: str, lake: Lake) -> None:
    """redshift.md, COPY, manifest."""
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    entry = lake.entry(parquet_bytes(pa.table({"a": pa.array([1, 2], pa.int64())})))
    run(lake.copy_sql(f"{schema}.t", lake.manifest([entry, entry])))
    assert run(f"SELECT count(*) FROM {schema}.t") == [[4]]

"""Which Parquet columns fit which table columns. Source: redshift.md, "COPY ... FORMAT AS PARQUET", the type table."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_ray.local.redshift.loaderror import LoadError
from s3rs_ray.local.redshift.parquet import TargetColumn, check_file

URL = "https://s3.eu-central-1.amazonaws.com/b/k.parquet"


def check(kind: pa.DataType, column: TargetColumn, **options: object) -> None:
    table = pa.table({"c": pa.nulls(1, kind)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "snappy", "data_page_version": "1.0", **options})
    check_file(buffer, pq.ParquetFile(buffer), [column], URL)


def column(kind: str, **more: int) -> TargetColumn:
    return TargetColumn(name="c", type=kind, **more)  # type: ignore[arg-type]


FITS = [
    (pa.int16(), column("smallint")),
    (pa.int32(), column("integer")),
    (pa.int64(), column("bigint")),
    (pa.bool_(), column("boolean")),
    (pa.float32(), column("real")),
    (pa.float64(), column("double precision")),
    (pa.date32(), column("date")),
    (pa.timestamp("us"), column("timestamp")),
    (pa.decimal128(38, 10), column("numeric", precision=38, scale=10)),
    (pa.decimal128(9, 2), column("numeric", precision=9, scale=2)),
    (pa.string(), column("character varying", length=9)),
    (pa.large_string(), column("character varying", length=9)),
    (pa.binary(), column("varbyte", length=9)),
    (pa.string(), column("super")),
]


@pytest.mark.parametrize(("kind", "target"), FITS)
def test_exact_types_fit(kind: pa.DataType, target: TargetColumn) -> None:
    check(kind, target)


def test_an_int64_decimal_fits() -> None:
    check(pa.decimal128(15, 2), column("numeric", precision=15, scale=2), store_decimal_as_integer=True)


MISFITS = [
    (pa.int64(), column("integer")),
    (pa.int32(), column("bigint")),
    (pa.int32(), column("smallint")),
    (pa.int16(), column("integer")),
    (pa.int8(), column("smallint")),
    (pa.uint8(), column("smallint")),
    (pa.uint16(), column("integer")),
    (pa.uint32(), column("bigint")),
    (pa.uint64(), column("numeric", precision=20, scale=0)),
    (pa.int64(), column("numeric", precision=18, scale=0)),
    (pa.float64(), column("real")),
    (pa.float32(), column("double precision")),
    (pa.decimal128(10, 2), column("numeric", precision=10, scale=3)),
    (pa.decimal128(10, 2), column("numeric", precision=11, scale=2)),
    (pa.decimal128(20, 0), column("bigint")),
    (pa.timestamp("ns"), column("timestamp")),
    (pa.timestamp("ms"), column("timestamp")),
    (pa.timestamp("us", "UTC"), column("timestamp")),
    (pa.timestamp("us", "UTC"), column("timestamptz")),
    (pa.timestamp("us"), column("timestamptz")),
    (pa.time64("us"), column("time")),
    (pa.date32(), column("timestamp")),
    (pa.timestamp("us"), column("date")),
    (pa.string(), column("varbyte", length=9)),
    (pa.binary(), column("character varying", length=9)),
    (pa.string(), column("character", length=9)),
    (pa.binary(9), column("varbyte", length=9)),
    (pa.int64(), column("character varying", length=9)),
    (pa.bool_(), column("smallint")),
]


@pytest.mark.parametrize(("kind", "target"), MISFITS)
def test_nothing_is_converted(kind: pa.DataType, target: TargetColumn) -> None:
    with pytest.raises(LoadError, match="Spectrum Scan Error") as caught:
        check(kind, target)
    assert caught.value.code == 15007
    assert f"File '{URL}' has an incompatible Parquet schema for column 's3://b/k.parquet.c'" in caught.value.context


def test_int96_is_refused() -> None:
    with pytest.raises(LoadError):
        check(pa.timestamp("us"), column("timestamp"), use_deprecated_int96_timestamps=True)


def test_nested_columns_are_not_modelled() -> None:
    with pytest.raises(LoadError, match="Spectrum Scan Error"):
        check(pa.list_(pa.int64()), column("super"))
    with pytest.raises(LoadError, match="Spectrum Scan Error"):
        check(pa.struct({"x": pa.int64()}), column("super"))


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none", "brotli"])
def test_only_snappy_is_confirmed(compression: str) -> None:
    with pytest.raises(LoadError) as caught:
        check(pa.int64(), column("bigint"), compression=compression)
    assert "Compression" in caught.value.context


@pytest.mark.parametrize("dictionary", [True, False])
def test_data_page_version_2_is_refused(dictionary: bool) -> None:
    with pytest.raises(LoadError) as caught:
        check(pa.string(), column("character varying", length=9), data_page_version="2.0", use_dictionary=dictionary)
    assert "Data page version 2" in caught.value.context


def test_row_groups_over_128_mb_are_refused() -> None:
    table = pa.table({"c": pa.array(range(17_000_000), pa.int64())})
    buffer = io.BytesIO()
    options = {"compression": "snappy", "data_page_version": "1.0", "use_dictionary": False}
    pq.write_table(table, buffer, row_group_size=17_000_000, **options)
    with pytest.raises(LoadError) as caught:
        check_file(buffer, pq.ParquetFile(buffer), [column("bigint")], URL)
    assert "128 MB" in caught.value.context

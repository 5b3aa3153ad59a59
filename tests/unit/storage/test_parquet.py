"""What is really in a written file: the physical types that Redshift's COPY takes, read back from the footer."""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_ray.storage import parquet
from s3rs_ray.storage.parquet import ROW_GROUP_BYTES, ParquetEncoder, write_parquet

MOMENT = dt.datetime(2026, 1, 31, 23, 59, 59, 999_999)

# Arrow type, a value, physical type, logical type
TYPES: dict[str, tuple[pa.DataType, Any, str, str]] = {
    "SMALLINT": (pa.int16(), 7, "INT32", "Int(bitWidth=16, isSigned=true)"),
    "INTEGER": (pa.int32(), 7, "INT32", "None"),
    "BIGINT": (pa.int64(), 7, "INT64", "None"),
    "REAL": (pa.float32(), 1.5, "FLOAT", "None"),
    "DOUBLE PRECISION": (pa.float64(), 1.5, "DOUBLE", "None"),
    "DATE": (pa.date32(), dt.date(2026, 1, 31), "INT32", "Date"),
    "TIMESTAMP": (
        pa.timestamp("us"),
        MOMENT,
        "INT64",
        "Timestamp(isAdjustedToUTC=false, timeUnit=microseconds,"
        " is_from_converted_type=false, force_set_converted_type=false)",
    ),
    "VARCHAR": (pa.string(), "包裹 📦", "BYTE_ARRAY", "String"),
    "VARBYTE": (pa.binary(), b"\x00\xff", "BYTE_ARRAY", "None"),
    "DECIMAL(4,2)": (pa.decimal128(4, 2), Decimal("12.34"), "FIXED_LEN_BYTE_ARRAY", "Decimal(precision=4, scale=2)"),
    "DECIMAL(18,0)": (pa.decimal128(18, 0), Decimal(7), "FIXED_LEN_BYTE_ARRAY", "Decimal(precision=18, scale=0)"),
    "DECIMAL(38,10)": (
        pa.decimal128(38, 10),
        Decimal("9" * 28 + "." + "9" * 10),
        "FIXED_LEN_BYTE_ARRAY",
        "Decimal(precision=38, scale=10)",
    ),
}


def written(table: pa.Table) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(write_parquet(table, {"s3rs": "about"}).body))


@pytest.mark.parametrize("name", TYPES)
def test_each_redshift_type_has_the_physical_and_logical_type_that_copy_takes(name: str) -> None:
    kind, value, physical, logical = TYPES[name]
    file = written(pa.table({"c": pa.array([value, None], kind)}))
    column = file.schema.column(0)
    assert (column.physical_type, str(column.logical_type)) == (physical, logical)
    assert file.read().column("c").to_pylist() == [value, None]


def test_pages_are_version_1_and_snappy() -> None:
    body = write_parquet(pa.table({"a": pa.array(["x" * 40] * 1000), "b": pa.array(range(1000))}), {}).body
    footer = pq.ParquetFile(pa.BufferReader(body)).metadata
    columns = [footer.row_group(0).column(n) for n in range(2)]
    assert {c.compression for c in columns} == {"SNAPPY"}
    assert {page_type(bytes(body), c.data_page_offset) for c in columns} == {0}
    assert footer.format_version == "2.6"


def page_type(body: bytes, offset: int) -> int:
    """The type in a page's Thrift header: 0 for a data page, 3 for a data page v2."""
    assert body[offset] == 0x15  # compact protocol: field 1, an integer
    return body[offset + 1] >> 1


def test_the_check_of_page_versions_sees_version_2() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink, data_page_version="2.0")
    body = sink.getvalue()
    offset = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0).data_page_offset
    assert page_type(bytes(body), offset) == 3


def test_the_footer_says_what_the_file_is_and_keeps_what_the_table_said() -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"made by": "somebody"})
    metadata = written(table).metadata.metadata
    assert metadata[b"s3rs"] == b"about"
    assert metadata[b"made by"] == b"somebody"


def test_rows_and_digest_are_of_the_bytes_that_were_written() -> None:
    file = write_parquet(pa.table({"a": list(range(10))}), {})
    assert file.rows == 10
    assert file.digest == hashlib.sha256(file.body).hexdigest()


def test_the_same_rows_give_the_same_bytes() -> None:
    made = {write_parquet(pa.table({"a": list(range(10)), "b": ["x"] * 10}), {"s3rs": "1"}).digest for _ in range(2)}
    assert len(made) == 1


def test_a_chunk_without_rows_is_a_file_with_a_schema() -> None:
    file = written(pa.table({"a": pa.array([], pa.decimal128(10, 2))}))
    assert file.metadata.num_rows == 0
    assert file.schema_arrow.field("a").type == pa.decimal128(10, 2)


def test_no_row_group_is_larger_than_copy_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ROW_GROUP_BYTES < 128 * 1024 * 1024
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 8_000)
    file = written(pa.table({"a": list(range(10_000))}))  # 80,000 bytes
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    assert [g.num_rows for g in groups] == [1000] * 10


def test_one_row_wider_than_a_row_group_is_still_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 10)
    assert written(pa.table({"a": ["x" * 100] * 3})).metadata.num_row_groups == 3


def has_dictionary(values: pa.Array) -> bool:
    column = written(pa.table({"c": values})).metadata.row_group(0).column(0)
    return bool(column.has_dictionary_page)


@pytest.mark.parametrize("kind", ["string", "int64", "decimal128", "timestamp[us]", "binary", "float"])
def test_only_a_column_whose_values_repeat_has_a_dictionary(kind: str) -> None:
    arrow = pa.decimal128(38, 2) if kind == "decimal128" else pa.type_for_alias(kind)
    numbers = pa.array(range(20_000))
    few = pa.array([n % 7 for n in range(20_000)])
    made = [v.cast(pa.string()).cast(arrow) if kind in {"string", "binary"} else v.cast(arrow) for v in (numbers, few)]
    assert [has_dictionary(values) for values in made] == [False, True]


def test_repetition_is_looked_for_all_over_the_table() -> None:
    assert has_dictionary(pa.array([1] * 2_000 + list(range(18_000)))) is False
    assert has_dictionary(pa.array(list(range(2_000)) + [1] * 18_000)) is True


def test_looking_for_repetition_in_long_texts_takes_little_memory() -> None:
    table = pa.table({"c": [f"{n:05}" * 2_000 for n in range(4_000)]})
    assert table.nbytes > 4 * parquet.SAMPLED_BYTES
    default = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(default)
    pa.set_memory_pool(watched)
    try:
        write_parquet(table, {})
    finally:
        pa.set_memory_pool(default)
    assert watched.max_memory() < 1.5 * table.nbytes
    assert has_dictionary(pa.array(["a" * 10_000, "b" * 10_000] * 2_000))
    assert not has_dictionary(table.column("c"))


def test_a_column_of_nulls_is_encoded_and_read_back() -> None:
    assert written(pa.table({"c": pa.nulls(10_000, pa.string())})).read().column("c").null_count == 10_000


def test_slices_become_row_groups_of_one_file() -> None:
    slices = [pa.table({"a": [1, 2], "b": ["x", "y"]}), pa.table({"a": [3], "b": ["z"]})]
    encoder = ParquetEncoder(slices[0].schema, {"s3rs": "about"})
    for part in [slices[0].slice(0, 0), *slices, slices[0].slice(0, 0)]:
        encoder.write(part)
    done = encoder.finish()
    file = pq.ParquetFile(pa.BufferReader(done.body))
    assert [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)] == [2, 1]
    assert (done.rows, file.metadata.metadata[b"s3rs"]) == (3, b"about")
    assert file.read().to_pydict() == {"a": [1, 2, 3], "b": ["x", "y", "z"]}


def test_statistics_are_kept_for_the_columns_that_readers_skip_by() -> None:
    table = pa.table({"ID": [1, 2], "note": ["a", "b"]})
    encoder = ParquetEncoder(table.schema, {}, statistics=["ID"])
    encoder.write(table)
    group = pq.ParquetFile(pa.BufferReader(encoder.finish().body)).metadata.row_group(0)
    assert group.column(0).statistics.max == 2
    assert group.column(1).statistics is None

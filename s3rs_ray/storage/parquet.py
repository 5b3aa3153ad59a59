"""pyarrow.Table -> the bytes of a Parquet file that Redshift's COPY reads.

Source of the choices: Amazon Redshift Database Developer Guide, "COPY from columnar data formats" and "Amazon
Redshift best practices for loading data"; Apache Parquet format specification (logical types).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 96 * 1024 * 1024
"""Arrow bytes in one row group; on disk it is smaller, and COPY wants at most 128 MB."""
SAMPLED_ROWS, SAMPLED_BYTES, SAMPLES = 8192, 8 * 1024 * 1024, 8
"""How many rows are looked at for repetition, at most, and in how many places: rows beside one another are often alike.
Counting distinct values keeps a copy of each, two and a half times the size of long texts (measured)."""
REPETITIVE = 0.5
"""Most distinct values among the sampled ones of a column that is worth a dictionary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFile:
    """A whole file in memory.

    Attributes:
        body: the file's bytes.
        rows: from the file's footer, not from the table it was made of.
        digest: sha256 of the bytes, hex.
    """

    body: pa.Buffer
    rows: int
    digest: str


class ParquetEncoder:
    """Encodes tables into one file in memory: SNAPPY, data page v1, decimals as fixed-length bytes, microseconds.

    Each table becomes one row group, or several where it is larger than COPY wants one.

    Args:
        metadata: key-value pairs for the footer, besides the schema's own.
        statistics: the columns that readers skip row groups by; those of all columns cost a fifth of the encoding.
    """

    def __init__(self, schema: pa.Schema, metadata: Mapping[str, str], *, statistics: Sequence[str] = ()) -> None:
        merged = {**(schema.metadata or {}), **{k.encode(): v.encode() for k, v in metadata.items()}}
        self._schema = schema.with_metadata(merged)
        self._statistics = list(statistics)
        self._sink = pa.BufferOutputStream()
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Adds rows; a table without any adds nothing."""
        if table.num_rows:
            writer = self._writer = self._writer or self._open(_repetitive_columns(table))
            writer.write_table(table.replace_schema_metadata(self._schema.metadata), row_group_size=_group_rows(table))

    def finish(self) -> ParquetFile:
        """The whole file; nothing can be added any more."""
        writer = self._writer or self._open([])
        writer.close()
        body = self._sink.getvalue()
        footer = pq.ParquetFile(pa.BufferReader(body)).metadata
        return ParquetFile(body=body, rows=footer.num_rows, digest=hashlib.sha256(body).hexdigest())

    def _open(self, dictionaries: Sequence[str]) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            self._sink,
            self._schema,
            version="2.6",
            data_page_version="1.0",
            compression="snappy",
            use_dictionary=list(dictionaries),
            write_statistics=self._statistics,
            coerce_timestamps="us",
            store_decimal_as_integer=False,
        )


def write_parquet(table: pa.Table, metadata: Mapping[str, str]) -> ParquetFile:
    """One table as one file."""
    encoder = ParquetEncoder(table.schema, metadata)
    encoder.write(table)
    return encoder.finish()


def read_footer(body: bytes) -> dict[str, str]:
    """The key-value pairs in the footer of a file; those of :func:`write_parquet` among them."""
    metadata = pq.read_metadata(pa.BufferReader(body)).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def _group_rows(table: pa.Table) -> int:
    return max(1, int(table.num_rows * ROW_GROUP_BYTES / max(table.nbytes, 1)))


def _repetitive_columns(table: pa.Table) -> list[str]:
    """The columns whose values repeat; only those are encoded with a dictionary.

    For others a dictionary is built, found too large and given up (Parquet's writer, ``dictionary_pagesize_limit``):
    on the 51-column table that took half of all the time, and the files became larger.
    """
    sampled = min(SAMPLED_ROWS, int(table.num_rows * SAMPLED_BYTES / max(table.nbytes, 1)))
    if table.num_rows > max(sampled, SAMPLES):
        size, step = max(sampled // SAMPLES, 1), table.num_rows // SAMPLES
        table = pa.concat_tables([table.slice(i * step, size) for i in range(SAMPLES)])
    return [
        name
        for name, values in zip(table.column_names, table.columns, strict=True)
        if pc.count_distinct(values, mode="only_valid").as_py() <= REPETITIVE * (len(values) - values.null_count)
    ]

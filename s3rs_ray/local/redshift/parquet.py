"""What a Parquet file must be like to be loaded: nothing is converted.

Source: redshift.md, "COPY ... FORMAT AS PARQUET", table of exact types; AWS documentation, "COPY from columnar data
formats". What is marked unconfirmed there is refused here: INT32 into BIGINT, DECIMAL of another precision or scale,
MILLIS timestamps, ZSTD, data page v2. Nanoseconds load silently wrong on Redshift, so they are refused too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from s3rs_ray.local.redshift.loaderror import LoadError, scan_error

__all__ = ["LOADABLE", "MAX_ROW_GROUP_BYTES", "TargetColumn", "arrow_type", "check_file"]

MAX_ROW_GROUP_BYTES = 128 * 1024 * 1024
_DATA_PAGE_V1 = b"\x15\x00"
_DICTIONARY_PAGE = b"\x15\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """A column of the table to load.

    Attributes:
        name: lower case.
        type: Redshift's name: ``smallint``, ``character varying``, ``numeric``, ``super``...
        length: bytes of VARCHAR and VARBYTE, else 0.
        precision: of NUMERIC, else 0.
        scale: of NUMERIC, else 0.
        not_null: whether NULL is refused.
    """

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    not_null: bool = False

    @property
    def shown_type(self) -> str:
        """The type as Redshift names it in the error about an incompatible schema."""
        names = {"integer": "INT", "double precision": "DOUBLE", "character varying": f"VARCHAR({self.length})"}
        if self.type == "numeric":
            return f"DECIMAL({self.precision}, {self.scale})"
        return names.get(self.type, self.type.upper())


_ARROW: dict[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "character varying": pa.string(),
    "varbyte": pa.binary(),
    "super": pa.string(),
}

# Physical type and the "Type" of the logical type ("" = none) that a column of each type takes.
_EXACT: dict[str, set[tuple[str, str]]] = {
    "smallint": {("INT32", "Int16")},
    "integer": {("INT32", ""), ("INT32", "Int32")},
    "bigint": {("INT64", ""), ("INT64", "Int64")},
    "boolean": {("BOOLEAN", "")},
    "real": {("FLOAT", "")},
    "double precision": {("DOUBLE", "")},
    "date": {("INT32", "Date")},
    "timestamp": {("INT64", "Timestamp micros")},
    "character varying": {("BYTE_ARRAY", "String")},
    "super": {("BYTE_ARRAY", "String")},
    "varbyte": {("BYTE_ARRAY", "")},
    "numeric": {("FIXED_LEN_BYTE_ARRAY", "Decimal"), ("INT64", "Decimal")},
}

# What the table may have: TIME, TIMESTAMPTZ and CHAR are not confirmed.
LOADABLE = frozenset(_EXACT)


def arrow_type(column: TargetColumn) -> pa.DataType:
    """The Arrow type in which values of the column are read."""
    if column.type == "numeric":
        return pa.decimal128(column.precision, column.scale)
    return _ARROW[column.type]


def check_file(file: BinaryIO, parquet: pq.ParquetFile, columns: list[TargetColumn], url: str) -> None:
    """Checks everything that can be known without reading the rows.

    Args:
        file: the file itself, for the headers of its pages.
        parquet: the same file, opened.
        columns: what the table takes, in the order of the column list.
        url: how errors name the file.

    Raises:
        LoadError: 15007 with the reason.
    """
    schema = parquet.schema
    if len(parquet.schema_arrow) != len(columns):
        raise scan_error(
            "Unmatched number of columns between table and file. "
            f"Table columns: {len(columns)}, Data columns: {len(parquet.schema_arrow)}, File name: {url}",
            file=url,
        )
    for index, column in enumerate(columns):
        leaf = schema.column(index)
        if leaf.path != leaf.name or leaf.max_repetition_level > 0:
            raise scan_error(f"Nested column {leaf.path} is not supported by the stand-in, File name: {url}", file=url)
        if not _fits(leaf, column):
            raise _incompatible(leaf, column, url)
    _check_layout(file, parquet, url)


def _fits(leaf: pq.ColumnSchema, column: TargetColumn) -> bool:
    logical = json.loads(leaf.logical_type.to_json())
    kind = logical.get("Type", "None")
    found = {"None": "", "Undefined": ""}.get(kind, kind)
    if kind == "Int":
        found = f"{'Int' if logical['isSigned'] else 'UInt'}{logical['bitWidth']}"
    elif kind == "Timestamp":
        zone = " utc" if logical["isAdjustedToUTC"] else ""
        found = f"Timestamp {'micros' if logical['timeUnit'] == 'microseconds' else logical['timeUnit']}{zone}"
    elif kind == "Decimal" and (logical["precision"], logical["scale"]) != (column.precision, column.scale):
        return False
    return (leaf.physical_type, found) in _EXACT.get(column.type, set())


def _incompatible(leaf: pq.ColumnSchema, column: TargetColumn, url: str) -> LoadError:
    presence = "optional" if leaf.max_definition_level else "required"
    logical = str(leaf.logical_type)
    shown = f"{presence} {leaf.physical_type.lower()} {leaf.name}{'' if logical == 'None' else f' ({logical})'}"
    s3_url = "s3://" + url.partition(".amazonaws.com/")[2]
    return scan_error(
        f"File '{url}' has an incompatible Parquet schema for column '{s3_url}.{leaf.name}'. "
        f"Column type: {column.shown_type}, Parquet schema:\n{shown}",
        file=url,
        column=column.name,
        type_name=column.type,
    )


def _check_layout(file: BinaryIO, parquet: pq.ParquetFile, url: str) -> None:
    metadata = parquet.metadata
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        if row_group.total_byte_size > MAX_ROW_GROUP_BYTES:
            raise scan_error(f"Row group {group} is larger than 128 MB, File name: {url}", file=url)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            if chunk.compression != "SNAPPY":
                raise scan_error(
                    f"Compression {chunk.compression} of column {chunk.path_in_schema} is not supported, "
                    f"File name: {url}",
                    file=url,
                )
            if chunk.num_values:
                _check_page(file, chunk, url)


def _check_page(file: BinaryIO, chunk: pq.ColumnChunkMetaData, url: str) -> None:
    # A page header starts with its type: field 1, a zigzag integer, in Thrift's compact encoding.
    file.seek(chunk.data_page_offset)
    head = file.read(2)
    if head not in {_DATA_PAGE_V1, _DICTIONARY_PAGE}:
        raise scan_error(
            f"Data page version 2 of column {chunk.path_in_schema} is not supported, File name: {url}", file=url
        )

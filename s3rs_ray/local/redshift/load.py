"""The load of a COPY ... FORMAT AS PARQUET, on the client's own PostgreSQL session and transaction.

Files are fetched a few ahead of the one that is loaded, read a batch of rows at a time, checked, encoded by pgpq to
PostgreSQL's binary COPY and streamed: memory holds a few batches, whatever the size of the load.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

import pgpq
import pgpq.encoders
import pgpq.schema
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from s3rs_ray.local.redshift.actions import Load
from s3rs_ray.local.redshift.backend import Backend
from s3rs_ray.local.redshift.loaderror import LoadError, scan_error
from s3rs_ray.local.redshift.manifest import ManifestEntry
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.objects import Objects
from s3rs_ray.local.redshift.parquet import LOADABLE, TargetColumn, arrow_type, check_file
from s3rs_ray.local.redshift.readahead import read_ahead
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import quote_literal, quote_name

__all__ = ["MAX_ROW_BYTES", "LoadCount", "find_target", "load_files"]

MAX_ROW_BYTES = 4 * 1024 * 1024
_MAX_SUPER_STRING = 65535
_BATCH_ROWS = 8192
_PIECES_AHEAD = 4
_FILES_AHEAD = 4
_BYTES_AHEAD = 256 * 1024 * 1024


@dataclass(slots=True)
class LoadCount:
    """What has been loaded so far."""

    rows: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The table of a COPY: its code in PostgreSQL and the columns to load, in the order of the column list."""

    table_id: int
    columns: list[TargetColumn]


def find_target(backend: Backend, load: Load) -> Target:
    """Looks the table up as the client sees it.

    Raises:
        SqlError: 42P01 for no such table, 42703 for no such column, 0A000 for a column COPY cannot load.
    """
    own = INTERNAL_SCHEMA
    rows = backend.query(
        f"SELECT c.oid, c.relkind, {own}.long_name(a.attname), {own}.type_name(a.atttypid), a.atttypmod, "
        "a.attnotnull, a.attidentity FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        f"WHERE c.oid = to_regclass({quote_literal(load.table.sql)}) AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY a.attnum"
    )
    if not rows:
        raise SqlError("42P01", f"Cannot COPY into nonexistent table {load.table.name}")
    if rows[0][1] != "r":
        raise not_supported(f'cannot copy to view "{load.table.name}"')
    known = {str(row[2]): row for row in rows}
    generated = [name for name, row in known.items() if row[6]]
    names = list(load.columns) or [n for n in known if load.explicit_ids or n not in generated]
    columns: list[TargetColumn] = []
    for name in names:
        if name not in known:
            raise SqlError("42703", f'column "{name}" of relation "{load.table.name}" does not exist')
        if name in generated and not load.explicit_ids:
            raise not_supported(f'cannot COPY to identity column "{name}" without EXPLICIT_IDS')
        columns.append(_target_column(name, known[name]))
    if len(set(names)) != len(names):
        raise SqlError("42701", "a column is specified more than once")
    if any(column.type == "super" for column in columns) and not load.serialize_to_json:
        raise not_supported("a SUPER column is loaded from Parquet with SERIALIZETOJSON only")
    return Target(table_id=int(str(rows[0][0])), columns=columns)


def _target_column(name: str, row: tuple[str | None, ...]) -> TargetColumn:
    modifier = int(str(row[4]))
    types = {"timestamp without time zone": "timestamp", "binary varying": "varbyte"}
    kind = types.get(str(row[3]), str(row[3]))
    if kind not in LOADABLE:
        raise not_supported(f'column "{name}" of type {kind} cannot be loaded from Parquet')
    not_null = row[5] == "t"
    if kind == "numeric":
        precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (modifier - 4) & 0xFFFF
        return TargetColumn(name=name, type=kind, precision=precision, scale=scale, not_null=not_null)
    length = modifier - 4 if kind in {"character varying", "varbyte"} else 0
    return TargetColumn(name=name, type=kind, length=length, not_null=not_null)


def load_files(
    backend: Backend, load: Load, target: Target, objects: Objects, entries: list[ManifestEntry]
) -> LoadCount:
    """Loads the files into the open transaction of ``backend``.

    Raises:
        LoadError: a file or a value is not what Redshift takes.
        SqlError: PostgreSQL refused the rows.
    """
    names = ", ".join(quote_name(column.name) for column in target.columns)
    count = LoadCount()
    backend.start_copy(f"COPY {load.table.sql} ({names}) FROM STDIN (FORMAT binary)")
    finished = False
    try:
        for data in read_ahead(_encoded(target.columns, objects, entries, count), _PIECES_AHEAD):
            backend.send_copy_data(data)
        finished = True
    finally:
        # Whatever happened, the session must leave the COPY before anything else.
        if not finished:
            backend.fail_copy()
    backend.finish_copy()
    return count


def _encoded(
    columns: list[TargetColumn], objects: Objects, entries: list[ManifestEntry], count: LoadCount
) -> Generator[bytes, None, None]:
    """The rows of all files as PostgreSQL's binary COPY; ``count`` follows."""
    encoder = _encoder(columns)
    yield encoder.write_header()
    for entry, file in _fetched(objects, entries):
        with closing(file):
            for batch in _batches(file, columns, objects.url(entry)):
                yield encoder.write_batch(batch)
                count.rows += batch.num_rows
        count.files += 1
        count.bytes += entry.content_length
    yield encoder.finish()


def _fetched(objects: Objects, entries: list[ManifestEntry]) -> Iterator[tuple[ManifestEntry, BinaryIO]]:
    """The files in order, the next few fetched meanwhile; missing optional ones are left out."""
    left = deque(entries)
    waiting: deque[tuple[ManifestEntry, Future[BinaryIO | None]]] = deque()
    with ThreadPoolExecutor(max_workers=_FILES_AHEAD, thread_name_prefix="fetch") as pool:
        try:
            while left or waiting:
                while left and _may_fetch(left[0], [entry for entry, _ in waiting]):
                    waiting.append((left[0], pool.submit(objects.fetch, left.popleft())))
                entry, fetched = waiting.popleft()
                file = fetched.result()
                if file is not None:
                    yield entry, file
        finally:
            for _, fetched in waiting:
                if not fetched.cancel() and fetched.exception() is None:
                    abandoned = fetched.result()
                    if abandoned is not None:
                        abandoned.close()


def _may_fetch(entry: ManifestEntry, waiting: list[ManifestEntry]) -> bool:
    # Temporary files may well be in memory, so large ones are not piled up.
    size = entry.content_length + sum(other.content_length for other in waiting)
    return not waiting or (len(waiting) <= _FILES_AHEAD and size <= _BYTES_AHEAD)


def _encoder(columns: list[TargetColumn]) -> pgpq.ArrowToPostgresBinaryEncoder:
    schema = _schema(columns)
    encoders = {}
    for column, field in zip(columns, schema, strict=True):
        if column.type == "super":
            encoders[field.name] = pgpq.encoders.StringEncoderBuilder.new_with_output(field, pgpq.schema.Jsonb())
        else:
            encoders[field.name] = pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)
    return pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(schema, encoders)


def _schema(columns: list[TargetColumn]) -> pa.Schema:
    return pa.schema([pa.field(column.name, arrow_type(column)) for column in columns])


def _batches(file: BinaryIO, columns: list[TargetColumn], url: str) -> Iterator[pa.RecordBatch]:
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        check_file(file, parquet, columns, url)
        schema = _schema(columns)
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            values = [value.cast(field.type) for value, field in zip(batch.columns, schema, strict=True)]
            ready = pa.RecordBatch.from_arrays(values, schema=schema)
            _check_values(ready, columns, url)
            yield _serialized(ready, columns)
    except (pa.ArrowException, OSError) as error:
        raise scan_error(f"File '{url}' is not a readable Parquet file: {error}", file=url) from error


def _check_values(batch: pa.RecordBatch, columns: list[TargetColumn], url: str) -> None:
    for column, values in zip(columns, batch.columns, strict=True):
        if column.not_null and values.null_count:
            raise scan_error(
                f"NULL value in column {column.name}, which is defined NOT NULL, File name: {url}",
                file=url,
                column=column.name,
                type_name=column.type,
            )
        limit = _MAX_SUPER_STRING if column.type == "super" else column.length
        if limit:
            longest = pc.max(pc.binary_length(values)).as_py() or 0
            if longest > limit:
                raise _too_long(column, limit, longest, url)
    if batch.nbytes > MAX_ROW_BYTES:
        _check_rows(batch, columns, url)


def _too_long(column: TargetColumn, limit: int, longest: int, url: str) -> LoadError:
    return scan_error(
        f"The length of the data column {column.name} is longer than the length defined in the table. "
        f"Table: {limit}, Data: {longest}, File name: {url}",
        file=url,
        column=column.name,
        type_name=column.type,
        length=str(limit),
    )


def _check_rows(batch: pa.RecordBatch, columns: list[TargetColumn], url: str) -> None:
    variable = [
        pc.fill_null(pc.cast(pc.binary_length(values), pa.int64()), 0)
        for column, values in zip(columns, batch.columns, strict=True)
        if column.type in {"character varying", "varbyte", "super"}
    ]
    if not variable:
        return
    total = variable[0]
    for lengths in variable[1:]:
        total = pc.add(total, lengths)
    largest = pc.max(total).as_py() or 0
    if largest > MAX_ROW_BYTES:
        raise scan_error(f"A row of {largest} bytes is larger than 4 MB, File name: {url}", file=url)


def _serialized(batch: pa.RecordBatch, columns: list[TargetColumn]) -> pa.RecordBatch:
    """Text for SUPER becomes a JSON string: COPY stores it as a SUPER string, it does not parse it."""
    for index, column in enumerate(columns):
        if column.type == "super":
            texts = [
                None if value is None else json.dumps(value, ensure_ascii=False)
                for value in batch.column(index).to_pylist()
            ]
            batch = batch.set_column(index, batch.schema.field(index), pa.array(texts, pa.string()))
    return batch

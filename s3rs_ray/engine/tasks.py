"""One chunk: read, check, encode, upload. Plain functions; where they run is the executor's business."""

from __future__ import annotations

import functools
import hashlib
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

import orjson

from ..config import Settings
from ..errors import IntegrityError, ObjectNotFound, PreconditionFailed
from ..ledger.store import Ledger
from ..model import Chunk, DataFile, KeyRange, Table, TableName, Watermark
from ..policies import Adjusted, RangeOrder
from ..positions import Position, format_position, format_value, parse_position, parse_value
from ..source.catalog import Endpoint, open_catalog
from ..source.cutting import cut_range
from ..source.extract import Extract, read_chunk
from ..source.types import arrow_schema
from ..storage.layout import DataKey, format_data_key, parse_run_time
from ..storage.parquet import ParquetEncoder, read_footer
from ..storage.s3 import ObjectStore, S3Store, StoredObject
from ..tunnel import open_source_tunnel
from .plan import reaches
from .sizing import SLICE_BYTES

log = logging.getLogger(__name__)

METADATA_BYTES = 1900
"""What may be said of an object beside it: S3 takes 2 KB."""
FOOTER = "s3rs"
"""The key in the Parquet footer under which a file says what it holds."""
IN_FOOTER = "footer"
READ_ATTEMPTS = 3
"""How often a chunk is read again when its row count and the server's differ."""
FINER = 4
"""Into how many a slice is cut that took too long to read."""


@functools.lru_cache(maxsize=4)
def open_store(settings: Settings) -> S3Store:
    """The bucket; one client per process, so that connections are reused."""
    return S3Store(settings)


@functools.lru_cache(maxsize=4)
def _state_store(settings: Settings) -> S3Store:
    return S3Store(settings, attempts=3, patience=10)


def open_ledger(settings: Settings) -> Ledger:
    """The states of all tables: small objects, for which nobody should wait as long as for a large file."""
    return Ledger(_state_store(settings))


def data_key(settings: Settings, table: TableName, run_id: str, ordinal: int) -> str:
    """The key of a chunk's file: the same however often the chunk is tried."""
    return format_data_key(settings.s3_incremental_path, DataKey(table, parse_run_time(run_id), ordinal))


@dataclass(slots=True)
class StageSeconds:
    """What one chunk's stages took, in seconds; all 0 where its file was there already."""

    read: float = 0.0
    encode: float = 0.0
    upload: float = 0.0

    @contextmanager
    def add(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - began)


def extract_chunk(
    table: Table,
    chunk: Chunk,
    settings: Settings,
    *,
    order: RangeOrder,
    server: str,
    finer: int = 0,
    spent: StageSeconds | None = None,
) -> DataFile:
    """Reads a chunk and writes its file; a chunk whose file is there already is not read again.

    Args:
        server: the source's version text.
        finer: slices are read as a quarter of their rows, and so on for each: larger ones took too long.
        spent: what each stage took is added to it.

    Returns:
        The description of *the object that is there*, whoever wrote it.

    Raises:
        SourceError, StorageError: may be tried again. IntegrityError: may not.
    """
    store = open_store(settings)
    key = data_key(settings, table.name, chunk.run_id, chunk.ordinal)
    present = _find(store, key)
    if present is not None:
        return _own_file(store, present, table, chunk)
    began, spent = time.perf_counter(), spent or StageSeconds()
    encoder = ParquetEncoder(arrow_schema(table.columns), _footer(table, chunk, order), statistics=table.order_columns)
    adjusted, rows, memory = Adjusted(), 0, 0
    with open_source_tunnel(settings) as (host, port):
        slices = _read_slices(table, chunk, settings, Endpoint(host, port), server=server, finer=finer)
        while True:
            with spent.add("read"):
                extract = next(slices, None)
            if extract is None:
                break
            with spent.add("encode"):
                encoder.write(extract.data)
            adjusted += extract.adjusted
            rows += extract.data.num_rows
            memory += extract.data.nbytes
    with spent.add("encode"):
        file = encoder.finish()
    if file.rows != rows:
        raise IntegrityError(f"{key}: the Parquet footer counts {file.rows} rows, {rows} were read")
    described = DataFile(
        key=key,
        rows=file.rows,
        bytes=file.body.size,
        digest=file.digest,
        run_id=chunk.run_id,
        ordinal=chunk.ordinal,
        fingerprint=table.fingerprint,
        reaches=reaches(chunk, order),
        memory=memory,
        adjusted=adjusted,
        null_horizon=chunk.window.null_horizon,
        mends=chunk.window.mends,
    )
    try:
        with spent.add("upload"):
            store.put_new(key, file.body, _object_metadata(described, chunk))
    except PreconditionFailed:  # an earlier attempt got through after all
        return _own_file(store, store.head(key), table, chunk)
    return replace(described, seconds=time.perf_counter() - began)


def _read_slices(
    table: Table, chunk: Chunk, settings: Settings, endpoint: Endpoint, *, server: str, finer: int
) -> Iterator[Extract]:
    """The slices of a chunk, one in memory at a time.

    A slice that would be far larger than planned, because rows have become wider along the range, is cut finer; and
    all are where larger ones took too long to read.
    """
    row_memory = 0.0
    waiting = list(reversed(chunk.slices))
    most = max(1, max(part.rows for part in waiting) // FINER**finer) if finer else sys.maxsize
    while waiting:
        part = waiting.pop()
        fits = int(SLICE_BYTES / row_memory) if part.rows * row_memory > 2 * SLICE_BYTES else sys.maxsize
        if part.rows > max(1, min(most, fits)):
            pieces = _cut_finer(table, part, min(most, fits), settings, endpoint)
            if len(pieces) > 1:  # rows without a key that share their cursor stay together, however many they are
                waiting += reversed(pieces)
                continue
        extract = _read_counted(table, part, settings, endpoint, server=server)
        if extract.data.num_rows:
            row_memory = extract.data.nbytes / extract.data.num_rows
        yield extract


def _cut_finer(table: Table, part: Chunk, rows: int, settings: Settings, endpoint: Endpoint) -> tuple[Chunk, ...]:
    with open_catalog(settings, endpoint) as catalog:
        return cut_range(catalog, table, part, rows=max(rows, 1)).slices


def _read_counted(table: Table, chunk: Chunk, settings: Settings, endpoint: Endpoint, *, server: str) -> Extract:
    """Reads a chunk whose row count agrees with what the plan promised, or with a count in the same snapshot.

    A row updated since the plan was made has left the window, so another number is explained by a new count; one made
    after the read would not do where rows keep leaving.
    """
    extract = read_chunk(table, chunk, settings, endpoint, server=server)
    if extract.data.num_rows == chunk.rows:
        return extract
    for _ in range(READ_ATTEMPTS):
        extract = read_chunk(table, chunk, settings, endpoint, server=server, counted=True)
        held = extract.held
        if held is None:  # no row came, so none could bring the count
            with open_catalog(settings, endpoint) as catalog:
                held = catalog.count(table, chunk.window, chunk.range)
        if extract.data.num_rows == held:
            log.info(
                "chunk %d of %s: %d rows instead of the %d planned; the source counts the same",
                chunk.ordinal,
                table.name,
                held,
                chunk.rows,
            )
            return extract
    raise IntegrityError(
        f"chunk {chunk.ordinal} of {table.name}: read {extract.data.num_rows} rows, the source counts {held}",
        hint="run the command again; if it stays so, look at the source's error log",
        context={"chunk": str(chunk.ordinal), "planned": str(chunk.rows)},
    )


def _footer(table: Table, chunk: Chunk, order: RangeOrder) -> dict[str, str]:
    reached = reaches(chunk, order)
    about = {
        "table": str(table.name),
        "run_id": chunk.run_id,
        "ordinal": chunk.ordinal,
        "after": None if chunk.range.after is None else format_position(chunk.range.after),
        "upto": None if chunk.range.upto is None else format_position(chunk.range.upto),
        "range_columns": list(chunk.range.columns),
        "fingerprint": table.fingerprint,
        "reaches": None if reached is None else format_position(reached.position),
        "window_after": format_position(chunk.window.after.position),
    }
    return {FOOTER: orjson.dumps(about).decode()}


def _range_digest(key_range: KeyRange) -> str:
    parts = (key_range.columns, key_range.after, key_range.upto, key_range.keys)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _object_metadata(file: DataFile, chunk: Chunk) -> dict[str, str]:
    """What S3 keeps with the object: enough to describe the file without reading it.

    Positions of very long keys do not fit (Amazon S3 User Guide, "Working with object metadata": 2 KB for all names
    and values); they are then told by the file's own footer alone.
    """
    position = None if file.reaches is None else format_position(file.reaches.position)
    horizon = None if file.null_horizon is None else format_value(file.null_horizon)
    metadata = {
        "s3rs-run": file.run_id,
        "s3rs-ordinal": str(file.ordinal),
        "s3rs-rows": str(file.rows),
        "s3rs-sha256": file.digest,
        "s3rs-memory": str(file.memory),
        "s3rs-fingerprint": file.fingerprint,
        "s3rs-reaches": quote(orjson.dumps(position)),
        "s3rs-null-horizon": quote(orjson.dumps(horizon)),
        "s3rs-adjusted": quote(orjson.dumps(file.adjusted)),
        "s3rs-range": _range_digest(chunk.range),
        "s3rs-whole": str(int(chunk.window.whole)),
        "s3rs-mends": str(int(file.mends)),
        "s3rs-window-after": quote(orjson.dumps(format_position(chunk.window.after.position))),
    }
    if sum(len(name) + len(value) for name, value in metadata.items()) > METADATA_BYTES:
        metadata |= {"s3rs-reaches": IN_FOOTER, "s3rs-window-after": IN_FOOTER}
    return metadata


def _find(store: ObjectStore, key: str) -> StoredObject | None:
    try:
        return store.head(key)
    except ObjectNotFound:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """What an object's metadata says: the file, its chunk's range, where its run's window began or that it had none."""

    file: DataFile
    range_digest: str
    window_after: Position
    whole: bool = False


def describe_file(store: ObjectStore, stored: StoredObject) -> WrittenFile:
    """The file an object's metadata describes; the object itself is read only where its key did not fit in there.

    Raises:
        IntegrityError: the object was not written by this program.
    """
    m = stored.metadata
    try:
        if m["s3rs-reaches"] == IN_FOOTER:
            about = orjson.loads(read_footer(store.get(stored.key).body)[FOOTER])
            position, window_after = about["reaches"], about["window_after"]
        else:
            position, window_after = (orjson.loads(unquote(m[f"s3rs-{k}"])) for k in ("reaches", "window-after"))
        horizon = orjson.loads(unquote(m["s3rs-null-horizon"]))
        file = DataFile(
            key=stored.key,
            rows=int(m["s3rs-rows"]),
            bytes=stored.size,
            digest=m["s3rs-sha256"],
            memory=int(m["s3rs-memory"]),
            run_id=m["s3rs-run"],
            ordinal=int(m["s3rs-ordinal"]),
            fingerprint=m["s3rs-fingerprint"],
            reaches=None if position is None else Watermark(position=parse_position(position)),
            adjusted=Adjusted(**orjson.loads(unquote(m["s3rs-adjusted"]))),
            null_horizon=None if horizon is None else parse_value(horizon),
            mends=m["s3rs-mends"] == "1",
        )
        after, whole = parse_position(window_after), m["s3rs-whole"] == "1"
        return WrittenFile(file=file, range_digest=m["s3rs-range"], window_after=after, whole=whole)
    except (KeyError, TypeError, ValueError) as exc:
        raise IntegrityError(
            f"{stored.key} does not say what it holds: {exc!r}",
            hint="another program wrote it; move it away, or use another S3_INCREMENTAL_PATH",
            context={"key": stored.key},
        ) from exc


def _own_file(store: ObjectStore, stored: StoredObject, table: Table, chunk: Chunk) -> DataFile:
    """The file an earlier attempt at this very chunk wrote; refuses one of another chunk, plan or contract."""
    written = describe_file(store, stored)
    file = written.file
    found = (file.run_id, file.ordinal, file.fingerprint, written.range_digest)
    if found != (chunk.run_id, chunk.ordinal, table.fingerprint, _range_digest(chunk.range)):
        raise IntegrityError(
            f"{file.key} belongs to chunk {file.ordinal} of run {file.run_id}, not to chunk {chunk.ordinal}"
            f" of run {chunk.run_id}",
            hint="two runs of one second wrote to one place: run the command again",
        )
    return file

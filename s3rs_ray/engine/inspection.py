"""What lies in a table's Parquet files: schema and where it differs, sample rows, column statistics, data quality.

Files are read over the product's own S3 client, footers first and then batch by batch, so that memory holds one batch
and what the profiles keep, however large the files are.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import Settings
from ..errors import IntegrityError, S3rsError, UsageError
from ..ledger.store import utc_now
from ..model import Table, TableName
from ..policies import Adjusted
from ..storage.layout import CONTRACT, format_run_key, parse_data_key, table_prefix
from ..storage.s3 import ObjectStore, StoredObject
from .column_drift import ColumnDrift, both_ends, file_drift, same_columns
from .contract import parse_contract
from .events import adjusted_texts
from .profile import ColumnProfile, Oddity
from .tasks import describe_file, open_store

BATCH_ROWS = 16_384


class RemoteFile(io.RawIOBase):
    """An object as a file that is read in parts."""

    def __init__(self, store: ObjectStore, item: StoredObject) -> None:
        super().__init__()
        self._store, self._item, self._place = store, item, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._item.size}[whence]
        self._place = base + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._item.size - self._place)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        part = self._store.get_part(self._item.key, self._place, wanted)
        self._place += len(part)
        return part


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnInfo:
    """A column of the files, and what the contract of their run says of it, where that is there."""

    name: str
    type: str
    nullable: bool
    source_type: str = ""
    redshift_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """One file: rows and row groups by its footer."""

    key: str
    bytes: int
    rows: int
    row_groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found.

    Attributes:
        files: those looked at, newest first; ``present`` is how many the table has.
        rows: how many rows the profiles are of.
        whole: every row of ``files`` was looked at.
        sample: the first rows, by column.
        skipped: files of ``files`` whose columns are other than the newest one's.
        drift: columns that are other ones in those files, at the source or in Redshift.
        unasked: why ``source`` or ``redshift`` was not compared.
    """

    table: TableName
    present: int
    files: tuple[FileInfo, ...]
    rows: int
    whole: bool
    schema: tuple[ColumnInfo, ...]
    sample: tuple[dict[str, Any], ...]
    columns: tuple[ColumnProfile, ...]
    quality: tuple[Oddity, ...]
    skipped: tuple[str, ...] = ()
    drift: tuple[ColumnDrift, ...] = ()
    unasked: dict[str, str] = field(default_factory=dict)


def inspect_table(
    settings: Settings,
    table: TableName,
    *,
    files: int,
    rows: int,
    sample: int,
    clock: Callable[[], dt.datetime] = utc_now,
) -> Inspection:
    """Looks at the newest files of a table.

    Args:
        files: how many, at most.
        rows: how many rows of them all, at most.
        sample: how many rows are kept to be shown.

    Raises:
        UsageError: the table has no file on S3.
        IntegrityError: a file is no Parquet file.
    """
    store, prefix = open_store(settings), settings.s3_incremental_path
    keys = [o for o in store.list(table_prefix(prefix, table)) if parse_data_key(prefix, o.key) is not None]
    if not keys:
        raise UsageError(
            f"{table} has no file in {store.url(table_prefix(prefix, table))}",
            hint="`s3rs-ray explore` shows what is there",
        )
    newest = keys[: -files - 1 : -1]
    opened = [(item, _open(store, item)) for item in newest]
    schema = opened[0][1].schema_arrow
    alike = [(item, file) for item, file in opened if same_columns(file.schema_arrow, schema)]
    others = [(item, file) for item, file in opened if not same_columns(file.schema_arrow, schema)]
    profiles, now, seen = {n: ColumnProfile(name=n) for n in schema.names}, clock(), 0
    shown: list[dict[str, Any]] = []
    for batch in _batches([file for _, file in alike], rows):
        frame = pl.DataFrame(pl.from_arrow(batch))
        shown += frame.head(sample - len(shown)).to_dicts() if len(shown) < sample else []
        for name in schema.names:
            profiles[name].add(frame[name], now)
        seen += batch.num_rows
    infos = tuple(_info(item, file) for item, file in opened)
    heads = [store.head(item.key) for item, _ in alike]
    contract = _contract(store, table, heads[0])
    ends, unasked = both_ends(settings, contract)
    return Inspection(
        table=table,
        present=len(keys),
        files=infos,
        rows=seen,
        whole=seen == sum(info.rows for info in infos),
        schema=_schema(schema, contract),
        sample=tuple(shown),
        columns=tuple(profiles.values()),
        quality=(*_adjustments(store, heads), *(odd for p in profiles.values() for odd in p.oddities())),
        skipped=tuple(item.key for item, _ in others),
        drift=(*(d for item, file in others for d in file_drift(schema, file.schema_arrow, item.key)), *ends),
        unasked=unasked,
    )


def _open(store: ObjectStore, item: StoredObject) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.PythonFile(RemoteFile(store, item), mode="r"))
    except pa.ArrowInvalid as exc:
        raise IntegrityError(
            f"{item.key} is no Parquet file: {exc}", hint="`s3rs-ray s3clean list` shows whose it is"
        ) from exc


def _batches(files: Sequence[pq.ParquetFile], rows: int) -> Iterator[pa.RecordBatch]:
    """The first rows of each file in turn, at most ``rows`` together, shared evenly among the files."""
    left = rows
    for place, file in enumerate(files):
        share = -(-left // (len(files) - place))
        for batch in file.iter_batches(batch_size=min(BATCH_ROWS, max(share, 1))):
            taken = batch.slice(0, min(share, batch.num_rows))
            if taken.num_rows:
                yield taken
            share -= taken.num_rows
            left -= taken.num_rows
            if share <= 0:
                break


def _info(item: StoredObject, file: pq.ParquetFile) -> FileInfo:
    about = file.metadata
    return FileInfo(key=item.key, bytes=item.size, rows=about.num_rows, row_groups=about.num_row_groups)


def _contract(store: ObjectStore, table: TableName, head: StoredObject) -> Table | None:
    """The contract of a file's run; None where it is gone, because a look does not need it."""
    try:
        key = format_run_key(table, describe_file(store, head).file.run_id, CONTRACT)
        return parse_contract(store.get(key).body, key)
    except S3rsError:
        return None


def _schema(schema: pa.Schema, contract: Table | None) -> tuple[ColumnInfo, ...]:
    known = {c.name: c for c in contract.columns} if contract else {}
    return tuple(
        ColumnInfo(
            name=f.name,
            type=str(f.type),
            nullable=f.nullable,
            source_type=known[f.name].source_type if f.name in known else "",
            redshift_type=known[f.name].redshift_type if f.name in known else "",
        )
        for f in schema
    )


def _adjustments(store: ObjectStore, heads: Sequence[StoredObject]) -> Iterator[Oddity]:
    """What the policies changed in the files: it is told of whole files, whose column nobody counted."""
    total = Adjusted()
    for head in heads:
        try:
            total += describe_file(store, head).file.adjusted
        except IntegrityError:  # another program's file under a name of ours
            continue
    for kind, text in adjusted_texts(total).items():
        yield Oddity(column="", kind=kind, count=getattr(total, kind), message=text)

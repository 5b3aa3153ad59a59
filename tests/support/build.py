"""Values for tests: a table, its chunks, files and states, each with sensible rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from s3rs_ray.ledger.apply import apply_commit
from s3rs_ray.ledger.changes import Begin, Change, Commit
from s3rs_ray.ledger.state import Lease, OpenRun, TableState
from s3rs_ray.model import Chunk, Column, DataFile, KeyRange, Load, Table, TableName, Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.positions import Position
from s3rs_ray.source.types import SourceColumn, contract, fingerprint

NAME = TableName("settlement", "parcels")
NOON = dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC)


def source_column(name: str, column_type: str, *, nullable: bool = True, **sizes: Any) -> SourceColumn:
    """A column as information_schema tells it; the data type is read off ``column_type``."""
    data_type = column_type.partition("(")[0].partition(" ")[0]
    return SourceColumn(name=name, data_type=data_type, column_type=column_type, nullable=nullable, **sizes)


def columns() -> tuple[Column, ...]:
    """ID, update_at, amount, note."""
    return tuple(
        contract(c)
        for c in (
            source_column("ID", "bigint(20)", nullable=False, precision=19, scale=0),
            source_column("update_at", "datetime(6)"),
            source_column("amount", "decimal(10,2)", precision=10, scale=2),
            source_column("note", "varchar(50)", characters=50, character_set="utf8mb4"),
        )
    )


def table(
    *,
    name: TableName = NAME,
    key: tuple[str, ...] = ("ID",),
    cursor: str = "update_at",
    cursor_index: str | None = "by_update",
    key_index: str = "PRIMARY",
    of: Sequence[Column] | None = None,
    estimated_rows: int = 1000,
) -> Table:
    """A table of :func:`columns` with the primary key ID."""
    chosen = tuple(of) if of is not None else columns()
    return Table(
        name=name,
        columns=chosen,
        cursor=cursor,
        key=key,
        cursor_index=cursor_index,
        key_index=key_index,
        estimated_rows=estimated_rows,
        average_row_bytes=100,
        fingerprint=fingerprint(chosen, (cursor, *key)),
        key_collations=("",) * len(key),
    )


def mark(*position: int) -> Watermark:
    """A watermark of whole numbers."""
    return Watermark(position=position)


def window(after: Position, upto: Position) -> Window:
    return Window(after=Watermark(position=after), upto=Watermark(position=upto))


def run_chunks(
    run_id: str, cuts: Sequence[Position | None], *, of: Window, columns: tuple[str, ...] = ("c", "k"), rows: int = 10
) -> tuple[Chunk, ...]:
    """Chunks between neighbouring cuts."""
    return tuple(
        Chunk(
            run_id=run_id,
            ordinal=ordinal,
            range=KeyRange(columns=columns, after=low, upto=high),
            window=of,
            rows=rows,
        )
        for ordinal, (low, high) in enumerate(pairwise(cuts))
    )


def data_file(chunk: Chunk, *, reaches: Watermark | None, rows: int = 10, digest: str = "") -> DataFile:
    """The file of a chunk."""
    return DataFile(
        key=f"incremental/{chunk.run_id}_{chunk.ordinal:04d}.parquet",
        rows=rows,
        bytes=rows * 100,
        digest=digest or f"digest {chunk.run_id} {chunk.ordinal}",
        run_id=chunk.run_id,
        ordinal=chunk.ordinal,
        fingerprint="f" * 16,
        reaches=reaches,
    )


def open_run(run_id: str, of: Window, *, order: RangeOrder = RangeOrder.CURSOR, fingerprint: str = "f" * 16) -> OpenRun:
    return OpenRun(
        run_id=run_id,
        window=of,
        order=order,
        fingerprint=fingerprint,
        strategy="sequential",
    )


def begin(run_id: str, of: Window, *, order: RangeOrder = RangeOrder.CURSOR, found: Watermark | None = None) -> Begin:
    """Opens a run; without ``found`` its window starts at the watermark."""
    return Begin(run=open_run(run_id, of, order=order), found=of.after if found is None else found)


def fresh_state(name: TableName = NAME) -> TableState:
    return TableState(table=name, generation="g0", created_at=NOON, updated_at=NOON)


def lease(holder: str = "a", now: dt.datetime = NOON, host: str = "elsewhere") -> Lease:
    return Lease(holder=holder, host=host, pid=1, since=now, renewed=now)


def loaded(load_id: str, *, run_id: str = "r", rows: int = 10, files: int = 1) -> Load:
    return Load(load_id=load_id, run_id=run_id, rows=rows, files=files, merged=rows, loaded_at=NOON)


@dataclass
class Applied:
    """A state that changes are committed to one after the other, by hand unless a holder is named."""

    state: TableState = field(default_factory=fresh_state)
    now: dt.datetime = NOON
    count: int = 0

    def commit(self, *changes: Change, holder: str = "") -> TableState:
        self.count += 1
        commit = Commit(change_id=f"change {self.count}", holder=holder, now=self.now, changes=changes)
        self.state = apply_commit(self.state, commit)
        return self.state

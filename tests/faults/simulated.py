"""The world that simulated drivers share: source, bucket and warehouse in memory."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from s3rs_ray.errors import IntegrityError
from s3rs_ray.ledger.state import OpenRun, TableState
from s3rs_ray.ledger.store import Ledger
from s3rs_ray.model import Chunk, KeyRange, Load, Manifest, Table, TableName, Watermark, Window
from s3rs_ray.policies import Mode
from s3rs_ray.positions import Position
from tests.support.build import NOON, table
from tests.support.memory_store import MemoryStore

ROWS_PER_CHUNK = 3


@dataclass(slots=True)
class Source:
    """The rows by key; a row's cursor is the tick at which it was written last."""

    table: Table
    tick: int = 1
    rows: dict[int, int] = field(default_factory=dict)

    def write(self, keys: Iterable[int]) -> None:
        """Inserts or updates rows at this tick, so that all share their cursor."""
        self.rows.update(dict.fromkeys(keys, self.tick))

    def between(self, after: Position | None, upto: Position | None) -> list[Position]:
        """``(cursor, key)`` of the rows in a range, in order."""
        every = sorted((cursor, key) for key, cursor in self.rows.items())
        return [p for p in every if (after is None or p > after) and (upto is None or p <= upto)]

    def window(self, after: Watermark) -> Window | None:
        """What a run owes: the rows of ticks that are over."""
        settled = [p for p in self.between(after.after, None) if cast(int, p[0]) < self.tick]
        return Window(after=after, upto=Watermark(position=settled[-1])) if settled else None

    def held(self, chunk: Chunk) -> list[Position]:
        """``(cursor, key)`` of the rows of a chunk now: of a range of keys where the run reads the whole table."""
        if not chunk.window.whole:
            return self.between(chunk.range.after, chunk.range.upto)
        after, upto = chunk.range.after, chunk.range.upto
        inside = (k for k in self.rows if (after is None or (k,) > after) and (upto is None or (k,) <= upto))
        return [(self.rows[key], key) for key in sorted(inside)]

    def settled(self) -> Watermark:
        """The last row of the ticks that are over: from there on later runs carry on behind a full refresh."""
        owed = self.window(Watermark.START)
        return owed.upto if owed else Watermark.START

    def cut_whole(self, run: OpenRun) -> Iterator[Chunk]:
        """The chunks of a full refresh that are not planned yet: ranges of the key, the last one unbounded."""
        done, ordinal = run.chunks, run.chunk_count
        after = done[-1].range.upto if done else None
        while not done or done[-1].range.upto is not None:
            keys = sorted(k for k in self.rows if after is None or (k,) > after)
            upto = (keys[ROWS_PER_CHUNK - 1],) if len(keys) > ROWS_PER_CHUNK else None
            key_range = KeyRange(columns=self.table.key, after=after, upto=upto)
            rows = min(len(keys), ROWS_PER_CHUNK)
            yield Chunk(run_id=run.run_id, ordinal=ordinal, range=key_range, window=run.window, rows=rows)
            if upto is None:
                return
            after, ordinal = upto, ordinal + 1

    def cut(self, run: OpenRun) -> Iterator[Chunk]:
        """The chunks of a run that are not planned yet."""
        after = run.chunks[-1].range.upto if run.chunks else run.window.after.after
        ordinal = run.chunk_count
        while after != run.window.upto.position:
            rest = self.between(after, run.window.upto.position)
            upto = rest[ROWS_PER_CHUNK - 1] if len(rest) > ROWS_PER_CHUNK else run.window.upto.position
            key_range = KeyRange(columns=self.table.order_columns, after=after, upto=upto)
            rows = len(self.between(after, upto))
            yield Chunk(run_id=run.run_id, ordinal=ordinal, range=key_range, window=run.window, rows=rows)
            after, ordinal = upto, ordinal + 1


@dataclass(slots=True)
class Warehouse:
    """The target by key, the load ledger, and how often each version of a row was loaded."""

    rows: dict[int, int] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    loaded: Counter[tuple[int, int]] = field(default_factory=Counter)
    shadows: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    newest_run: str = ""

    def commit(self, manifest: Manifest, rows: Sequence[tuple[int, int]]) -> Load:
        """The transaction that counts."""
        present = self.loads.get(manifest.load_id)
        if present is not None:
            return replace(present, repeated=True)
        if manifest.mode is Mode.REPLACE:
            self._gather(manifest, rows)
        else:
            for cursor, key in rows:
                self.rows[key] = max(cursor, self.rows.get(key, 0))
                self.loaded[(cursor, key)] += 1
        done = Load(
            load_id=manifest.load_id,
            run_id=manifest.run_id,
            rows=len(rows),
            files=len(manifest.files),
            merged=len(rows),
            loaded_at=NOON,
        )
        self.loads[manifest.load_id] = done
        return done

    def _gather(self, manifest: Manifest, rows: Sequence[tuple[int, int]]) -> None:
        """A load of a full refresh; the last one puts all of them in the place of what was there."""
        if self.newest_run > manifest.run_id:
            raise IntegrityError(f"{manifest.run_id} is older than {self.newest_run}")
        gathered = self.shadows.setdefault(manifest.generation, [])
        gathered += rows
        if manifest.reaches is not None:
            assert len({key for _, key in gathered}) == len(gathered), "a key was read twice"
            self.rows = {key: cursor for cursor, key in gathered}
            self.newest_run = manifest.run_id
            del self.shadows[manifest.generation]


@dataclass(slots=True)
class Place:
    """The world the drivers share."""

    mode: Mode = Mode.MERGE
    table: Table = field(default_factory=table)
    store: MemoryStore = field(default_factory=MemoryStore)
    warehouse: Warehouse = field(default_factory=Warehouse)
    now: dt.datetime = NOON
    reads: Counter[tuple[str, int]] = field(default_factory=Counter)
    source: Source = field(init=False)

    def __post_init__(self) -> None:
        self.source = Source(self.table)

    @property
    def name(self) -> TableName:
        return self.table.name

    @property
    def state(self) -> TableState:
        """The state on S3, whoever looks."""
        return Ledger(self.store, lambda: self.now).load(self.name)

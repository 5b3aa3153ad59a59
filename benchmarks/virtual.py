"""A world in which nothing is read and time is counted: what the product's own loop over chunks is given to drive.

The plan, the ledger, the state's JSON, the pages, the sizes of chunks and the loop are the product's; their CPU time is
measured and added to the clock. What takes time elsewhere (the source, S3, workers, COPY) is told by a model.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import pickle
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3rs_ray.engine.executor import ChunkTask, Ticket
from s3rs_ray.engine.plan import reaches
from s3rs_ray.errors import ObjectNotFound, PreconditionFailed
from s3rs_ray.ledger.state import TableState
from s3rs_ray.ledger.store import Holder, Ledger
from s3rs_ray.model import Chunk, DataFile, KeyRange, TableName
from s3rs_ray.positions import Position
from s3rs_ray.storage.layout import DataKey, format_data_key, parse_run_time
from s3rs_ray.storage.s3 import StoredObject

OFFSET = re.compile(r"OFFSET (\d+)$")


@dataclass(slots=True)
class Clock:
    """Virtual seconds. The CPU time of the code between two readings counts as it is."""

    seconds: float = 0.0
    cpu: float = 0.0
    _last: float = field(default_factory=time.process_time)

    def now(self) -> float:
        spent = time.process_time() - self._last
        self._last += spent
        self.cpu += spent
        self.seconds += spent
        return self.seconds

    def wait_until(self, moment: float) -> None:
        self.seconds = max(self.now(), moment)

    def charge(self, seconds: float) -> None:
        """Counts CPU time that was measured another time."""
        self.cpu += seconds
        self.seconds += seconds

    def skip(self, seconds: float) -> None:
        self.wait_until(self.now() + seconds)

    def moment(self) -> dt.datetime:
        return dt.datetime(2026, 1, 31, tzinfo=dt.UTC) + dt.timedelta(seconds=self.now())

    # What the product asks of the module ``time``.

    def monotonic(self) -> float:
        return self.now()

    def perf_counter(self) -> float:
        return self.now()

    def sleep(self, seconds: float) -> None:
        self.skip(seconds)


@dataclass(slots=True)
class Store:
    """A bucket in memory. Each request takes as long as the model says.

    Attributes:
        requests, written: PUTs and their bytes, of states, pages and manifests.
        largest: bytes of the largest object.
    """

    clock: Clock
    latency: float
    bytes_per_second: float
    bucket: str = "simulation"
    requests: int = 0
    written: int = 0
    largest: int = 0
    waited: float = 0.0
    _objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    _versions: Iterator[int] = field(default_factory=itertools.count)

    def get(self, key: str) -> StoredObject:
        if key not in self._objects:
            raise ObjectNotFound(key)
        body, version = self._objects[key]
        self._take(len(body))
        return StoredObject(key=key, version=version, size=len(body), modified=self.clock.moment(), body=body)

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> str:
        if key in self._objects:
            raise PreconditionFailed(key)
        return self._put(key, body)

    def put_if(self, key: str, body: bytes, version: str) -> str:
        if self._objects[key][1] != version:
            raise PreconditionFailed(key)
        return self._put(key, body)

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def _put(self, key: str, body: bytes) -> str:
        self._take(len(body))
        self.requests += 1
        self.written += len(body)
        self.largest = max(self.largest, len(body))
        self._objects[key] = (bytes(body), str(next(self._versions)))
        return self._objects[key][1]

    def _take(self, size: int) -> None:
        seconds = self.latency + size / self.bytes_per_second
        self.waited += seconds
        self.clock.skip(seconds)


SAMPLED = 20
"""One in so many states is pickled, and its time counts for all."""


@dataclass(slots=True)
class Coordinator:
    """The ledger behind its actor: the state is pickled on its way back."""

    inner: Ledger
    clock: Clock
    _calls: int = 0
    _taken: float = 0.0

    def load(self, table: TableName) -> TableState:
        return self._sent(self.inner.load(table))

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        return self._sent(self.inner.acquire(table, holder))

    def release(self, table: TableName, holder: Holder) -> None:
        self.inner.release(table, holder)

    def commit(self, table: TableName, changes: Sequence[Any], **named: Any) -> TableState:
        return self._sent(self.inner.commit(table, changes, **named))

    def _sent(self, state: TableState) -> TableState:
        if self._calls % SAMPLED == 0:
            before = self.clock.now()
            pickle.loads(pickle.dumps(state))
            self._taken = self.clock.now() - before
        else:
            self.clock.charge(self._taken)
        self._calls += 1
        return state


@dataclass(slots=True)
class Source:
    """A table of dense whole numbers, whose index is stepped along at a rate: what the product's cutting asks.

    Attributes:
        busy: seconds it was stepped along.
    """

    rows: int
    rows_per_second: float
    latency: float
    at: int = 0
    busy: float = 0.0

    def step(self, sql: str, columns: Sequence[str]) -> tuple[Position | None, bool]:
        found = OFFSET.search(sql)
        assert found is not None
        count = int(found[1]) + 1
        self.busy += self.latency + min(count, self.rows - self.at) / self.rows_per_second
        if self.at + count >= self.rows:
            return ((self.rows,) if self.at + count == self.rows else None), False
        self.at += count
        return (self.at,), True

    def count(self, table: object, window: object, key_range: KeyRange) -> int:
        self.busy += self.latency + (self.rows - self.at) / self.rows_per_second
        return self.rows - self.at


@dataclass(slots=True)
class Planning:
    """The product's planning thread on a line of time of its own, as :class:`~s3rs_ray.engine.ahead.PlanAhead`."""

    clock: Clock
    source: Source
    chunks: Iterator[Chunk]
    most: int
    ready: list[tuple[float, Chunk]] = field(default_factory=list)
    free_at: float = 0.0
    ended: bool = False

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        until = self.clock.now() + seconds
        self._plan()
        if len(self.ready) >= least and self.ready[least - 1][0] > self.clock.now():
            self.clock.wait_until(min(until, self.ready[least - 1][0]))
        now = self.clock.now()
        made = [chunk for at, chunk in self.ready if at <= now]
        last = self.ended and len(made) == len(self.ready)
        if len(made) < least and not last:
            return (), False
        self.ready = self.ready[len(made) :]
        self.free_at = max(self.free_at, now) if len(made) == self.most else self.free_at  # it stood still meanwhile
        return tuple(made), last

    def _plan(self) -> None:
        while not self.ended and len(self.ready) < self.most:
            before = self.source.busy
            chunk = next(self.chunks, None)
            if chunk is None:
                self.ended = True
                return
            self.free_at += self.source.busy - before
            self.ready.append((self.free_at, chunk))


@dataclass(slots=True)
class Readers:
    """The workers. A chunk takes as long as the model says for so many readers at once.

    Attributes:
        busy: seconds of all readers together.
        seconds: of a chunk of so many rows, and of so many chunks read at once.
    """

    clock: Clock
    places: int
    seconds: Callable[[int, int], float]
    file_bytes: float
    memory: float
    dispatch: float
    prefix: str
    busy: float = 0.0
    _running: list[tuple[float, int, Ticket]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        if len(self._running) >= self.places:
            return None
        self.clock.skip(self.dispatch)
        taken = self.seconds(task.chunk.rows, len(self._running) + 1)
        self.busy += taken
        ticket = Ticket(task=task, attempt=attempt, handle=taken)
        heapq.heappush(self._running, (self.clock.now() + taken, next(self._numbers), ticket))
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        now = self.clock.now()
        if self._running and self._running[0][0] > now:
            self.clock.wait_until(min(now + seconds, self._running[0][0]))
        done = []
        while self._running and self._running[0][0] <= self.clock.now():
            done.append(heapq.heappop(self._running)[2])
        return done

    def result(self, ticket: Ticket) -> DataFile:
        chunk, table = ticket.task.chunk, ticket.task.table
        return DataFile(
            key=format_data_key(self.prefix, DataKey(table.name, parse_run_time(chunk.run_id), chunk.ordinal)),
            rows=chunk.rows,
            bytes=int(chunk.rows * self.file_bytes),
            digest=f"{chunk.ordinal:064x}",
            run_id=chunk.run_id,
            ordinal=chunk.ordinal,
            fingerprint=table.fingerprint,
            reaches=reaches(chunk, ticket.task.order),
            memory=int(chunk.rows * self.memory),
            seconds=float(str(ticket.handle)),
        )

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        raise AssertionError("nothing is cancelled here")


@dataclass(slots=True)
class LoadPool:
    """The thread of the loads: what is submitted happens when its time has come, or when it is waited for.

    Attributes:
        busy: seconds of all loads.
    """

    clock: Clock
    seconds: Callable[[Sequence[DataFile]], float]
    busy: float = 0.0
    in_thread: bool = False

    def submit(self, function: Callable[..., None], state: TableState, files: Sequence[DataFile]) -> Later:
        chosen = files or state.loadable[: len(state.sealed.keys) if state.sealed else 0]
        return Later(self, self.clock.now() + self.seconds(chosen), lambda: function(state, files))

    def charge(self, files: Sequence[DataFile]) -> None:
        """Counts a load; one that is not in the thread takes its time now."""
        self.busy += self.seconds(files)
        if not self.in_thread:
            self.clock.skip(self.seconds(files))

    def shutdown(self) -> None:
        """Nothing waits here."""


@dataclass(slots=True)
class Later:
    """What the product takes for the future of a load."""

    pool: LoadPool
    at: float
    function: Callable[[], None]
    over: bool = False

    def done(self) -> bool:
        if not self.over and self.pool.clock.now() >= self.at:
            self.over = self.pool.in_thread = True
            self.function()
            self.pool.in_thread = False
        return self.over

    def result(self) -> None:
        self.pool.clock.wait_until(self.at)
        self.done()

"""Drivers that share a table, in memory and one step at a time: crashes, take-overs and lost replies as a test wants.

The ledger, the lease, the extraction's loop and the loads are the product's. In memory are the bucket, the source and
what ``warehouse.loader.load`` promises: one transaction that locks, looks the load id up, merges and records. Each
driver is a thread that stops at a gate before everything it does to the world, and waits there to be told to go on,
to die, to be refused, or to lose the reply.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pyarrow as pa
import pytest
import tenacity

from s3rs_ray.config import Settings
from s3rs_ray.engine import extraction as extraction_module
from s3rs_ray.engine import loading as loading_module
from s3rs_ray.engine import records as records_module
from s3rs_ray.engine.context import Hold, Request, Run, hold_table
from s3rs_ray.engine.executor import ChunkTask, Ticket
from s3rs_ray.engine.extraction import Extraction, run_extraction
from s3rs_ray.engine.loading import Loading
from s3rs_ray.engine.plan import begins_refresh, reaches
from s3rs_ray.engine.sizing import chunk_sizer
from s3rs_ray.errors import (
    IntegrityError,
    ObjectNotFound,
    PreconditionFailed,
    S3rsError,
    StorageUnavailable,
    StorageUnknown,
    WarehouseUnavailable,
)
from s3rs_ray.ledger.changes import Begin, BeginRefresh
from s3rs_ray.ledger.state import OpenRun, TableState
from s3rs_ray.ledger.store import COMMIT_SECONDS, Holder, Ledger
from s3rs_ray.model import Chunk, DataFile, Load, Manifest, TableName
from s3rs_ray.policies import Mode, RangeOrder
from s3rs_ray.storage.s3 import StoredObject
from s3rs_ray.warehouse.loader import CopySource
from tests.support.build import NOON
from tests.support.memory_store import MemoryStore
from tests.support.scripted import Planned

from .simulated import Place

FILES_PER_LOAD = 2
SETTINGS = Settings.load(
    environment={
        "S3_BUCKET_NAME": MemoryStore.bucket,
        "S3_ACCESS_KEY": "AKIASIMULATION",
        "S3_SECRET_KEY": "secret",
        "REDSHIFT_HOST": "memory",
        "BACKUP_FILES_PER_LOAD": str(FILES_PER_LOAD),
        "BACKUP_MAX_WORKERS": "2",
    }
)


class Order(StrEnum):
    """What a driver at a gate is told."""

    GO = "go"
    DIE = "die"
    REFUSE = "refuse"  # nothing happens, and it is told so
    LOSE = "lose"  # it happens, and the reply is lost


class Died(BaseException):
    """The process is gone: nothing it still does reaches the world."""


class Driver:
    """One process at work on the table."""

    def __init__(self, place: Place, number: int) -> None:
        self.place = place
        self.number = number
        self.at = ""
        self.error: BaseException | None = None
        self.finished = False
        self._dead = False
        self._order = Order.GO
        self._permit = threading.Semaphore(0)
        self._parked = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"driver {number}", daemon=True)
        self._thread.start()
        self._await_gate()

    def step(self, order: Order = Order.GO) -> None:
        """Lets it do the next thing, or has it happen to it."""
        if self.finished:
            return
        self._order = order
        self._parked.clear()
        self._permit.release()
        self._await_gate()

    def kill(self) -> None:
        """SIGKILL where it stands."""
        self.step(Order.DIE)
        self._thread.join(10)
        assert self.finished

    def forget(self) -> None:
        """The coordinator is restarted: what the ledger remembered is gone."""
        self.ledger.inner = Ledger(self.store, self.clock)

    def gate(self, what: str) -> Order:
        """Waits to be told."""
        if not self._dead:
            self.at = what
            self._parked.set()
            self._permit.acquire()
        if self._dead or self._order is Order.DIE:
            self._dead = True
            raise Died
        return self._order

    def _await_gate(self) -> None:
        assert self._parked.wait(20), f"driver {self.number} hangs behind {self.at!r}"

    def _live(self) -> None:
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001  the test judges it
            self.error = exc
        finally:
            self.finished = True
            self._parked.set()

    def clock(self) -> dt.datetime:
        return self.place.now

    def _work(self) -> None:
        """A sync, as ``engine.table`` tells it."""
        self.store = GatedStore(self)
        self.ledger = Restartable(Ledger(self.store, self.clock))
        run = Run(
            settings=SETTINGS.model_copy(update={"backup_mode": self.place.mode}),
            request=Request(tables=(str(self.place.name),)),
            store=cast(Any, self.store),
            ledger=self.ledger,
            workplace=cast(Any, None),
            threads=cast(Any, None),
            report=lambda event: None,
            clock=self.clock,
            stop=threading.Event(),
            started=NOON,
            holder=Holder(token=f"driver {self.number}", host="elsewhere", pid=self.number),
        )
        with hold_table(run, self.ledger, self.place.name) as hold:
            loading = Loading(hold=hold, contracts={self.place.table.fingerprint: self.place.table})
            state = self._begin(hold)
            if state.run is not None:
                self._extract(hold, state, loading)
            loading.finish()

    def _begin(self, hold: Hold) -> TableState:
        state = hold.load()
        if self.place.mode is Mode.REPLACE:
            return self._begin_refresh(hold, state)
        window = self.place.source.window(state.extracted)
        if state.run is not None or window is None:
            return state
        opened = OpenRun(
            run_id=self.place.new_run_id(),
            window=window,
            order=RangeOrder.CURSOR,
            fingerprint=self.place.table.fingerprint,
            strategy="sequential",
        )
        return hold.commit(Begin(run=opened, found=state.extracted))

    def _begin_refresh(self, hold: Hold, state: TableState) -> TableState:
        if not begins_refresh(state, wanted=True, loads=True):
            return state
        run_id = self.place.new_run_id()
        opened = OpenRun(
            run_id=run_id,
            window=self.place.source.refresh_window(),
            order=RangeOrder.KEY,
            fingerprint=self.place.table.fingerprint,
            strategy="sequential",
        )
        begin = BeginRefresh(run=opened, generation=f"generation {run_id}", source="", follows="", mode=Mode.REPLACE)
        return hold.commit(begin)

    def _extract(self, hold: Hold, state: TableState, loading: Loading) -> None:
        assert state.run is not None
        source = self.place.source
        cut = source.cut_whole if state.run.window.whole else source.cut
        extraction = Extraction(
            hold=hold,
            executor=Chunks(self),
            table=self.place.table,
            state=state,
            order=state.run.order,
            server="",
            planner=Planned(iter(()) if state.run.planned else cut(state.run)),
            sizer=chunk_sizer(self.place.table, SETTINGS, window_rows=0, readers=2),
        )
        try:
            run_extraction(extraction, loading.offer)
        except S3rsError:
            loading.join()
            raise


@dataclass(slots=True)
class Restartable:
    """The ledger as a driver sees it, behind an actor that may be restarted between two calls."""

    inner: Ledger

    def load(self, table: TableName) -> TableState:
        return self.inner.load(table)

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        return self.inner.acquire(table, holder)

    def release(self, table: TableName, holder: Holder) -> None:
        self.inner.release(table, holder)

    def commit(
        self,
        table: TableName,
        changes: Sequence[Any],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState:
        return self.inner.commit(table, changes, holder=holder, change_id=change_id, seconds=seconds)


@dataclass(slots=True)
class GatedStore:
    """The bucket as one driver sees it."""

    driver: Driver
    bucket: str = MemoryStore.bucket

    def get(self, key: str) -> StoredObject:
        return self._read("get", key, self.driver.place.store.get)

    def get_part(self, key: str, start: int, size: int) -> bytes:
        return self.get(key).body[start : start + size]

    def head(self, key: str) -> StoredObject:
        return self._read("head", key, self.driver.place.store.head)

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        return self._write("put_new", key, lambda: self.driver.place.store.put_new(key, body, metadata))

    def put_if(self, key: str, body: bytes, version: str) -> str:
        return self._write("put_if", key, lambda: self.driver.place.store.put_if(key, body, version))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return self.driver.place.store.list(prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        return self.driver.place.store.folders(prefix)

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        raise AssertionError("a sync deletes nothing")

    def url(self, key: str) -> str:
        return self.driver.place.store.url(key)

    def _read(self, what: str, key: str, read: Callable[[str], StoredObject]) -> StoredObject:
        if self.driver.gate(f"{what} {key}") is not Order.GO:
            raise StorageUnavailable(f"{what} {key}: on purpose")
        return read(key)

    def _write(self, what: str, key: str, write: Callable[[], str]) -> str:
        order = self.driver.gate(f"{what} {key}")
        if order is Order.REFUSE:
            raise StorageUnavailable(f"{what} {key}: on purpose")
        version = write()
        if order is Order.LOSE:
            raise StorageUnknown(f"{what} {key}: the reply is lost on purpose")
        return version


@dataclass(slots=True)
class Chunks:
    """An executor that extracts a chunk while it is submitted, two at a time."""

    driver: Driver
    places: int = 2

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        done: Future[DataFile] = Future()
        try:
            done.set_result(self._extract(task.chunk))
        except S3rsError as exc:
            done.set_exception(exc)
        return Ticket(task=task, attempt=attempt, handle=done)

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        return list(tickets[:2])

    def result(self, ticket: Ticket) -> DataFile:
        return cast("Future[DataFile]", ticket.handle).result()

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Nothing is under way between two steps."""

    def _extract(self, chunk: Chunk) -> DataFile:
        store, key = self.driver.store, f"data/{chunk.run_id}/{chunk.ordinal:04d}"
        try:
            return self._describe(chunk, store.get(key))
        except ObjectNotFound:
            self.driver.place.reads[(chunk.run_id, chunk.ordinal)] += 1
        rows = self.driver.place.source.held(chunk)
        try:
            store.put_new(key, orjson.dumps(rows))
        except PreconditionFailed:
            return self._describe(chunk, store.get(key))
        return self._describe(chunk, self.driver.place.store.get(key))

    def _describe(self, chunk: Chunk, found: StoredObject) -> DataFile:
        order = RangeOrder.KEY if chunk.window.whole else RangeOrder.CURSOR
        return DataFile(
            key=found.key,
            rows=len(orjson.loads(found.body)),
            bytes=found.size,
            digest=hashlib.sha256(found.body).hexdigest(),
            run_id=chunk.run_id,
            ordinal=chunk.ordinal,
            fingerprint=self.driver.place.table.fingerprint,
            reaches=reaches(chunk, order),
        )


class InlinePool:
    """A pool of no threads: a driver does one thing at a time, so that a step is the same thing every time."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, function: Callable[..., None], *arguments: object) -> Future[None]:
        done: Future[None] = Future()
        try:
            function(*arguments)
        except S3rsError as exc:
            done.set_exception(exc)
        else:
            done.set_result(None)
        return done

    def shutdown(self) -> None: ...


def install(patch: pytest.MonkeyPatch) -> None:
    """Puts the model in the place of time, of threads and of the session with the warehouse."""
    seconds = iter(range(10**9))
    time = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 60.0 * next(seconds), perf_counter=lambda: 0.0)
    patch.setattr(tenacity.nap, "time", time)
    patch.setattr(extraction_module, "time", time)
    for module in (extraction_module, records_module):
        patch.setattr(module, "PAGE_FILES", 2)
    patch.setattr(loading_module, "ThreadPoolExecutor", InlinePool)
    patch.setattr(loading_module, "load", load)
    patch.setattr(loading_module.Loading, "prepare", lambda *_: None)


def load(_: object, manifest: Manifest, __: object, source: CopySource) -> Load:
    """What ``warehouse.loader.load`` promises: a lost connection is looked up, a COPY counts what it staged."""
    driver = DRIVERS[threading.current_thread().name]
    for _attempt in range(5):
        try:
            return _load(driver, manifest, source)
        except WarehouseUnavailable as exc:
            lost = exc
    raise lost


DRIVERS: dict[str, Driver] = {}
"""The drivers by the name of their thread."""


def _load(driver: Driver, manifest: Manifest, source: CopySource) -> Load:
    warehouse, store = driver.place.warehouse, driver.place.store
    _ask(driver, "look up")
    present = warehouse.loads.get(manifest.load_id)
    if present is not None:
        return replace(present, repeated=True)
    _ask(driver, "copy")
    entries = orjson.loads(store.get(source.manifest_url.removeprefix(store.url(""))).body)["entries"]
    bodies = [store.get(entry["url"].removeprefix(store.url(""))).body for entry in entries]
    rows = [(cursor, key) for body in bodies for cursor, key in orjson.loads(body)]
    if len(rows) != manifest.rows:
        raise IntegrityError(f"staged {len(rows)} rows, the files hold {manifest.rows}")
    order = driver.gate("commit")
    if order is Order.REFUSE:
        raise WarehouseUnavailable("the connection is lost before COMMIT")
    done = warehouse.commit(manifest, rows)
    if order is Order.LOSE:
        raise WarehouseUnavailable("the connection is lost after COMMIT")
    return done


def _ask(driver: Driver, what: str) -> None:
    if driver.gate(what) is not Order.GO:
        raise WarehouseUnavailable(f"{what}: the connection is lost")

"""Drivers that share a table, in memory and one step at a time: crashes, take-overs and lost replies as a test wants.

The ledger, the lease, the begin of a run, the extraction's loop, the loads, a reset and the cleaning are the product's.
In memory are the bucket, the source and what ``warehouse.loader.load`` promises: one transaction that locks, looks the
load id up, merges and records. Each driver is a thread that stops at a gate before everything it does to the world, and
waits there to be told to go on, to die, to be refused, or to lose the reply.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import tenacity

from s3rs_ray.config import Settings
from s3rs_ray.engine import cleaning as cleaning_module
from s3rs_ray.engine import context as context_module
from s3rs_ray.engine import extraction as extraction_module
from s3rs_ray.engine import loading as loading_module
from s3rs_ray.engine import records as records_module
from s3rs_ray.engine.cleaning import clean_orphans, clean_table
from s3rs_ray.engine.context import Hold, Request, Run, hold_table
from s3rs_ray.engine.doubt import move_watermark
from s3rs_ray.engine.executor import ChunkTask, Ticket
from s3rs_ray.engine.extraction import Extraction, run_extraction
from s3rs_ray.engine.loading import Loading
from s3rs_ray.engine.plan import Action, Owed, TablePlan, begins_refresh, make_plan, make_refresh_plan, reaches
from s3rs_ray.engine.sizing import chunk_sizer
from s3rs_ray.engine.standing import Selection
from s3rs_ray.engine.table import begin_run, identify
from s3rs_ray.engine.tasks import data_key
from s3rs_ray.errors import ObjectNotFound, PreconditionFailed, S3rsError, SourceUnavailable, WarehouseUnavailable
from s3rs_ray.ledger.state import TableState
from s3rs_ray.ledger.store import Holder, Ledger
from s3rs_ray.model import Chunk, DataFile, Load, Manifest, Watermark
from s3rs_ray.policies import Mode, RangeOrder
from s3rs_ray.storage.s3 import StoredObject
from s3rs_ray.warehouse.loader import CopySource
from tests.support.build import NOON
from tests.support.memory_store import MemoryStore
from tests.support.scripted import Planned

from . import gated
from .gated import Died, GatedStore, Order, Restartable
from .simulated import ROWS_PER_CHUNK, Place

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
COPIES = 5
"""How often a load is tried while connections are lost."""


class Driver:
    """One process at work on the table.

    Args:
        work: what it does there; a sync unless another command is named.
    """

    def __init__(self, place: Place, number: int, work: Callable[[Driver], None] | None = None) -> None:
        self.place = place
        self.number = number
        self.at = ""
        self.error: BaseException | None = None
        self.finished = False
        self.store = GatedStore(self)
        self.ledger = Restartable(Ledger(self.store, self.clock))
        self.holder = Holder(token=f"driver {number}", host="elsewhere", pid=number)
        self._work = work or sync
        self._dead = False
        self._order = Order.GO
        self._permit = threading.Semaphore(0)
        self._parked = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"driver {number}", daemon=True)
        DRIVERS[self._thread.name] = self
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

    def clock(self) -> dt.datetime:
        return self.place.now

    def _await_gate(self) -> None:
        assert self._parked.wait(20), f"driver {self.number} hangs behind {self.at!r}"

    def _live(self) -> None:
        try:
            self._work(self)
        except BaseException as exc:  # noqa: BLE001  the test judges it
            self.error = exc
        finally:
            self.finished = True
            self._parked.set()


DRIVERS: dict[str, Driver] = {}
"""The drivers by the name of their thread."""


def _own() -> Driver:
    return DRIVERS[threading.current_thread().name]


def sync(driver: Driver) -> None:
    """A sync, as ``engine.table`` tells it."""
    place = driver.place
    run = Run(
        settings=SETTINGS.model_copy(update={"backup_mode": place.mode}),
        request=Request(tables=(str(place.name),)),
        store=cast(Any, driver.store),
        ledger=driver.ledger,
        workplace=cast(Any, None),
        threads=cast(Any, None),
        report=lambda event: None,
        clock=driver.clock,
        stop=threading.Event(),
        started=NOON,
        holder=driver.holder,
    )
    with hold_table(run, driver.ledger, place.name) as hold:
        identify(hold, place.table)
        loading = Loading(hold=hold, contracts={place.table.fingerprint: place.table})
        plan = _plan(place, hold.load())
        if plan.refresh:
            loading.settle()
            plan = _plan(place, hold.load())
        if plan.action is not Action.NOTHING:
            state = hold.load() if plan.action is Action.RESUME else begin_run(hold, plan)
            _extract(driver, hold, state, loading)
        loading.finish()


def _plan(place: Place, state: TableState) -> TablePlan:
    """What ``engine.planning`` finds that is owed."""
    if begins_refresh(state, wanted=place.mode is Mode.REPLACE, loads=True):
        return make_refresh_plan(place.table, state, place.source.settled(), rows=ROWS_PER_CHUNK)
    changes = None if place.mode is Mode.REPLACE else place.source.window(state.extracted)
    return make_plan(place.table, state, Owed(window=changes), rows=ROWS_PER_CHUNK)


def _extract(driver: Driver, hold: Hold, state: TableState, loading: Loading) -> None:
    assert state.run is not None
    place = driver.place
    cut = place.source.cut_whole if state.run.window.whole else place.source.cut
    extraction = Extraction(
        hold=hold,
        executor=Chunks(driver),
        table=place.table,
        state=state,
        order=state.run.order,
        server="",
        planner=Planned(iter(()) if state.run.planned else cut(state.run)),
        sizer=chunk_sizer(place.table, SETTINGS, window_rows=0, readers=2),
    )
    try:
        run_extraction(extraction, loading.offer)
    except S3rsError:
        loading.join()
        raise


def reset(driver: Driver) -> None:
    """``watermark reset``."""
    move_watermark(SETTINGS, driver.ledger, driver.holder, driver.place.name, Watermark.START)


def clean(driver: Driver) -> None:
    """``s3clean orphans`` and ``s3clean clean-all``, of a table that has a state."""
    if driver.ledger.load(driver.place.name).last_run_id:
        clean_orphans(SETTINGS, driver.place.name)
        clean_table(SETTINGS, driver.place.name, Selection(), driver.clock)


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
        place, store = self.driver.place, self.driver.store
        key = data_key(SETTINGS, place.name, chunk.run_id, chunk.ordinal)
        try:
            return self._describe(chunk, store.get(key))
        except ObjectNotFound:
            place.reads[(chunk.run_id, chunk.ordinal)] += 1
        if self.driver.gate(f"read {chunk.ordinal}") is not Order.GO:
            raise SourceUnavailable(f"chunk {chunk.ordinal}: on purpose")
        body = orjson.dumps(place.source.held(chunk))
        try:
            store.put_new(key, body)
        except PreconditionFailed:
            return self._describe(chunk, store.get(key))
        return self._describe(chunk, StoredObject(key=key, version="", size=len(body), modified=NOON, body=body))

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
    """Puts the model in the place of time, of threads, of the bucket's client and of the session with the warehouse."""
    seconds = iter(range(10**9))
    time = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 60.0 * next(seconds), perf_counter=lambda: 0.0)
    patch.setattr(tenacity.nap, "time", time)
    patch.setattr(extraction_module, "time", time)
    patch.setattr(context_module, "_beat", lambda *_: None)
    patch.setattr(records_module, "side_by_side", map)
    for module in (extraction_module, records_module):
        patch.setattr(module, "PAGE_FILES", 2)
    patch.setattr(loading_module, "ThreadPoolExecutor", InlinePool)
    patch.setattr(loading_module, "load", load)
    patch.setattr(loading_module.Loading, "prepare", lambda *_: None)
    patch.setattr(cleaning_module, "open_store", lambda _: _own().store)
    patch.setattr(cleaning_module, "open_ledger", lambda _: _own().ledger)


def load(_: object, manifest: Manifest, __: object, source: CopySource) -> Load:
    """What ``warehouse.loader.load`` promises: a load that is tried again when a connection is lost happens once."""
    for _attempt in range(COPIES):
        try:
            return gated.load(_own(), manifest, source)
        except WarehouseUnavailable as exc:
            lost = exc
    raise lost

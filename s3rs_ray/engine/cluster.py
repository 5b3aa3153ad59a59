"""Ray: the cluster, the remote tasks, the actor that owns the ledger. ray lives here."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
import ray.exceptions

from ..config import Settings
from ..errors import S3rsError, SourceError, StorageError
from ..ledger.changes import Change
from ..ledger.state import TableState
from ..ledger.store import COMMIT_SECONDS, Holder, Ledger
from ..model import DataFile, TableName
from .executor import ChunkTask, Ticket, own_cpus, reader_count
from .scratch import open_scratch
from .tasks import extract_chunk, open_ledger

log = logging.getLogger(__name__)

NAMESPACE = "s3rs-ray"
TASK_CPUS = 0.5
"""A chunk's task waits for the source half of its time; more readers than cores keep the source busy."""


@contextmanager
def open_cluster(settings: Settings) -> Iterator[Cluster]:
    """A running cluster (``RAY_ADDRESS``), or one on this machine that ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it says at each start how its tokens may be turned off
    local = not settings.ray_address
    with open_scratch() as directory:
        with _own_signals():
            _init(settings, directory, local=local)
        try:
            yield Cluster(settings)
        finally:
            ray.shutdown()


def _init(settings: Settings, directory: str, *, local: bool) -> None:
    # A node alone would talk to itself through the address that leads to the network, and 127.0.0.1 is replaced by that
    # one; on macOS and Windows, where there is no other loopback address, Ray stays on the loopback by itself.
    loopback = {"_node_ip_address": "127.0.0.2"} if local and sys.platform == "linux" else {}
    ray.init(
        address=None if local else settings.ray_address,
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=False,
        include_dashboard=False if local else None,
        num_cpus=math.ceil(reader_count(settings, own_cpus()) * TASK_CPUS) if local else None,
        _temp_dir=directory if local else None,
        **loopback,
    )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps this process's handler of SIGTERM, which ray.init replaces by one that exits at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


class Cluster:
    """An Executor over Ray, and the ledger's actor."""

    def __init__(self, settings: Settings) -> None:
        # The settings hold secrets: as an object of the store they stay out of task and actor metadata.
        self._settings = ray.put(settings)
        cpus = own_cpus() if not settings.ray_address else int(ray.cluster_resources().get("CPU", 1))
        self.places = reader_count(settings, cpus)
        self._places = threading.BoundedSemaphore(self.places)
        self._held: set[Ticket] = set()
        self._extract = ray.remote(num_cpus=TASK_CPUS, max_retries=3)(_extract)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(LedgerActor)
        self.ledger = RemoteLedger(actor.options(name=f"ledger-{uuid.uuid4().hex[:8]}").remote(), self._settings)

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        if not self._places.acquire(blocking=False):
            return None
        ticket = Ticket(task=task, attempt=attempt, handle=self._extract.remote(task, self._settings))
        self._held.add(ticket)
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        if not tickets:
            return []
        handles = {t.handle: t for t in tickets}
        done, _ = ray.wait(list(handles), num_returns=1, timeout=seconds)
        if len(done) < len(handles):
            done, _ = ray.wait(list(handles), num_returns=len(handles), timeout=0) if done else (done, None)
        ended = [handles[handle] for handle in done]
        self._free(ended)
        return ended

    def result(self, ticket: Ticket) -> DataFile:
        file: DataFile = _get_file(ticket.handle)
        return file

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            ray.cancel(ticket.handle, force=True)
        self._free(tickets)

    def _free(self, tickets: Sequence[Ticket]) -> None:
        """Gives the places of tickets back, each once, however often they are waited for or cancelled."""
        for ticket in tickets:
            with suppress(KeyError):
                self._held.remove(ticket)
                self._places.release()


def _extract(task: ChunkTask, settings: Settings) -> DataFile:
    """The remote task."""
    return extract_chunk(task.table, task.chunk, settings, order=task.order, server=task.server)


class LedgerActor:
    """The coordinator: one Ledger for all tasks and drivers. Its memory may be lost: the state is what S3 says.

    The settings come with every call, because the arguments of a constructor would have to outlive a restart.
    """

    def __init__(self) -> None:
        self._ledger: Ledger | None = None

    def call(self, settings: Settings, method: str, *arguments: Any, **named: Any) -> Any:
        """One method of the ledger."""
        if self._ledger is None:
            self._ledger = open_ledger(settings)
        return getattr(self._ledger, method)(*arguments, **named)


class RemoteLedger:
    """The ledger's methods, carried out by the actor."""

    def __init__(self, actor: Any, settings: Any) -> None:
        self._actor = actor
        self._settings = settings

    def load(self, table: TableName) -> TableState:
        state: TableState = _get_state(self._actor.call.remote(self._settings, "load", table))
        return state

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        state: TableState = _get_state(self._actor.call.remote(self._settings, "acquire", table, holder))
        return state

    def release(self, table: TableName, holder: Holder) -> None:
        _get_state(self._actor.call.remote(self._settings, "release", table, holder))

    def commit(
        self,
        table: TableName,
        changes: Sequence[Change],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState:
        # The id is made here, so that a call repeated after the actor died finds its own commit.
        change_id = change_id or uuid.uuid4().hex
        named = {"holder": holder, "change_id": change_id, "seconds": seconds}
        state: TableState = _get_state(
            self._actor.call.remote(self._settings, "commit", table, tuple(changes), **named)
        )
        return state


def _get(handle: Any, lost: type[S3rsError], what: str, hint: str) -> Any:
    """The value behind a handle; a task's own error comes out as it was raised.

    Args:
        lost, what, hint: the error for everything that Ray says of a task it could not end: its process or node died,
            its result or its actor is gone, memory or disk ran out (Ray manual, "Exceptions").
    """
    try:
        return ray.get(handle)
    except ray.exceptions.RayTaskError as exc:
        if isinstance(exc.cause, S3rsError):
            raise exc.cause from None
        raise
    except ray.exceptions.RayError as exc:
        raise lost(f"{what}: {type(exc).__name__}", hint=hint) from None


def _get_file(handle: Any) -> Any:
    hint = "the chunk is tried again; if workers run out of memory, lower BACKUP_BATCH_SIZE"
    return _get(handle, SourceError, "the worker died", hint)


def _get_state(handle: Any) -> Any:
    hint = "run the command again: it goes on from what is recorded on S3"
    return _get(handle, StorageError, "the coordinator of the ledger died", hint)

"""Executor: where chunks run, and other tasks like them: in threads of this process, or on the cluster by Ray."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ..config import Settings
from ..model import Chunk, DataFile, Table
from ..policies import RangeOrder
from .tasks import extract_chunk

Item = TypeVar("Item")
Result = TypeVar("Result")


def always(running: int) -> bool:
    """Lets every task start that has a place."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTask:
    """Everything one chunk's task needs besides the settings.

    Attributes:
        finer: how often reads were cut off by a time limit so far, see :func:`~.tasks.extract_chunk`.
    """

    table: Table
    chunk: Chunk
    order: RangeOrder
    server: str
    finer: int = 0


@dataclass(slots=True, eq=False)
class Ticket:
    """A task under way. ``handle`` belongs to the executor; ``attempt`` counts from 1."""

    task: ChunkTask
    attempt: int
    handle: object = field(repr=False)


MOST_READERS = 8
"""The most chunks read at the same time unless BACKUP_MAX_WORKERS says more: the source serves others, too."""


CHECK_SECONDS = 1.0
"""How often whoever waits for tasks looks whether it should stop."""


def retry_pause(failed: int) -> float:
    """Seconds before what has failed so often, 1 or more, is tried again."""
    return min(30.0, 0.5 * 2.0**failed)


def reader_count(settings: Settings, cpus: int) -> int:
    """How many chunks are read at the same time: BACKUP_MAX_WORKERS, or one for each CPU.

    Args:
        cpus: of this machine, or of the cluster.
    """
    return settings.backup_max_workers or max(2, min(cpus, MOST_READERS))


def own_cpus() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Executor(Protocol):
    """Runs chunks, a bounded number at a time over all tables; thread-safe.

    Attributes:
        places: how many chunks run at a time.
    """

    places: int

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        """Starts a task, or returns None while every place is taken."""
        ...

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        """Those of the tickets that have ended, waiting at most ``seconds`` for the first."""
        ...

    def result(self, ticket: Ticket) -> DataFile:
        """What an ended task returned; raises what it raised, as one of our errors."""
        ...

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Stops tasks that nobody waits for any more."""
        ...


class Workers(Executor, Protocol):
    """An executor that also runs other functions than the chunk's."""

    def run_all(
        self,
        function: Callable[[Item, Settings], Result],
        items: Sequence[Item],
        check: Callable[[], None],
        may_start: Callable[[int], bool] = always,
    ) -> Iterator[Result]:
        """A function of each item and the settings, at most ``places`` at a time; results as they come.

        Args:
            check: called while waiting; what it raises ends the work.
            may_start: whether another task may start beside so many.

        Raises:
            What a task raised, as one of our errors; the others are dropped.
        """
        ...


class InlineExecutor:
    """Runs chunks in threads: ConnectorX, the Parquet encoder and the upload all release the GIL."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.places = reader_count(settings, own_cpus())
        self._places = threading.BoundedSemaphore(self.places)
        self._pool = ThreadPoolExecutor(self.places, thread_name_prefix="chunk")

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        if not self._places.acquire(blocking=False):
            return None
        future = self._pool.submit(
            extract_chunk,
            task.table,
            task.chunk,
            self._settings,
            order=task.order,
            server=task.server,
            finer=task.finer,
        )
        future.add_done_callback(lambda _: self._places.release())
        return Ticket(task=task, attempt=attempt, handle=future)

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        done = wait([_future(t) for t in tickets], timeout=seconds, return_when=FIRST_COMPLETED).done
        return [t for t in tickets if t.handle in done]

    def result(self, ticket: Ticket) -> DataFile:
        return _future(ticket).result()

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            _future(ticket).cancel()

    def run_all(
        self,
        function: Callable[[Item, Settings], Result],
        items: Sequence[Item],
        check: Callable[[], None],
        may_start: Callable[[int], bool] = always,
    ) -> Iterator[Result]:
        left, running = list(reversed(items)), set[Future[Result]]()
        try:
            while left or running:
                while left and len(running) < self.places and may_start(len(running)):
                    running.add(self._pool.submit(function, left.pop(), self._settings))
                done, running = _await_some(running)
                check()
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """Waits for the running tasks; those not started are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _await_some(running: set[Future[Result]]) -> tuple[set[Future[Result]], set[Future[Result]]]:
    """Those that have ended and those that have not, after some time at most; takes that time when there are none."""
    if not running:
        time.sleep(CHECK_SECONDS / 10)
        return set(), running
    return wait(running, timeout=CHECK_SECONDS, return_when=FIRST_COMPLETED)


def _future(ticket: Ticket) -> Future[DataFile]:
    assert isinstance(ticket.handle, Future)
    return ticket.handle

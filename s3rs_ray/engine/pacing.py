"""An executor that starts no more readers than the source bears, and shares them between tables."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..config import Settings
from ..errors import S3rsError
from ..model import DataFile, TableName
from ..source.catalog import Endpoint, open_catalog
from ..source.load import SourceLoad, read_load
from ..tunnel import open_source_tunnel
from .executor import ChunkTask, Item, Result, Ticket, Workers, always
from .governor import Governor, Limits, may_start

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at the source; readers double as often."""
LOOK_PATIENCE_SECONDS = 10
"""After which a source that does not answer is taken to be under strain."""
WAITING_SECONDS = 2.0
"""A table that was refused a place and did not ask again for so long wants none."""

Tell = Callable[[int, str], None]
"""Is told the number of readers allowed, and why there are not more; no reason is a recovery."""


@contextmanager
def open_pace(executor: Workers, settings: Settings, tell: Tell) -> Iterator[PacedExecutor]:
    """The executor under a governor; the source is looked at while the block runs, when a limit is set."""
    limits = Limits(
        threads_running=settings.backup_max_threads_running,
        lag_seconds=settings.backup_max_replica_lag_seconds,
        slowdown=settings.backup_max_slowdown,
    )
    paced = PacedExecutor(executor, limits, tell)
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(paced, settings, limits, ended), name="governor", daemon=True)
    if limits.any:
        watch.start()
    try:
        yield paced
    finally:
        ended.set()
        if limits.any:
            watch.join(LOOK_PATIENCE_SECONDS)


def _watch(paced: PacedExecutor, settings: Settings, limits: Limits, ended: threading.Event) -> None:
    impatient = settings.model_copy(update={"backup_timeout_seconds": LOOK_PATIENCE_SECONDS})
    while not ended.is_set():
        try:
            with (
                open_source_tunnel(impatient) as (host, port),
                open_catalog(impatient, Endpoint(host, port)) as catalog,
            ):
                while not ended.is_set():
                    paced.take(read_load(catalog, lag=bool(limits.lag_seconds)))
                    ended.wait(LOOK_SECONDS)
        except S3rsError as exc:
            paced.take(f"the source cannot be asked how it is: {exc.message}")
            ended.wait(LOOK_SECONDS)


class PacedExecutor:
    """An executor over another one. Thread-safe: the tables of a run share it."""

    def __init__(
        self, executor: Workers, limits: Limits, tell: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.places = executor.places
        self._executor = executor
        self._governor = Governor(places=self.places, limits=limits, allowed=1 if limits.any else self.places)
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._running: Counter[TableName] = Counter()
        self._others = 0
        self._waiting: dict[TableName, float] = {}
        self._started: dict[Ticket, float] = {}
        self._seconds: dict[Ticket, float] = {}

    def take(self, load: SourceLoad | str) -> None:
        """Takes a reading of the source, or why there is none, into account, and tells of strain and recovery."""
        with self._lock:
            governor = self._governor
            before = governor.reason
            changed = governor.decide(load, self._running.total() + self._others)
            allowed, reason = governor.allowed, governor.reason
        if changed and (reason or before):
            if reason and not before:
                log.warning("the source is spared: %s; readers from now on: %d", reason, allowed)
            self._tell(allowed, reason)

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        table, now = task.table.name, self._clock()
        with self._lock:
            waiting = {name for name, at in self._waiting.items() if now - at < WAITING_SECONDS}
            ticket = None
            if may_start(table, self._running, waiting, self._governor.allowed):
                ticket = self._executor.submit(task, attempt)
            if ticket is None:
                self._waiting[table] = now
                return None
            self._waiting.pop(table, None)
            self._running[table] += 1
            self._started[ticket] = now
            return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        done = self._executor.wait(tickets, seconds)
        with self._lock:
            for ticket in done:
                self._end(ticket)
        return done

    def result(self, ticket: Ticket) -> DataFile:
        seconds = self._seconds.pop(ticket, None)
        file = self._executor.result(ticket)
        if seconds is not None:
            with self._lock:
                self._governor.record(file.rows, seconds)
        return file

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        self._executor.cancel(tickets)
        with self._lock:
            for ticket in tickets:
                self._end(ticket)

    def run_all(
        self,
        function: Callable[[Item, Settings], Result],
        items: Sequence[Item],
        check: Callable[[], None],
        may_start: Callable[[int], bool] = always,
    ) -> Iterator[Result]:
        def may(running: int) -> bool:
            with self._lock:
                self._others = running
                room = self._running.total() + running < self._governor.allowed
                if room and may_start(running):
                    self._others += 1
                    return True
                return False

        try:
            yield from self._executor.run_all(function, items, check, may)
        finally:
            with self._lock:
                self._others = 0

    def _end(self, ticket: Ticket) -> None:
        started = self._started.pop(ticket, None)
        if started is not None:
            self._running[ticket.task.table.name] -= 1
            self._seconds[ticket] = self._clock() - started

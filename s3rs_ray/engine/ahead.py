"""Chunks planned beside the readers: stepping along an index takes the source seconds for each of a large table."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from ..errors import SourceError
from ..ledger.state import OpenRun
from ..model import Chunk, ChunkSize
from ..source.catalog import Catalog
from ..source.cutting import cut_chunks, evened
from .executor import retry_pause
from .plan import TablePlan

log = logging.getLogger(__name__)


class Planner(Protocol):
    """Gives the chunks of a run that are not in the ledger yet, in order."""

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        """What is planned by now, and whether the plan ends with it.

        Args:
            least: fewer are not given, unless the plan ends with them.
            seconds: how long to wait for so many.

        Raises:
            What planning raised, once what was planned before is taken.
        """
        ...


class PlanAhead:
    """Plans in a thread of its own, no more than ``most`` chunks ahead, so that nothing waits for the next step.

    The thread is a daemon: a step that the source never answers keeps no process from exiting.
    """

    def __init__(self, chunks: Iterator[Chunk], most: int) -> None:
        self._chunks = chunks
        self._most = most
        self._made: list[Chunk] = []
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._plan, name="plan", daemon=True)
        self._thread.start()

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        with self._changed:
            self._changed.wait_for(lambda: self._over or len(self._made) >= least, seconds)
            if self._error is not None and not self._made:
                raise self._error
            if len(self._made) < least and not self._over:
                return (), False
            made, self._made = tuple(self._made), []
            self._changed.notify_all()
            return made, self._ended

    def close(self) -> None:
        """Plans no more. A step under way may take as long as the source lets it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Plans no more, and waits for the step under way: its connection is somebody else's afterwards."""
        self.close()
        self._thread.join()

    @property
    def _over(self) -> bool:
        return self._ended or self._error is not None

    def _plan(self) -> None:
        try:
            for chunk in self._chunks:
                with self._changed:
                    self._made.append(chunk)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or len(self._made) < self._most)
                if self._closed:
                    return
        except BaseException as exc:  # noqa: BLE001  raised again by whoever takes
            with self._changed:
                self._error = exc
                self._changed.notify_all()
        else:
            with self._changed:
                self._ended = True
                self._changed.notify_all()


def remaining_chunks(
    catalog: Catalog,
    plan: TablePlan,
    open_run: OpenRun,
    sizes: Callable[[], ChunkSize],
    *,
    readers: int,
    attempts: int,
    given_up: threading.Event,
) -> Iterator[Chunk]:
    """The chunks that are not in the state yet, of one window after the other.

    A step that fails, as when the source stalls, is made again like a chunk that failed: from the same position, on a
    new connection, after the same pauses.

    Args:
        readers: chunks read at the same time.
        attempts: how often a step is made again.
        given_up: set when nobody wants the chunks any more.

    Raises:
        SourceError: a step failed that often.
    """
    done = list(open_run.chunks)
    failed = 0
    while True:
        try:
            for chunk in _cut_on(catalog, plan, open_run, sizes, readers, done):
                failed = 0
                done.append(chunk)
                yield chunk
        except SourceError as exc:
            failed += 1
            if failed > attempts or given_up.is_set():
                raise
            log.warning("planning the next chunk of %s failed (%s); try %d follows", plan.table.name, exc, failed + 1)
            if given_up.wait(retry_pause(failed)):
                return
        else:
            return


def _cut_on(
    catalog: Catalog,
    plan: TablePlan,
    open_run: OpenRun,
    sizes: Callable[[], ChunkSize],
    readers: int,
    done: list[Chunk],
) -> Iterator[Chunk]:
    """The chunks behind those that are done, which grow while they are taken."""
    windows = () if open_run.planned else open_run.windows
    if done:  # the chunks of a window before that of the last one may all be on pages
        windows = windows[windows.index(done[-1].window) :] if windows else ()
    for window in windows:
        chunks = cut_chunks(
            catalog, plan.table, window, plan.order, run_id=open_run.run_id, sizes=sizes, done=tuple(done)
        )
        yield from evened(chunks, sizes, readers)

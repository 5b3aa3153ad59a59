"""The extraction of one run: chunks planned a little ahead of the readers, read in parallel, recorded as they come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import IntegrityError, S3rsError, SourceError, SourceStalled, SourceTimeout, StorageError, WorkerLost
from ..ledger.changes import AddChunks, AddFiles, Finish, PageOut
from ..ledger.state import OpenRun, TableState
from ..model import Chunk, DataFile, Table
from ..policies import RangeOrder
from .ahead import Planner
from .context import Hold
from .events import EventKind
from .executor import ChunkTask, Executor, Ticket, retry_pause
from .records import PAGE_FILES, next_page, write_page, write_record
from .sizing import ChunkSizer

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
LOST_WORKERS = 3
"""How often more a chunk is tried again whose worker is gone: nodes that come and go say nothing of the source."""


@dataclass(slots=True, kw_only=True)
class Extraction:
    """One run's extraction, advanced a step at a time so that loads can go on beside it.

    Attributes:
        sizer: learns from each file how large the next chunks shall be.
        planner: gives the chunks that are not in the ledger yet.
        budget: how many rows may still be started; None for all.
        resumed: how many chunks, and rows by the plan, an earlier command read.
        finer: how much smaller slices are read, because larger ones were cut off by the time limit.
    """

    hold: Hold
    executor: Executor
    table: Table
    state: TableState
    order: RangeOrder
    server: str
    planner: Planner
    sizer: ChunkSizer
    budget: int | None = None
    waiting: list[tuple[Chunk, int]] = field(default_factory=list)
    running: list[Ticket] = field(default_factory=list)
    retry_at: dict[int, float] = field(default_factory=dict)
    files: list[DataFile] = field(default_factory=list)
    resumed: tuple[int, int] = (0, 0)
    finer: int = 0

    def __post_init__(self) -> None:
        assert self.state.run is not None
        missing = self.state.run.missing
        self.waiting = [(chunk, 1) for chunk in missing]
        rows = self.state.run.row_count - sum(chunk.rows for chunk in missing)
        self.resumed = self.state.run.chunk_count - len(missing), rows
        if self.state.run.planned:
            self._say_plan()

    @property
    def run(self) -> OpenRun:
        assert self.state.run is not None
        return self.state.run

    @property
    def ended(self) -> bool:
        """Nothing runs and nothing more will be started."""
        return not self.running and not self.waiting and (self.run.planned or self._spent)

    @property
    def _spent(self) -> bool:
        return self.budget is not None and self.budget <= 0

    def step(self, seconds: float) -> bool:
        """Starts what can be started, then records what has ended, waiting at most ``seconds`` for the first.

        Returns:
            Whether a file was recorded.
        """
        while self._plan_ahead():
            self._start()
        self._start()
        done = self.executor.wait(self.running, seconds) if self.running else []
        if not self.running and not done:
            time.sleep(min(seconds, 0.02))
        files: list[DataFile] = []
        try:
            for ticket in done:
                files += self._collect(ticket)
        except S3rsError:
            self._record(files)  # what ended together with the failure is kept
            raise
        self._record(files)
        return bool(files)

    def _record(self, files: Sequence[DataFile]) -> None:
        if not files:
            return
        self.state = self.hold.commit(AddFiles(run_id=self.run.run_id, files=tuple(files), at=self.hold.run.clock()))
        self.files += files
        for file in files:
            self.sizer.record(file)
            self._say(EventKind.CHUNK_DONE, chunk=file.ordinal, rows=file.rows, bytes=file.bytes)
        self._page_out()

    def _page_out(self) -> None:
        """Keeps the state small, which every commit writes whole: chunks that are done leave it, a page at a time."""
        while (page := next_page(self.run)) is not None:
            key, digest = write_page(self.hold.run.store, self.table.name, page)
            keep = max(PAGE_FILES, self.hold.run.settings.backup_files_per_load)
            self.state = self.hold.commit(
                PageOut(run_id=page.run_id, key=key, digest=digest, count=len(page.chunks), keep=keep)
            )

    def finish(self) -> TableState:
        """Closes the run when every chunk of its window has a file; leaves it open otherwise."""
        if self.run.complete:
            write_record(self.hold.run.store, self.table.name, self.run)
            self.state = self.hold.commit(Finish(run_id=self.run.run_id))
        return self.state

    def drain(self) -> None:
        """Waits for the tasks under way and keeps their files; starts nothing more."""
        self.waiting.clear()
        self.retry_at.clear()
        files = []
        while self.running:
            for ticket in self.executor.wait(self.running, POLL_SECONDS):
                self.running.remove(ticket)
                try:
                    files.append(self.executor.result(ticket))
                except S3rsError as exc:
                    log.info("chunk %d ended with %s while the run stopped", ticket.task.chunk.ordinal, exc)
        self._record(files)

    def _plan_ahead(self) -> bool:
        """Makes the next chunks durable before any of them is read: one for each reader in a commit, if none is idle.

        Returns:
            Whether there were any.
        """
        places = self.executor.places
        fresh = sum(attempt == 1 for _, attempt in self.waiting)  # one to be tried again later is nobody's work now
        if self.run.planned or self._spent or fresh >= places:
            return False
        idle = not self.waiting and not self.running
        chunks, last = self.planner.take(places if fresh else 1, POLL_SECONDS if idle else 0)
        if chunks or last:
            self.state = self.hold.commit(AddChunks(run_id=self.run.run_id, chunks=chunks, planned=last))
            self.waiting += [(chunk, 1) for chunk in chunks]
            self._say_plan()
        return bool(chunks)

    def _say_plan(self) -> None:
        """What this command reads, as far as it is known."""
        self._say(
            EventKind.PLANNED,
            chunks=self.run.chunk_count - self.resumed[0],
            rows=self.run.row_count - self.resumed[1],
            estimated_rows=self.sizer.window_rows,
            complete=int(self.run.planned),
        )

    def _start(self) -> None:
        now = time.monotonic()
        for entry in list(self.waiting):
            chunk, attempt = entry
            if self._spent and attempt == 1:
                self.waiting.remove(entry)
                continue
            if self.retry_at.get(chunk.ordinal, 0.0) > now:
                continue
            ticket = self.executor.submit(
                ChunkTask(table=self.table, chunk=chunk, order=self.order, server=self.server, finer=self.finer),
                attempt,
            )
            if ticket is None:
                return
            if self.budget is not None and attempt == 1:
                self.budget -= chunk.rows
            self.waiting.remove(entry)
            self.running.append(ticket)
            self._say(EventKind.CHUNK_STARTED, chunk=chunk.ordinal, rows=chunk.rows, attempt=attempt)

    def _collect(self, ticket: Ticket) -> tuple[DataFile, ...]:
        """The file of an ended task; none when it failed and is tried again."""
        self.running.remove(ticket)
        chunk = ticket.task.chunk
        try:
            return (self.executor.result(ticket),)
        except IntegrityError:
            raise
        except (SourceError, StorageError) as exc:
            most = self.hold.run.settings.backup_retry_attempts + LOST_WORKERS * isinstance(exc, WorkerLost)
            if ticket.attempt > most:
                raise
            if isinstance(exc, (SourceTimeout, SourceStalled)):
                self.finer = max(self.finer, ticket.task.finer + 1)  # the same again would be cut off again
            at_once = (
                isinstance(exc, WorkerLost) and ticket.attempt == 1
            )  # nothing tells that the next one would be lost
            self.retry_at[chunk.ordinal] = time.monotonic() + (0.0 if at_once else retry_pause(ticket.attempt))
            self.waiting.insert(0, (chunk, ticket.attempt + 1))
            self._say(EventKind.CHUNK_RETRIED, chunk=chunk.ordinal, attempt=ticket.attempt, reason=str(exc))
            return ()

    def _say(self, kind: EventKind, **facts: str | int | float) -> None:
        self.hold.run.say(kind, self.table.name, self.run.run_id, **facts)


def run_extraction(extraction: Extraction, between: Callable[[TableState], None]) -> TableState:
    """Steps an extraction to its end; ``between`` is called with the newest state after every step.

    On a signal or an error, what is under way is drained and recorded before the error goes on.
    """
    try:
        while not extraction.ended:
            extraction.hold.check()
            extraction.step(POLL_SECONDS)
            between(extraction.state)
    except S3rsError:
        extraction.drain()
        raise
    return extraction.finish()

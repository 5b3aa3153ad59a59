"""TableState: everything the ledger knows of one table, as a value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from ..model import Chunk, DataFile, Load, TableName, Watermark, Window
from ..policies import Mode, RangeOrder
from ..positions import KeyValue

FORMAT_VERSION = 2
RECENT_LOADS = 20
RECENT_FILES = 1000
RECENT_CHANGES = 16
LEASE_SECONDS = 60
"""A lease not renewed for so long is taken over; it is renewed three times in that span."""

MANUAL = "manual_cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who works on the table.

    Attributes:
        holder: unique to one driver process.
        host, pid: for the message to whoever finds the table busy.
        since, renewed: UTC.
    """

    holder: str
    host: str
    pid: int
    since: dt.datetime
    renewed: dt.datetime

    def expired(self, now: dt.datetime) -> bool:
        return (now - self.renewed).total_seconds() > LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """The run that is extracting: its plan so far and the files that are there.

    Attributes:
        planned: every chunk of the window is in ``chunks``, or was.
        files: of ``chunks``, in the order of completion.
        consumed: how many of ``chunks``, from the first, are loaded already.
        null_horizon: set where the run reads the rows whose cursor is NULL too, behind those of the window.
        first: the ordinal of the first of ``chunks``; those before it, which have their files, are on pages.
        paged_rows: what the plan promised of those.
        reached: the watermark that the last of their files reaches.
    """

    run_id: str
    window: Window
    order: RangeOrder
    fingerprint: str
    strategy: str
    chunks: tuple[Chunk, ...] = ()
    planned: bool = False
    files: tuple[DataFile, ...] = ()
    consumed: int = 0
    null_horizon: KeyValue | None = None
    first: int = 0
    paged_rows: int = 0
    reached: Watermark | None = None

    @property
    def chunk_count(self) -> int:
        """How many chunks are planned, those on pages among them."""
        return self.first + len(self.chunks)

    @property
    def row_count(self) -> int:
        """What the plan promises of them."""
        return self.paged_rows + sum(c.rows for c in self.chunks)

    @property
    def windows(self) -> tuple[Window, ...]:
        """What the chunks are cut from, in order. A run may owe nothing but the rows whose cursor is NULL."""
        rows = (self.window,) if self.window.whole or self.window.after != self.window.upto else ()
        nulls = () if self.null_horizon is None else (replace(self.window, null_horizon=self.null_horizon),)
        return rows + nulls

    @property
    def missing(self) -> tuple[Chunk, ...]:
        """Chunks without a file, in order."""
        done = {f.ordinal for f in self.files}
        return tuple(c for c in self.chunks[self.consumed :] if c.ordinal not in done)

    @property
    def complete(self) -> bool:
        return self.planned and not self.missing

    @property
    def ready(self) -> tuple[DataFile, ...]:
        """The contiguous files behind the loaded ones: what may be loaded next without leaving a gap."""
        by_ordinal = {f.ordinal: f for f in self.files}
        ready = []
        for chunk in self.chunks[self.consumed :]:
            if chunk.ordinal not in by_ordinal:
                break
            ready.append(by_ordinal[chunk.ordinal])
        return tuple(ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Files that wait to be loaded and are described by an object of their own, so that the state stays small.

    Attributes:
        key, digest: of the object, and the sha256 of its content.
        run_id: of the files; empty where they are of several runs.
        skip: how many of the files in the object, from the first, do not wait.
        files, rows, bytes: of those that do.
        reached: the last watermark that one of them reaches.
    """

    key: str
    digest: str
    run_id: str
    skip: int
    files: int
    rows: int
    bytes: int
    reached: Watermark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The load that is under way or in doubt; nothing else may be loaded before it is settled."""

    load_id: str
    run_id: str
    mode: Mode
    keys: tuple[str, ...]
    rows: int
    reaches: Watermark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A full refresh that is not in the target yet.

    Attributes:
        run_id: the run that reads the whole table.
        extracted: all its files are on S3.
    """

    run_id: str
    extracted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """Everything the ledger knows of one table.

    Attributes:
        generation: changes when the watermark is reset or set and with every full refresh; part of every load id.
        source, target: identity of both ends, empty until the first run.
        follows: the columns the watermark speaks of, for people; it is good for no other.
        mode: of the loads so far; None before the first.
        refresh: set from the begin of a full refresh until its last load.
        extracted: the last row that lies on S3.
        loaded: the last row durably in the warehouse.
        backlog: what waits to be loaded before the files of the open run, in order.
        rows_extracted, rows_loaded, files_written: totals of this generation.
        recent_files: keys of the files loaded last, newest at the end.
        recent_changes: ids of the last commits, by which a commit whose reply was lost finds itself.
    """

    table: TableName
    generation: str
    source: str = ""
    target: str = ""
    follows: str = ""
    mode: Mode | None = None
    refresh: Refresh | None = None
    extracted: Watermark = Watermark.START
    loaded: Watermark = Watermark.START
    run: OpenRun | None = None
    backlog: tuple[DataFile | Page, ...] = ()
    sealed: Sealed | None = None
    lease: Lease | None = None
    loads: tuple[Load, ...] = ()
    backup_strategy: str = ""
    extracted_at: dt.datetime | None = None
    loaded_at: dt.datetime | None = None
    mysql_status: str = "pending"
    redshift_status: str = "pending"
    rows_extracted: int = 0
    rows_loaded: int = 0
    files_written: int = 0
    recent_files: tuple[str, ...] = ()
    recent_changes: tuple[str, ...] = ()
    last_run_id: str = ""
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def is_kept(self) -> bool:
        """Whether there is an object of it on S3; a table that nobody has worked on has none."""
        return bool(self.recent_changes)

    @property
    def loadable(self) -> tuple[DataFile, ...]:
        """Files that may be loaded next, in order: the backlog's up to a page, then the open run's ready ones."""
        files: list[DataFile] = []
        for item in self.backlog:
            if isinstance(item, Page):
                return tuple(files)
            files.append(item)
        return (*files, *(self.run.ready if self.run else ()))

    @property
    def next_page(self) -> Page | None:
        """The page that has to be read before more files can be loaded than :attr:`loadable` says."""
        return next((item for item in self.backlog if isinstance(item, Page)), None)

    @property
    def waiting_files(self) -> int:
        """How many files may be loaded without leaving a gap, those on pages among them."""
        on_pages = sum(item.files if isinstance(item, Page) else 1 for item in self.backlog)
        return on_pages + (len(self.run.ready) if self.run else 0)

    def refreshes(self, file: DataFile) -> bool:
        """Whether a file is of the full refresh that is under way."""
        return self.refresh is not None and file.run_id == self.refresh.run_id

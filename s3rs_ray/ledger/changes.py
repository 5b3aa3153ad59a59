"""The changes to a table's state, as values; ``apply`` carries them out.

The life of a file::

    planned (AddChunks) -> extracted (AddFiles) -> sealed (Seal) -> loaded (Advance)

Between extracted and sealed it may leave the state for a page (PageOut) and come back (PageIn).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TypeAlias

from ..model import Chunk, DataFile, Load, Watermark
from ..policies import Mode
from .state import MANUAL, Lease, OpenRun, Page, Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquire:
    """Takes the table. Requires that nobody holds it, or that the holder is this one, expired, or known dead."""

    lease: Lease
    dead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Says that the holder is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Gives the table back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify:
    """Fixes source, target, what the watermark follows, and mode; empty values and None leave what is there.

    Requires that the ends are new to the state or the same, that the watermark stands at the start or follows the
    same as before, and that a history is not merged into.
    """

    source: str
    target: str
    follows: str = ""
    mode: Mode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Opens a run. Requires no open run, no refresh to be read, and that the watermark is where the plan found it.

    The window may start before it (a look-back), never behind it.
    """

    run: OpenRun
    found: Watermark


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRefresh:
    """Opens a run that reads the whole table anew, as a new generation, and drops the open work of the old one.

    Requires that no load of the old one is in doubt; one of another full refresh may be, because the warehouse
    takes none that is older than what it holds.

    Attributes:
        source: may name another filter than before: all rows are replaced.
        mode: of the loads that follow.
    """

    run: OpenRun
    generation: str
    source: str
    follows: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class AddChunks:
    """Makes chunks durable before they are read. Requires that they follow those that are there."""

    run_id: str
    chunks: tuple[Chunk, ...]
    planned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFiles:
    """Records extracted files. A file that is there already is the same file."""

    run_id: str
    files: tuple[DataFile, ...]
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOut:
    """Takes the first chunks of the open run out of the state. Requires their files, and that a chunk is left.

    The page object, which describes all of them, is there already. Files that are not loaded join the backlog: the
    first as they are, so that a load that was chosen meanwhile finds them, the others as a :class:`Page`.

    Attributes:
        key, digest: of the object.
        count: of the chunks.
        keep: how many files may be in the state as they are before the first page.
    """

    run_id: str
    key: str
    digest: str
    count: int
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageIn:
    """Puts the files of the first page of the backlog in its place."""

    page: Page
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Closes a complete run: its window is on S3, its unloaded files join the backlog."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """Drops an open run whose plan no longer holds.

    Its first files without a hole among them are kept, and the watermark stands behind them; a run that is not in
    update order is kept whole or not at all. What is dropped is read again by the next run.
    """

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Fixes the next load. Requires that nothing is sealed and that the files are the first loadable ones."""

    sealed: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Settles the sealed load. Requires that it is this one."""

    load: Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseal:
    """Gives up a sealed load that is certainly not in the warehouse."""

    load_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWatermark:
    """Moves the watermark. Requires that no load is sealed, and drops open work of the old generation.

    A sealed load of a full refresh may be dropped, as by :class:`BeginRefresh`.

    Attributes:
        strategy: what ``backup_strategy`` says from now on; a watermark set by hand says so.
    """

    watermark: Watermark
    generation: str
    strategy: str = MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Takes files found on S3 into the backlog, for loading a warehouse from the backup alone.

    What they reach counts as extracted. Requires that nothing else is open.

    Attributes:
        files: in the order to load them; those behind the first few on pages.
        refresh: the run, where they are all of its files and hold the whole table.
    """

    files: tuple[DataFile | Page, ...]
    refresh: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Records that a stage failed, for people and scripts that read the state."""

    stage: str


Change: TypeAlias = (
    Acquire
    | Renew
    | Release
    | Identify
    | Begin
    | BeginRefresh
    | AddChunks
    | AddFiles
    | PageOut
    | PageIn
    | Finish
    | Abandon
    | Seal
    | Advance
    | Unseal
    | SetWatermark
    | Adopt
    | Fail
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Changes that happen together or not at all.

    Attributes:
        change_id: unique; how a commit in doubt recognises itself.
        holder: the lease it is made under; empty for changes made by hand, which need a free table and leave it free.
    """

    change_id: str
    holder: str
    now: dt.datetime
    changes: tuple[Change, ...] = field(default_factory=tuple)

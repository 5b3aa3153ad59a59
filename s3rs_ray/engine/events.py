"""What a run says while it goes on, and what it says at the end: values, rendered by the command line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from ..errors import S3rsError
from ..model import Column, TableName
from ..policies import Adjusted
from ..wording import counted
from .mending import Gone


class EventKind(StrEnum):
    """The moments of a run, by the words people search logs for."""

    RUN_STARTED = "run started"
    CONNECTED = "connection established"
    TABLE_STARTED = "table processing started"
    PLANNED = "plan made"
    CHUNK_STARTED = "chunk started"
    CHUNK_DONE = "chunk extracted"
    CHUNK_RETRIED = "chunk tried again"
    PACED = "readers adjusted"
    WAITING = "waiting for nodes"
    BACKUP_DONE = "backup operation completed"
    LOAD_STARTED = "load started"
    LOAD_DONE = "load completed"
    WATERMARK = "watermark updated"
    VERIFY_STARTED = "verification started"
    VERIFIED = "verification completed"
    REPAIRED = "repair completed"
    DELETED = "deletes followed"
    TABLE_DONE = "table processing completed"
    TABLE_FAILED = "table processing failed"
    RUN_DONE = "run completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One moment of a run.

    Attributes:
        table: None for what concerns the whole command.
        run_id: of the table's run where there is one, otherwise the command's ``execution_id``.
        facts: numbers and short texts, never secrets.
    """

    kind: EventKind
    at: dt.datetime
    table: TableName | None = None
    run_id: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict)


Report: TypeAlias = Callable[[Event], None]


class Status(StrEnum):
    """How a table or a whole run ended."""

    SUCCESS = "success"
    NOTHING = "nothing_to_do"
    PARTIAL = "partial_success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResult:
    """What happened to one table.

    Attributes:
        bytes: size of the Parquet files.
        columns: what the table carries; empty where it was refused before that was known.
        context: the values an error speaks of (file, column, Redshift's own code and text), without secrets.
        load_phases: the seconds of ``load_seconds`` spent on each phase (``copy``, ``merge``, ``analyze``).
        watermark: the cursor reached, as text.
        verified_rows: rows that ``--verify-data`` compared and found equal; None when it was not asked for.
        gone: what became of rows that are gone from the source; None where they were not looked for.
        note: why it was done so, or why nothing was.
        warnings: what somebody should know of, one sentence each; the run is a success all the same.
        adjusted: how many values the policies changed in the files written.
    """

    table: TableName
    status: Status
    rows_extracted: int = 0
    rows_loaded: int = 0
    files_created: int = 0
    bytes: int = 0
    duration_seconds: float = 0.0
    extract_seconds: float = 0.0
    load_seconds: float = 0.0
    files_loaded: int = 0
    bytes_loaded: int = 0
    load_phases: dict[str, float] = field(default_factory=dict)
    watermark: str | None = None
    verified_rows: int | None = None
    gone: Gone | None = None
    note: str = ""
    warnings: tuple[str, ...] = ()
    adjusted: Adjusted = field(default_factory=Adjusted)
    columns: tuple[Column, ...] = ()
    error: str = ""
    hint: str = ""
    context: dict[str, str] = field(default_factory=dict)
    exit_code: int = 0


def failed_result(table: TableName, exc: S3rsError) -> TableResult:
    """The result of a table that ended with an error, without what was done until then."""
    return TableResult(
        table=table,
        status=Status.INTERRUPTED if exc.exit_code in (130, 143) else Status.FAILED,
        error=exc.message,
        hint=exc.hint,
        context=exc.context,
        exit_code=exc.exit_code,
    )


ADJUSTED = {
    "nulled_dates": ("date", "dates", "that no calendar has (0000-00-00 and the like) became NULL", "zero_dates"),
    "truncated_texts": ("text was", "texts were", "cut to the longest VARCHAR", "long_text"),
    "stripped_texts": ("text lost its", "texts lost their", "NUL bytes", "nul_bytes"),
}
"""By field of :class:`Adjusted`: one and several values, what became of them, and the setting that decides it."""


def adjusted_texts(adjusted: Adjusted) -> dict[str, str]:
    """By field, what was changed, with its count; nothing of what was not."""
    return {
        name: f"{counted(getattr(adjusted, name), one, several)} {what}"
        for name, (one, several, what, _) in ADJUSTED.items()
        if getattr(adjusted, name)
    }


def adjusted_warnings(adjusted: Adjusted) -> tuple[str, ...]:
    """One sentence for each kind of change a policy made, with its count and the setting to change it by."""
    return tuple(f"{text}; {ADJUSTED[name][3]}: refuse refuses them" for name, text in adjusted_texts(adjusted).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What happened to all tables of one command.

    Attributes:
        error: what ended the command as a whole, nearly always before its first table.
    """

    execution_id: str
    start_time: dt.datetime
    end_time: dt.datetime
    tables_requested: tuple[str, ...]
    tables: tuple[TableResult, ...]
    interrupted_by: int = 0
    error: S3rsError | None = None

    @property
    def failures(self) -> tuple[TableResult, ...]:
        return tuple(t for t in self.tables if t.status in (Status.FAILED, Status.INTERRUPTED))

    @property
    def status(self) -> Status:
        if self.error is not None:
            return Status.FAILED
        if not self.failures:
            return Status.SUCCESS
        return Status.FAILED if len(self.failures) == len(self.tables) else Status.PARTIAL

    @property
    def exit_code(self) -> int:
        """0 done · 3 some tables failed · 130/143 on signals · otherwise the failed table's own."""
        if self.interrupted_by:
            return 128 + self.interrupted_by
        if self.error is not None:
            return self.error.exit_code
        if not self.failures:
            return 0
        if self.status is Status.PARTIAL:
            return 3
        codes = {t.exit_code for t in self.failures}
        return codes.pop() if len(codes) == 1 else 1

"""What a run shows on stderr while it goes on: bars on a terminal, log lines in a pipe, or JSON events."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from ..engine.events import Event, EventKind

STYLES = ("auto", "rich", "log", "json", "none")

log = logging.getLogger("s3rs_ray.progress")


class Shown(Protocol):
    """Takes the events of a run, from several threads."""

    def __call__(self, event: Event) -> None: ...


Progress: TypeAlias = "OpenProgress"


@dataclass(frozen=True, slots=True)
class OpenProgress:
    """A style of progress, started by ``with``."""

    style: str

    @contextmanager
    def started(self) -> Iterator[Shown]:
        match self.style:
            case "rich":
                with _bars() as bars:
                    yield TableBars(bars)
            case "json":
                yield _as_json
            case "log":
                yield _as_log
            case _:
                yield _nothing


def open_progress(style: str) -> OpenProgress:
    """``auto`` is bars on a terminal and log lines elsewhere."""
    if style == "auto":
        style = "rich" if sys.stderr.isatty() else "log"
    return OpenProgress(style)


def _nothing(event: Event) -> None:
    """Shows nothing."""


def _as_log(event: Event) -> None:
    facts = " ".join(f"{k}={v}" for k, v in event.facts.items())
    level = logging.WARNING if event.kind is EventKind.CHUNK_RETRIED else logging.INFO
    log.log(level, "%s: %s %s", event.table, event.kind.value, facts)


def _as_json(event: Event) -> None:
    document = {"event": event.kind.value, "table": str(event.table), "run_id": event.run_id, **event.facts}
    sys.stderr.write(orjson.dumps(document).decode() + "\n")
    sys.stderr.flush()


def _bars() -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


@dataclass(slots=True)
class _Counted:
    task: TaskID
    rows: int = 0
    loaded: int = 0
    bytes: int = 0
    started: float = field(default_factory=time.monotonic)


class TableBars:
    """One line for each table: chunks, rows, rows a second, MB, rows loaded."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tables: dict[str, _Counted] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            counted = self._tables.get(str(event.table))
            if counted is None:
                task = self._bars.add_task(str(event.table), total=None, note="planning")
                counted = self._tables[str(event.table)] = _Counted(task)
            self._show(counted, event)

    def _show(self, counted: _Counted, event: Event) -> None:
        match event.kind:
            case EventKind.PLANNED:
                self._bars.update(counted.task, total=float(event.facts["chunks"]))
            case EventKind.CHUNK_DONE:
                counted.rows += int(event.facts["rows"])
                counted.bytes += int(event.facts["bytes"])
                self._bars.advance(counted.task)
            case EventKind.LOAD_DONE:
                counted.loaded += int(event.facts["rows"])
            case EventKind.TABLE_DONE:
                self._bars.update(counted.task, total=self._bars.tasks[counted.task].completed)
            case _:
                pass
        seconds = max(time.monotonic() - counted.started, 0.001)
        note = f"{counted.rows:,} rows  {counted.rows / seconds:,.0f}/s  {counted.bytes / 1e6:,.0f} MB"
        if counted.loaded:
            note += f"  {counted.loaded:,} loaded"
        self._bars.update(counted.task, note=note)

"""What a run shows on stderr while it goes on: lines on a terminal, log lines in a pipe, or JSON events."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import orjson
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from ..engine.events import Event
from .board import SPARED, WAITING, Board
from .logs import log_event

STYLES = ("auto", "rich", "log", "json", "none")


ECHO = len("^C")
"""Columns left free: a full last line would wrap by what the terminal echoes, and a head stay behind."""


class Shown(Protocol):
    """Takes the events of a run, from several threads."""

    def __call__(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A style of progress, started by ``with``. Every event goes to the log as well; see :mod:`.logs`."""

    style: str
    console: Console

    @contextmanager
    def started(self) -> Iterator[Shown]:
        match self.style:
            case "rich":
                lines = Lines()
                with Live(lines, console=self.console, refresh_per_second=4, redirect_stdout=False):
                    yield lines
            case "json":
                yield _as_json
            case _:
                yield log_event


def _as_json(event: Event) -> None:
    log_event(event)
    sys.stderr.write(orjson.dumps(event_json(event)).decode() + "\n")
    sys.stderr.flush()


def event_json(event: Event) -> dict[str, object]:
    """An event as ``--progress json`` writes it."""
    return {
        "event": event.kind.value,
        "timestamp": event.at.isoformat(timespec="milliseconds"),
        "table": None if event.table is None else str(event.table),
        "run_id": event.run_id,
        **event.facts,
    }


@dataclass(slots=True)
class Lines:
    """The board on a terminal, drawn anew a few times a second."""

    board: Board = field(default_factory=Board)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        log_event(event)
        with self.lock:
            self.board.take(event, time.monotonic())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self.lock:
            width = max(options.max_width - ECHO, 1)
            lines = self.board.lines(time.monotonic(), width=width, height=console.height)
        for number, line in enumerate(lines):
            bad, waits = "  failed" in line, line.startswith((SPARED, WAITING))
            style = "bold" if number == 0 else "red" if bad else "yellow" if waits else ""
            yield Text(line, style=style, no_wrap=True, overflow="crop")

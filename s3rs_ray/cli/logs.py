"""Logs: text or JSON lines, on stderr or in a file; the events of a run among them."""

from __future__ import annotations

import datetime as dt
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from ..config import Settings
from ..engine.events import Event, EventKind
from ..errors import ConfigError, Interrupted
from .output import complain

NOISY = ("botocore", "boto3", "urllib3", "paramiko", "redshift_connector", "ray", "s3transfer")
CLOCK = "%H:%M:%S"
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

events = logging.getLogger("s3rs_ray.events")

_LEVELS = {
    EventKind.CHUNK_STARTED: logging.DEBUG,
    EventKind.CHUNK_RETRIED: logging.WARNING,
    EventKind.TABLE_FAILED: logging.ERROR,
}


def log_event(event: Event) -> None:
    """One log record of an event, whose fields JSON lines carry by name."""
    facts = " ".join(f"{k}={v}" for k, v in event.facts.items())
    where = f"{event.table}: " if event.table else ""
    events.log(
        _LEVELS.get(event.kind, logging.INFO),
        "%s%s %s",
        where,
        event.kind.value,
        f"{facts} run_id={event.run_id}".strip(),
        extra={"s3rs_event": event},
    )


class JsonFormatter(logging.Formatter):
    """One JSON object a line: event, level, timestamp (UTC), run_id, table, then the facts of an event."""

    def format(self, record: logging.LogRecord) -> str:
        event: Event | None = getattr(record, "s3rs_event", None)
        line: dict[str, object] = {
            "event": event.kind.value if event else record.getMessage(),
            "level": record.levelname,
            "timestamp": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "run_id": event.run_id if event else None,
            "table": str(event.table) if event and event.table else None,
            "logger": record.name,
        }
        if event:
            line |= {name: value for name, value in event.facts.items() if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _beside_lines(record: logging.LogRecord) -> bool:
    """What is amiss is told beside the lines of progress; that somebody stopped the run, that person knows."""
    event: Event | None = getattr(record, "s3rs_event", None)
    return event is None or (record.levelno >= logging.WARNING and event.facts.get("type") != Interrupted.__name__)


class TerminalHandler(logging.Handler):
    """Lines above the board of progress, unbroken, so that addresses and keys can be copied from them."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", CLOCK))

    def format(self, record: logging.LogRecord) -> str:
        """The line; of a table that failed, what went wrong without the names of an event's facts."""
        event: Event | None = getattr(record, "s3rs_event", None)
        if event is None or event.kind is not EventKind.TABLE_FAILED:
            return super().format(record)
        error = str(event.facts["error"])
        named = "" if str(event.table) in error else f"{event.table}: "
        return f"{time.strftime(CLOCK, time.localtime(record.created))} FAILED  {named}{error}"

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else "dim"
        try:
            self.console.print(Text(self.format(record), style=style), soft_wrap=True)
        except Exception:  # noqa: BLE001  what every handler does: a log line never ends a run
            self.handleError(record)


class LogFile(logging.FileHandler):
    """Lines into a file. That it takes no more, as on a full disk, is said once; a log line never ends a run."""

    full = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name is logging's
        if not self.full:
            complain(f"the log file {self.baseFilename} takes no more lines: {sys.exc_info()[1]}", word="warning")
        self.full = True

    def close(self) -> None:
        with suppress(OSError):  # lines that it did not take
            super().close()


def set_up_logging(settings: Settings, *, log_file: Path | None, console: Console, style: str) -> None:
    """Log lines at the settings' level, the libraries' only from WARNING.

    Args:
        log_file: takes the lines instead of stderr; it is appended to, and may be rotated by renaming and a new run.
        style: of progress; on stderr the events of a run are log lines only where this is ``log``, and beside the lines
            on a terminal (``rich``) what is amiss.

    Raises:
        ConfigError: the file cannot be written.
    """
    handler: logging.Handler
    json = settings.log_format == "json"
    if log_file is not None:
        try:
            handler = LogFile(log_file, encoding="utf-8")
        except OSError as exc:
            raise ConfigError(
                f"cannot write the log file {log_file}: {exc}", hint="name a file in a folder you may write to"
            ) from exc
    elif sys.stderr.isatty() and not json:
        handler = TerminalHandler(console)
    else:
        handler = logging.StreamHandler(sys.stderr)
    if not isinstance(handler, TerminalHandler):
        handler.setFormatter(JsonFormatter() if json else logging.Formatter(TEXT))
    if log_file is None and style != "log":
        handler.addFilter(_beside_lines if style == "rich" else lambda record: record.name != events.name)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if isinstance(old, logging.FileHandler):
            old.close()
    root.addHandler(handler)
    root.setLevel("DEBUG" if settings.debug else settings.log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It tells of credentials that cannot be renewed with a traceback, which our own error says in a line.
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)

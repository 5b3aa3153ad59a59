"""Log lines: for people or as JSON, on stderr or in a file, events of a run among them."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from s3rs_ray.cli.logs import TerminalHandler, log_event, set_up_logging
from s3rs_ray.config import Settings
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.errors import ConfigError
from tests.support.build import NAME, NOON

DONE = Event(
    kind=EventKind.BACKUP_DONE, at=NOON, table=NAME, run_id="20260131T120000Z-abc", facts={"rows": 7, "files": 1}
)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def set_up(form: str, *, log_file: Path | None = None, style: str = "log", level: str = "INFO") -> None:
    settings = Settings.load(environment={"LOG_FORMAT": form, "LOG_LEVEL": level})
    set_up_logging(settings, log_file=log_file, console=Console(file=sys.stderr), style=style)


def test_json_lines_have_the_fields_people_search_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up("json")
    log_event(DONE)
    logging.getLogger("elsewhere").warning("a %s", "word")
    first, second = map(orjson.loads, stderr.getvalue().splitlines())
    assert first.pop("timestamp").endswith("+00:00")
    assert first == {
        "event": "backup operation completed",
        "level": "INFO",
        "run_id": "20260131T120000Z-abc",
        "table": str(NAME),
        "logger": "s3rs_ray.events",
        "rows": 7,
        "files": 1,
    }
    assert (second["event"], second["level"], second["table"]) == ("a word", "WARNING", None)


def test_an_exception_stays_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up("json")
    try:
        int("no")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = stderr.getvalue().splitlines()
    assert "ValueError: invalid literal" in orjson.loads(line)["exception"]


@pytest.mark.parametrize(("style", "told"), [("log", True), ("rich", False), ("json", False), ("none", False)])
def test_on_stderr_events_are_lines_only_where_progress_is_lines(
    monkeypatch: pytest.MonkeyPatch, style: str, told: bool
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up("text", style=style)
    log_event(DONE)
    logging.getLogger("x").info("another")
    shown = stderr.getvalue()
    assert ("backup operation completed rows=7 files=1 run_id=20260131T120000Z-abc" in shown) == told
    assert "another" in shown


def test_a_log_file_takes_every_event_whatever_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s3rs.log"
    path.write_text("before\n")
    for style in ("rich", "none"):
        set_up("text", log_file=path, style=style)
        log_event(DONE)
    assert path.read_text().count("backup operation completed") == 2
    assert path.read_text().startswith("before\n")
    assert capsys.readouterr().err == ""


def test_the_start_of_a_chunk_is_for_debugging_and_a_failure_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s3rs.log"
    set_up("text", log_file=path)
    log_event(Event(kind=EventKind.CHUNK_STARTED, at=NOON, table=NAME))
    log_event(Event(kind=EventKind.TABLE_FAILED, at=NOON, table=NAME, facts={"error": "why"}))
    assert "chunk started" not in path.read_text()
    assert "ERROR s3rs_ray.events: settlement.parcels: table processing failed error=why" in path.read_text()


def test_beside_the_lines_of_progress_stands_what_is_amiss_and_nothing_that_somebody_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up("text", style="rich")
    for kind, facts in (
        (EventKind.CHUNK_RETRIED, {"reason": "the source went away"}),
        (EventKind.TABLE_FAILED, {"error": "COPY failed", "type": "WarehouseError"}),
        (EventKind.TABLE_FAILED, {"error": "stopped by a signal", "type": "Interrupted"}),
        (EventKind.LOAD_DONE, {"rows": 1}),
    ):
        log_event(Event(kind=kind, at=NOON, table=NAME, facts=dict(facts)))
    retried, failed = stderr.getvalue().splitlines()
    assert "chunk tried again reason=the source went away" in retried
    assert "table processing failed error=COPY failed" in failed


def test_a_line_on_a_terminal_is_unbroken_and_a_failure_reads_as_a_sentence() -> None:
    stream = io.StringIO()
    handler = TerminalHandler(Console(file=stream, width=20))
    handler.handle(logging.makeLogRecord({"msg": "s3://bucket/" + "k" * 60, "levelname": "INFO", "levelno": 20}))
    failed = Event(kind=EventKind.TABLE_FAILED, at=NOON, table=NAME, facts={"error": "COPY failed", "hint": "x"})
    handler.handle(logging.makeLogRecord({"s3rs_event": failed, "levelname": "ERROR", "levelno": 40}))
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" INFO    s3://bucket/" + "k" * 60)
    assert second.endswith(f" FAILED  {NAME}: COPY failed")


def test_a_log_file_that_cannot_be_written_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write the log file"):
        set_up("text", log_file=tmp_path / "no" / "log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_log_file_that_is_full_is_told_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(Settings.load(environment={}), log_file=Path("/dev/full"), console=Console(), style="log")
    for n in range(3):
        logging.getLogger("s3rs_ray").warning("line %d", n)
    err = capsys.readouterr().err
    assert err == "warning: the log file /dev/full takes no more lines: [Errno 28] No space left on device\n"

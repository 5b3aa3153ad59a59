"""``sync`` and ``backup``."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from ..config import Settings
from ..engine import driver
from ..engine.context import Request
from ..engine.events import Event, RunResult, Status, TableResult
from ..engine.report import Recorder, keep_report, result_json
from ..engine.tasks import open_store
from ..errors import ConfigError, S3rsError, StorageError
from ..policies import Deletes, Mode, Strategy
from ..wording import Size, counted, size_text
from .files import NewFile
from .output import Output, complain, status_text
from .plans import preview_exit_code, show_previews
from .quiet import guarded_stdout
from .report import write_html
from .session import Session
from .tables import EXCLUDE, TABLES

STRATEGY = click.option(
    "-s",
    "--strategy",
    type=click.Choice([s.value for s in Strategy]),
    default=Strategy.SEQUENTIAL.value,
    help="One table at a time, or several.",
)
LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="At most so many rows for each table, in both stages."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show the plan and what becomes of the target; change nothing.")
SHOW_SQL = click.option("--show-sql", is_flag=True, help="With --dry-run: the statements that would be sent.")
ESTIMATE = click.option("--estimate", is_flag=True, help="As --dry-run, with the time it will take.")
MAX_WORKERS = click.option(
    "--max-workers", type=click.IntRange(min=1), metavar="N", help="Chunks read at the same time."
)
BATCH_SIZE = click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Rows in one chunk.")
MODE = click.option(
    "--mode",
    type=click.Choice([m.value for m in Mode]),
    help="How rows meet those already there, whatever the settings say.",
)
FULL_REFRESH = click.option(
    "--full-refresh", is_flag=True, help="Read the whole table again; it replaces what is there, in one transaction."
)
DELETES = click.option(
    "--deletes",
    type=click.Choice([d.value for d in Deletes]),
    help="What becomes of rows that are gone from the source, whatever the settings say.",
)
MAX_DELETE_PERCENT = click.option(
    "--max-delete-percent",
    type=click.IntRange(min=0, max=100),
    metavar="PERCENT",
    help="Where more of a table's rows than this seem gone, none is deleted or marked.",
)
ADDRESS = click.option("--address", help="Head of a running Ray cluster (RAY_ADDRESS): HOST:6379, or auto.")
INLINE = click.option("--inline", is_flag=True, help="Run the chunks in threads of this process, without Ray.")
REPORT = click.option(
    "--report",
    "report_file",
    type=NewFile(),
    help="Write the report of the run there as HTML page; on S3 it is kept in any case.",
)

log = logging.getLogger(__name__)

FEW = 3
"""Up to so many tables, what each load took is told at once; of more, `report` tells it."""


@click.command(
    "sync",
    epilog="\b\nExample:  s3rs-ray sync -t 'settlement.*' --exclude settlement.settlement_audit",
)
@TABLES
@EXCLUDE
@STRATEGY
@click.option("--backup-only", is_flag=True, help="Stop after S3.")
@click.option("--redshift-only", is_flag=True, help="Load what lies on S3; do not read the source.")
@LIMIT
@click.option(
    "--verify-data", "verify", is_flag=True, help="Compare source and warehouse after the load; exit 4 on a mismatch."
)
@DELETES
@MAX_DELETE_PERCENT
@DRY_RUN
@SHOW_SQL
@ESTIMATE
@MAX_WORKERS
@BATCH_SIZE
@MODE
@FULL_REFRESH
@ADDRESS
@INLINE
@REPORT
@click.pass_obj
def sync_command(
    session: Session,
    /,
    mode: str | None,
    backup_only: bool,
    redshift_only: bool,
    max_workers: int | None,
    batch_size: int | None,
    address: str | None,
    deletes: str | None,
    max_delete_percent: int | None,
    **asked: Any,
) -> None:
    """Move tables from MySQL through S3 into Redshift.

    The first run of a table moves all of it, later runs what changed since. A run that was interrupted is finished
    by the next one.
    """
    if asked["verify"] and (backup_only or redshift_only):
        raise click.UsageError("--verify-data needs both stages: it compares the source with the warehouse")
    if deletes not in (None, Deletes.KEEP.value) and (backup_only or redshift_only):
        raise click.UsageError("--deletes needs both stages: it compares the source with the warehouse")
    if backup_only and redshift_only:
        raise click.UsageError("--backup-only and --redshift-only exclude each other")
    if asked["full_refresh"] and redshift_only:
        raise click.UsageError("--full-refresh reads the source, --redshift-only does not")
    flags = {
        "backup_max_workers": max_workers,
        "backup_batch_size": batch_size,
        "backup_mode": mode,
        "backup_deletes": deletes,
        "backup_max_delete_percent": max_delete_percent,
    }
    request = _request(asked, extract=not redshift_only, load=not backup_only)
    _carry_out(session, {**flags, "ray_address": address}, request, asked)


@click.command("backup", epilog="\b\nExample:  s3rs-ray backup -t 'settlement.*' -s inter-table")
@TABLES
@EXCLUDE
@STRATEGY
@LIMIT
@DRY_RUN
@SHOW_SQL
@ESTIMATE
@MAX_WORKERS
@BATCH_SIZE
@MODE
@FULL_REFRESH
@ADDRESS
@INLINE
@REPORT
@click.pass_obj
def backup_command(
    session: Session,
    /,
    mode: str | None,
    max_workers: int | None,
    batch_size: int | None,
    address: str | None,
    **asked: Any,
) -> None:
    """Move tables from MySQL to S3: the same as sync --backup-only."""
    flags = {"backup_max_workers": max_workers, "backup_batch_size": batch_size, "backup_mode": mode}
    _carry_out(session, {**flags, "ray_address": address}, _request(asked, extract=True, load=False), asked)


def _request(asked: dict[str, Any], *, extract: bool, load: bool) -> Request:
    return Request(
        tables=tuple(dict.fromkeys(asked["tables"])),
        exclude=asked["exclude"],
        extract=extract,
        load=load,
        limit=asked["limit"],
        full_refresh=asked["full_refresh"],
        verify=asked.get("verify", False),
        strategy=Strategy(asked["strategy"]),
        inline=asked["inline"],
    )


def _carry_out(session: Session, flags: dict[str, object], request: Request, asked: dict[str, Any]) -> None:
    if asked["show_sql"] and not asked["dry_run"]:
        raise click.UsageError("--show-sql goes with --dry-run")
    if asked["report_file"] and (asked["dry_run"] or asked["estimate"]):
        raise click.UsageError("--report is written by a run; --dry-run and --estimate are none")
    if asked["inline"] and flags["ray_address"]:
        raise click.UsageError(f"--address {flags['ray_address']} names a Ray cluster, --inline works without Ray")
    if asked["dry_run"] or asked["estimate"]:
        if not request.extract:
            raise click.UsageError("--dry-run with --redshift-only: use `s3rs-ray watermark get -t TABLE --show-files`")
        settings = session.settings(**flags)
        previews = driver.preview(settings, request, statements=asked["show_sql"], timed=asked["estimate"])
        show_previews(session.output, previews)
        sys.exit(preview_exit_code(previews))
    try:
        settings = session.settings(**flags)
    except ConfigError as exc:
        result = driver.refuse(session.effective(resolve=False).settings, request, exc)
    else:
        result = run_with_signals(session, settings, request, report_file=asked["report_file"])
    if result.error is not None:
        if session.debug:
            traceback.print_exception(result.error, file=sys.stderr)
        session.output.error(result.error, result_json(result))
    else:
        show_result(session.output, result)
    sys.exit(result.exit_code)


def run_with_signals(
    session: Session, settings: Settings, request: Request, *, report_file: Path | None = None
) -> RunResult:
    """A sync with progress on stderr, whose report is kept; the first signal drains and saves, the second stops."""
    recorder = Recorder()
    with guarded_stdout(), signals(session.output.errors) as asked:
        with session.open_progress(settings).started() as shown:

            def report(event: Event) -> None:
                shown(event)
                recorder(event)

            result = driver.carry_out(settings, request, report=report, stop=asked.stop)
        result = replace(result, interrupted_by=asked.number)
        document = recorder.document(settings, request, result)
        if not isinstance(result.error, (ConfigError, StorageError)):  # S3 is not known, or just fell silent
            _keep_report(settings, document)
        _write_report(document, report_file)
    return result


def _keep_report(settings: Settings, document: dict[str, Any]) -> None:
    """What cannot be kept is only told: the rows have been moved all the same."""
    try:
        log.info("report kept at %s", keep_report(open_store(settings), document))
    except S3rsError as exc:
        complain(f"the report could not be kept on S3: {exc}", word="warning")


def _write_report(document: dict[str, Any], file: Path | None) -> None:
    if file is not None:
        try:
            write_html(file, document)
        except S3rsError as exc:
            complain(str(exc), word="warning")


@dataclass(slots=True)
class Stopped:
    stop: threading.Event = field(default_factory=threading.Event)
    number: int = 0


@contextmanager
def signals(console: Console, what: str = "finishing the chunks under way") -> Iterator[Stopped]:
    """The first signal sets ``stop``, the second ends the process."""
    asked = Stopped()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.stop.is_set():
            console.show_cursor()  # the lines of progress have hidden it
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.number = number
        asked.stop.set()
        console.print(f"stopping: {what}; a second signal stops at once", soft_wrap=True)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_result(output: Output, result: RunResult) -> None:
    """The outcome: a table on stdout, errors on stderr; or one JSON document."""
    if output.json:
        output.document(result_json(result))
    else:
        _show_summary(output, result)
        _show_idle(output, result)
        for table in result.tables:
            if table.files_loaded and len(result.tables) <= FEW:
                output.sentence(_load_line(table))
            if table.verified_rows is not None and len(result.tables) <= FEW:
                same = counted(table.verified_rows, "row")
                output.sentence(f"{table.table}: verified {same}: no difference is left unexplained")
            if table.gone:
                what = "marked" if table.gone.how is Deletes.SOFT else "deleted"
                rows = counted(table.gone.removed, "row that is", "rows that are")
                output.sentence(f"{table.table}: {what} {rows} gone from the source")
    for table in result.tables:
        for warning in table.warnings:
            complain(f"{table.table}: {warning}", word="warning")
    for table in result.failures:
        named = "" if str(table.table) in table.error else f"{table.table}: "
        complain(f"{named}{table.error}", table.hint)


def _show_summary(output: Output, result: RunResult) -> None:
    """One row for each table, those that failed last, where they are in sight; and a total of several."""
    seconds = (result.end_time - result.start_time).total_seconds()
    word = Status.INTERRUPTED if result.interrupted_by else result.status
    title = f"run {result.execution_id}: {status_text(word.value)}"
    tables = sorted(result.tables, key=lambda t: t in result.failures)
    rows: list[tuple[object, ...]] = [
        (str(t.table), status_text(t.status.value), t.rows_extracted, t.rows_loaded, t.files_created,
         Size(t.bytes), t.duration_seconds, t.watermark or "")
        for t in tables
    ]  # fmt: skip
    if len(rows) > 1:
        *sums, size = (sum(column) for column in zip(*(row[2:6] for row in rows), strict=True))
        rows.append((f"{len(tables)} tables", "", *sums, Size(size), seconds, ""))
    columns = ("table", "status", "extracted", "loaded", "files", "size", "seconds", "watermark")
    output.table(title, columns, rows)


def _show_idle(output: Output, result: RunResult) -> None:
    """Why there was nothing to do, once for all tables of which the same is true."""
    idle: dict[str, list[str]] = {}
    for table in result.tables:
        if table.status is Status.NOTHING and table.note:
            idle.setdefault(table.note, []).append(str(table.table))
    for note, names in idle.items():
        output.sentence(f"{', '.join(names) if len(names) <= FEW else f'{len(names)} tables'}: nothing to do: {note}")


def _load_line(table: TableResult) -> str:
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in table.load_phases.items())
    moved = f"{counted(table.rows_loaded, 'row')} from {counted(table.files_loaded, 'file')}"
    return f"{table.table}: loaded {moved} ({size_text(table.bytes_loaded)}) in {table.load_seconds:.1f} s" + (
        f": {phases}" if phases else ""
    )

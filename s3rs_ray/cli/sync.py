"""``sync`` and ``backup``."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from types import FrameType
from typing import Any

import click

from ..config import Settings
from ..engine import driver
from ..engine.context import Request
from ..engine.events import RunResult, Status, TableResult
from ..model import Mode, Strategy
from .board import WIDE
from .output import Output, guarded_stdout
from .plans import preview_exit_code, show_previews
from .session import Session

TABLES = click.option(
    "-t", "--table", "tables", multiple=True, required=True, metavar="TABLE", help="schema.table or a glob; repeats."
)
EXCLUDE = click.option(
    "--exclude", multiple=True, metavar="TABLE", help="Leave these out: schema.table or a glob; repeats."
)
STRATEGY = click.option(
    "-s",
    "--strategy",
    type=click.Choice([s.value for s in Strategy]),
    default=Strategy.SEQUENTIAL.value,
    help="One table at a time, or several.",
)
LIMIT = click.option("--limit", type=click.IntRange(min=1), help="At most so many rows for each table, in both stages.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show the plan; change nothing.")
MAX_WORKERS = click.option("--max-workers", type=click.IntRange(min=1), help="Chunks read at the same time.")
BATCH_SIZE = click.option("--batch-size", type=click.IntRange(min=1), help="Rows in one chunk.")
MODE = click.option(
    "--mode",
    type=click.Choice([m.value for m in Mode]),
    help="How rows meet those already there, whatever the settings say.",
)
FULL_REFRESH = click.option(
    "--full-refresh", is_flag=True, help="Read the whole table again; it replaces what is there, in one transaction."
)
ADDRESS = click.option("--address", help="Head of a running Ray cluster (RAY_ADDRESS): HOST:6379, or auto.")
INLINE = click.option("--inline", is_flag=True, help="Run the chunks in threads of this process, without Ray.")


@click.command(
    "sync",
    epilog="Example:  s3rs-ray sync -t 'settlement.*' --exclude settlement.settlement_audit",
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
@DRY_RUN
@MAX_WORKERS
@BATCH_SIZE
@MODE
@FULL_REFRESH
@ADDRESS
@INLINE
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
    **asked: Any,
) -> None:
    """Move tables from MySQL through S3 into Redshift.

    The first run of a table moves all of it, later runs what changed since. A run that was interrupted is finished
    by the next one.
    """
    if asked["verify"] and (backup_only or redshift_only):
        raise click.UsageError("--verify-data needs both stages: it compares the source with the warehouse")
    if backup_only and redshift_only:
        raise click.UsageError("--backup-only and --redshift-only exclude each other")
    if asked["full_refresh"] and redshift_only:
        raise click.UsageError("--full-refresh reads the source, --redshift-only does not")
    settings = session.settings(
        backup_max_workers=max_workers, backup_batch_size=batch_size, backup_mode=mode, ray_address=address
    )
    _carry_out(session, settings, _request(asked, extract=not redshift_only, load=not backup_only), asked["dry_run"])


@click.command("backup", epilog="Example:  s3rs-ray backup -t 'settlement.*' -s inter-table")
@TABLES
@EXCLUDE
@STRATEGY
@LIMIT
@DRY_RUN
@MAX_WORKERS
@BATCH_SIZE
@MODE
@FULL_REFRESH
@ADDRESS
@INLINE
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
    settings = session.settings(
        backup_max_workers=max_workers, backup_batch_size=batch_size, backup_mode=mode, ray_address=address
    )
    _carry_out(session, settings, _request(asked, extract=True, load=False), asked["dry_run"])


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


def _carry_out(session: Session, settings: Settings, request: Request, dry_run: bool) -> None:
    if dry_run:
        if not request.extract:
            raise click.UsageError("--dry-run with --redshift-only: use `s3rs-ray watermark get -t TABLE --show-files`")
        previews = driver.preview(settings, request)
        show_previews(session.output, previews)
        sys.exit(preview_exit_code(previews))
    result = run_with_signals(session, settings, request)
    show_result(session.output, result)
    sys.exit(result.exit_code)


def run_with_signals(session: Session, settings: Settings, request: Request) -> RunResult:
    """A sync with progress on stderr; the first signal drains and saves, the second stops at once."""
    with guarded_stdout(), session.open_progress(settings).started() as shown, _signals() as asked:
        result = driver.sync(settings, request, report=shown, stop=asked.stop)
    return replace(result, interrupted_by=asked.number)


@dataclass(slots=True)
class _Asked:
    stop: threading.Event = field(default_factory=threading.Event)
    number: int = 0


@contextmanager
def _signals() -> Iterator[_Asked]:
    asked = _Asked()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.number = number
        asked.stop.set()
        click.echo("stopping: finishing the chunks under way; a second signal stops at once", err=True)

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
        for table in result.tables:
            if table.status is Status.NOTHING and table.note:
                output.line(f"{table.table}: nothing to do: {table.note}")
            if table.files_loaded:
                output.line(_load_line(table))
    for table in result.tables:
        for warning in table.warnings:
            click.echo(f"warning: {table.table}: {warning}", err=True)
    for table in result.failures:
        named = "" if str(table.table) in table.error else f"{table.table}: "
        click.echo(f"error: {named}{table.error}", err=True)
        if table.hint:
            click.echo(f"hint: {table.hint}", err=True)


def _show_summary(output: Output, result: RunResult) -> None:
    """One row for each table; on a terminal too narrow for that, two lines."""
    title = f"run {result.execution_id}: {result.status.value}"
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE:
        output.line(title)
        for t in result.tables:
            output.line(str(t.table))
            output.line(f"  {t.status.value}: {t.rows_extracted:,} rows extracted, {t.rows_loaded:,} loaded")
            output.line(f"  {t.files_created:,} files, {t.bytes / 1e6:,.1f} MB, {t.duration_seconds:,.1f} s")
            if t.watermark:
                output.line(f"  up to {t.watermark}")
        return
    rows = [
        (str(t.table), t.status.value, t.rows_extracted, t.rows_loaded, t.files_created, t.bytes / 1e6,
         t.duration_seconds, t.watermark or "")
        for t in result.tables
    ]  # fmt: skip
    columns = ("table", "status", "extracted", "loaded", "files", "MB", "seconds", "watermark")
    output.table(title, columns, rows)


def _load_line(table: TableResult) -> str:
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in table.load_phases.items())
    files = "1 file" if table.files_loaded == 1 else f"{table.files_loaded:,} files"
    return (
        f"{table.table}: loaded {table.rows_loaded:,} rows from {files}"
        f" ({table.bytes_loaded / 1e6:,.1f} MB) in {table.load_seconds:.1f} s" + (f": {phases}" if phases else "")
    )


def result_json(result: RunResult) -> dict[str, Any]:
    """The contract of ``-o json``: the field names do not change."""
    return {
        "execution_id": result.execution_id,
        "start_time": result.start_time.isoformat(),
        "end_time": result.end_time.isoformat(),
        "duration_seconds": round((result.end_time - result.start_time).total_seconds(), 3),
        "status": result.status.value,
        "tables_requested": list(result.tables_requested),
        "table_results": {str(t.table): _table_json(t) for t in result.tables},
        "summary": {
            "success_count": len(result.tables) - len(result.failures),
            "failure_count": len(result.failures),
            "total_rows": sum(t.rows_extracted for t in result.tables),
            "total_files": sum(t.files_created for t in result.tables),
        },
    }


def _table_json(table: TableResult) -> dict[str, Any]:
    return {
        "status": table.status.value,
        "rows_extracted": table.rows_extracted,
        "rows_loaded": table.rows_loaded,
        "files_created": table.files_created,
        "bytes": table.bytes,
        "duration_seconds": table.duration_seconds,
        "extract_seconds": table.extract_seconds,
        "load_seconds": table.load_seconds,
        "files_loaded": table.files_loaded,
        "bytes_loaded": table.bytes_loaded,
        "load_phases": table.load_phases,
        "watermark": table.watermark,
        **asdict(table.adjusted),
        "verified_rows": table.verified_rows,
        "warnings": list(table.warnings),
        "error": table.error or None,
        "hint": table.hint or None,
        "context": table.context,
    }

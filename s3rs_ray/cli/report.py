"""``report``: what a run did, in the terminal or as an HTML page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click

from ..config import S3_NAMES
from ..engine.report import list_reports, read_report
from ..engine.report_html import format_report, stage_seconds
from ..engine.tasks import open_store
from ..errors import UsageError
from ..wording import Size, counted
from .files import NewFile
from .output import Output, status_text
from .session import Session

SHOWN = 30


def write_html(path: Path, document: dict[str, Any]) -> None:
    """Writes the page of a report.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_text(format_report(document), encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"cannot write the report {path}: {exc}", hint="name a file in a folder you may write to"
        ) from exc


@click.command("report", epilog="\b\nExample:  s3rs-ray report --html run.html")
@click.argument("run", required=False, default="", metavar="[RUN]")
@click.option("--html", type=NewFile(), help="Write the report there as HTML page.")
@click.option("--list", "listed", is_flag=True, help=f"List the last {SHOWN} runs that have a report.")
@click.pass_obj
def command(session: Session, /, run: str, html: Path | None, listed: bool) -> None:
    """Show what a run did.

    Stages, speed, files, retries, verification.

    RUN is the execution_id of a run or its beginning; the newest that fits, by default the last run.
    """
    settings = session.settings()
    settings.require(*S3_NAMES)
    store = open_store(settings)
    if listed:
        ids = list(islice(reversed(list(list_reports(store, run))), SHOWN))
        if session.output.json:
            session.output.document({"runs": ids})
        else:
            for each in ids:
                session.output.line(each)
        return
    document = read_report(store, run)
    if html is not None:
        write_html(html, document)
    if session.output.json:
        session.output.document(document)
    elif html is None:
        _show(session.output, document)


def _show(output: Output, document: dict[str, Any]) -> None:
    results = document["table_results"]
    title = f"run {document['execution_id']}: {status_text(document['status'])}, {document['duration_seconds']:,.1f} s"
    heads = ("table", "status", "extracted", "loaded", "files", "size", "seconds", "rows/s")
    rows = []
    for name, r in results.items():
        moved, seconds = r["rows_extracted"] or r["rows_loaded"], max(r["duration_seconds"], 0.001)
        sizes = (r["rows_extracted"], r["rows_loaded"], r["files_created"], Size(r["bytes"]))
        speed = round(moved / seconds) if moved else None
        rows.append((name, status_text(r["status"]), *sizes, r["duration_seconds"], speed))
    output.table(title, heads, rows, empty="no table")
    if document["error"]:
        output.sentence(f"error: {document['error']['message']}")
    _show_stages(output, document)
    for name, timeline in document["timeline"].items():
        for retry in timeline["retries"]:
            output.sentence(
                f"{name}: chunk {retry['chunk']} was tried again at {retry['at']:,.1f} s: {retry['reason']}"
            )
    for name, r in results.items():
        if r["verified_rows"] is not None:
            output.sentence(f"{name}: verified {counted(r['verified_rows'], 'row')}")
        for warning in r["warnings"]:
            output.sentence(f"{name}: warning: {warning}")
        if r["error"]:
            output.sentence(f"{name}: error: {r['error']}")


def _show_stages(output: Output, document: dict[str, Any]) -> None:
    """The seconds of each stage of the tables that had work: read is wall time, readers that of all together."""
    worked = {
        name: stage_seconds(document["table_results"][name], timeline)
        for name, timeline in document["timeline"].items()
        if timeline["chunks"] or timeline["loads"]
    }
    stages = [stage for stage in dict.fromkeys(s for seconds in worked.values() for s in seconds) if stage != "total"]
    if worked:
        rows = [(name, *(seconds.get(stage) for stage in stages)) for name, seconds in worked.items()]
        output.table("seconds of each stage", ("table", *stages), rows)

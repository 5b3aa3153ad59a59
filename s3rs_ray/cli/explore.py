"""``explore`` and ``dashboard``: what is on S3, and how all of it stands."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from ..engine.health import Health, examine
from ..engine.inventory import (
    Folder,
    TableInventory,
    activity,
    bucket_folders,
    known_tables,
    recent_runs,
    take_inventory,
)
from ..engine.standing import Amount
from ..engine.tasks import open_store
from ..ledger.document import cursor_text
from ..wording import Size
from .output import Output, amount_json, amount_text, complain, standings_text, status_text
from .session import Session
from .tables import EXCLUDE_STORED, STORED_TABLES, select_names

DAYS, BAR, RUNS = 14, 20, 5


@click.command("explore", epilog="\b\nExample:  s3rs-ray explore -t 'settlement.*'")
@STORED_TABLES
@EXCLUDE_STORED
@click.option(
    "--days", type=click.IntRange(min=1), metavar="N", default=DAYS, show_default=True, help="Days shown; JSON has all."
)
@click.pass_obj
def explore_command(session: Session, tables: tuple[str, ...], exclude: tuple[str, ...], days: int) -> None:
    """Show what is on S3, and when it came.

    Files and sizes of each table, the time they cover, activity by date.
    """
    settings = session.settings()
    store = open_store(settings)
    store.check()
    found = take_inventory(settings, select_names(known_tables(store, settings), tables, exclude, settings))
    by_day = activity(found)
    _tell_problems(found)
    if session.output.json:
        session.output.document(
            {
                "bucket": store.bucket,
                **amount_json(_total(found)),
                "tables": {str(i.table): _inventory_json(i) for i in found},
                "activity": {str(day): amount_json(amount) for day, amount in by_day.items()},
            }
        )
        return
    rows = [
        (str(i.table), i.files, Size(i.bytes), _moment(i.first), _moment(i.last), len(i.runs), i.quiet_days)
        for i in found
    ]
    columns = ("table", "files", "size", "first run (UTC)", "last run (UTC)", "runs", "quiet days")
    session.output.table(f"s3://{store.bucket}/{settings.s3_incremental_path}", columns, rows)
    _show_days(session.output, by_day, days)
    session.output.sentence(amount_text(_total(found)))


@click.command("dashboard", epilog="\b\nExample:  s3rs-ray dashboard -o json")
@STORED_TABLES
@EXCLUDE_STORED
@click.pass_obj
def dashboard_command(session: Session, tables: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Show files, watermarks, health and last runs at once.

    Exit 1 when something is down.
    """
    settings = session.settings()
    store = open_store(settings)
    store.check()
    names = select_names(known_tables(store, settings), tables, exclude, settings)
    with ThreadPoolExecutor(4, thread_name_prefix="dashboard") as pool:
        asked = (
            pool.submit(take_inventory, settings, names),
            pool.submit(bucket_folders, store, settings),
            pool.submit(recent_runs, store, RUNS),
            pool.submit(examine, settings, ()),
        )
        found, folders, runs, health = (asked[0].result(), asked[1].result(), asked[2].result(), asked[3].result())
    about = {str(name) for name in names} | {c.name for c in health.checks}
    findings = [f for f in health.findings if f.about in about]
    if session.output.json:
        session.output.document(
            {
                "bucket": store.bucket,
                "folders": {f.prefix: {"holds": f.holds, **amount_json(f.amount)} for f in folders},
                "tables": {str(i.table): {**_inventory_json(i), **_watermark_json(i)} for i in found},
                "health": {
                    "well": health.well,
                    "checks": {c.name: {"up": c.up, "seconds": c.seconds} for c in health.checks},
                    "findings": [{"about": f.about, "message": f.message, "serious": f.serious} for f in findings],
                },
                "runs": [_run_json(run) for run in runs],
            }
        )
    else:
        _show_dashboard(session.output, store.bucket, folders, found, health, runs)
        for finding in findings:
            session.output.sentence(f"{'error' if finding.serious else 'note'}: {finding.said}")
    _tell_problems(found)
    sys.exit(0 if health.well else 1)


def _show_dashboard(
    output: Output,
    bucket: str,
    folders: Sequence[Folder],
    found: Sequence[TableInventory],
    health: Health,
    runs: Sequence[Mapping[str, Any]],
) -> None:
    rows = [(f.prefix, f.holds, f.amount.files, Size(f.amount.bytes)) for f in folders]
    output.table(f"bucket s3://{bucket}", ("folder", "holds", "objects", "size"), rows)
    files = [
        (str(i.table), i.files, Size(i.bytes), Size(i.bytes / max(i.files, 1)), Size(i.largest),
         standings_text(i.standings))
        for i in found
    ]  # fmt: skip
    if not found:
        output.sentence("no table has a state or files here yet: `s3rs-ray sync -t TABLE` moves the first")
    else:
        output.table("files", ("table", "files", "size", "mean", "largest", "standing"), files)
    marks = [
        (str(i.table), cursor_text(i.state.extracted) or "", cursor_text(i.state.loaded) or "",
         i.state.rows_extracted, i.state.rows_loaded, i.state.mysql_status, i.state.redshift_status)
        for i in found
        if i.state is not None
    ]  # fmt: skip
    columns = ("table", "on S3 up to", "loaded up to", "extracted", "loaded", "mysql", "redshift")
    if marks:
        output.table("watermarks", columns, marks)
    checks = [(c.name, "up" if c.up else "DOWN", round(c.seconds * 1000, 1), c.detail) for c in health.checks]
    output.table("health", ("what", "state", "ms", "detail"), checks)
    done = [
        (
            r["execution_id"],
            status_text(r["status"]),
            r["summary"]["total_rows"],
            r["summary"]["total_files"],
            r["duration_seconds"],
        )
        for r in map(_run_json, runs)
    ]
    output.table("recent runs", ("run", "status", "rows", "files", "seconds"), done)


def _show_days(output: Output, by_day: Mapping[dt.date, Amount], days: int) -> None:
    """The last days that have files, with a bar each."""
    last = list(by_day.items())[-days:]
    most = max((amount.bytes for _, amount in last), default=0)
    rows = [(str(d), a.files, Size(a.bytes), "█" * -(-a.bytes * BAR // max(most, 1))) for d, a in last]
    output.table("activity (UTC)", ("day", "files", "size", ""), rows)


def _tell_problems(found: Iterable[TableInventory]) -> None:
    for inventory in found:
        if inventory.problem:
            complain(f"{inventory.table}: {inventory.problem}")


def _inventory_json(i: TableInventory) -> dict[str, Any]:
    return {
        "files": i.files,
        "bytes": i.bytes,
        "smallest": i.smallest,
        "largest": i.largest,
        "first_run": i.first,
        "last_run": i.last,
        "runs": len(i.runs),
        "quiet_days": i.quiet_days,
        "standing": {s.value: amount_json(a) for s, a in i.standings.items()},
        "days": {str(day): amount_json(amount) for day, amount in sorted(i.days.items())},
        "error": i.problem or None,
    }


def _watermark_json(i: TableInventory) -> dict[str, Any]:
    state = i.state
    return {
        "extracted_up_to": cursor_text(state.extracted) if state else None,
        "loaded_up_to": cursor_text(state.loaded) if state else None,
        "rows_extracted": state.rows_extracted if state else 0,
        "rows_loaded": state.rows_loaded if state else 0,
        "mysql_status": state.mysql_status if state else None,
        "redshift_status": state.redshift_status if state else None,
    }


def _run_json(run: Mapping[str, Any]) -> dict[str, Any]:
    names = ("execution_id", "start_time", "end_time", "duration_seconds", "status", "tables_requested", "summary")
    return {name: run[name] for name in names}


def _total(found: Iterable[TableInventory]) -> Amount:
    amounts = [(i.files, i.bytes) for i in found]
    return Amount(files=sum(n for n, _ in amounts), bytes=sum(size for _, size in amounts))


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""

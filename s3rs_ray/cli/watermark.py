"""``watermark get|set|reset|list``."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..config import Settings
from ..engine.by_hand import place_by_hand, require_no_future
from ..engine.doubt import move_watermark
from ..engine.rebuild import rebuild
from ..engine.records import waiting_files
from ..engine.side_by_side import side_by_side
from ..engine.tasks import open_ledger, open_store
from ..errors import LedgerError, S3rsError, TableNotFound
from ..ledger.document import cursor_text
from ..ledger.state import TableState
from ..ledger.store import Holder, Ledger, utc_now
from ..model import DataFile, TableName, Watermark, meant
from ..positions import format_position, is_reached
from ..wording import Size, counted
from .output import Output, complain
from .session import Session
from .tables import STORED_TABLE


@click.group("watermark", epilog="\b\nExample:  s3rs-ray watermark get -t settlement.settlement_claim_detail")
def group() -> None:
    """Show or move the place up to which a table was carried."""


@group.command("get", epilog="\b\nExample:  s3rs-ray watermark get -t settlement.settlement_claim_detail --show-files")
@STORED_TABLE
@click.option("--show-files", is_flag=True, help="List the files that wait and those loaded last.")
@click.pass_obj
def get_command(session: Session, table: str, show_files: bool) -> None:
    """Show one table's watermark and state."""
    settings = session.settings()
    ledger, name = _open(settings, table)
    state = ledger.load(name)
    _require_kept(state, ledger)
    _show(session.output, state, list(waiting_files(open_store(settings), state)) if show_files else None)


@group.command("list", epilog="\b\nExample:  s3rs-ray watermark list -o json")
@click.pass_obj
def list_command(session: Session) -> None:
    """Show every table that has a state."""
    settings = session.settings()
    open_store(settings).check()
    ledger = open_ledger(settings)
    states: list[TableState] = []
    broken: dict[TableName, S3rsError] = {}
    for found in side_by_side(_loading(ledger), ledger.tables()):
        if isinstance(found, TableState):
            states.append(found)
        else:
            broken.update([found])
    if session.output.json:
        errors = {str(name): exc.to_json() for name, exc in broken.items()}
        session.output.document({"tables": [_json(s) for s in states], "errors": errors})
    else:
        _show_list(session.output, states)
    for exc in broken.values():
        complain(exc.message, exc.hint)
    sys.exit(1 if broken else 0)


def _loading(ledger: Ledger) -> Callable[[TableName], TableState | tuple[TableName, S3rsError]]:
    """Loads a state; one that cannot be read does not hide the others."""

    def load(name: TableName) -> TableState | tuple[TableName, S3rsError]:
        try:
            return ledger.load(name)
        except LedgerError as exc:
            return name, exc

    return load


def _show_list(output: Output, states: Sequence[TableState]) -> None:
    rows = [
        (str(s.table), cursor_text(s.extracted) or "", cursor_text(s.loaded) or "", s.rows_extracted, s.rows_loaded,
         s.waiting_files, s.mysql_status, s.redshift_status)
        for s in states
    ]  # fmt: skip
    columns = ("table", "extracted up to", "loaded up to", "extracted", "loaded", "waiting", "mysql", "redshift")
    output.table("watermarks", columns, rows)


@group.command(
    "set",
    epilog="\b\nExample:  s3rs-ray watermark set -t settlement.settlement_claim_detail"
    " --timestamp '2026-01-31 00:00:00'",
)
@STORED_TABLE
@click.option("--timestamp", required=True, help="Cursor value: 'YYYY-MM-DD HH:MM:SS[.ffffff]', the day of a DATE; of "
              "an integer the time in UTC or the number itself.")  # fmt: skip
@click.option("--id", "key", type=int, help="Key of the last row done at that time; without it, rows of that very "
              "time are carried again.")  # fmt: skip
@click.pass_obj
def set_command(session: Session, table: str, timestamp: str, key: int | None) -> None:
    """Move a table's watermark by hand.

    What lies behind it counts as done. `sync --redshift-only` then loads the files extracted after it. What the cursor
    holds is read from the last run's record on S3; of a table that was never run, from MySQL.
    """
    settings = session.settings()
    _, name = _open(settings, table)
    place = place_by_hand(settings, open_store(settings), name, timestamp, key)
    require_no_future(place, settings.backup_cursor_unit, utc_now())
    _move(session, table, place)


@group.command("reset", epilog="\b\nExample:  s3rs-ray watermark reset -t settlement.settlement_claim_detail")
@STORED_TABLE
@click.pass_obj
def reset_command(session: Session, table: str) -> None:
    """Forget how far a table was carried.

    The next sync moves all of it again.
    """
    _move(session, table, Watermark.START)


@group.command("rebuild", epilog="\b\nExample:  s3rs-ray watermark rebuild -t settlement.settlement_claim_detail")
@STORED_TABLE
@click.pass_obj
def rebuild_command(session: Session, table: str) -> None:
    """Make a lost state again.

    From the warehouse's load ledger and the files on S3.
    """
    settings = session.settings()
    _, name = _open(settings, table)
    rebuild(settings, name)
    _show(session.output, open_ledger(settings).load(name))


def _move(session: Session, table: str, watermark: Watermark) -> None:
    settings = session.settings()
    ledger, name = _open(settings, table)
    before = ledger.load(name)
    if watermark == Watermark.START:
        _require_kept(before, ledger)
    move_watermark(settings, ledger, Holder.here(), name, watermark)
    after = ledger.load(name)
    if not is_reached(watermark.position, before.loaded.position):  # what waits behind it is not loaded either
        complain(
            f"rows of {name} up to {_place(after)} count as done: no sync will load those that none has loaded yet",
            word="warning",
        )
    if session.output.json:
        session.output.document({"before": _json(before), "after": _json(after)})
        return
    session.output.sentence(f"{name}: {_place(before)} -> {_place(after)}")


def _require_kept(state: TableState, ledger: Ledger) -> None:
    if not state.is_kept:
        raise TableNotFound(
            f"there is no state of {state.table}",
            hint=f"{meant(ledger.tables(), state.table)}`s3rs-ray watermark list` shows those that are there;"
            " `watermark rebuild` makes a lost one again",
        )


def _place(state: TableState) -> str:
    return _position_text(state.extracted)


def _position_text(watermark: Watermark) -> str:
    return f"({', '.join(map(str, watermark.position))})" if watermark.position else "the beginning"


def _moment(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "never"


def _open(settings: Settings, table: str) -> tuple[Ledger, TableName]:
    name = settings.table_name(table)
    open_store(settings).check()
    return open_ledger(settings), name


def _show(output: Output, state: TableState, waiting: Sequence[DataFile] | None = None) -> None:
    if output.json:
        output.document(_json(state, waiting))
        return
    rows: list[tuple[str, object]] = [
        ("extracted up to", _place(state)),
        ("loaded up to", _position_text(state.loaded)),
        ("rows extracted", state.rows_extracted),
        ("rows loaded", state.rows_loaded),
        ("files written", state.files_written),
        ("files waiting", state.waiting_files),
        ("last extraction", _moment(state.extracted_at)),
        ("last load", _moment(state.loaded_at)),
        ("mysql", state.mysql_status),
        ("redshift", state.redshift_status),
        ("strategy", state.backup_strategy),
        (
            "open run",
            f"{state.run.run_id}, {counted(len(state.run.missing), 'chunk')} missing" if state.run else "none",
        ),
        ("full refresh", f"{state.refresh.run_id}, not in the target yet" if state.refresh else "none"),
        ("load in doubt", state.sealed.load_id[:12] if state.sealed else "none"),
        ("held by", f"{state.lease.holder} since {state.lease.since:%Y-%m-%d %H:%M:%S}" if state.lease else "nobody"),
    ]
    output.table(str(state.table), ("what", "value"), rows)
    if waiting is not None:
        output.table("files waiting", ("key", "rows", "size"), [(f.key, f.rows, Size(f.bytes)) for f in waiting])
        output.table("files loaded last", ("key",), [(key,) for key in state.recent_files])


def _json(state: TableState, waiting: Sequence[DataFile] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "table_name": str(state.table),
        "last_mysql_data_timestamp": cursor_text(state.extracted),
        "watermark": {
            "extracted": format_position(state.extracted.position),
            "loaded": format_position(state.loaded.position),
        },
        "last_mysql_extraction_time": state.extracted_at,
        "mysql_rows_extracted": state.rows_extracted,
        "mysql_status": state.mysql_status,
        "last_redshift_load_time": state.loaded_at,
        "redshift_rows_loaded": state.rows_loaded,
        "redshift_status": state.redshift_status,
        "backup_strategy": state.backup_strategy,
        "s3_file_count": state.files_written,
        "files_waiting": state.waiting_files,
        "open_run": state.run.run_id if state.run else None,
        "full_refresh": state.refresh.run_id if state.refresh else None,
        "held_by": state.lease.holder if state.lease else None,
    }
    if waiting is not None:
        document["waiting_s3_files"] = [f.key for f in waiting]
        document["processed_s3_files"] = list(state.recent_files)
    return document

"""``repair``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from ..engine.differences import Difference
from ..engine.mending import TableRepair, repair_document, repair_exit_code
from ..engine.outcomes import Outcomes
from ..engine.repair import RepairAsked, repair_each
from ..policies import Deletes
from ..wording import counted
from .output import Output
from .quiet import guarded_stdout
from .session import Session
from .sync import INLINE, MAX_DELETE_PERCENT, MAX_WORKERS, signals
from .tables import EXCLUDE, TABLES
from .verify import SINCE, WHERE, complain_of_failures, failed_documents


@click.command(
    "repair", epilog="\b\nExample:  s3rs-ray repair -t settlement.settlement_normal_delivery_detail --dry-run"
)
@TABLES
@EXCLUDE
@click.option("--delete", "hard", is_flag=True, help="Delete rows that the source does not hold.")
@click.option("--soft-delete", "soft", is_flag=True, help="Mark them in _s3rs_deleted_at instead.")
@MAX_DELETE_PERCENT
@WHERE
@SINCE
@click.option("--dry-run", is_flag=True, help="Say what would be read again and removed; change nothing.")
@MAX_WORKERS
@INLINE
@click.pass_obj
def command(
    session: Session,
    /,
    tables: tuple[str, ...],
    hard: bool,
    soft: bool,
    max_delete_percent: int | None,
    max_workers: int | None,
    **asked: Any,
) -> None:
    """Mend what verify finds, and nothing else.

    Missing, changed and doubled rows are read from the source and take the place of what Redshift holds of them.
    Rows that the source does not hold are left and told, unless --delete or --soft-delete says otherwise. Exit 4 where
    something is left.
    """
    if hard and soft:
        raise click.UsageError("--delete and --soft-delete exclude each other")
    deletes = Deletes.HARD if hard else Deletes.SOFT if soft else Deletes.KEEP
    settings = session.settings(
        backup_max_workers=max_workers,
        backup_deletes=deletes.value if soft else None,
        backup_max_delete_percent=max_delete_percent,
    )
    wanted = RepairAsked(tables=tuple(dict.fromkeys(tables)), deletes=deletes, **asked)
    with (
        guarded_stdout(),
        signals(session.output.errors) as told,
        session.open_progress(settings).started() as shown,
    ):
        found = repair_each(settings, wanted, report=shown, stop=told.stop)
    show_repairs(session.output, found, interrupted=bool(told.number))
    sys.exit(128 + told.number if told.number else found.exit_code(repair_exit_code(found.done)))


def repairs_document(found: Outcomes[TableRepair], *, interrupted: bool = False) -> dict[str, Any]:
    """The contract of ``-o json``: the field names do not change."""
    status = "repaired" if any(t.status == "repaired" for t in found.done) else "equal"
    status = "interrupted" if interrupted else "failed" if found.failures else status
    return {
        "status": "different" if repair_exit_code(found.done) else status,
        "tables": {str(t.table): repair_document(t) for t in found.done} | failed_documents(found),
    }


def show_repairs(output: Output, found: Outcomes[TableRepair], *, interrupted: bool) -> None:
    """The outcome: tables on stdout, errors on stderr; or one JSON document."""
    if output.json:
        output.document(repairs_document(found, interrupted=interrupted))
    else:
        _show_tables(output, found.done)
        if interrupted and not found.failures:
            output.line("stopped before the next table was begun")
    complain_of_failures(found)


def _show_tables(output: Output, tables: Sequence[TableRepair]) -> None:
    kinds = list(Difference)
    words = [kind.value.replace("_", " ") for kind in kinds]
    for done in tables:
        if any(done.found.values()):
            rows = [
                ("found", *(done.found.get(kind, 0) for kind in kinds)),
                ("left", *(done.left.get(kind, 0) for kind in kinds)),
            ]
            output.table(f"{done.table}: {done.status}", ("rows", *words), rows[:1] if done.dry_run else rows)
        output.sentence(_what_was_done(done))
        for note in done.notes:
            output.sentence(f"{done.table}: {note}")
        if done.first:
            left = [(f.kind.value.replace("_", " "), ", ".join(f.shown), ", ".join(f.columns)) for f in done.first]
            title = f"{done.table}: first differences" + ("" if done.dry_run else " left")
            output.table(title, ("what", f"({', '.join(done.key)})", "columns"), left)


def _what_was_done(done: TableRepair) -> str:
    if not any(done.found.values()):
        return f"{done.table}: {done.status}, there is nothing to mend ({done.seconds:,.1f} s)"
    parts = [counted(done.rows_again, "row by its key", "rows by their keys")] if done.rows_again else []
    if done.segments_again:
        parts.append(f"{done.segments_again:,} of {counted(done.segments, 'segment')} whole")
    read = " and ".join(parts) or "nothing"
    if done.dry_run:
        what = "leave"
        if done.gone:
            what = "mark" if done.gone.how is Deletes.SOFT else "delete"
        extra = done.found.get(Difference.EXTRA, 0)
        left = f", and {what} {counted(extra, 'row that is', 'rows that are')} gone from the source" if extra else ""
        return f"{done.table}: a repair would read {read}{left}"
    gone = done.gone.removed if done.gone else 0
    how = "marked" if done.gone and done.gone.how is Deletes.SOFT else "deleted"
    removed = f", {how} {counted(gone, 'row')}" if gone else ""
    return f"{done.table}: read {read}, wrote {counted(done.rows_mended, 'row')}{removed} in {done.seconds:,.1f} s"

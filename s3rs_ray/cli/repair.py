"""``repair``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from ..engine.differences import Difference
from ..engine.mending import TableRepair, repair_document, repair_exit_code
from ..engine.repair import RepairAsked, repair
from ..errors import Interrupted
from ..policies import Deletes
from .output import Output
from .quiet import guarded_stdout
from .session import Session
from .sync import INLINE, MAX_DELETE_PERCENT, MAX_WORKERS, signals
from .tables import TABLES


@click.command("repair", epilog="Example:  s3rs-ray repair -t settlement.settlement_normal_delivery_detail --dry-run")
@TABLES
@click.option("--delete", "hard", is_flag=True, help="Delete rows that the source does not hold.")
@click.option("--soft-delete", "soft", is_flag=True, help="Mark them in _s3rs_deleted_at instead.")
@MAX_DELETE_PERCENT
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
        try:
            done = repair(settings, wanted, report=shown, stop=told.stop)
        except Interrupted as exc:
            session.output.error(exc)
            sys.exit(128 + told.number)
    show_repairs(session.output, done)
    sys.exit(repair_exit_code(done))


def repairs_document(tables: Sequence[TableRepair]) -> dict[str, Any]:
    """The contract of ``-o json``: the field names do not change."""
    return {
        "status": "different" if repair_exit_code(tables) else "repaired",
        "tables": {str(t.table): repair_document(t) for t in tables},
    }


def show_repairs(output: Output, tables: Sequence[TableRepair]) -> None:
    """The outcome: tables on stdout; or one JSON document."""
    if output.json:
        output.document(repairs_document(tables))
        return
    kinds = list(Difference)
    words = [kind.value.replace("_", " ") for kind in kinds]
    for done in tables:
        rows = [
            ("found", *(done.found.get(kind, 0) for kind in kinds)),
            ("left", *(done.left.get(kind, 0) for kind in kinds)),
        ]
        output.table(f"{done.table}: {done.status}", ("rows", *words), rows[:1] if done.dry_run else rows)
        output.line(_what_was_done(done))
        for note in done.notes:
            output.line(f"{done.table}: {note}")
        if done.first:
            left = [(f.kind.value.replace("_", " "), ", ".join(f.shown), ", ".join(f.columns)) for f in done.first]
            output.table(f"{done.table}: first of them", ("what", f"({', '.join(done.key)})", "columns"), left)


def _what_was_done(done: TableRepair) -> str:
    read = f"{done.rows_again:,} rows by their keys and {done.segments_again:,} of {done.segments:,} segments whole"
    if done.dry_run:
        what = "leave"
        if done.gone:
            what = "mark" if done.gone.how is Deletes.SOFT else "delete"
        extra = done.found.get(Difference.EXTRA, 0)
        return f"{done.table}: a repair would read {read}, and {what} {extra:,} rows that are gone from the source"
    gone = done.gone
    removed = f", {'marked' if gone.how is Deletes.SOFT else 'deleted'} {gone.removed:,} rows" if gone else ""
    return f"{done.table}: read {read}, wrote {done.rows_mended:,} rows{removed} in {done.seconds:,.1f} s"

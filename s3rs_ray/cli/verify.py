"""``verify``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from ..engine.compare import Asked
from ..engine.differences import Difference, TableComparison, exit_code, table_document
from ..engine.verify import verify
from .output import Output
from .quiet import guarded_stdout
from .session import Session
from .sync import INLINE, MAX_WORKERS, signals
from .tables import TABLES


@click.command("verify", epilog="Example:  s3rs-ray verify -t settlement.settlement_normal_delivery_detail -o json")
@TABLES
@click.option("--quick", is_flag=True, help="Count the rows of each segment; compare no values.")
@click.option("--columns", metavar="A,B", default="", help="Compare these columns and the key.")
@click.option("--where", metavar="SQL", default="", help="Compare the rows of a condition that both sides understand.")
@click.option("--since", metavar="TIME", default="", help="Compare rows whose cursor is at least this.")
@click.option(
    "--sample", type=click.FloatRange(min=0, max=100, min_open=True), default=100.0, help="Percent of the segments."
)
@MAX_WORKERS
@INLINE
@click.pass_obj
def command(session: Session, /, max_workers: int | None, columns: str, **asked: Any) -> None:
    """Prove that source and warehouse hold the same rows.

    Exit 4 where they do not.

    Both databases compute checksums of segments of the table; only segments that differ are looked into, down to
    rows and columns. Rows that changed since the last sync are told apart. Nothing is changed.
    """
    settings = session.settings(backup_max_workers=max_workers)
    names = tuple(dict.fromkeys(asked.pop("tables")))
    wanted = tuple(name.strip() for name in columns.split(",") if name.strip())
    with (
        guarded_stdout(),
        signals(session.output.errors, "ending the queries under way") as stopped,
        session.open_progress(settings).started() as shown,
    ):
        found = verify(settings, Asked(tables=names, columns=wanted, **asked), report=shown, stop=stopped.stop)
    show_comparisons(session.output, found, interrupted=bool(stopped.number))
    sys.exit(128 + stopped.number if stopped.number else exit_code(found))


def comparisons_document(tables: Sequence[TableComparison], *, interrupted: bool = False) -> dict[str, Any]:
    """The contract of ``-o json``: the field names do not change."""
    status = "interrupted" if interrupted else "equal"
    return {
        "status": "different" if exit_code(tables) else status,
        "tables": {str(t.table): table_document(t) for t in tables},
    }


def show_comparisons(output: Output, tables: Sequence[TableComparison], *, interrupted: bool) -> None:
    """The outcome: a table of tables and one of differences on stdout; or one JSON document.

    Args:
        interrupted: by a signal; tables that were not begun are not among these.
    """
    if output.json:
        output.document(comparisons_document(tables, interrupted=interrupted))
        return
    if not tables:
        output.line("stopped before the first table was compared")
        return
    kinds = list(Difference)
    rows = [
        (
            str(t.table),
            t.status,
            t.source_rows,
            t.target_rows,
            *(t.counts[kind] for kind in kinds),
            t.behind,
            f"{len(t.results)} of {t.segments}",
            t.seconds,
        )
        for t in tables
    ]
    words = [kind.value.replace("_", " ") for kind in kinds]
    columns = ("table", "status", "source", "warehouse", *words, "behind", "segments", "seconds")
    output.table(f"verified by {tables[0].level}", columns, rows)
    for found in tables:
        for name, reason in found.left_out.items():
            output.sentence(f"{found.table}: {name} was not compared: {reason}")
        for note in found.notes:
            output.sentence(f"{found.table}: {note}")
        if found.first:
            differences = [
                (f.kind.value.replace("_", " "), ", ".join(f.shown), ", ".join(f.columns)) for f in found.first
            ]
            output.table(
                f"{found.table}: first differences", ("what", f"({', '.join(found.key)})", "columns"), differences
            )

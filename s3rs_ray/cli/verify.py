"""``verify``."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..engine.compare import Asked
from ..engine.differences import Difference, TableComparison, exit_code, table_document
from ..engine.outcomes import Outcomes
from ..engine.verify import verify_each
from ..errors import Interrupted
from .output import Output, complain
from .quiet import guarded_stdout
from .session import Session
from .sync import INLINE, MAX_WORKERS, signals
from .tables import EXCLUDE, TABLES

WHERE = click.option(
    "--where", metavar="SQL", default="", help="Compare the rows of a condition that both sides understand."
)
SINCE = click.option("--since", metavar="TIME", default="", help="Compare rows whose cursor is at least this.")


@click.command("verify", epilog="\b\nExample:  s3rs-ray verify -t settlement.settlement_normal_delivery_detail -o json")
@TABLES
@EXCLUDE
@click.option("--quick", is_flag=True, help="Count the rows of each segment; compare no values.")
@click.option("--columns", metavar="A,B", default="", help="Compare these columns and the key.")
@WHERE
@SINCE
@click.option(
    "--sample",
    type=click.FloatRange(min=0, max=100, min_open=True),
    metavar="PERCENT",
    default=100.0,
    help="Percent of the segments.",
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
        found = verify_each(settings, Asked(tables=names, columns=wanted, **asked), report=shown, stop=stopped.stop)
    show_comparisons(session.output, found, interrupted=bool(stopped.number))
    sys.exit(128 + stopped.number if stopped.number else found.exit_code(exit_code(found.done)))


def comparisons_document(found: Outcomes[TableComparison], *, interrupted: bool = False) -> dict[str, Any]:
    """The contract of ``-o json``: the field names do not change."""
    status = "interrupted" if interrupted else "failed" if found.failures else "equal"
    return {
        "status": "different" if exit_code(found.done) else status,
        "tables": {str(t.table): table_document(t) for t in found.done} | failed_documents(found),
    }


def failed_documents(found: Outcomes[Any]) -> dict[str, Any]:
    """The part of the tables that did not come to their end."""
    return {
        str(name): {"status": "interrupted" if isinstance(exc, Interrupted) else "failed", "error": exc.to_json()}
        for name, exc in found.failures.items()
    }


def complain_of_failures(found: Outcomes[Any]) -> None:
    """Why tables did not come to their end."""
    for name, exc in found.failures.items():
        named = "" if str(name) in exc.message else f"{name}: "
        complain(f"{named}{exc.message}", exc.hint)


def show_comparisons(output: Output, found: Outcomes[TableComparison], *, interrupted: bool) -> None:
    """The outcome: a table of tables and one of differences on stdout, errors on stderr; or one JSON document.

    Args:
        interrupted: by a signal; tables that were not begun are not among these.
    """
    if output.json:
        output.document(comparisons_document(found, interrupted=interrupted))
    elif found.done:
        _show_tables(output, found)
    elif not found.failures:
        output.line("stopped before the first table was compared")
    complain_of_failures(found)


def _show_tables(output: Output, found: Outcomes[TableComparison]) -> None:
    kinds = list(Difference)
    rows: list[tuple[object, ...]] = [
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
        for t in found.done
    ]
    rows += [(str(name), "failed", *[None] * (len(kinds) + 3), "", None) for name in found.failures]
    words = [kind.value.replace("_", " ") for kind in kinds]
    columns = ("table", "status", "source", "warehouse", *words, "behind", "segments", "seconds")
    output.table(f"verified by {found.done[0].level}", columns, rows)
    for table in found.done:
        for name, reason in table.left_out.items():
            output.sentence(f"{table.table}: {name} was not compared: {reason}")
        for note in table.notes:
            output.sentence(f"{table.table}: {note}")
        if table.first:
            differences = [
                (f.kind.value.replace("_", " "), ", ".join(f.shown), ", ".join(f.columns)) for f in table.first
            ]
            output.table(
                f"{table.table}: first differences", ("what", f"({', '.join(table.key)})", "columns"), differences
            )

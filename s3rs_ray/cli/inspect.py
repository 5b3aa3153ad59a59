"""``inspect``: what lies in a table's Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..engine.tasks import open_store
from ..wording import counted, size_text
from .output import Output
from .session import Session
from .tables import STORED_TABLE

if TYPE_CHECKING:
    from ..engine.inspection import Inspection

CUT = 24
"""Characters of a text that are shown; numbers and times are never cut."""


@click.command(
    "inspect", epilog="\b\nExample:  s3rs-ray inspect -t settlement.settlement_claim_detail --files 3 --sample 3"
)
@STORED_TABLE
@click.option(
    "--files",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="So many of the newest files.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), metavar="N", default=100_000, show_default=True, help="At most so many rows."
)
@click.option("--sample", type=click.IntRange(min=0), metavar="N", default=3, show_default=True, help="Rows shown.")
@click.pass_obj
def command(session: Session, table: str, files: int, rows: int, sample: int) -> None:
    """Show what lies in a table's Parquet files on S3.

    Schema, sample rows, column statistics, data quality, and columns that changed.

    Files are read in parts: memory does not grow with them.
    """
    from ..engine.inspection import inspect_table  # polars takes 0.1 s that other commands need not pay

    settings = session.settings()
    name = settings.table_name(table)
    open_store(settings).check()
    found = inspect_table(settings, name, files=files, rows=rows, sample=sample)
    if session.output.json:
        session.output.document(_json(found))
    else:
        _show(session.output, found)


def _show(output: Output, found: Inspection) -> None:
    looked_at = "all rows" if found.whole else f"the first {counted(found.rows, 'row')}"
    output.sentence(
        f"{found.table}: {len(found.files)} of {counted(found.present, 'file')},"
        f" {counted(sum(f.rows for f in found.files), 'row')}, {size_text(sum(f.bytes for f in found.files))};"
        f" statistics of {looked_at}"
    )
    schema = {c.name: c for c in found.schema}
    rows = [
        (
            c.name, schema[c.name].source_type or schema[c.name].type, schema[c.name].redshift_type,
            f"{c.null_rate:.1%}", f"{c.distinct:,}{'' if c.exact else '+'}", _cut(c.least), _cut(c.greatest),
        )
        for c in found.columns
    ]  # fmt: skip
    output.table("columns", ("column", "source", "redshift", "null", "distinct", "least", "greatest"), rows)
    if found.sample:
        heads = ("column", *(f"row {n}" for n in range(1, len(found.sample) + 1)))
        output.table("sample", heads, [(c.name, *(_cut(row[c.name]) for row in found.sample)) for c in found.schema])
    if found.quality:
        output.table("to look at", ("column", "what"), [(q.column or "the files", q.message) for q in found.quality])
    else:
        output.sentence("nothing looks odd")
    if found.drift:
        drift = [(d.column, d.file or d.where, d.newest or "not there", d.found or "not there") for d in found.drift]
        output.table("columns that changed", ("column", "where", "in the newest file", "there"), drift)
    for where, reason in found.unasked.items():
        output.sentence(f"columns were not compared with {where}: {reason}")
    for key in found.skipped:
        output.sentence(f"not in the statistics, because its columns are other: {key}")


def _cut(value: object) -> str:
    from ..engine.profile import shown

    text = "NULL" if value is None else shown(value) or "''"
    whole = len(text) <= CUT or not isinstance(value, (str, bytes))
    return text if whole else text[: CUT - 1] + "…"


def _json(found: Inspection) -> dict[str, Any]:
    from ..engine.profile import plain

    return {
        "table": str(found.table),
        "files_present": found.present,
        "files": [{"key": f.key, "bytes": f.bytes, "rows": f.rows, "row_groups": f.row_groups} for f in found.files],
        "rows_examined": found.rows,
        "all_rows_examined": found.whole,
        "schema": [
            {
                "name": c.name,
                "type": c.type,
                "nullable": c.nullable,
                "source": c.source_type or None,
                "redshift": c.redshift_type or None,
            }
            for c in found.schema
        ],
        "sample": [{name: plain(value) for name, value in row.items()} for row in found.sample],
        "columns": [
            {
                "name": c.name,
                "nulls": c.nulls,
                "null_rate": round(c.null_rate, 6),
                "min": plain(c.least),
                "max": plain(c.greatest),
                "distinct": c.distinct,
                "distinct_is_exact": c.exact,
            }
            for c in found.columns
        ],
        "quality": [
            {"column": q.column or None, "kind": q.kind, "count": q.count, "message": q.message} for q in found.quality
        ],
        "skipped": list(found.skipped),
        "drift": [
            {
                "column": d.column,
                "where": d.where,
                "file": d.file or None,
                "kind": d.kind,
                "newest": d.newest or None,
                "found": d.found or None,
            }
            for d in found.drift
        ],
        "not_compared": found.unasked,
    }

"""``views show|apply``."""

from __future__ import annotations

import click

from ..engine.views import Applied, apply_views, show_views
from ..warehouse.views import create_view_sql
from .session import Session
from .tables import STORED_TABLE


@click.group("views", epilog="\b\nExample:  s3rs-ray views show -t settlement.settlement_normal_delivery_detail")
def group() -> None:
    """Latest-status views of tables that keep history."""


@group.command("show", epilog="\b\nExample:  s3rs-ray views show -t settlement.settlement_normal_delivery_detail")
@STORED_TABLE
@click.pass_obj
def show_command(session: Session, table: str) -> None:
    """Print the SQL of a table's views; the warehouse is not asked."""
    settings = session.settings()
    name = settings.table_name(table)
    views = show_views(settings, name)
    if session.output.json:
        shown = [
            {
                "kind": v.kind.value,
                "view": f"{v.schema}.{v.name}".lower(),
                "columns": [c for c, _ in v.columns],
                "sql": create_view_sql(v, replace=True),
            }
            for v in views
        ]
        session.output.document({"table": str(name), "views": shown})
        return
    for view in views:
        session.output.line(create_view_sql(view, replace=True) + ";\n")


@group.command("apply", epilog="\b\nExample:  s3rs-ray views apply -t settlement.settlement_normal_delivery_detail")
@STORED_TABLE
@click.pass_obj
def apply_command(session: Session, table: str) -> None:
    """Create or replace a table's views, all in one transaction."""
    settings = session.settings()
    name = settings.table_name(table)
    applied = apply_views(settings, name)
    if session.output.json:
        done = [
            {"kind": v.kind.value, "view": f"{v.schema}.{v.name}".lower(), "status": what.value} for v, what in applied
        ]
        session.output.document({"table": str(name), "views": done})
        return
    rows = [(v.kind.value, f"{v.schema}.{v.name}".lower(), what.value) for v, what in applied]
    session.output.table(f"views of {name}", ("what", "view", "status"), rows)
    if any(what is Applied.RECREATED for _, what in applied):
        session.output.sentence("the columns of recreated views changed: grant their privileges again")

"""``status``: is everything there that a sync needs?"""

from __future__ import annotations

import sys
from typing import Any

import click

from ..engine.health import Health, examine
from ..ledger.document import cursor_text
from ..ledger.state import TableState
from ..storage.layout import parse_run_time
from .completion import complete_tables
from .output import Output
from .session import Session
from .tables import NAMES, tables_option


@click.command("status", epilog="\b\nExample:  s3rs-ray status -t 'settlement.*'")
@tables_option(f"Tables to look at: {NAMES} Without it: those with a state.", complete_tables)
@click.pass_obj
def command(session: Session, tables: tuple[str, ...]) -> None:
    """Check MySQL, S3 and Redshift, and what a sync needs there.

    Privileges, conditional writes to S3 (a byte is written and deleted), indexes, leases of runs that died, files that
    wait. Exit 1 when something is down or would make a sync fail.
    """
    settings = session.settings()
    for table in tables:
        settings.table_name(table)  # a slip of the pen is no state of health
    health = examine(settings, tables)
    if session.output.json:
        session.output.document(_json(health))
    else:
        _show(session.output, health)
    sys.exit(0 if health.well else 1)


def _show(output: Output, health: Health) -> None:
    rows = [(c.name, "up" if c.up else "DOWN", round(c.seconds * 1000, 1), c.detail) for c in health.checks]
    output.table("connections", ("what", "state", "ms", "detail"), rows)
    if health.states:
        tables = [
            (
                str(s.table),
                cursor_text(s.loaded) or "",
                s.waiting_files,
                _last_run(s),
                s.mysql_status,
                s.redshift_status,
            )
            for s in health.states
        ]
        columns = ("table", "loaded up to", "waiting", "last run (UTC)", "mysql", "redshift")
        output.table("tables", columns, tables)
    down: dict[str, list[str]] = {}
    for check in health.checks:
        if not check.up and check.hint:
            down.setdefault(check.hint, []).append(check.name)
    for hint, names in down.items():
        output.sentence(f"hint: {', '.join(names)}: {hint}")
    for finding in sorted(health.findings, key=lambda f: not f.serious):
        output.sentence(f"{'error' if finding.serious else 'note'}: {finding.said}")
        if finding.hint:
            output.sentence(f"  hint: {finding.hint}")
    if health.well and not health.findings:
        output.sentence("everything is there")


def _last_run(state: TableState) -> str:
    return f"{parse_run_time(state.last_run_id):%Y-%m-%d %H:%M}" if state.last_run_id else ""


def _json(health: Health) -> dict[str, Any]:
    return {
        "well": health.well,
        "checks": {
            c.name: {"up": c.up, "seconds": c.seconds, "detail": c.detail, "hint": c.hint or None}
            for c in health.checks
        },
        "tables": {
            str(s.table): {
                "watermark": cursor_text(s.loaded),
                "files_waiting": s.waiting_files,
                "mysql_status": s.mysql_status,
                "redshift_status": s.redshift_status,
                "last_run": s.last_run_id,
                "held_by": s.lease.holder if s.lease else None,
            }
            for s in health.states
        },
        "findings": [
            {"about": f.about, "message": f.message, "hint": f.hint or None, "serious": f.serious}
            for f in health.findings
        ],
    }

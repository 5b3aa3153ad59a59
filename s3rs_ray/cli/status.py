"""``status``: is everything there that a sync needs?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from ..config import DB_NAMES, Settings
from ..engine.loading import open_session
from ..engine.tasks import open_ledger, open_store
from ..errors import S3rsError
from ..ledger.document import cursor_text
from ..source.catalog import Endpoint, open_catalog
from ..tunnel import open_source_tunnel
from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One dependency: whether it answers, how long that took, and what it said."""

    name: str
    up: bool
    seconds: float
    detail: str


@click.command("status", epilog="Example:  s3rs-ray status -o json")
@click.pass_obj
def command(session: Session) -> None:
    """Check MySQL, S3 and Redshift, and list the tables known; exit 1 when something is down."""
    settings = session.settings()
    checks = [
        _timed("mysql", lambda: _mysql(settings)),
        _timed("s3", lambda: _s3(settings)),
        _timed("redshift", lambda: _redshift(settings)),
    ]
    states = []
    if checks[1].up:
        ledger = open_ledger(settings)
        states = [ledger.load(name) for name in ledger.tables()]
    if session.output.json:
        session.output.document(
            {
                "checks": {c.name: {"up": c.up, "seconds": c.seconds, "detail": c.detail} for c in checks},
                "tables": {
                    str(s.table): {
                        "watermark": cursor_text(s.loaded),
                        "files_waiting": len(s.loadable),
                        "mysql_status": s.mysql_status,
                        "redshift_status": s.redshift_status,
                        "last_run": s.last_run_id,
                    }
                    for s in states
                },
            }
        )
    else:
        rows = [(c.name, "up" if c.up else "DOWN", round(c.seconds * 1000, 1), c.detail) for c in checks]
        session.output.table("connections", ("what", "state", "ms", "detail"), rows)
        tables = [
            (
                str(s.table),
                cursor_text(s.loaded) or "",
                len(s.loadable),
                s.mysql_status,
                s.redshift_status,
                s.last_run_id,
            )
            for s in states
        ]
        session.output.table("tables", ("table", "loaded up to", "waiting", "mysql", "redshift", "last run"), tables)
    sys.exit(0 if all(c.up for c in checks) else 1)


def _timed(name: str, check: Callable[[], str]) -> Check:
    started = time.perf_counter()
    try:
        detail, up = check(), True
    except S3rsError as exc:
        detail, up = f"{exc.message} ({exc.hint})" if exc.hint else exc.message, False
    return Check(name=name, up=up, seconds=round(time.perf_counter() - started, 4), detail=detail)


def _mysql(settings: Settings) -> str:
    settings.require(*DB_NAMES)
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        return catalog.server_version()


def _s3(settings: Settings) -> str:
    store = open_store(settings)
    store.check()
    return f"s3://{store.bucket}"


def _redshift(settings: Settings) -> str:
    settings.require(*settings.redshift_names)
    with open_session(settings) as warehouse:
        return str(warehouse.query("SELECT version()")[0][0])

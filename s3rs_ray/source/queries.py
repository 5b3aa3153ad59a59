"""Queries of ours that still run at the source though nobody waits for them: those of workers that died or gave up."""

from __future__ import annotations

import logging
import threading

from ..config import Settings
from ..errors import S3rsError, SourceError
from .catalog import Catalog, Endpoint, open_catalog
from .chunks import comment_sql

log = logging.getLogger(__name__)

GONE, NOT_OURS = "1094", "1095"
"""ER_NO_SUCH_THREAD: it ended meanwhile. ER_KILL_DENIED_ERROR: another user's, without CONNECTION_ADMIN (SUPER)."""


def end_queries(catalog: Catalog, run_id: str, what: str = "", *, kept: bool = False) -> int:
    """Kills the connections that run a query of a run, which its comment names.

    A user always sees and may kill its own; others' only with PROCESS and CONNECTION_ADMIN (MySQL manual, "KILL").

    Args:
        what: of one chunk (``chunk=3``); empty for all.
        kept: the query alone ends. Whoever waits for it is told so, and does not ask again on another connection.

    Returns:
        How many were killed.
    """
    prefix = comment_sql(run_id, what).rstrip() if what else comment_sql(run_id, "").removesuffix(" */ ")
    found = catalog.query(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE LEFT(INFO, %s) = %s AND ID <> CONNECTION_ID()",
        (len(prefix), prefix),
    )
    killed = 0
    for (process,) in found:
        try:
            catalog.query(f"KILL {'QUERY ' if kept else ''}{int(str(process))}")
        except SourceError as exc:
            if exc.context.get("code") not in {GONE, NOT_OURS}:
                raise
            if exc.context.get("code") == NOT_OURS:
                log.warning("query %s of run %s still runs and is another user's: it cannot be ended", process, run_id)
        else:
            killed += 1
    return killed


def end_in_background(settings: Settings, endpoint: Endpoint, run_id: str, what: str) -> None:
    """Kills a query that was given up, without waiting: the server may be the one that does not answer."""

    def end() -> None:
        try:
            with open_catalog(settings, endpoint) as catalog:
                end_queries(catalog, run_id, what)
        except S3rsError as exc:
            log.info("the query of %s in run %s could not be ended: %s", what, run_id, exc)

    threading.Thread(target=end, name="kill", daemon=True).start()

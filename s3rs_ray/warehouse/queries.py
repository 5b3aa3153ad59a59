"""Statements of ours that still run in Redshift though nobody waits for them: it does not notice that a client is gone.

Sources: Amazon Redshift Database Developer Guide, "query_group" (a label of the session's statements, cut at 30
characters), "SYS_QUERY_HISTORY" (every user sees its own), "PG_CANCEL_BACKEND" (every user may cancel its own).
"""

from __future__ import annotations

import logging

from ..errors import WarehouseError, WarehouseUnavailable
from .redshift import Warehouse
from .sql import quote_text

log = logging.getLogger(__name__)

MAX_LABEL = 30
_UNDER_WAY = ("planning", "queued", "running", "returning")


def label_queries(warehouse: Warehouse, label: str) -> None:
    """Names every later statement of a session."""
    assert len(label) <= MAX_LABEL
    warehouse.execute(f"SET query_group TO {quote_text(label)}")


def end_queries(warehouse: Warehouse, label: str) -> int:
    """Cancels the statements under way whose sessions have a label; returns how many.

    Raises:
        WarehouseError: Redshift does not say what runs.
    """
    under_way = ", ".join(map(quote_text, _UNDER_WAY))
    found = warehouse.query(
        f"SELECT session_id FROM sys_query_history WHERE query_label = {quote_text(label)} AND status IN ({under_way})"
    )
    ended = 0
    for (session,) in found:
        try:
            warehouse.query(f"SELECT PG_CANCEL_BACKEND({int(str(session))})")
        except WarehouseUnavailable:
            raise
        except WarehouseError as exc:  # it ended meanwhile, or is another user's
            log.info("statement %s of session %s was not cancelled: %s", label, session, exc)
        else:
            ended += 1
    return ended

"""How busy the source is."""

from __future__ import annotations

from dataclasses import dataclass

from .horizon import Asked, replica_lag


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLoad:
    """A reading of the source.

    Attributes:
        threads_running: statements at work on the server (MySQL manual, "Server Status Variables"), the one that asks
            included.
        lag_seconds: how far it is behind its own source; 0 when it is no replica, or was not asked.
    """

    threads_running: int = 0
    lag_seconds: float = 0.0


def read_load(source: Asked, *, lag: bool) -> SourceLoad:
    """Asks the source.

    Args:
        lag: ask how far it is behind, which needs the privilege REPLICATION CLIENT.

    Raises:
        SourceError: it does not answer, or it is a replica that has stopped.
    """
    rows = source.query("SHOW GLOBAL STATUS LIKE 'Threads_running'")
    behind = replica_lag(source, []).total_seconds() if lag else 0.0
    return SourceLoad(threads_running=int(str(rows[0][1])), lag_seconds=behind)

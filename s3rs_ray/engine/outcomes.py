"""One table after the other, where one that fails does not keep the others: for ``verify`` and ``repair``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..config import Settings
from ..errors import S3rsError
from ..ledger.store import utc_now
from ..model import TableName
from .context import Request, Run
from .driver import open_run, resolve_tables
from .events import EventKind, Report

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes(Generic[Done]):
    """What became of the tables of a command.

    Attributes:
        done: of those that came to their end.
        failures: by table, what ended the others.
    """

    done: tuple[Done, ...] = ()
    failures: dict[TableName, S3rsError] = field(default_factory=dict)

    def exit_code(self, of_done: int) -> int:
        """What was found comes first, then that some tables failed (3), or the code that all who failed share.

        Args:
            of_done: what the tables that came to their end give.
        """
        codes = {exc.exit_code for exc in self.failures.values()}
        if of_done or not codes:
            return of_done
        if self.done:
            return 3
        return codes.pop() if len(codes) == 1 else 1

    def or_raise(self) -> tuple[Done, ...]:
        """Those that came to their end.

        Raises:
            S3rsError: what ended the first that did not.
        """
        for exc in self.failures.values():
            raise exc
        return self.done


def each_table(
    settings: Settings,
    request: Request,
    work: Callable[[Run, TableName], Done],
    report: Report,
    stop: threading.Event | None,
) -> Outcomes[Done]:
    """Works on the tables of a command until ``stop`` is set; an error of one is told, kept, and the next one begun.

    Raises:
        ConfigError, TableNotFound, SourceUnavailable, StorageUnavailable: before the first table.
    """
    done: list[Done] = []
    failures: dict[TableName, S3rsError] = {}
    with open_run(settings, request, report, stop or threading.Event(), utc_now()) as run:
        for name in resolve_tables(run):
            if run.stop.is_set():
                break
            try:
                done.append(work(run, name))
            except S3rsError as exc:
                failures[name] = exc
                run.say(EventKind.TABLE_FAILED, name, error=exc.message, hint=exc.hint, type=type(exc).__name__)
    return Outcomes(done=tuple(done), failures=failures)

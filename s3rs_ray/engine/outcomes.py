"""One table after the other, where one that fails does not keep the others: for ``verify`` and ``repair``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import S3rsError
from ..model import TableName
from .context import Run
from .events import EventKind

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


def each_table(run: Run, names: Iterable[TableName], work: Callable[[TableName], Done]) -> Outcomes[Done]:
    """Works on tables until a signal comes; an error of one is told, kept, and the next one begun."""
    done: list[Done] = []
    failures: dict[TableName, S3rsError] = {}
    for name in names:
        if run.stop.is_set():
            break
        try:
            done.append(work(name))
        except S3rsError as exc:
            failures[name] = exc
            run.say(EventKind.TABLE_FAILED, name, error=exc.message, hint=exc.hint, type=type(exc).__name__)
    return Outcomes(done=tuple(done), failures=failures)

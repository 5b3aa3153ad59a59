"""How many readers the source is asked to bear, and which table the next one reads for; pure.

Readers start slowly (1, 2, 4, …), become half as many when the source shows strain, down to none, and come back one by
one. All numbers are those of this run: other drivers have a governor of their own and see the same source.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from ..model import TableName
from ..source.load import SourceLoad

TYPICAL = 0.5
"""Chunks with fewer rows than this share of the largest so far say little about the time of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on the source is under strain; 0 for no limit.

    Attributes:
        threads_running: MySQL's ``Threads_running``, our own readers and the question for it included.
        lag_seconds: how far a replica may be behind.
        slowdown: how many times as long as at best a row may take.
    """

    threads_running: int = 0
    lag_seconds: int = 0
    slowdown: int = 0

    @property
    def any(self) -> bool:
        return bool(self.threads_running or self.lag_seconds or self.slowdown)


@dataclass(slots=True, kw_only=True)
class Governor:
    """The number of readers allowed now, and why it is what it is.

    Attributes:
        places: the most there may be.
        reason: why there are fewer than there might be; empty while nothing is wrong.
    """

    places: int
    limits: Limits
    allowed: int = 1
    reason: str = ""
    _strained: bool = False
    _best: float = 0.0
    _last: float = 0.0
    _largest: int = 0

    def record(self, rows: int, seconds: float) -> None:
        """Learns from a chunk that was read."""
        self._largest = max(self._largest, rows)
        if not rows or rows < TYPICAL * self._largest:
            return
        self._last = seconds / rows
        self._best = min(self._best or self._last, self._last)

    def decide(self, load: SourceLoad | str, running: int) -> bool:
        """Takes a new reading of the source into account.

        Args:
            load: the reading, or why there is none: a source that does not answer is spared.
            running: the readers at work. More are allowed only when all allowed ones are at work, and fewer only when
                no more than allowed are: a decision is given time to show.

        Returns:
            Whether the number changed, or the kind of strain: the numbers in a reason change with every look.
        """
        before = (self.allowed, _kind(self.reason))
        self.reason = load if isinstance(load, str) else self._strain(load)
        if self.reason:
            self._strained = True
            self._last = self._best  # judged by the next chunk, not by this one again
            if running <= self.allowed:
                self.allowed //= 2
        elif running >= self.allowed:
            self.allowed = min(self.places, max(1, self.allowed + 1 if self._strained else self.allowed * 2))
        return (self.allowed, _kind(self.reason)) != before

    def _strain(self, load: SourceLoad) -> str:
        limits = self.limits
        if limits.threads_running and load.threads_running > limits.threads_running:
            return f"Threads_running is {load.threads_running}, over {limits.threads_running}"
        if limits.lag_seconds and load.lag_seconds > limits.lag_seconds:
            return f"the replica is {load.lag_seconds:.0f} s behind, over {limits.lag_seconds}"
        if limits.slowdown and self._last > limits.slowdown * self._best:
            return f"a row takes {self._last / self._best:.1f} times as long as at best, over {limits.slowdown}"
        return ""


def _kind(reason: str) -> str:
    return "".join(c for c in reason if not c.isdigit())


def may_start(table: TableName, running: Mapping[TableName, int], waiting: Set[TableName], allowed: int) -> bool:
    """Whether a table may start another reader: there is a place, and no table that waits has fewer.

    So a small table is not stuck behind a large one that asked first.
    """
    if sum(running.values()) >= allowed:
        return False
    own = running.get(table, 0)
    return all(running.get(other, 0) >= own for other in waiting if other != table)

"""An executor that does what a test tells it, and a time that passes only when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from s3rs_ray.config import Settings
from s3rs_ray.engine.executor import ChunkTask, Item, Result, Ticket, always
from s3rs_ray.engine.plan import reaches
from s3rs_ray.model import Chunk, DataFile
from tests.support import build


@dataclass
class ScriptedExecutor:
    """Runs nothing: a chunk's outcomes are taken from ``outcomes``, and without one it succeeds.

    Attributes:
        places: how many tasks run at once.
        at_once: how many tasks end in one wait.
        newest_first: in which order they end.
        on_submit: called before a task starts.
    """

    places: int = 2
    at_once: int = 1
    newest_first: bool = False
    outcomes: dict[int, list[Exception]] = field(default_factory=dict)
    on_submit: Callable[[ChunkTask], None] = lambda task: None
    submitted: list[tuple[int, int]] = field(default_factory=list)
    running: list[Ticket] = field(default_factory=list)
    most: int = 0

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        if len(self.running) >= self.places:
            return None
        self.on_submit(task)
        ticket = Ticket(task=task, attempt=attempt, handle=None)
        self.submitted.append((task.chunk.ordinal, attempt))
        self.running.append(ticket)
        self.most = max(self.most, len(self.running))
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        ordered = list(tickets)[::-1] if self.newest_first else list(tickets)
        done = ordered[: self.at_once]
        self.running = [t for t in self.running if t not in done]
        return done

    def result(self, ticket: Ticket) -> DataFile:
        left = self.outcomes.get(ticket.task.chunk.ordinal)
        if left:
            raise left.pop(0)
        chunk = ticket.task.chunk
        return build.data_file(chunk, reaches=reaches(chunk, ticket.task.order), rows=chunk.rows)

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        self.running = [t for t in self.running if t not in tickets]

    def run_all(
        self,
        function: Callable[[Item, Settings], Result],
        items: Sequence[Item],
        check: Callable[[], None],
        may_start: Callable[[int], bool] = always,
    ) -> Iterator[Result]:
        """Starts what it may, then ends all that it started; ``check`` may change what it may."""
        left = list(items)
        while left:
            started: list[Item] = []
            while left and len(started) < self.places and may_start(len(started)):
                started.append(left.pop(0))
            self.most = max(self.most, len(started))
            check()
            yield from (function(item, Settings.model_construct()) for item in started)


@dataclass
class Planned:
    """A plan that is made when it is asked for, ``most`` chunks at a time."""

    chunks: Iterator[Chunk]
    most: int = 2

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        count = max(least, self.most)
        made = tuple(islice(self.chunks, count))
        return made, len(made) < count


@dataclass
class Time:
    """Stands for the time module: sleeping takes no time and moves the clock."""

    now: float = 1000.0
    step: float = 0.01

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

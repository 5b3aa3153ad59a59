"""What one measurement says, and what several rounds of it say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from .case import Case
from .watch import MemoryCurve

PARTIES = ("client", "source", "s3", "warehouse", "others")
"""Whose CPU seconds are told apart: the measured command with all its processes, the servers, everybody else."""


class WrongResult(Exception):
    """What was measured did not do its work: rows are missing at the other end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement.

    Attributes:
        seconds: of the work itself, without starting programs.
        whole_seconds: from the start of the program to its end; equal to ``seconds`` where nothing is started.
        arrow_bytes: of the rows as ConnectorX returns them; None where no Arrow was made.
        parquet_bytes: of the files written; None where none were.
        largest_bytes: peak resident memory of the largest process; shared memory counts in each process.
        driver_bytes: the same of the process that was started.
        worker_bytes: the same of the largest process below that one.
        cpu_seconds: by party.
        memory: over time; empty where it was not looked at.
    """

    rows: int
    seconds: float
    whole_seconds: float
    arrow_bytes: int | None = None
    parquet_bytes: int | None = None
    largest_bytes: int | None = None
    driver_bytes: int | None = None
    worker_bytes: int | None = None
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    memory: MemoryCurve = field(default_factory=MemoryCurve)

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the result.

    Attributes:
        name: the key in the JSON document.
        title: the line's first column.
        run: measures once, and checks the result's rows.
        missing: why it cannot be measured on this machine; empty when it can.
        optional: a failure leaves the line out, with the reason, instead of ending the benchmark.
    """

    name: str
    title: str
    run: Callable[[Case], Sample]
    missing: Callable[[], str] = lambda: ""
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A line's samples, one for each round; none, with the reason, when it was left out."""

    name: str
    title: str
    samples: tuple[Sample, ...] = ()
    missing: str = ""

    @property
    def rows_per_second(self) -> float:
        return median(s.rows_per_second for s in self.samples)

    @property
    def whole_rows_per_second(self) -> float:
        return median(s.rows / s.whole_seconds for s in self.samples)

    @property
    def seconds(self) -> float:
        return median(s.seconds for s in self.samples)

    @property
    def whole_seconds(self) -> float:
        return median(s.whole_seconds for s in self.samples)

    @property
    def arrow_bytes_per_second(self) -> float | None:
        return _median_of([s.arrow_bytes / s.seconds for s in self.samples if s.arrow_bytes is not None])

    @property
    def parquet_bytes_per_second(self) -> float | None:
        return _median_of([s.parquet_bytes / s.seconds for s in self.samples if s.parquet_bytes is not None])

    @property
    def largest_bytes(self) -> int | None:
        return max((s.largest_bytes for s in self.samples if s.largest_bytes is not None), default=None)

    @property
    def driver_bytes(self) -> int | None:
        return max((s.driver_bytes for s in self.samples if s.driver_bytes is not None), default=None)

    @property
    def worker_bytes(self) -> int | None:
        return max((s.worker_bytes for s in self.samples if s.worker_bytes is not None), default=None)

    @property
    def memory(self) -> MemoryCurve:
        """Of the round in which a process became largest."""
        return max(self.samples, key=lambda s: s.largest_bytes or 0).memory if self.samples else MemoryCurve()

    def cpu_seconds(self, party: str) -> float | None:
        return _median_of([s.cpu_seconds[party] for s in self.samples if party in s.cpu_seconds])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Two lines compared round by round, so that a slow minute of the machine is in both.

    Attributes:
        rounds: the ratio of each round.
        goal: the least it should be.
        ceiling: what it cannot pass, because the cores are shared by all servers; None where that is not known.
    """

    title: str
    rounds: tuple[float, ...]
    goal: float | None = None
    ceiling: float | None = None

    @property
    def value(self) -> float:
        return median(self.rounds)


def ratio(
    title: str,
    above: Measured,
    below: Sequence[Measured],
    goal: float | None = None,
    most: float | None = None,
) -> Ratio:
    """``above`` over the slowest of ``below``, in rows a second, for each round.

    Args:
        most: rows a second that ``above`` could do at most.
    """
    slowest = [min(s.rows_per_second for s in samples) for samples in zip(*(m.samples for m in below), strict=True)]
    rounds = tuple(s.rows_per_second / b for s, b in zip(above.samples, slowest, strict=True))
    return Ratio(title=title, rounds=rounds, goal=goal, ceiling=None if most is None else most / median(slowest))


def require_rows(what: str, expected: int, found: int) -> None:
    """Raises WrongResult unless the counts agree."""
    if expected != found:
        raise WrongResult(f"{what}: {found} rows, the source holds {expected}")


def _median_of(values: Sequence[float]) -> float | None:
    return median(values) if values else None

"""The result of ``python -m benchmarks`` as JSON and as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .fixed import Fixed
from .marks import DRIVER_BYTES, WORKER_BYTES
from .output import MARK_HEAD, about, mark_json, mark_rows, mega, memory_plot, number, table
from .sample import PARTIES, Measured, Ratio
from .stages import Stage

NOTES = """\
- **rows/s**, **MB/s** and **seconds** are of the work itself: reading, from the first statement to the last row; \
`backup`, `sync` and their like without starting Python, Ray and connections. **whole** is the command as a user \
waits for it. MB = 10^6 bytes.
- **most the cores allow** is the ratio if all cores did nothing but one chunk's stages after the other, at the CPU \
seconds below, the servers' included: all share the cores here.
- **Arrow** counts the rows as ConnectorX returns them (decimals as text), **Parquet** the files as written. A line \
has only what it makes or moves.
- **largest** is the peak resident memory of the largest process of the command's process tree, **driver** that of \
the process that was started; memory shared by processes counts in each. The highest of all rounds; all else is the \
median.
- **CPU s** is what the command's own processes and each server used; all of them share the cores. \
**others** is what everything else on the machine took away meanwhile.
- Every line of a round runs before the next round begins, after a warm-up. Ratios are made within each round. A \
tool that takes more than four times as long as `backup` is measured once. Row counts were checked on both ends of \
every measurement."""


DISTURBED = 0.1
DISTURBED_NOTE = """\
**Other programs took {share:.0%} of the machine meanwhile.** The rows/s and the ratios are those of a disturbed \
machine, and the rounds differ widely; the CPU seconds are what can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run of the benchmark.

    Attributes:
        name: of its files.
        link_bytes: a second, between the source and everybody who reads it; None where nothing bounds it.
    """

    name: str
    machine: Mapping[str, str | int]
    rows: int
    chunk_rows: Sequence[int]
    rounds: int
    overrides: Mapping[str, str]
    link_bytes: float | None
    measured: Sequence[Measured]
    ratios: Sequence[Ratio]
    stages: Sequence[Stage]
    fixed: Sequence[Fixed]

    @property
    def disturbance(self) -> float:
        """The part of the machine's CPU time that other programs took while the lines were measured."""
        samples = [s for m in self.measured for s in m.samples]
        available = sum(s.whole_seconds for s in samples) * int(self.machine["cores"])
        return sum(s.cpu_seconds.get("others", 0.0) for s in samples) / available if available else 0.0


def as_json(result: Result) -> dict[str, Any]:
    """Every sample of every round, and what was made of them."""
    return {
        "machine": dict(result.machine),
        "rows": result.rows,
        "chunk_rows": list(result.chunk_rows),
        "rounds": result.rounds,
        "settings": dict(result.overrides),
        **({"link_bytes_per_second": result.link_bytes} if result.link_bytes else {}),
        "others_share_of_cpu": result.disturbance,
        "measured": {m.name: measured_json(m) for m in result.measured},
        "ratios": [{**dataclasses.asdict(r), "value": r.value} for r in result.ratios],
        "stages": [{**dataclasses.asdict(s), "bound_by": s.bound_by} for s in result.stages],
        "fixed": [{**mark_json(f.mark), "rounds": list(f.seconds)} for f in result.fixed],
    }


def measured_json(measured: Measured) -> dict[str, Any]:
    """A line: its medians, every round, and memory over time in the round that took most of it."""
    if not measured.samples:
        return {"title": measured.title, "missing": measured.missing}
    return {
        "title": measured.title,
        "rows_per_second": measured.rows_per_second,
        "rows_per_second_whole": measured.whole_rows_per_second,
        "seconds": measured.seconds,
        "seconds_whole": measured.whole_seconds,
        "arrow_bytes_per_second": measured.arrow_bytes_per_second,
        "parquet_bytes_per_second": measured.parquet_bytes_per_second,
        "largest_process_bytes": measured.largest_bytes,
        "driver_bytes": measured.driver_bytes,
        "worker_bytes": measured.worker_bytes,
        "cpu_seconds": {party: measured.cpu_seconds(party) for party in PARTIES},
        "samples": [{k: v for k, v in dataclasses.asdict(s).items() if k != "memory"} for s in measured.samples],
        "memory": dataclasses.asdict(measured.memory) if measured.memory.seconds else None,
    }


def as_markdown(result: Result) -> str:
    """Tables for people."""
    chunks = f"{len(result.chunk_rows)} chunks of up to {max(result.chunk_rows, default=0):,} rows"
    link = f", the source behind a link of {result.link_bytes / 1e6:g} MB/s" if result.link_bytes else ""
    parts = [
        f"# {result.rows:,} rows of 51 columns, {chunks}{link}",
        f"Medians of {result.rounds} round(s); all servers on the same machine:"
        f" {about(result.machine, result.overrides)}.",
        table(MEASURED_HEAD, [_measured_row(m) for m in result.measured]),
    ]
    if result.disturbance > DISTURBED:
        parts.insert(2, DISTURBED_NOTE.format(share=result.disturbance))
    if result.ratios:
        parts.append(table(RATIO_HEAD, [_ratio_row(r) for r in result.ratios]))
    if result.stages:
        title = f"## One chunk of {result.stages[0].rows:,} rows, stage by stage, nothing beside it"
        parts += [title, table(STAGE_HEAD, [_stage_row(s) for s in result.stages])]
    if result.fixed:
        parts += ["## Fixed costs", table(MARK_HEAD, mark_rows(f.mark for f in result.fixed))]
    if plots(result):
        parts += ["## Memory over time", f"![resident memory]({result.name}-memory.svg)"]
    return "\n\n".join([*parts, NOTES]) + "\n"


def plots(result: Result) -> dict[str, str]:
    """The drawings by name."""
    curves = {m.title.replace("`", ""): m.memory for m in result.measured if m.memory.seconds}
    return {"memory": memory_plot(curves, worker_bytes=WORKER_BYTES, driver_bytes=DRIVER_BYTES)} if curves else {}


MEASURED_HEAD = (
    "what", "rows/s", "least, most", "rows/s whole", "Arrow MB/s", "Parquet MB/s", "seconds", "whole s",
    "largest MB", "driver MB", "CPU s: itself", "source", "S3", "warehouse", "others",
)  # fmt: skip
RATIO_HEAD = ("ratio (rows/s of the work itself)", "median", "rounds", "goal", "most the cores allow")
STAGE_HEAD = (
    "stage", "seconds", "rows/s", "MB/s in", "busiest", "CPU s: itself", "source", "S3", "warehouse",
)  # fmt: skip


def _measured_row(m: Measured) -> Iterator[str]:
    yield m.title
    if not m.samples:
        yield f"not measured: {m.missing}"
        yield from [""] * (len(MEASURED_HEAD) - 2)
        return
    speeds = [s.rows_per_second for s in m.samples]
    yield f"{m.rows_per_second:,.0f}"
    yield f"{min(speeds):,.0f}, {max(speeds):,.0f}"
    yield f"{m.whole_rows_per_second:,.0f}"
    yield mega(m.arrow_bytes_per_second)
    yield mega(m.parquet_bytes_per_second)
    yield f"{m.seconds:.2f}"
    yield f"{m.whole_seconds:.2f}"
    yield mega(m.largest_bytes)
    yield mega(m.driver_bytes)
    yield from (number(m.cpu_seconds(party)) for party in PARTIES)


def _ratio_row(r: Ratio) -> Iterator[str]:
    yield r.title
    yield f"{r.value:.2f}"
    yield " · ".join(f"{value:.2f}" for value in r.rounds)
    yield "" if r.goal is None else f">= {r.goal}"
    yield number(r.ceiling)


def _stage_row(s: Stage) -> Iterator[str]:
    yield s.title
    yield f"{s.seconds:.3f}"
    yield f"{s.rows / s.seconds:,.0f}" if s.seconds else ""
    yield mega(s.bytes_in / s.seconds) if s.seconds else ""
    yield s.bound_by
    yield from (number(s.cpu_seconds.get(party)) for party in PARTIES if party != "others")

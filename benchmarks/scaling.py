"""Backup with 1, 2 and 4 readers, and what the model makes of it: ``python -m benchmarks.scaling``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from s3rs_ray.errors import S3rsError

from . import reading
from .case import Case, case_on, open_case
from .commands import backup_to, run, warm_up
from .machine import facts
from .model import CLUSTERS, Costs, Point, calibrate, check, predict
from .options import name_option, parse_overrides, results_option, rows_option, say, sets_option
from .output import about, mega, table, write
from .report import measured_json
from .sample import PARTIES, Measured, WrongResult
from .stages import Stage, profile
from .tables import ONE_ROW

NOTES = """\
- **rows/s** is of the extraction itself, without starting Python and Ray. **CPU s** is of the whole command for a \
million rows, Ray's start included.
- The model takes the costs of a row from one chunk measured with nothing beside it; **predicted** adds the time until \
the first reader works, measured on a table of one row. What is bound says nothing of what was not in its way.
- The capacities of the larger places are assumptions (see `benchmarks/model.py`); the costs of a row are those \
measured here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """One run: a line for each number of readers, by that number."""

    machine: Mapping[str, str | int]
    overrides: Mapping[str, str]
    rows: int
    rounds: int
    measured: Mapping[int, Measured]
    stages: Sequence[Stage]
    start_seconds: float

    @property
    def costs(self) -> Costs:
        return calibrate(as_costs_document(self))

    @property
    def points(self) -> list[Point]:
        speeds = {readers: m.rows_per_second for readers, m in self.measured.items()}
        return check(self.costs, float(self.machine["cores"]), self.rows, speeds)


def as_costs_document(scaling: Scaling) -> dict[str, Any]:
    """What the model is calibrated by."""
    return {"stages": [dataclasses.asdict(s) for s in scaling.stages], "start_seconds": scaling.start_seconds}


def measure(case: Case, workers: Sequence[int], rounds: int) -> dict[int, Measured]:
    """Every number of readers once in each round."""
    measured = {n: Measured(name=f"backup-{n}", title=f"`backup --max-workers {n}`") for n in workers}
    for number in range(1, rounds + 1):
        for n in workers:
            with case.place() as place:
                sample, files = backup_to(case, place, "--max-workers", str(n))
            measured[n] = replace(measured[n], samples=(*measured[n].samples, sample))
            say(f"round {number}: {n} readers: {sample.rows_per_second:,.0f} rows/s, {len(files)} files")
    return measured


def start_seconds(case: Case, rounds: int) -> float:
    """How long one reader takes over a single row: a worker that starts and imports what it needs; the median."""
    with case.stack.mariadb.connect() as connection:
        ONE_ROW.fill(connection, 1)
    taken = []
    with case_on(case.stack, ONE_ROW, case.environment) as small:
        for _ in range(rounds):
            with small.place() as place:
                done = run(small, place, "backup", "-t", ONE_ROW.full_name, "--max-workers", "1")
            taken.append(float(done.result["extract_seconds"]))
    return median(taken)


def as_json(scaling: Scaling) -> dict[str, Any]:
    return {
        "machine": dict(scaling.machine),
        "rows": scaling.rows,
        "rounds": scaling.rounds,
        "settings": dict(scaling.overrides),
        "measured": {m.name: measured_json(m) for m in scaling.measured.values()},
        **as_costs_document(scaling),
        "costs": dataclasses.asdict(scaling.costs),
        "points": [{**dataclasses.asdict(p), "error": p.error} for p in scaling.points],
        "larger": [
            {**dataclasses.asdict(site), "bounds": [dataclasses.asdict(b) for b in found]}
            for site, found in predict(scaling.costs, CLUSTERS)
        ],
    }


def as_markdown(scaling: Scaling) -> str:
    costs = scaling.costs
    parts = [
        f"# Scaling: {scaling.rows:,} rows of 51 columns with {', '.join(map(str, scaling.measured))} readers",
        f"Medians of {scaling.rounds} round(s); all servers on the same machine:"
        f" {about(scaling.machine, scaling.overrides)}.",
        table(SPEED_HEAD, [_speed_row(m) for m in scaling.measured.values()]),
        "## The model beside what was measured",
        table(POINT_HEAD, [_point_row(p) for p in scaling.points]),
        f"A row costs {costs.source_cpu * 1e6:.2f} µs of the source's CPU, {costs.worker_cpu * 1e6:.2f} of a worker's,"
        f" {costs.s3_cpu * 1e6:.2f} of the S3 server's; it keeps a reader busy for {costs.reader_seconds * 1e6:.2f} µs;"
        f" {costs.wire_bytes:.0f} bytes as Arrow, {costs.file_bytes:.0f} as Parquet;"
        f" the first reader works after {costs.start_seconds:.1f} s.",
        "## What would bound it elsewhere",
        table(SITE_HEAD, [_site_row(site.title, found) for site, found in predict(costs)]),
    ]
    return "\n\n".join([*parts, NOTES]) + "\n"


SPEED_HEAD = (
    "what", "rows/s", "least, most", "largest worker MB", "driver MB", *(f"CPU s per million: {p}" for p in PARTIES),
)  # fmt: skip
POINT_HEAD = ("readers", "measured rows/s", "predicted", "error", "bound by")
SITE_HEAD = ("place", "backup rows/s", "bound by", "then", "sync rows/s", "bound by")


def _speed_row(m: Measured) -> list[str]:
    speeds = [s.rows_per_second for s in m.samples]
    millions = m.samples[0].rows / 1e6
    cpu = [m.cpu_seconds(party) for party in PARTIES]
    return [
        m.title,
        f"{m.rows_per_second:,.0f}",
        f"{min(speeds):,.0f}, {max(speeds):,.0f}",
        mega(m.worker_bytes),
        mega(m.driver_bytes),
        *("" if used is None else f"{used / millions:.2f}" for used in cpu),
    ]


def _point_row(p: Point) -> list[str]:
    return [str(p.readers), f"{p.measured:,.0f}", f"{p.predicted:,.0f}", f"{p.error:+.0%}", p.bound]


def _site_row(title: str, found: Sequence[Any]) -> list[str]:
    backup = [b for b in found if b.part != "COPY"]
    second = f"{backup[1].part} at {backup[1].rows_per_second:,.0f}"
    return [
        title,
        f"{backup[0].rows_per_second:,.0f}",
        backup[0].part,
        second,
        f"{found[0].rows_per_second:,.0f}",
        found[0].part,
    ]


@click.command(epilog="Example:  python -m benchmarks.scaling --rows 2000000 --rounds 3")
@rows_option(2_000_000)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
@click.option("--workers", default="1,2,4", show_default=True, help="Readers, comma-separated.")
@sets_option
@name_option
@results_option
def main(rows: int, rounds: int, workers: str, sets: Sequence[str], name: str, results: Path) -> None:
    """Measure backup with several numbers of readers side by side, and check the model against it."""
    overrides = parse_overrides(sets)
    try:
        readers = [int(word) for word in workers.split(",")]
    except ValueError:
        raise click.UsageError(f"--workers {workers}: numbers are wanted, such as 1,2,4") from None
    say(f"filling a table of {rows:,} rows")
    try:
        with open_case(rows, overrides) as case:
            reading.read_with_connectorx(case, 2)
            warm_up(case)
            scaling = Scaling(
                machine=facts(case),
                overrides=overrides,
                rows=case.rows,
                rounds=rounds,
                measured=measure(case, readers, rounds),
                stages=profile(case, rounds),
                start_seconds=start_seconds(case, rounds),
            )
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    text = as_markdown(scaling)
    click.echo(text)
    say(f"written: {write(results, name or f'local-scaling-{rows}', as_json(scaling), text, {})}")


if __name__ == "__main__":
    main()

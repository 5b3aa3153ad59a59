"""The benchmark's command line: ``python -m benchmarks``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import click

from s3rs_ray.engine.executor import own_cpus
from s3rs_ray.errors import S3rsError

from .case import behind_link, open_case
from .fixed import fixed_costs
from .lines import LINES, PEER_LINES, measure_all, ratios
from .machine import facts
from .model import most_rows
from .options import name_option, parse_overrides, results_option, rows_option, say, sets_option
from .output import write
from .report import Result, as_json, as_markdown, plots
from .sample import Measure, WrongResult
from .stages import profile

NAMES = [line.name for line in (*LINES, *PEER_LINES)]


@click.command(epilog="Example:  python -m benchmarks --rows 2000000 --rounds 5 --set BACKUP_MAX_WORKERS=2")
@rows_option(1_000_000)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
@click.option("--full", is_flag=True, help="Measure the other tools too: pip install -e '.[bench]'.")
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Measure only these lines; repeats.")
@click.option("--stages/--no-stages", default=True, help="Profile one chunk stage by stage.")
@click.option("--fixed/--no-fixed", default=True, help="Measure what a run costs however few rows there are.")
@click.option("--wait", "patience", type=float, default=0.0, help="Seconds to wait for a quiet machine, each time.")
@click.option(
    "--link",
    "link_mb",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MB/S",
    help="Put the source behind a link of this speed, for everybody who reads it.",
)
@sets_option
@name_option
@results_option
def main(
    rows: int,
    rounds: int,
    full: bool,
    only: Sequence[str],
    stages: bool,
    fixed: bool,
    patience: float,
    link_mb: float | None,
    sets: Sequence[str],
    name: str,
    results: Path,
) -> None:
    """Measure reading, backup, load and sync of one table side by side on an embedded stack."""
    overrides = parse_overrides(sets)
    lines = _lines(full, only)
    say(f"filling a table of {rows:,} rows; the machine's load average is {os.getloadavg()[0]:.2f}")
    try:
        with open_case(rows, overrides) as case, behind_link(case, link_mb):
            measured = measure_all(case, lines, rounds=rounds, patience=patience, say=say)
            chunk_stages = profile(case, rounds) if stages else []
            documents = [dataclasses.asdict(stage) for stage in chunk_stages]
            result = Result(
                name=name or f"local-{rows}{'-link' if link_mb else ''}",
                machine=facts(case),
                rows=case.rows,
                chunk_rows=[chunk.rows for chunk in case.chunks],
                rounds=rounds,
                overrides=overrides,
                measured=list(measured.values()),
                link_bytes=link_mb and link_mb * 1e6,
                ratios=ratios(measured, most_rows(documents, own_cpus())),
                stages=chunk_stages,
                fixed=fixed_costs(case, rounds) if fixed else [],
            )
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    text = as_markdown(result)
    paths = write(results, result.name, as_json(result), text, plots(result))
    click.echo(text)
    say(f"written: {paths}")


def _lines(full: bool, only: Sequence[str]) -> list[Measure]:
    if only:
        return [line for line in (*LINES, *PEER_LINES) if line.name in only]
    return [*LINES, *(PEER_LINES if full else ())]


if __name__ == "__main__":
    main()

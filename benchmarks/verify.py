"""``s3rs-ray verify`` of a table that was just synced, beside the sync itself: ``python -m benchmarks.verify``.

Marks: a verification takes at most half of the time of the sync, and with ten damaged rows at most a tenth more. The
warehouse is PostgreSQL behind the stand-in, whose hash functions are slower than Redshift's; the source's side is real.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from typing import Any

import click

from s3rs_ray.local.comparison import connect_warehouse

from .case import Case, Place, open_case
from .commands import PROGRAM
from .sample import WrongResult

DAMAGED = 10


@click.command(epilog="Example:  python -m benchmarks.verify --rows 2000000 --rounds 3")
@click.option("--rows", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="Rows of the table.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
def main(rows: int, rounds: int) -> None:
    """Measure verify against the time of the sync, untouched and with ten damaged rows."""
    click.echo(f"filling a table of {rows:,} rows; load average {os.getloadavg()[0]:.2f}", err=True)
    with open_case(rows, {}) as case, case.place() as place:
        table = case.kind.full_name
        sync, _ = _run(case, place, "sync", "-t", table)
        lines = {"sync": sync}
        lines["verify --quick"] = _median(case, place, rounds, 0, "--quick")
        lines["verify"] = _median(case, place, rounds, 0)
        _damage(case, place)
        lines[f"verify, {DAMAGED} rows damaged"] = _median(case, place, rounds, DAMAGED)
    click.echo("| command | seconds | rows/s | share of the sync |\n|---|---:|---:|---:|")
    for name, seconds in lines.items():
        click.echo(f"| {name} | {seconds:.1f} | {rows / seconds:,.0f} | {seconds / sync:.2f} |")


def _median(case: Case, place: Place, rounds: int, damaged: int, *options: str) -> float:
    """Seconds of a verification that finds so many changed rows, each time.

    Raises:
        WrongResult: it found others.
    """
    times = []
    for _ in range(rounds):
        seconds, document = _run(case, place, "verify", "-t", case.kind.full_name, *options)
        found = document["tables"][case.kind.full_name]
        if found["rows_source"] != case.rows or sum(found["differences"].values()) != damaged:
            raise WrongResult(f"verify found {found['differences']} in {found['rows_source']} rows")
        times.append(seconds)
    return statistics.median(times)


def _run(case: Case, place: Place, *arguments: str) -> tuple[float, dict[str, Any]]:
    """The seconds of a command, with the start of its interpreter and of Ray, and its document."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(PROGRAM), "-o", "json", "--progress", "none", *arguments],
        env={**case.program_environment, **place.environment},
        cwd=case.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 4):
        raise WrongResult(f"s3rs-ray {' '.join(arguments)} exited with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - began, json.loads(done.stdout)


def _damage(case: Case, place: Place) -> None:
    """Changes a text in ten rows that lie far apart."""
    name = f'"{place.schema}"."{case.kind.name}"'
    with connect_warehouse(dict(place.environment)) as warehouse:
        for number in range(DAMAGED):
            row = f"(SELECT id FROM {name} ORDER BY id LIMIT 1 OFFSET {number * case.rows // DAMAGED})"
            warehouse.execute(f"UPDATE {name} SET latest_status = 'damaged' WHERE id = {row}".encode())
        found = warehouse.execute(f"SELECT count(*) FROM {name} WHERE latest_status = 'damaged'".encode()).fetchone()
    if found is None or found[0] != DAMAGED:
        raise WrongResult(f"{found} rows were damaged instead of {DAMAGED}")


if __name__ == "__main__":
    main()

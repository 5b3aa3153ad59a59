"""``s3rs-ray verify`` of a table that was just synced, beside the sync itself: ``python -m benchmarks.verify``.

Marks: a verification takes at most half of the time of the sync, and with ten damaged rows at most a tenth more. CPU
seconds, of the command and all servers, are told beside: other work on the machine changes them less. The warehouse
is PostgreSQL behind the stand-in; the source's side is real.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import click

from s3rs_ray.local.comparison import connect_warehouse

from .case import Case, Place, open_case
from .commands import Finished, run
from .sample import WrongResult

DAMAGED = 10


@click.command(epilog="Example:  python -m benchmarks.verify --rows 2000000 --rounds 3")
@click.option("--rows", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="Rows of the table.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
def main(rows: int, rounds: int) -> None:
    """Measure verify against the time of the sync, untouched and with ten damaged rows."""
    click.echo(f"filling a table of {rows:,} rows; load average {os.getloadavg()[0]:.2f}", err=True)
    with open_case(rows, {}) as case, case.place() as place:
        sync = _spent(run(case, place, "sync", "-t", case.kind.full_name))
        lines = {"sync": sync}
        lines["verify --quick"] = _median(case, place, rounds, 0, "--quick")
        lines["verify"] = _median(case, place, rounds, 0)
        _damage(case, place)
        lines[f"verify, {DAMAGED} rows damaged"] = _median(case, place, rounds, DAMAGED)
    click.echo("| command | seconds | rows/s | share of the sync | CPU s | share | source | warehouse | largest MB |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, spent in lines.items():
        click.echo(
            f"| {name} | {spent.seconds:.1f} | {rows / spent.seconds:,.0f} | {spent.seconds / sync.seconds:.2f}"
            f" | {spent.cpu:.1f} | {spent.cpu / sync.cpu:.2f} | {spent.source:.1f} | {spent.warehouse:.1f}"
            f" | {spent.largest / 1e6:,.0f} |"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a command took.

    Attributes:
        seconds: with the start of its interpreter and of Ray.
        cpu: CPU seconds of its own processes and of the servers.
        source, warehouse: those of the servers.
        largest: bytes of the largest of its own processes.
    """

    seconds: float
    cpu: float
    source: float
    warehouse: float
    largest: int


def _median(case: Case, place: Place, rounds: int, damaged: int, *options: str) -> Spent:
    """The verification of median length of so many that find so many changed rows each.

    Raises:
        WrongResult: one found others.
    """
    taken = []
    for _ in range(rounds):
        finished = run(case, place, "verify", "-t", case.kind.full_name, *options, codes=(0, 4))
        found = finished.document["tables"][case.kind.full_name]
        if found["rows_source"] != case.rows or sum(found["differences"].values()) != damaged:
            raise WrongResult(f"verify found {found['differences']} in {found['rows_source']} rows")
        taken.append(_spent(finished))
    return sorted(taken, key=lambda spent: spent.seconds)[(rounds - 1) // 2]


def _spent(finished: Finished) -> Spent:
    cpu = finished.seen.cpu_seconds
    return Spent(
        seconds=finished.whole_seconds,
        cpu=sum(of for party, of in cpu.items() if party != "others"),
        source=cpu["source"],
        warehouse=cpu["warehouse"],
        largest=finished.seen.largest_bytes or 0,
    )


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

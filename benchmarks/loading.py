"""The load alone, in each mode, beside PostgreSQL's own COPY of the same rows: ``python -m benchmarks.loading``.

The stand-in reads Parquet from S3 and writes through PostgreSQL, so PostgreSQL's binary COPY into an empty table of the
same columns is what its load can come near at best. How fast Redshift loads is not told by this.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import psycopg

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import TableResult
from s3rs_ray.engine.tasks import open_ledger
from s3rs_ray.errors import S3rsError
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.local.comparison import connect_warehouse
from s3rs_ray.model import Watermark
from s3rs_ray.policies import Mode

from .case import Case, Place, open_case, warehouse_rows
from .machine import facts
from .options import name_option, parse_overrides, results_option, rows_option, say, sets_option
from .output import about, table, write
from .sample import WrongResult, require_rows

BASELINE = "PostgreSQL's own binary COPY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One load of all rows.

    Attributes:
        phases: what the load spent its seconds on; empty for the baseline.
    """

    title: str
    rows: int
    seconds: float
    phases: Mapping[str, float]


def measure(case: Case, rounds: int) -> list[Loaded]:
    """Each mode into an empty target, a merge and a replacement of rows that are there, and the baseline."""
    loads: list[Loaded] = []
    with case.place() as place:
        say("extracting")
        # Files of a full refresh may be loaded in any mode.
        _sync(case, place, Mode.REPLACE, load=False)
        for number in range(1, rounds + 1):
            for mode in Mode:
                _reset(case, place, drop=True)
                loads.append(_load(case, place, mode, f"{mode} into an empty table"))
                if mode is not Mode.APPEND:
                    _reset(case, place, drop=False)
                    loads.append(_load(case, place, mode, f"{mode}, every row there already"))
            loads.append(_copy(case, place))
            say(f"round {number}: " + ", ".join(f"{x.title} {x.rows / x.seconds:,.0f} rows/s" for x in loads[-6:]))
    return loads


def _sync(case: Case, place: Place, mode: Mode, *, load: bool) -> TableResult:
    settings = place.settings.model_copy(update={"backup_mode": mode})
    request = Request(tables=(case.kind.full_name,), extract=not load, load=load, inline=True)
    (result,) = driver.sync(settings, request).tables
    if result.error:
        raise WrongResult(result.error)
    return result


def _reset(case: Case, place: Place, *, drop: bool) -> None:
    """A new generation, so that the same files are loaded again; into a new target where ``drop``."""
    ledger, name = open_ledger(place.settings), case.plan.table.name
    ledger.commit(name, [SetWatermark(watermark=Watermark.START, generation=f"g{time.monotonic_ns()}")])
    if drop:
        with connect_warehouse(dict(place.environment)) as warehouse:
            warehouse.execute(f'DROP TABLE IF EXISTS "{place.schema}"."{name.name}"'.encode())


def _load(case: Case, place: Place, mode: Mode, title: str) -> Loaded:
    result = _sync(case, place, mode, load=True)
    require_rows(title, case.rows, result.rows_loaded)
    require_rows(title, case.rows, warehouse_rows(place, case.plan.table.name.name))
    return Loaded(title=title, rows=case.rows, seconds=result.load_seconds, phases=dict(result.load_phases))


def _copy(case: Case, place: Place) -> Loaded:
    """The target's rows, copied out beforehand, into an empty table of its columns."""
    postgres, name = case.stack.postgres, f'"{place.schema}"."{case.plan.table.name.name}"'
    file = case.directory / "rows.copy"
    with (
        psycopg.connect(
            host=postgres.socket_dir, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
        ) as server,
        server.cursor() as cursor,
    ):
        with file.open("wb") as kept, cursor.copy(f"COPY {name} TO STDOUT (FORMAT binary)".encode()) as source:
            for block in source:
                kept.write(block)
        cursor.execute(f"CREATE TABLE copied (LIKE {name})".encode())
        try:
            started = time.perf_counter()
            with file.open("rb") as kept, cursor.copy(b"COPY copied FROM STDIN (FORMAT binary)") as sink:
                while block := kept.read(2**20):
                    sink.write(block)
            seconds = time.perf_counter() - started
            require_rows(BASELINE, case.rows, cursor.rowcount)
        finally:
            cursor.execute(b"DROP TABLE copied")
            file.unlink()
    return Loaded(title=BASELINE, rows=case.rows, seconds=seconds, phases={})


def medians(loads: Sequence[Loaded]) -> list[Loaded]:
    """One line for each title, of the median round."""
    found = []
    for title in dict.fromkeys(x.title for x in loads):
        same = sorted((x for x in loads if x.title == title), key=lambda x: x.seconds)
        found.append(replace(same[len(same) // 2], seconds=median(x.seconds for x in same)))
    return found


def as_markdown(lines: Sequence[Loaded], machine: Mapping[str, object], rounds: int) -> str:
    """The table for people."""
    best = next((x for x in lines if x.title == BASELINE), None)
    rows = [
        [
            x.title,
            f"{x.rows / x.seconds:,.0f}",
            f"{x.seconds:.2f}",
            "" if best is None else f"{best.seconds / x.seconds:.0%}",
            ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in x.phases.items()),
        ]
        for x in lines
    ]
    parts = [
        f"# The load alone: {lines[0].rows:,} rows",
        f"Medians of {rounds} round(s); all servers on the same machine: {about(machine, {})}.",
        table(("load", "rows/s", "seconds", f"of {BASELINE}", "phases, seconds"), rows),
        "Parquet on S3 into the stand-in, its target counted afterwards; the lines show the cost of this program and of"
        " the stand-in, not the speed of Redshift.",
    ]
    return "\n\n".join(parts) + "\n"


@click.command(epilog="Example:  python -m benchmarks.loading --rows 200000 --rounds 3")
@rows_option(200_000)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
@sets_option
@name_option
@results_option
def main(rows: int, rounds: int, sets: Sequence[str], name: str, results: Path) -> None:
    """Measure loads of one table in each mode beside PostgreSQL's own COPY."""
    try:
        with open_case(rows, parse_overrides(sets)) as case:
            lines, machine = medians(measure(case, rounds)), facts(case)
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    document: dict[str, Any] = {"machine": machine, "rounds": rounds, "loads": [asdict(x) for x in lines]}
    text = as_markdown(lines, machine, rounds)
    click.echo(text)
    say(f"written: {write(results, name or f'local-loading-{rows}', document, text, {})}")


if __name__ == "__main__":
    main()

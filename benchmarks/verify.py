"""``s3rs-ray verify`` of a table that was just synced, beside the sync itself: ``python -m benchmarks.verify``.

Marks: a verification takes at most half of the time of the sync, and with ten damaged rows at most a tenth more. The
warehouse is PostgreSQL behind the stand-in; the source's side is real.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from s3rs_ray.errors import S3rsError
from s3rs_ray.local.comparison import connect_warehouse

from .case import Case, Place, open_case
from .commands import Finished, run, warm_up
from .machine import facts
from .marks import Mark, missed
from .options import name_option, parse_overrides, results_option, say, sets_option
from .output import MARK_HEAD, about, mark_json, mark_rows, mega, table, write
from .sample import WrongResult

DAMAGED = 10
MOST_OF_SYNC, MOST_OF_VERIFY = 0.5, 1.1
JUDGED_ROWS = 2_000_000
"""Smaller tables are done before programs have started; their ratios have no mark."""

SYNC, QUICK, VERIFY, FOUND = "sync", "verify --quick", "verify", f"verify, {DAMAGED} rows damaged"

NOTES = """\
- **seconds** are those of the whole command, with the start of Python and, where it is used, of Ray. **CPU s** are \
those of the command and of all servers, which share the cores; other work on the machine changes them less.
- Each round syncs into a new place, verifies it, changes a text in ten rows that lie far apart and verifies again. \
What every verification found is checked. Ratios are made within each round.
- The warehouse is PostgreSQL behind the stand-in, which computes Redshift's functions in SQL: its part is not \
Redshift's."""


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


Round = Mapping[str, Spent]
"""What each command took, by its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifications:
    """One run."""

    machine: Mapping[str, str | int]
    overrides: Mapping[str, str]
    rows: int
    rounds: Sequence[Round]

    @property
    def marks(self) -> list[Mark]:
        judged = self.rows >= JUDGED_ROWS

        def ratio(title: str, one: str, other: str, most: float | None, of: Callable[[Spent], float]) -> Mark:
            value = median(of(r[one]) / of(r[other]) for r in self.rounds)
            return Mark(title=title, value=value, most=most if judged else None)

        return [
            ratio("verify / sync, seconds", VERIFY, SYNC, MOST_OF_SYNC, _seconds),
            ratio("verify / sync, CPU seconds", VERIFY, SYNC, None, _cpu),
            ratio("verify --quick / sync, seconds", QUICK, SYNC, None, _seconds),
            ratio(f"verify with {DAMAGED} damaged rows / without, seconds", FOUND, VERIFY, MOST_OF_VERIFY, _seconds),
            ratio(f"verify with {DAMAGED} damaged rows / without, CPU seconds", FOUND, VERIFY, None, _cpu),
        ]


def _seconds(spent: Spent) -> float:
    return spent.seconds


def _cpu(spent: Spent) -> float:
    return spent.cpu


def measure(case: Case, overrides: Mapping[str, str], rounds: int) -> Verifications:
    """All rounds.

    Raises:
        WrongResult: a command failed, or a verification found something else than the damage.
    """
    done = []
    for number in range(1, rounds + 1):
        done.append(_round(case))
        say(f"round {number}: " + ", ".join(f"{title} {spent.seconds:.1f} s" for title, spent in done[-1].items()))
    return Verifications(machine=facts(case), overrides=overrides, rows=case.rows, rounds=done)


def _round(case: Case) -> Round:
    with case.place() as place:
        return {
            SYNC: _spent(run(case, place, "sync", "-t", case.kind.full_name)),
            QUICK: _verify(case, place, 0, "--quick"),
            VERIFY: _verify(case, place, 0),
            FOUND: _verify(case, place, _damage(case, place)),
        }


def _verify(case: Case, place: Place, damaged: int, *options: str) -> Spent:
    """A verification that finds so many changed rows."""
    finished = run(case, place, "verify", "-t", case.kind.full_name, *options, codes=(0, 4))
    found = finished.document["tables"][case.kind.full_name]
    if found["rows_source"] != case.rows or sum(found["differences"].values()) != damaged:
        raise WrongResult(f"verify found {found['differences']} in {found['rows_source']} rows")
    return _spent(finished)


def _spent(finished: Finished) -> Spent:
    cpu = finished.seen.cpu_seconds
    return Spent(
        seconds=finished.whole_seconds,
        cpu=sum(of for party, of in cpu.items() if party != "others"),
        source=cpu["source"],
        warehouse=cpu["warehouse"],
        largest=finished.seen.largest_bytes or 0,
    )


def _damage(case: Case, place: Place) -> int:
    """Changes a text in ten rows that lie far apart; returns how many they are."""
    keys = []
    with case.stack.mariadb.connect() as connection, connection.cursor() as cursor:
        for number in range(DAMAGED):
            skipped = number * case.rows // DAMAGED
            cursor.execute(f"SELECT ID FROM {case.kind.full_name} ORDER BY ID LIMIT 1 OFFSET {skipped}")
            keys += [str(key) for (key,) in cursor.fetchall()]
    name = f'"{place.schema}"."{case.kind.name}"'
    with connect_warehouse(dict(place.environment)) as warehouse:
        warehouse.execute(f"UPDATE {name} SET latest_status = 'damaged' WHERE id IN ({', '.join(keys)})".encode())
        found = warehouse.execute(f"SELECT count(*) FROM {name} WHERE latest_status = 'damaged'".encode()).fetchone()
    if found is None or found[0] != DAMAGED:
        raise WrongResult(f"{found} rows were damaged instead of {DAMAGED}")
    return DAMAGED


def as_json(done: Verifications) -> dict[str, Any]:
    return {
        "machine": dict(done.machine),
        "rows": done.rows,
        "settings": dict(done.overrides),
        "marks": [mark_json(mark) for mark in done.marks],
        "rounds": [{title: dataclasses.asdict(spent) for title, spent in of.items()} for of in done.rounds],
    }


HEAD = ("command", "seconds", "least, most", "rows/s", "CPU s", "source", "warehouse", "largest MB")


def as_markdown(done: Verifications) -> str:
    parts = [
        f"# Verification beside the sync: {done.rows:,} rows of 51 columns",
        f"Medians of {len(done.rounds)} round(s); all servers on the same machine:"
        f" {about(done.machine, done.overrides)}.",
        table(HEAD, [_row(done, title) for title in (SYNC, QUICK, VERIFY, FOUND)]),
        table(MARK_HEAD, mark_rows(done.marks)),
        NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def _row(done: Verifications, title: str) -> list[str]:
    spent = [of[title] for of in done.rounds]
    seconds = [s.seconds for s in spent]
    return [
        f"`{title}`" if title != FOUND else title,
        f"{median(seconds):.1f}",
        f"{min(seconds):.1f}, {max(seconds):.1f}",
        f"{done.rows / median(seconds):,.0f}",
        *(f"{median(values):.1f}" for values in zip(*((s.cpu, s.source, s.warehouse) for s in spent), strict=True)),
        mega(max(s.largest for s in spent)),
    ]


@click.command(epilog="Example:  python -m benchmarks.verify --rows 2000000 --rounds 3")
@click.option("--rows", type=click.IntRange(min=1000), default=2_000_000, show_default=True, help="Rows of the table.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are of so many.")
@sets_option
@name_option
@results_option
def main(rows: int, rounds: int, sets: Sequence[str], name: str, results: Path) -> None:
    """Measure verify beside the sync, untouched and with ten damaged rows; exit code 1 when a mark is missed."""
    overrides = parse_overrides(sets)
    say(f"filling a table of {rows:,} rows")
    try:
        with open_case(rows, overrides) as case:
            warm_up(case)
            done = measure(case, overrides, rounds)
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    text = as_markdown(done)
    click.echo(text)
    say(f"written: {write(results, name or f'local-verify-{rows}', as_json(done), text, {})}")
    for mark in missed(done.marks):
        say(f"missed: {mark.title}")
    sys.exit(1 if missed(done.marks) else 0)


if __name__ == "__main__":
    main()

"""A first load in either order from a cold server, and tables of awkward shape: ``python -m benchmarks.order``.

The table's update order is random against its key and it is larger than the server's cache. Before each read the server
is started anew, and it reads past the page cache of the operating system (``innodb_flush_method=O_DIRECT``; MariaDB
Knowledge Base, "InnoDB System Variables"): every page that is not in the small cache comes from the disk.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import click

from s3rs_ray.engine.plan import LARGE_TABLE
from s3rs_ray.errors import S3rsError
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.policies import RangeOrder

from .case import Case, case_on
from .commands import backup_to
from .machine import facts
from .marks import Mark, missed
from .options import name_option, parse_overrides, results_option, rows_option, say, sets_option
from .output import MARK_HEAD, about, mark_json, mark_rows, mega, table, write
from .sample import WrongResult
from .tables import GAPS, NO_CURSOR_INDEX, SAME_CURSORS, SHUFFLED, Kind

FILL_POOL_MB = 1024
COLD = ("--innodb-flush-method=O_DIRECT", "--innodb-buffer-pool-load-at-startup=OFF",
        "--innodb-buffer-pool-dump-at-shutdown=OFF")  # fmt: skip
LARGER_THAN_CACHE = 2.0
ALIKE = 1.25
"""The most the largest file of a table may be of the smallest; the last one, which takes what is left, aside."""
FILES = 8
AWKWARD = (NO_CURSOR_INDEX, SAME_CURSORS, GAPS)
SHAPED = {SAME_CURSORS.name: RangeOrder.CURSOR, GAPS.name: RangeOrder.KEY}

NOTES = """\
- `backup --inline`, each read from a server started anew; **read** is what the server fetched from the disk \
(`/proc/PID/io`), **source CPU** its own seconds for a million rows. Rows were checked on both ends.
- The tables of awkward shape are cut into eight chunks by `BACKUP_BATCH_SIZE`; **smallest** and **largest** are of \
their files but the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One backup from a cold server.

    Attributes:
        read_bytes: from the disk by the server; None where the kernel does not say.
        file_bytes: sizes in the order of the chunks.
    """

    rows: int
    seconds: float
    source_cpu: float | None
    read_bytes: int | None
    file_bytes: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A table read in one order, each round's.

    Attributes:
        why: the plan's own words.
    """

    title: str
    order: RangeOrder
    readings: Sequence[Reading]
    why: str = ""

    @property
    def rows_per_second(self) -> float:
        return median(r.rows / r.seconds for r in self.readings)

    @property
    def evenness(self) -> float:
        """The largest file over the smallest, the last aside."""
        sizes = self.sizes
        return max(sizes) / min(sizes)

    @property
    def sizes(self) -> Sequence[int]:
        return self.readings[0].file_bytes[:-1] or self.readings[0].file_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """One run.

    Attributes:
        chosen: by the plan, where no setting says.
        table_bytes: of the shuffled table with its index, by information_schema.
        either: the shuffled table by key and by cursor.
        awkward: the other tables.
    """

    machine: Mapping[str, str | int]
    overrides: Mapping[str, str]
    rows: int
    rounds: int
    pool_mb: int
    chosen: RangeOrder
    table_bytes: int
    either: Sequence[Line]
    awkward: Sequence[Line]

    @property
    def marks(self) -> list[Mark]:
        speed = {line.order: line.rows_per_second for line in self.either}
        other = next(order for order in speed if order is not self.chosen)
        gaps = next(line for line in self.awkward if line.title == GAPS.title)
        judged = self.rows >= LARGE_TABLE
        return [
            Mark(
                title=f"the order chosen ({self.chosen}) over the other, rows/s",
                value=speed[self.chosen] / speed[other],
                least=1.0 if judged else None,
            ),
            Mark(
                title="the table over the server's cache",
                value=self.table_bytes / (self.pool_mb * 2**20),
                least=LARGER_THAN_CACHE if judged else None,
            ),
            Mark(title="IDs with huge gaps: largest over smallest file", value=gaps.evenness, most=ALIKE),
        ]


def measure(stack: LocalStack, overrides: Mapping[str, str], rounds: int, pool_mb: int) -> Orders:
    """All lines."""
    with case_on(stack, SHUFFLED, overrides) as case:
        lines = {order: Line(title=SHUFFLED.title, order=order, readings=()) for order in RangeOrder}
        for number in range(1, rounds + 1):
            for order in sorted(RangeOrder, reverse=number % 2 == 0):  # neither always follows the other
                reading = read_cold(case, {"BACKUP_CHUNK_ORDER": order})
                lines[order] = replace(lines[order], readings=(*lines[order].readings, reading))
                say(f"round {number}: by {order}: {reading.rows / reading.seconds:,.0f} rows/s")
        plan, machine, rows = case.plan, facts(case), case.rows
        size = _table_bytes(case)
    return Orders(
        machine=machine,
        overrides=overrides,
        rows=rows,
        rounds=rounds,
        pool_mb=pool_mb,
        chosen=plan.order,
        table_bytes=size,
        either=[replace(line, why=plan.reasons[0] if order is plan.order else "") for order, line in lines.items()],
        awkward=[_read_awkward(stack, kind, overrides) for kind in AWKWARD],
    )


def _read_awkward(stack: LocalStack, kind: Kind, overrides: Mapping[str, str]) -> Line:
    """Each in the order in which its shape might be in the way."""
    forced = {"BACKUP_CHUNK_ORDER": SHAPED[kind.name]} if kind.name in SHAPED else {}
    with case_on(stack, kind, {**overrides, **forced}) as case:
        reading = read_cold(case, {**forced, "BACKUP_BATCH_SIZE": str(-(-case.rows // FILES))})
        say(f"{kind.title}: {reading.rows / reading.seconds:,.0f} rows/s")
        return Line(title=kind.title, order=case.plan.order, readings=(reading,), why=case.plan.reasons[0])


def read_cold(case: Case, variables: Mapping[str, str]) -> Reading:
    """A backup from a server that was just started."""
    case.stack.mariadb.stop()
    case.stack.mariadb.start()
    before = _read_bytes(case.stack.mariadb.pid)
    with case.place() as place:
        set_up = replace(place, environment={**place.environment, **variables})
        sample, files = backup_to(case, set_up, "--inline")
    after = _read_bytes(case.stack.mariadb.pid)
    return Reading(
        rows=sample.rows,
        seconds=sample.seconds,
        source_cpu=sample.cpu_seconds.get("source"),
        read_bytes=None if before is None or after is None else after - before,
        file_bytes=[f.bytes for f in files],
    )


def _read_bytes(pid: int) -> int | None:
    """What a process has fetched from the storage layer (proc(5), ``io``)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    return None


def _table_bytes(case: Case) -> int:
    with case.stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
            [case.kind.name],
        )
        return int(str((cursor.fetchone() or (0,))[0]))


@contextmanager
def cold_stack(rows: int, pool_mb: int) -> Iterator[LocalStack]:
    """A stack with all tables, filled by a server with a large cache and served by one with a small one."""
    with tempfile.TemporaryDirectory(prefix="s3rs-cold-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        with LocalStack(directory, buffer_pool_mb=FILL_POOL_MB) as stack, stack.mariadb.connect() as connection:
            for kind in (SHUFFLED, *AWKWARD):
                say(f"filling a table of {rows:,} rows: {kind.title}")
                kind.fill(connection, rows)
        with LocalStack(directory, buffer_pool_mb=pool_mb, mariadb_options=COLD) as stack:
            yield stack


def as_json(orders: Orders) -> dict[str, Any]:
    return {
        "machine": dict(orders.machine),
        "rows": orders.rows,
        "rounds": orders.rounds,
        "settings": dict(orders.overrides),
        "cache_mib": orders.pool_mb,
        "table_bytes": orders.table_bytes,
        "chosen": orders.chosen.value,
        "marks": [mark_json(mark) for mark in orders.marks],
        "lines": [
            {**dataclasses.asdict(line), "rows_per_second": line.rows_per_second}
            for line in (*orders.either, *orders.awkward)
        ],
    }


def as_markdown(orders: Orders) -> str:
    parts = [
        f"# First load, key order or update order: {orders.rows:,} rows, a cache of {orders.pool_mb} MiB",
        f"Medians of {orders.rounds} round(s); all servers on the same machine:"
        f" {about(orders.machine, orders.overrides)}.",
        table(HEAD, [_row(line) for line in (*orders.either, *orders.awkward)]),
        table(MARK_HEAD, mark_rows(orders.marks)),
        NOTES,
    ]
    return "\n\n".join(parts) + "\n"


HEAD = (
    "table", "order", "rows/s", "seconds", "source CPU s per million", "read MB", "files", "smallest, largest MB",
    "plan",
)  # fmt: skip


def _row(line: Line) -> list[str]:
    first = line.readings[0]
    cpu = [r.source_cpu / r.rows * 1e6 for r in line.readings if r.source_cpu is not None]
    read = [r.read_bytes for r in line.readings if r.read_bytes is not None]
    return [
        line.title,
        line.order.value,
        f"{line.rows_per_second:,.0f}",
        f"{median(r.seconds for r in line.readings):.2f}",
        f"{median(cpu):.2f}" if cpu else "",
        mega(median(read)) if read else "",
        str(len(first.file_bytes)),
        f"{min(line.sizes) / 1e6:,.1f}, {max(line.sizes) / 1e6:,.1f}",
        line.why,
    ]


@click.command(epilog="Example:  python -m benchmarks.order --rows 1500000 --pool-mb 64")
@rows_option(1_500_000)
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True, help="Medians are of so many.")
@click.option("--pool-mb", type=click.IntRange(min=8), default=64, show_default=True, help="The server's cache, MiB.")
@sets_option
@name_option
@results_option
def main(rows: int, rounds: int, pool_mb: int, sets: Sequence[str], name: str, results: Path) -> None:
    """Measure a first load in either order from a cold server; exit code 1 when a mark is missed."""
    overrides = parse_overrides(sets)
    try:
        with cold_stack(rows, pool_mb) as stack:
            orders = measure(stack, overrides, rounds, pool_mb)
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    text = as_markdown(orders)
    click.echo(text)
    say(f"written: {write(results, name or f'local-order-{rows}', as_json(orders), text, {})}")
    for mark in missed(orders.marks):
        say(f"missed: {mark.title}")
    sys.exit(1 if missed(orders.marks) else 0)


if __name__ == "__main__":
    main()

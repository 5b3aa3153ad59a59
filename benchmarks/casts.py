"""What exactness costs: the casts of the product against the same columns read natively. ``python -m benchmarks.casts``

Both arms read the same chunks of the settlement table through ConnectorX, one after the other, in turns. The native
arm selects the bare columns and keeps whatever arrives: decimals of another precision, no policy. The exact arm is the
product's own: its SELECT, its cast to the contract, its policies. Columns whose values the native arm cannot read at
all are left out of both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import connectorx

from s3rs_ray.model import Column, Table
from s3rs_ray.source.chunks import select_sql
from s3rs_ray.source.extract import read_chunk, source_url
from s3rs_ray.source.types import quote_name

from .case import Case, open_case

UNREADABLE = frozenset({"ledger_units", "accrued_amount"})
"""DECIMAL of 38 digits at its limits: the native reader panics."""

MOST = 1.10
"""The issue's bound: the casts may not slow extraction by more than 10 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Both arms, turn by turn, over the same rows: seconds, and seconds of CPU of reader and server together."""

    title: str
    columns: int
    native: list[tuple[float, float]] = field(default_factory=list)
    exact: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The exact arm's best turn over the native arm's."""
        return min(self.exact)[0] / min(self.native)[0]

    @property
    def cpu(self) -> float:
        """The same in CPU, which other programs on the machine disturb least; the median of the turns' ratios."""
        return statistics.median(e[1] / n[1] for e, n in zip(self.exact, self.native, strict=True))


def measure(case: Case, turns: int) -> list[Ratio]:
    """The ratio of all columns together, and of each family of columns that is cast."""
    readable = [c for c in case.plan.table.columns if c.name not in UNREADABLE]
    families: dict[str, Callable[[Column], bool]] = {
        "all columns": lambda c: True,
        "decimals": lambda c: c.source_type.startswith("decimal"),
        "dates and times": lambda c: c.zero_dates is not None,
        "the rest": lambda c: c.zero_dates is None and not c.source_type.startswith("decimal"),
    }
    return [_measure(case, title, [c for c in readable if chosen(c)], turns) for title, chosen in families.items()]


def _measure(case: Case, title: str, columns: Sequence[Column], turns: int) -> Ratio:
    exact = replace(case.plan.table, columns=tuple(columns))
    native = replace(exact, columns=tuple(replace(c, select=quote_name(c.name), zero_dates=None) for c in columns))
    ratio = Ratio(title=title, columns=len(columns))
    for turn in range(turns + 1):
        taken = (_timed(case, lambda: _read_native(case, native)), _timed(case, lambda: _read_exact(case, exact)))
        if turn:  # the first warms the server's cache
            ratio.native.append(taken[0])
            ratio.exact.append(taken[1])
    return ratio


def _timed(case: Case, work: Callable[[], int]) -> tuple[float, float]:
    started, cpu = time.perf_counter(), _cpu_seconds(case)
    rows = work()
    assert rows == sum(c.rows for c in case.chunks), "not all rows were read"
    return time.perf_counter() - started, _cpu_seconds(case) - cpu


def _cpu_seconds(case: Case) -> float:
    """Of this process and the server (Linux, proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{case.stack.mariadb.pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_native(case: Case, table: Table) -> int:
    url, session = source_url(case.settings, case.endpoint), case.session
    return sum(
        connectorx.read_sql(
            url, select_sql(table, chunk), return_type="arrow", protocol="binary", pre_execution_query=session
        ).num_rows
        for chunk in case.chunks
    )


def _read_exact(case: Case, table: Table) -> int:
    return sum(
        read_chunk(table, chunk, case.settings, case.endpoint, server=case.server).data.num_rows
        for chunk in case.chunks
    )


def main() -> int:
    """Prints the ratios; exit code 1 when all columns together cost more CPU than the bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.casts", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    with open_case(asked.rows, {"BACKUP_BATCH_SIZE": "100000"}) as case:
        ratios = measure(case, asked.turns)
    print(f"{asked.rows:,} rows, {asked.turns} turns: the best turns' seconds and their ratio; the median ratio of CPU")
    for ratio in ratios:
        print(
            f"{ratio.title:<16} {ratio.columns:>2} columns  native {min(ratio.native)[0]:5.2f} s"
            f"  exact {min(ratio.exact)[0]:5.2f} s  ratio {ratio.seconds:.2f}  CPU {ratio.cpu:.2f}"
        )
    return 0 if ratios[0].cpu <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""All benchmarks one after the other: ``make bench-full``, ``python -m benchmarks.full --name NAME``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from .options import say

TITLES = {0: "done", 1: "done, a mark missed or a measurement failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One benchmark.

    Attributes:
        module: run as ``python -m``.
        suffix: of the result's name.
    """

    module: str
    suffix: str
    options: tuple[str, ...]

    def arguments(self, name: str) -> list[str]:
        return [sys.executable, "-m", self.module, *self.options, "--name", f"{name}-{self.suffix}"]


FOUR = ("--only", "connectorx-2", "--only", "backup", "--only", "load", "--only", "sync", "--no-stages", "--no-fixed")
USUAL = (
    Step(module="benchmarks", suffix="rows", options=("--rows", "2000000", "--rounds", "3", "--full")),
    Step(module="benchmarks", suffix="link", options=("--rows", "2000000", "--rounds", "2", "--link", "30", *FOUR)),
    Step(module="benchmarks.scaling", suffix="scaling", options=("--rows", "2000000", "--rounds", "2")),
    Step(module="benchmarks.order", suffix="order", options=("--rows", "1500000", "--rounds", "2")),
    Step(module="benchmarks.verify", suffix="verify", options=("--rows", "2000000", "--rounds", "3")),
    Step(module="benchmarks.memory", suffix="2m", options=("--rows", "2000000")),
    Step(module="benchmarks.memory", suffix="narrow", options=("--narrow", "--rows", "10000000")),
    Step(module="benchmarks.memory", suffix="wide", options=("--wide", "--rows", "100000")),
)
TWENTY = (
    Step(module="benchmarks", suffix="20m-rows", options=("--rows", "20000000", "--rounds", "1", *FOUR)),
    Step(module="benchmarks.verify", suffix="20m-verify", options=("--rows", "20000000", "--rounds", "1")),
    Step(module="benchmarks.memory", suffix="20m", options=("--rows", "20000000")),
)
HUNDRED = Step(module="benchmarks.memory", suffix="100m", options=("--narrow", "--rows", "100000000"))


def steps(*, twenty: bool, hundred: bool) -> list[Step]:
    return [*USUAL, *(TWENTY if twenty else []), *([HUNDRED] if hundred else [])]


def carry_out(todo: list[Step], name: str, run: Callable[[list[str]], int]) -> int:
    """Every step, whatever became of those before it; the worst exit code."""
    codes = []
    for step in todo:
        say(f"== {step.module} {' '.join(step.options)}")
        started = time.monotonic()
        codes.append(run(step.arguments(name)))
        say(f"== {TITLES.get(codes[-1], f'exit code {codes[-1]}')} after {time.monotonic() - started:,.0f} s")
    return max(codes, default=0)


@click.command(epilog="Example:  python -m benchmarks.full --name 2026-11 --20m")
@click.option("--name", default="local-full", show_default=True, help="What the results' names begin with.")
@click.option("--20m", "twenty", is_flag=True, help="With 20 M rows of 51 columns, too.")
@click.option("--100m", "hundred", is_flag=True, help="Memory with 100 M narrow rows, too.")
def main(name: str, twenty: bool, hundred: bool) -> None:
    """Run all benchmarks one after the other; exit code 1 when one of them missed a mark."""
    sys.exit(carry_out(steps(twenty=twenty, hundred=hundred), name, subprocess.call))


if __name__ == "__main__":
    main()

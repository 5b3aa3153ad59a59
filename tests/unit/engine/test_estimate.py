"""Minutes from the speed of earlier runs, and the sentence that says how they are known."""

from __future__ import annotations

import pytest

from s3rs_ray.engine.estimate import Measured, estimate
from tests.support.build import NAME


def run(rows: int, seconds: float, *, table: str = str(NAME), name: str = "r", size: int = 0) -> Measured:
    return Measured(table=table, run=name, rows=rows, bytes=size, seconds=seconds)


def test_runs_of_a_like_size_are_taken_together_and_small_ones_left_out() -> None:
    made = estimate(NAME, 6000, 0, [run(10, 60, name="small"), run(1000, 10, name="b"), run(3000, 10, name="a")])
    assert made.minutes == pytest.approx(6000 / 200 / 60)
    assert made.known_from == "from 2 runs of this table, the last b: 200 rows/s"


def test_small_runs_alone_make_an_upper_bound_that_says_so() -> None:
    made = estimate(NAME, 1_000_000, 0, [run(10, 10), run(100, 10, name="most")])
    assert made.minutes == pytest.approx(1_000_000 / 10 / 60)
    assert "run most" in made.known_from
    assert "upper bound" in made.known_from


def test_a_table_that_was_never_measured_goes_by_the_bytes_of_others() -> None:
    made = estimate(NAME, 10, 60_000_000, [run(1, 10, table="s.other", size=10_000_000)])
    assert made.minutes == pytest.approx(1.0)
    assert "never measured" in made.known_from


def test_without_any_run_nothing_is_claimed() -> None:
    made = estimate(NAME, 10, 10, [])
    assert made.minutes is None
    assert "no run" in made.known_from

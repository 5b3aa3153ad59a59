"""Minutes from the speed of earlier runs, and the sentence that says how they are known."""

from __future__ import annotations

import orjson
import pytest

from s3rs_ray.engine.context import Request
from s3rs_ray.engine.estimate import Measured, estimate, measured_runs
from s3rs_ray.storage.layout import format_report_key
from tests.support.build import NAME
from tests.support.memory_store import MemoryStore


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


def report(*, verify: bool = False, load: bool = True, status: str = "success", rows: int = 100) -> bytes:
    return orjson.dumps(
        {
            "request": {"extract": True, "load": load, "verify": verify},
            "table_results": {
                str(NAME): {"status": status, "rows_extracted": rows, "bytes": 1, "duration_seconds": 10.0}
            },
            "timeline": {str(NAME): {"verification": {"start": 6.0, "end": 10.0} if verify else None}},
        }
    )


@pytest.mark.parametrize(
    ("asked", "seconds"), [(Request(tables=("t",)), [6.0, 10.0]), (Request(tables=("t",), verify=True), [10.0])]
)
def test_runs_with_the_same_stages_count_without_a_verification_nobody_asked_for(
    asked: Request, seconds: list[float]
) -> None:
    store = MemoryStore()
    for run, body in {
        "1": report(),
        "2": report(verify=True),
        "3": report(load=False),
        "4": report(status="failed"),
        "5": report(rows=0),
        "6": b"not json",
    }.items():
        store.put_new(format_report_key(run, "json"), body)
    assert [m.seconds for m in measured_runs(store, asked)] == seconds

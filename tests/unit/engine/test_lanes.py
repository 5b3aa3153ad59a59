"""Which table is worked on next when several are at once."""

from __future__ import annotations

import threading

import pytest

from s3rs_ray.engine.lanes import Lanes, work_in_lanes
from s3rs_ray.model import TableName


def name(text: str) -> TableName:
    return TableName("s", text)


NAMES = [name(text) for text in ("huge", "large", "a", "b", "c")]
SIZES = dict(zip(NAMES, (1000, 900, 1, 2, 3), strict=True))


def test_one_lane_goes_from_the_largest_and_the_others_from_the_smallest() -> None:
    lanes = Lanes(NAMES, SIZES)
    taken = [lanes.take(lane) for lane in (0, 1, 2, 0, 1, 0, 1)]
    assert taken == [name("huge"), name("a"), name("b"), name("large"), name("c"), None, None]


def test_small_tables_are_done_while_large_ones_hold_a_lane() -> None:
    """The large ones end only when all small ones have."""
    small = threading.Semaphore(0)
    together = threading.Lock()
    order: list[str] = []

    def work(table: TableName) -> str:
        if SIZES[table] > 100:
            assert all(small.acquire(timeout=20) for _ in range(3))
            for _ in range(3):
                small.release()
        with together:
            order.append(table.name)
        if SIZES[table] < 100:
            small.release()
        return table.name

    assert work_in_lanes(work, NAMES, SIZES, 2) == [n.name for n in NAMES]
    assert set(order[:3]) == {"a", "b", "c"}


def test_what_is_raised_in_one_lane_keeps_no_other_from_ending() -> None:
    done = []

    def work(table: TableName) -> None:
        if table == name("huge"):
            raise ValueError("huge")
        done.append(table)

    with pytest.raises(ValueError, match="huge"):
        work_in_lanes(work, NAMES, SIZES, 2)
    assert set(done) == set(NAMES[1:])

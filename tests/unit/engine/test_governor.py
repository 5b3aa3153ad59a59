"""How many readers the source is asked to bear, and whose turn it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.engine.executor import ChunkTask, Ticket
from s3rs_ray.engine.governor import Governor, Limits, may_start
from s3rs_ray.engine.pacing import WAITING_SECONDS, PacedExecutor
from s3rs_ray.model import TableName
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.load import SourceLoad
from tests.support import build
from tests.support.scripted import ScriptedExecutor

CALM, BUSY = SourceLoad(threads_running=5), SourceLoad(threads_running=50)
LARGE, SMALL = TableName("s", "large"), TableName("s", "small")


def governor(places: int = 8, **limits: int) -> Governor:
    return Governor(places=places, limits=Limits(**(limits or {"threads_running": 40})))


def calm_steps(of: Governor, count: int) -> list[int]:
    """The readers allowed after each of so many calm readings, while all allowed ones are at work."""
    steps = []
    for _ in range(count):
        of.decide(CALM, of.allowed)
        steps.append(of.allowed)
    return steps


def test_readers_start_slowly_and_never_exceed_the_places() -> None:
    assert calm_steps(governor(places=6), 5) == [2, 4, 6, 6, 6]


def test_under_strain_they_are_halved_down_to_none_and_come_back_one_by_one() -> None:
    made = governor()
    calm_steps(made, 3)
    allowed = []
    for _ in range(5):
        made.decide(BUSY, made.allowed)
        allowed.append(made.allowed)
    assert allowed == [4, 2, 1, 0, 0]
    assert made.reason == "Threads_running is 50, over 40"
    assert calm_steps(made, 4) == [1, 2, 3, 4]
    assert made.reason == ""


def test_a_decision_is_given_time_to_show() -> None:
    made = governor()
    calm_steps(made, 3)
    made.decide(BUSY, 8)
    made.decide(BUSY, 7)  # chunks under way are finished first
    assert made.allowed == 4
    made.decide(CALM, 2)  # places that are not used are no reason for more
    assert made.allowed == 4


def test_a_limit_is_not_passed_by_reaching_it() -> None:
    made = governor(threads_running=50, lag_seconds=10)
    made.decide(SourceLoad(threads_running=50, lag_seconds=10.0), 1)
    assert (made.reason, made.allowed) == ("", 2)


def test_the_lag_of_a_replica_and_a_source_that_cannot_be_asked_are_strain() -> None:
    made = governor(lag_seconds=10)
    assert made.decide(SourceLoad(lag_seconds=11.0), 1)
    assert (made.reason, made.allowed) == ("the replica is 11 s behind, over 10", 0)
    assert made.decide("no answer", 0)
    assert (made.reason, made.allowed) == ("no answer", 0)
    assert not made.decide("no answer", 0)


def test_rows_that_take_longer_than_at_best_are_strain_until_the_next_chunk_says_otherwise() -> None:
    made = governor(slowdown=3)
    made.record(1000, 1.0)
    made.record(1000, 2.9)
    made.decide(CALM, 1)
    assert made.reason == ""
    made.record(1000, 4.0)
    made.decide(CALM, 2)
    assert made.reason == "a row takes 4.0 times as long as at best, over 3"
    made.decide(CALM, 1)
    assert made.reason == ""


def test_small_chunks_say_nothing_about_the_time_of_a_row() -> None:
    made = governor(slowdown=3)
    made.record(1000, 1.0)
    made.record(10, 1.0)
    made.record(0, 5.0)
    made.decide(CALM, 1)
    assert made.reason == ""


@given(
    load=st.lists(st.sampled_from([CALM, BUSY, "no answer"]), max_size=40), places=st.integers(min_value=1, max_value=9)
)
def test_whatever_the_source_says_readers_stay_in_bounds_and_come_back(
    load: list[SourceLoad | str], places: int
) -> None:
    made = governor(places=places)
    for reading in load:
        made.decide(reading, made.allowed)
        assert 0 <= made.allowed <= places
    calm_steps(made, places + 1)
    assert (made.allowed, made.reason) == (places, "")


@pytest.mark.parametrize(
    ("running", "waiting", "allowed", "may"),
    [
        ({}, set(), 1, True),
        ({}, set(), 0, False),
        ({LARGE: 3}, set(), 4, True),
        ({LARGE: 4}, set(), 4, False),
        ({LARGE: 3}, {SMALL}, 4, False),
        ({LARGE: 3, SMALL: 2}, {SMALL}, 8, False),
        ({LARGE: 2, SMALL: 2}, {SMALL}, 8, True),
        ({LARGE: 3}, {LARGE}, 4, True),
    ],
)
def test_a_table_that_waits_goes_before_one_that_has_more(
    running: dict[TableName, int], waiting: set[TableName], allowed: int, may: bool
) -> None:
    assert may_start(LARGE, running, waiting, allowed) is may


class Paced:
    """Two tables over four places."""

    def __init__(self, **limits: int) -> None:
        self.now = 0.0
        self.told: list[tuple[int, str]] = []
        self.inner = ScriptedExecutor(places=4)
        self.executor = PacedExecutor(
            self.inner, Limits(**limits), lambda *told: self.told.append(told), lambda: self.now
        )

    def submit(self, name: TableName, ordinal: int = 0) -> Ticket | None:
        table = build.table(name=name)
        [chunk] = build.run_chunks("r", [None, (9,)], of=build.window((), (9,)), columns=("ID",))
        return self.executor.submit(
            ChunkTask(table=table, chunk=replace(chunk, ordinal=ordinal), order=RangeOrder.KEY, server="")
        )

    def end(self, ticket: Ticket) -> None:
        left = [ticket]
        while left:
            left = [t for t in left if t not in self.executor.wait(left, 1)]
        self.executor.result(ticket)


def test_a_place_that_becomes_free_goes_to_the_table_that_has_fewest() -> None:
    paced = Paced()
    held = [paced.submit(LARGE, n) for n in range(4)]
    assert paced.submit(SMALL) is None
    assert held[0] is not None
    paced.end(held[0])
    assert paced.submit(LARGE, 4) is None
    assert paced.submit(SMALL) is not None
    assert held[1] is not None
    paced.end(held[1])
    assert paced.submit(LARGE, 4) is not None


def test_a_table_that_no_longer_asks_holds_nobody_up() -> None:
    paced = Paced()
    held = [paced.submit(LARGE, n) for n in range(4)]
    assert paced.submit(SMALL) is None
    assert held[0] is not None
    paced.end(held[0])
    paced.now += WAITING_SECONDS
    assert paced.submit(LARGE, 4) is not None


def test_without_limits_all_places_are_there_at_once_and_nothing_is_said() -> None:
    paced = Paced()
    assert all(paced.submit(LARGE, n) for n in range(4))
    assert not paced.told


def test_strain_and_recovery_are_told_and_a_slow_start_is_not() -> None:
    paced = Paced(threads_running=40)
    first = paced.submit(LARGE)
    assert first is not None
    assert paced.submit(LARGE, 1) is None
    paced.executor.take(CALM)
    assert paced.submit(LARGE, 1) is not None
    assert not paced.told
    paced.executor.take(BUSY)
    assert paced.submit(LARGE, 2) is None
    paced.executor.take(CALM)
    assert paced.told == [(1, "Threads_running is 50, over 40"), (2, "")]


def test_a_cancelled_reader_gives_its_place_back_once() -> None:
    paced = Paced(threads_running=40)
    ticket = paced.submit(LARGE)
    assert ticket is not None
    for _ in range(2):
        paced.executor.cancel([ticket])
    assert paced.submit(LARGE, 1) is not None
    assert paced.submit(LARGE, 2) is None


def test_other_tasks_than_chunks_are_paced_beside_them() -> None:
    paced = Paced(threads_running=40)
    assert list(paced.executor.run_all(doubled, [1, 2, 3], lambda: paced.executor.take(CALM))) == [2, 4, 6]
    assert paced.inner.most == 2  # one first, the other two when the source was seen to be calm
    held = paced.submit(LARGE)
    assert held is not None
    paced.executor.take(BUSY)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        paced.executor.take(CALM)

    assert list(paced.executor.run_all(doubled, [1], look)) == [2]
    assert looks


def doubled(number: int, settings: Settings) -> int:
    return 2 * number

"""Chunks are planned in a thread of its own, a few ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from s3rs_ray.engine.ahead import PlanAhead, remaining_chunks
from s3rs_ray.errors import SourceError
from s3rs_ray.model import Chunk
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.cutting import fixed
from tests.support import build

CHUNKS = build.run_chunks("r1", [None, *((n,) for n in range(1, 11))], of=build.window((), (10,)), columns=("c",))


def take_all(planner: PlanAhead, least: int = 1) -> list[Chunk]:
    taken: list[Chunk] = []
    ended = False
    while not ended:
        chunks, ended = planner.take(least, 20)
        taken += chunks
    return taken


@pytest.mark.parametrize("most", [1, 3, 20])
@pytest.mark.parametrize("least", [1, 3])
def test_every_chunk_comes_once_in_order_and_the_end_is_said(most: int, least: int) -> None:
    planner = PlanAhead(iter(CHUNKS), max(most, least))
    assert take_all(planner, least) == list(CHUNKS)
    assert planner.take(1, 0) == ((), True)
    planner.wait()


def test_no_more_is_planned_than_was_asked_for() -> None:
    planned = threading.Semaphore(0)

    def chunks() -> Iterator[Chunk]:
        for chunk in CHUNKS:
            planned.release()
            yield chunk

    planner = PlanAhead(chunks(), 3)
    assert all(planned.acquire(timeout=20) for _ in range(3))
    assert not planned.acquire(timeout=0.2)
    assert planner.take(3, 20) == (CHUNKS[:3], False)
    assert planned.acquire(timeout=20)
    planner.wait()


def test_whoever_takes_does_not_wait_longer_than_it_wants() -> None:
    slow = threading.Event()

    def chunks() -> Iterator[Chunk]:
        yield CHUNKS[0]
        assert slow.wait(20)
        yield CHUNKS[1]

    planner = PlanAhead(chunks(), 3)
    assert planner.take(1, 20) == (CHUNKS[:1], False)
    assert planner.take(1, 0) == ((), False)
    slow.set()
    assert take_all(planner) == [CHUNKS[1]]


def test_an_error_comes_behind_what_was_planned_before_it() -> None:
    def chunks() -> Iterator[Chunk]:
        yield CHUNKS[0]
        raise SourceError("gone")

    planner = PlanAhead(chunks(), 3)
    assert planner.take(2, 20) == (CHUNKS[:1], False)
    with pytest.raises(SourceError, match="gone"):
        planner.take(1, 20)
    planner.wait()


def test_a_planner_that_is_closed_plans_no_more() -> None:
    made = []

    def chunks() -> Iterator[Chunk]:
        for chunk in CHUNKS:
            made.append(chunk)
            yield chunk

    planner = PlanAhead(chunks(), 1)
    planner.take(1, 20)
    planner.wait()
    assert len(made) <= 2


class Source:
    """Steps from one number to the next; fails where it is told to."""

    def __init__(self, *failing: int) -> None:
        self.failing = failing
        self.asked: list[str] = []

    def step(self, sql: str, columns: object) -> tuple[tuple[int, ...] | None, bool]:
        self.asked.append(sql)
        if len(self.asked) in self.failing:
            raise SourceError("stalled")
        made = len(self.asked) - sum(number < len(self.asked) for number in self.failing)
        return (made,), made < 3

    def count(self, *_: object) -> int:
        return 1


def planned(source: Source, *, attempts: int, given_up: threading.Event) -> Iterator[Chunk]:
    window = build.window((), (3,))
    plan: Any = SimpleNamespace(table=build.table(), order=RangeOrder.KEY)
    run: Any = SimpleNamespace(chunks=(), planned=False, windows=(window,), run_id="r")
    catalog: Any = source
    return remaining_chunks(catalog, plan, run, fixed(1), readers=2, attempts=attempts, given_up=given_up)


def test_a_step_that_fails_is_made_again_from_the_same_position() -> None:
    source = Source(2)
    assert [c.ordinal for c in planned(source, attempts=1, given_up=threading.Event())] == [0, 1, 2]
    assert source.asked[1] == source.asked[2] != source.asked[0]


def test_a_step_that_fails_too_often_ends_the_plan_and_one_nobody_wants_is_not_made_again() -> None:
    chunks = planned(Source(2, 3), attempts=1, given_up=threading.Event())
    assert next(chunks).ordinal == 0
    with pytest.raises(SourceError, match="stalled"):
        next(chunks)
    given_up = threading.Event()
    source = Source(1)
    threading.Timer(0.1, given_up.set).start()
    assert list(planned(source, attempts=20, given_up=given_up)) == []
    assert len(source.asked) == 1

"""Questions asked at once: in order, bounded, and stopped by the first error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3rs_ray.engine.side_by_side import AHEAD, THREADS, side_by_side


def test_answers_come_in_the_order_of_the_things_from_many_threads_at_once() -> None:
    together = threading.Barrier(THREADS, timeout=30)

    def ask(n: int) -> int:
        together.wait()  # broken unless all threads are here at once
        return -n

    assert list(side_by_side(ask, range(2 * THREADS))) == [-n for n in range(2 * THREADS)]
    assert list(side_by_side(ask, [])) == []


def test_things_are_taken_a_bounded_number_ahead() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    answers = side_by_side(lambda n: n, things())
    assert next(answers) == 0
    assert len(taken) == AHEAD
    assert next(answers) == 1
    assert len(taken) == AHEAD + 1
    answers.close()  # type: ignore[attr-defined]


def test_the_first_error_is_raised_and_the_rest_is_not_asked() -> None:
    asked: list[int] = []

    def ask(n: int) -> int:
        asked.append(n)
        if n == 3:
            raise ValueError(n)
        time.sleep(0.01)
        return n

    answers = side_by_side(ask, range(10_000))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(answers)
    assert len(asked) <= AHEAD + 3


def test_a_question_within_one_of_many_asks_in_its_own_thread() -> None:
    def within(n: int) -> set[str]:
        return set(side_by_side(lambda _: threading.current_thread().name, range(5))) | {
            threading.current_thread().name
        }

    assert {len(names) for names in side_by_side(within, range(20))} == {1}

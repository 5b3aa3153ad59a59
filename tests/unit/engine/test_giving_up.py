"""What a process knows of the comparisons that are, and were, at work in it."""

from __future__ import annotations

import pytest

from s3rs_ray.engine import segments
from s3rs_ray.engine.segments import MOST_GIVEN_UP, at_work, give_up, is_at_work


def test_a_comparison_is_at_work_until_its_last_task_has_ended() -> None:
    with at_work("a"):
        with at_work("a"), at_work("b"):
            assert is_at_work("a")
            assert is_at_work("b")
        assert is_at_work("a")
        assert not is_at_work("b")
    assert not is_at_work("a")


def test_a_process_that_lives_long_remembers_the_last_comparisons_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_given_up", {})
    tokens = [f"{number:08x}" for number in range(3 * MOST_GIVEN_UP)]
    for token in tokens:
        with at_work(token):
            give_up(token)
            assert token in segments._given_up
    give_up(tokens[-1])
    assert list(segments._given_up) == tokens[-MOST_GIVEN_UP:]
    assert not segments._at_work

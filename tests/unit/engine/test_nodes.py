"""What is said while no node of a cluster could take a task, when, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from s3rs_ray.engine.nodes import AGAIN_SECONDS, FIRST_SECONDS, Resources, Shortage

NEEDS = {"CPU": 0.5, "memory": 900e6, "mysql:db": 1.0}
HEAD = {"CPU": 0.0, "memory": 4e9, "node:10.0.0.1": 1.0}
WORKER = {"CPU": 4.0, "memory": 8e9, "mysql:db": 2.0}


def said(shortage: Shortage, nodes: Sequence[Resources], *times: float) -> list[str | None]:
    return [shortage.look(nodes, now) for now in times]


def test_a_cluster_with_a_node_for_a_task_is_not_spoken_of() -> None:
    assert not any(said(Shortage(needs=NEEDS), [HEAD, WORKER], *range(100, 1000)))


def test_the_reason_is_told_once_the_wait_is_long_and_then_seldom() -> None:
    shortage = Shortage(needs=NEEDS)
    spoken = {now: text for now in range(100, 800) if (text := shortage.look([HEAD], now))}
    first = 100 + int(FIRST_SECONDS)
    assert list(spoken) == [first, first + int(AGAIN_SECONDS), first + 2 * int(AGAIN_SECONDS)]
    assert spoken[first] == (
        "for 10 s tasks have waited for a node that can take one: a task needs 0.5 CPU, 0.9 GB of memory, 1 mysql:db;"
        " its only node has 0 CPU, 4.0 GB of memory, 0 mysql:db"
    )
    assert spoken[first + int(AGAIN_SECONDS)].startswith("for 310 s")


def test_a_node_that_comes_is_told_once_and_only_after_its_lack_was() -> None:
    shortage = Shortage(needs=NEEDS)
    assert said(shortage, [HEAD], *range(100, 105)) == [None] * 5
    assert said(shortage, [HEAD, WORKER], 105, 106) == [None, None]
    assert [text for text in said(shortage, [HEAD], *range(107, 120)) if text]
    assert said(shortage, [HEAD, WORKER], 120, 121) == ["", None]


def test_time_in_which_nobody_waited_does_not_count() -> None:
    shortage = Shortage(needs=NEEDS)
    assert said(shortage, [HEAD], 100, 101, 500, 501) == [None] * 4
    assert [text for text in said(shortage, [HEAD], *range(502, 515)) if text]


@pytest.mark.parametrize("lack", list(NEEDS))
def test_what_several_nodes_have_together_is_of_no_use(lack: str) -> None:
    shortage = Shortage(needs=NEEDS)
    nodes = [{**WORKER, lack: NEEDS[lack] / 2}] * 2
    [text] = [text for text in said(shortage, nodes, *range(100, 115)) if text]
    assert "its 2 nodes have at most" in text


def test_a_cluster_without_any_node_has_none_of_anything() -> None:
    [text] = [text for text in said(Shortage(needs=NEEDS), [], *range(100, 115)) if text]
    assert text.endswith("its 0 nodes have at most 0 CPU, 0.0 GB of memory, 0 mysql:db")

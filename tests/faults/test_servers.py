"""kill -9 of every server while a run extracts and while it loads, on a stack of their own.

The S3 server keeps its objects in memory: when it is killed, state and files are gone with it, and the next run
starts anew. An outage that loses nothing is in ``test_storage_faults.py``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Protocol

import pytest

from s3rs_ray.local.settlement import Connection
from s3rs_ray.local.stack import LocalStack
from tests.integration.conftest import make_bucket
from tests.support.own_stack import settings, stack

from .crashing import Point
from .ends import Ends
from .runs import Runs

__all__ = ["settings", "stack"]

EXTRACTING = Point("read.before", 4, "pause")
PLANNING = Point("step.before", 3, "pause")
LOADING = Point("insert.after", 1, "pause")


class Part(Protocol):
    """A server of the stack."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


@pytest.fixture
def connection(stack: LocalStack) -> Iterator[Connection]:
    """Not closed at the end: its server may be another one by then."""
    opened = stack.mariadb.connect()
    yield opened
    if opened.open:
        opened.close()


def part(stack: LocalStack, name: str) -> Part:
    found: Part = getattr(stack, name)
    return found


@pytest.mark.parametrize("point", [EXTRACTING, LOADING], ids=["extracting", "loading"])
@pytest.mark.parametrize("name", ["mariadb", "postgres", "redshift"])
def test_a_server_dies_and_comes_back(stack: LocalStack, ends: Ends, runs: Runs, name: str, point: Point) -> None:
    """The run may get over it or not; what the next run finds is finished."""
    run = runs.sync(point=point, change={"BACKUP_FILES_PER_LOAD": "100"})
    run.wait_paused()
    server = part(stack, name)
    server.kill()
    server.start()
    ends.reconnect()
    run.go_on()
    assert run.wait() in (0, 1), run.stderr
    assert "Traceback" not in run.stderr
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


@pytest.mark.parametrize(
    ("point", "readers", "said"),
    [
        (EXTRACTING, "5", "MySQL has not answered a read for 6 s"),  # so many plan all chunks before the first read
        (PLANNING, "2", "planning the next chunk of"),
    ],
    ids=["reading", "planning"],
)
def test_a_source_that_stalls_is_given_up_in_time_and_asked_again(
    stack: LocalStack, ends: Ends, runs: Runs, point: Point, readers: str, said: str
) -> None:
    """Frozen, it acknowledges every packet and answers none: no keep-alive notices, no signal interrupts ConnectorX."""
    run = runs.sync(point=point, change={"BACKUP_TIMEOUT_SECONDS": "1", "BACKUP_MAX_WORKERS": readers})
    run.wait_paused()
    os.kill(stack.mariadb.pid, signal.SIGSTOP)
    try:
        run.go_on()
        run.wait_said(said)
    finally:
        os.kill(stack.mariadb.pid, signal.SIGCONT)
    assert run.wait() == 0, run.stderr
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_warehouse_that_stays_away_ends_the_run(stack: LocalStack, ends: Ends, runs: Runs) -> None:
    run = runs.sync(point=LOADING)
    run.wait_paused()
    stack.redshift.kill()
    run.go_on()
    try:
        assert run.wait() == 1, run.stderr
        assert "Redshift at 127.0.0.1" in run.stderr
        assert "Traceback" not in run.stderr
    finally:
        stack.redshift.start()
        ends.reconnect()
    state = ends.state
    assert state.sealed is not None
    assert state.lease is None
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


@pytest.mark.parametrize("point", [EXTRACTING, LOADING], ids=["extracting", "loading"])
def test_state_and_files_that_are_lost_are_made_anew(stack: LocalStack, ends: Ends, runs: Runs, point: Point) -> None:
    run = runs.sync(point=point)
    run.wait_paused()
    stack.s3.kill()
    stack.s3.start()
    make_bucket(ends.world.settings, ends.world.settings.s3_bucket_name)
    run.go_on()
    assert run.wait() == 1, run.stderr
    assert "Traceback" not in run.stderr
    time.sleep(1.1)  # without a state the next run cannot know whose second this was: file names hold no less
    runs.settle()
    ends.assert_equal_once()

"""How a command ends: its status and exit code."""

from __future__ import annotations

import signal

import pytest

from s3rs_ray.engine.events import RunResult, Status, TableResult
from tests.support.build import NAME, NOON

OK = (Status.SUCCESS, 0)
NOTHING = (Status.NOTHING, 0)
FAILED = (Status.FAILED, 1)
BUSY = (Status.FAILED, 5)
MISMATCH = (Status.FAILED, 4)
STOPPED = (Status.INTERRUPTED, 130)


def result(*tables: tuple[Status, int], interrupted_by: int = 0) -> RunResult:
    return RunResult(
        execution_id="x",
        start_time=NOON,
        end_time=NOON,
        tables_requested=("t",),
        tables=tuple(TableResult(table=NAME, status=status, exit_code=code) for status, code in tables),
        interrupted_by=interrupted_by,
    )


@pytest.mark.parametrize(
    ("tables", "status", "code"),
    [
        ((), Status.SUCCESS, 0),
        ((OK,), Status.SUCCESS, 0),
        ((OK, NOTHING), Status.SUCCESS, 0),
        ((FAILED,), Status.FAILED, 1),
        ((BUSY,), Status.FAILED, 5),
        ((MISMATCH, MISMATCH), Status.FAILED, 4),
        ((BUSY, FAILED), Status.FAILED, 1),
        ((OK, FAILED), Status.PARTIAL, 3),
        ((NOTHING, BUSY), Status.PARTIAL, 3),
        ((STOPPED,), Status.FAILED, 130),
    ],
)
def test_the_exit_code_tells_all_some_and_none_apart(
    tables: tuple[tuple[Status, int], ...], status: Status, code: int
) -> None:
    made = result(*tables)
    assert (made.status, made.exit_code) == (status, code)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("tables", [(OK,), (STOPPED,), (OK, FAILED)])
def test_a_signal_has_its_own_exit_code_whatever_else_happened(
    number: int, code: int, tables: tuple[tuple[Status, int], ...]
) -> None:
    assert result(*tables, interrupted_by=number).exit_code == code


def test_failures_are_the_tables_that_did_not_get_there() -> None:
    made = result(OK, FAILED, STOPPED, NOTHING)
    assert [t.status for t in made.failures] == [Status.FAILED, Status.INTERRUPTED]

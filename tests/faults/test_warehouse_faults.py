"""The warehouse drops connections, conflicts, delays and refuses: each load happens once or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from s3rs_ray.local.redshift.faults import Fault, clear_faults, set_faults
from s3rs_ray.local.stack import LocalStack

from .crashing import Point
from .ends import Ends
from .runs import Runs, wait_for

THREE_LOADS = {"BACKUP_FILES_PER_LOAD": "3"}
ONE_LOAD = {"BACKUP_FILES_PER_LOAD": "8"}


@pytest.fixture
def warehouse(stack: LocalStack) -> Iterator[LocalStack]:
    """The stack, whose stand-in is left without faults."""
    try:
        yield stack
    finally:
        clear_faults(stack.redshift.control_file)


SURVIVED = {
    "connection refused before the target is prepared": Fault(point="accept", action="drop", skip=1),
    "connection lost while the target is made": Fault(point="statement", action="drop", match="^CREATE TABLE", times=2),
    "connection refused": Fault(point="accept", action="drop", skip=2),
    "S3 throttles the COPY": Fault(
        point="copy",
        action="error",
        message="S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown",
        times=2,
    ),
    "connection lost after COPY": Fault(point="copy_end", action="drop", skip=1),
    "connection lost before COMMIT": Fault(point="before_commit", action="drop", skip=1),
    "reply to every COMMIT lost": Fault(point="after_commit", action="drop", times=3),
    "1023 on the merge, three times": Fault(point="statement", action="conflict", match="^DELETE FROM", times=3),
    "a conflict told in words": Fault(
        point="statement",
        action="error",
        match="^DELETE FROM",
        message="could not complete because of conflict with concurrent transaction",
    ),
    "1023 at COMMIT": Fault(point="before_commit", action="conflict"),
    "lock waited for": Fault(point="statement", action="delay", match="^LOCK", seconds=0.5, times=3),
}


@pytest.mark.parametrize("fault", SURVIVED.values(), ids=SURVIVED.keys())
def test_a_run_survives_what_passes(ends: Ends, runs: Runs, warehouse: LocalStack, fault: Fault) -> None:
    set_faults(warehouse.redshift.control_file, [fault])
    done = runs.sync(change=THREE_LOADS)
    assert done.wait() == 0, done.stderr
    assert runs.result(done)["rows_loaded"] == 400
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert [rows for _, rows, _ in sorted(ends.loads(), key=lambda load: -load[1])] == [150, 150, 100]


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize("name", ["reply to every COMMIT lost", "1023 at COMMIT", "connection lost before COMMIT"])
def test_a_run_of_any_mode_survives_what_passes(
    ends: Ends, runs: Runs, warehouse: LocalStack, mode: str, name: str
) -> None:
    set_faults(warehouse.redshift.control_file, [SURVIVED[name]])
    done = runs.sync(change=THREE_LOADS | {"BACKUP_MODE": mode})
    assert done.wait() == 0, done.stderr
    assert runs.result(done)["rows_loaded"] == 400
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert ends.shadows() == []


def test_a_full_refresh_that_conflicts_again_and_again_is_put_in_place_whole(
    ends: Ends, runs: Runs, warehouse: LocalStack
) -> None:
    """Each conflict rolls the last load back: its rows must not be in the shadow table twice."""
    fault = Fault(point="statement", action="conflict", match="^DELETE FROM", times=3)
    set_faults(warehouse.redshift.control_file, [fault])
    done = runs.sync(change=THREE_LOADS | {"BACKUP_MODE": "replace"})
    assert done.wait() == 0, done.stderr
    ends.assert_settled()
    ends.assert_each_row_merged_once()


LASTING = {
    "first COPY refused": (
        Fault(point="copy", action="error", message="Spectrum Scan Error", detail="code: 15007", times=0),
        "Spectrum Scan Error",
    ),
    "second merge refused": (
        Fault(point="statement", action="error", match="^INSERT", message="disk full", skip=2, times=0),
        "disk full",
    ),
}


@pytest.mark.parametrize(("fault", "says"), LASTING.values(), ids=LASTING.keys())
def test_a_run_that_cannot_load_says_why_and_the_next_finishes(
    ends: Ends, runs: Runs, warehouse: LocalStack, fault: Fault, says: str
) -> None:
    set_faults(warehouse.redshift.control_file, [fault])
    failed = runs.sync(change=THREE_LOADS)
    assert failed.wait() == 1, failed.stderr
    assert says in runs.result(failed)["error"]
    assert "Traceback" not in failed.stderr
    assert ends.state.lease is None
    clear_faults(warehouse.redshift.control_file)
    later = runs.settle(change=THREE_LOADS)
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert not {read for run in later for read in run.reads} & set(failed.reads), "a chunk was read again"


def test_a_commit_of_a_dead_run_that_lands_late_is_found(ends: Ends, runs: Runs, warehouse: LocalStack) -> None:
    """The old session holds the lock; the next run waits for it, and then finds the load done."""
    set_faults(warehouse.redshift.control_file, [Fault(point="before_commit", action="delay", seconds=2.0)])
    killed = runs.sync(point=Point("record.after", 1, "pause"), change=ONE_LOAD)
    killed.wait_paused()
    killed.go_on()
    time.sleep(0.3)  # COMMIT is with the server now, which sleeps on it
    killed.kill()
    killed.wait()
    assert commit_is_pending(ends)
    next_run = runs.sync(change=ONE_LOAD)
    assert next_run.wait() == 0, next_run.stderr
    assert len(ends.loads()) == 1
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def commit_is_pending(ends: Ends) -> bool:
    """Whether the load ledger is empty, or locked by the session that sleeps on its COMMIT."""
    ends.world.warehouse.execute("SET statement_timeout TO 200")
    try:
        return ends.loads() == []
    except psycopg.errors.QueryCanceled:
        return True
    finally:
        ends.world.warehouse.execute("SET statement_timeout TO 0")


def test_a_session_of_a_dead_run_that_never_commits_does_not_block_for_ever(
    ends: Ends, runs: Runs, warehouse: LocalStack
) -> None:
    killed = runs.sync(point="record.after")
    killed.wait()
    next_run = runs.sync()
    wait_for(lambda: next_run.exit_code is not None, "the lock of the dead session is freed", 20, next_run)
    assert next_run.exit_code == 0, next_run.stderr
    ends.assert_settled()


@pytest.mark.parametrize(
    "name",
    ["reply to every COMMIT lost", "1023 on the merge, three times", "connection lost before COMMIT", "1023 at COMMIT"],
)
def test_rows_gone_from_the_source_go_once_whatever_passes(
    ends: Ends, runs: Runs, warehouse: LocalStack, name: str
) -> None:
    ends.world.sync_one("t")
    ends.world.execute("DELETE FROM t WHERE MOD(id, 40) = 7")
    set_faults(warehouse.redshift.control_file, [replace(SURVIVED[name], skip=0)])
    done = runs.sync("--deletes", "hard")
    assert done.wait() == 0, done.stderr
    assert runs.result(done)["rows_deleted"] == 10
    ends.assert_settled()


@pytest.mark.parametrize("name", ["reply to every COMMIT lost", "1023 on the merge, three times"])
def test_a_repair_survives_what_passes(ends: Ends, runs: Runs, warehouse: LocalStack, name: str) -> None:
    ends.world.sync_one("t")
    table = f'"{ends.world.schema}"."t"'
    ends.world.warehouse.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE MOD(id, 40) = 6".encode())
    ends.world.warehouse.execute(f"DELETE FROM {table} WHERE MOD(id, 40) = 3".encode())
    set_faults(warehouse.redshift.control_file, [SURVIVED[name]])
    done = runs.sync(command=("repair",))
    assert done.wait() == 0, done.stderr
    assert done.document["tables"][runs.table]["rows_mended"] == 20
    ends.assert_settled()

"""Several runs on one table at once: one works, the others say who holds it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from tests.support.program import program_environment

from .crashing import Point
from .ends import Ends
from .runs import Run, Runs, wait_for


@pytest.mark.parametrize("others", [1, 4])
def test_one_run_works_and_the_others_say_who_holds_the_table(ends: Ends, runs: Runs, others: int) -> None:
    first = runs.sync(point=Point("AddFiles.after", 2, "pause"))
    first.wait_paused()
    refused = [runs.sync() for _ in range(others)]
    for run in refused:
        assert run.wait() == 5, run.stderr
        assert f"{runs.table} is held by process {first.pid} on " in run.stderr
        assert "since 20" in run.stderr
        assert runs.result(run)["status"] == "failed"
        assert run.reads == []
    first.go_on()
    assert first.wait() == 0, first.stderr
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_of_five_runs_that_start_together_those_that_work_share_nothing(ends: Ends, runs: Runs) -> None:
    """Who is late may find the work done; nobody does a part of it twice."""
    together = [runs.sync() for _ in range(5)]
    codes = sorted(run.wait() for run in together)
    assert codes[0] == 0
    assert set(codes) <= {0, 5}, [run.stderr for run in together]
    assert sum(runs.result(run)["rows_loaded"] for run in together if run.exit_code == 0) == 400
    assert len([read for run in together for read in run.reads]) == 8, "a chunk was read twice"
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_table_whose_holder_died_goes_to_one_of_two(ends: Ends, runs: Runs) -> None:
    assert runs.sync(point="AddFiles.after:3").wait() == -signal.SIGKILL
    two = [runs.sync(), runs.sync()]
    codes = sorted(run.wait() for run in two)
    assert codes in ([0, 0], [0, 5]), [run.stderr for run in two]
    assert len(set(two[0].reads) & set(two[1].reads)) == 0
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_holder_that_nobody_waited_for_is_dead(ends: Ends, runs: Runs, tmp_path: Path) -> None:
    """A killed process stays in the process table until its parent has asked for its exit code."""
    words = ["AddFiles.after:2", "sync", "-t", runs.table, "--inline", "--batch-size", "50"]
    environment = {**program_environment(), **runs.environment}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crashing", *words],
        env=environment | {"BACKUP_SETTLE_SECONDS": "0"},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    ) as holder:
        wait_for(lambda: _is_zombie(holder.pid), "the holder dies")
        next_run: Run = runs.sync()
        assert next_run.wait() == 0, next_run.stderr
        assert f"/{holder.pid}/" in next_run.stderr, "it does not say whom it took the table from"
    assert holder.returncode == -signal.SIGKILL
    ends.assert_settled()


def test_a_run_whose_table_was_taken_over_stops(ends: Ends, runs: Runs) -> None:
    """Frozen for longer than its lease, it wakes up when another has done the work."""
    frozen = runs.sync(point=Point("manifest.before", 1, "pause"))
    frozen.wait_paused()
    ends.age_lease()
    other = runs.sync()
    assert other.wait() == 0, other.stderr
    frozen.go_on()
    assert frozen.wait() == 5, frozen.stderr
    assert "is no longer held by this run" in frozen.stderr
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_frozen_full_refresh_does_not_put_old_rows_in_the_place_of_newer_ones(ends: Ends, runs: Runs) -> None:
    """It wakes up before its last load, when the table was given up and refreshed by another."""
    frozen = runs.sync(point=Point("lock.before", 2, "pause"), change={"BACKUP_MODE": "replace"} | FEW_FILES)
    frozen.wait_paused()
    ends.age_lease()
    ledger, name = ends.world.ledger(), ends.world.name("t")
    ledger.commit(name, [SetWatermark(watermark=Watermark.START, generation="anew")])
    ends.world.execute("DELETE FROM t WHERE id <= 100")
    other = runs.sync(change={"BACKUP_MODE": "replace"})
    assert other.wait() == 0, other.stderr
    frozen.go_on()
    assert frozen.wait() == 4, frozen.stderr
    assert "is older than what" in runs.result(frozen)["error"]
    ends.assert_equal_once()
    assert ends.world.target_rows("t") == [(300,)]


FEW_FILES = {"BACKUP_FILES_PER_LOAD": "7"}


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

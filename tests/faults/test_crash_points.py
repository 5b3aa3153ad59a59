"""kill -9 of the driver at every step of a sync; the next runs finish the work."""

from __future__ import annotations

import signal

import pytest

from s3rs_ray.policies import Mode

from .ends import Ends, assert_no_chunk_read_again
from .runs import Runs

STEPS = {
    1: ("discover.after",),
    2: ("contract.after",),
    3: ("Begin.after", "AddChunks.after"),
    4: ("read.after:3", "data.before:3", "data.after:8"),
    5: ("AddFiles.after:2", "Finish.before"),
    6: ("Seal.after", "manifest.after:2"),
    7: ("copy.after:2", "insert.after", "record.after", "commit.after:2"),
    8: ("Advance.before", "Advance.after:3", "Release.before"),
}
POINTS = [pytest.param(point, id=f"{step}-{point}") for step, points in STEPS.items() for point in points]


BY_MODE = {
    Mode.APPEND: ("insert.after:2", "commit.before:2", "commit.after:2"),
    # Loads of three, three and two files: the third is the one that replaces the table.
    Mode.REPLACE: (
        "BeginRefresh.before", "BeginRefresh.after", "AddFiles.after:2", "shadow.after", "insert.after:2",
        "commit.after:2", "Seal.after:3", "delete.after", "insert.after:4", "record.after:3", "commit.before:3",
        "commit.after:3", "Advance.before:3",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "point"), [pytest.param(m, p, id=f"{m}-{p}") for m, points in BY_MODE.items() for p in points]
)
def test_a_run_of_any_mode_killed_at_any_step_is_finished_by_the_next(
    ends: Ends, runs: Runs, mode: Mode, point: str
) -> None:
    change = {"BACKUP_FILES_PER_LOAD": "3", "BACKUP_MODE": mode.value}
    runs.nothing_left = lambda: ends.nothing_left(mode)
    killed = runs.sync(point=point, change=change)
    assert killed.wait() == -signal.SIGKILL, killed.stderr
    there = {run_id: ends.written(run_id) for run_id, _ in killed.reads}
    later = runs.settle(change=change)
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert ends.shadows() == []
    assert_no_chunk_read_again(there, later)


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_any_step_is_finished_by_the_next(ends: Ends, runs: Runs, point: str) -> None:
    few_files = {"BACKUP_FILES_PER_LOAD": "3"}
    killed = runs.sync(point=point, change=few_files)
    assert killed.wait() == -signal.SIGKILL, killed.stderr
    there = {run_id: ends.written(run_id) for run_id, _ in killed.reads}
    later = runs.settle(change=few_files)
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert_no_chunk_read_again(there, later)


@pytest.mark.parametrize(
    "point", ["AddChunks.after", "data.after:8", "Seal.after", "commit.after:2", "Advance.after:3"]
)
def test_so_is_a_run_whose_chunks_are_ranges_of_the_key(ends: Ends, runs: Runs, point: str) -> None:
    """Its watermark moves with the last file only, so the files before it are loaded without one."""
    by_key = {"BACKUP_FILES_PER_LOAD": "3", "BACKUP_CHUNK_ORDER": "key"}
    killed = runs.sync(point=point, change=by_key)
    assert killed.wait() == -signal.SIGKILL, killed.stderr
    there = {run_id: ends.written(run_id) for run_id, _ in killed.reads}
    later = runs.settle(change=by_key)
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert_no_chunk_read_again(there, later)


def test_a_merge_killed_between_the_deletion_of_old_versions_and_the_insertion_of_new_ones_loses_neither(
    ends: Ends, runs: Runs
) -> None:
    runs.settle()
    ends.change(1)
    killed = runs.sync(point="delete.after")
    assert killed.wait() == -signal.SIGKILL, killed.stderr
    runs.settle()
    ends.assert_settled()

"""``report``: a run leaves one, and it is found again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command


@pytest.fixture
def table(world: World) -> str:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, '2026-01-01')", [(i,) for i in range(90)])
    return f"{world.schema}.t"


def test_a_run_leaves_a_report_that_can_be_shown_and_written(command: Command, table: str, tmp_path: Path) -> None:
    local, page = tmp_path / "own.html", tmp_path / "page.html"
    done = command(
        "sync", "-t", table, "--inline", "--batch-size", "30", "--verify-data", "--report", str(local), "-o", "json"
    )
    run = done.json["execution_id"]
    shown = command("report", run)
    assert f"run {run}: success" in shown.out
    assert f"{table}: verified 90 rows" in shown.out
    document = command("report", run, "-o", "json").json
    assert document["table_results"] == done.json["table_results"]
    timeline = document["timeline"][table]
    assert sorted(c["chunk"] for c in timeline["chunks"]) == [0, 1, 2]
    assert sum(load["rows"] for load in timeline["loads"]) == 90
    assert all(0 <= m["start"] <= m["end"] <= document["duration_seconds"] for m in timeline["chunks"])
    assert command("report", run, "--html", str(page)).code == 0
    assert page.read_text() == local.read_text()
    assert run in command("report", "--list", "-o", "json").json["runs"]


def test_a_run_that_failed_leaves_one_too(command: Command, table: str) -> None:
    done = command("sync", "-t", table, "--inline", "-o", "json", BACKUP_KEY_COLUMNS="update_at")
    assert done.code == 1
    shown = command("report", done.json["execution_id"])
    assert f"{table}: error: " in shown.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_report_that_cannot_be_written_does_not_fail_the_run(command: Command, table: str) -> None:
    done = command("sync", "-t", table, "--inline", "--report", "/dev/full")  # as on a disk that is full by then
    assert done.code == 0
    assert "warning: cannot write the report /dev/full" in done.err


def test_an_unknown_run_is_a_wrong_word(command: Command) -> None:
    done = command("report", "19700101")
    assert done.code == 2
    assert "no run begins with '19700101'" in done.err
    assert "report --list" in done.err

"""kill -9 of a repair, and of a sync that follows deletes, at every step; frozen ones that go on behind others."""

from __future__ import annotations

import datetime as dt
import signal

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.repair import RepairAsked, repair
from s3rs_ray.ledger.changes import SetWatermark, Unseal
from s3rs_ray.policies import Deletes

from .crashing import Point
from .ends import PAST, Ends
from .runs import Run, Runs

REPAIR = ("repair", "--delete", "--max-workers", "2")
FOLLOW = ("sync", "--deletes", "hard")
SMALL = 50
"""Rows of a segment and of a chunk."""
FROZEN = Point("lock.before", 1, "pause")
POINTS = (
    "contract.after", "Begin.after", "AddChunks.after", "data.after", "AddFiles.after", "Finish.after", "Seal.after",
    "delete.after", "record.after", "commit.before", "commit.after", "Advance.before", "insert.after:2",
    "delete.after:2", "commit.after:2", "Release.before",
)  # fmt: skip


def spoil(ends: Ends) -> None:
    """Rows that are missing, changed, doubled, of a cursor that is too new, and gone from the source."""
    target = f'"{ends.world.schema}"."t"'
    for statement in (
        f"DELETE FROM {target} WHERE MOD(id, 40) = 3",
        f"UPDATE {target} SET note = note || ' ' WHERE MOD(id, 40) = 4",
        f"UPDATE {target} SET update_at = '2027-01-01' WHERE MOD(id, 40) = 5",
        f"INSERT INTO {target} SELECT * FROM {target} WHERE MOD(id, 40) = 6",
    ):
        ends.world.warehouse.execute(statement.encode())
    ends.world.execute("DELETE FROM t WHERE MOD(id, 40) = 7")


def carry(ends: Ends) -> None:
    """A sync in this process."""
    ends.world.sync_one("t", small(ends))


def mend(ends: Ends) -> None:
    """A repair in this process, which leaves nothing."""
    asked = RepairAsked(tables=(f"{ends.world.schema}.t",), deletes=Deletes.HARD, inline=True)
    (done,) = repair(small(ends), asked)
    assert done.mended, done


def small(ends: Ends) -> Settings:
    return ends.world.settings.model_copy(update={"backup_batch_size": SMALL})


def start(runs: Runs, command: tuple[str, ...], point: Point | str | None = None) -> Run:
    return runs.sync(command=command, change={"BACKUP_BATCH_SIZE": str(SMALL)}, point=point)


def kill(runs: Runs, command: tuple[str, ...], point: str) -> None:
    """A run that is killed there."""
    killed = start(runs, command, point)
    assert killed.wait() == -signal.SIGKILL, killed.stderr


def freeze(ends: Ends, runs: Runs, command: tuple[str, ...]) -> Run:
    """A run that stands still before the transaction that counts, until its lease is over."""
    frozen = start(runs, command, FROZEN)
    frozen.wait_paused()
    ends.age_lease()
    return frozen


@pytest.mark.parametrize("point", POINTS)
def test_a_repair_killed_at_any_step_is_finished_by_the_next(ends: Ends, runs: Runs, point: str) -> None:
    carry(ends)
    spoil(ends)
    reached = ends.state.loaded
    kill(runs, REPAIR, point)
    assert ends.state.loaded == ends.state.extracted == reached
    mend(ends)
    assert ends.state.loaded == reached
    ends.assert_settled()


@pytest.mark.parametrize("point", ["AddChunks.after", "data.after", "commit.after"])
def test_a_sync_goes_on_with_a_repair_while_the_source_changes(ends: Ends, runs: Runs, point: str) -> None:
    carry(ends)
    spoil(ends)
    kill(runs, REPAIR, point)
    ends.change(1)
    runs.settle()
    ends.change(2)
    mend(ends)
    carry(ends)
    ends.assert_settled()


@pytest.mark.parametrize(
    ("how", "point"),
    [
        *(("hard", point) for point in (
            "insert.after", "delete.after", "commit.before", "commit.after",
        )),
        ("soft", "update.after"),
    ],
)  # fmt: skip
def test_rows_gone_from_the_source_go_once_however_a_run_dies(ends: Ends, runs: Runs, how: str, point: str) -> None:
    follow = ("sync", "--deletes", how)
    carry(ends)
    ends.world.execute("DELETE FROM t WHERE MOD(id, 40) = 7")
    kill(runs, follow, point)
    done = point == "commit.after"
    live = "" if how == "hard" else " WHERE _s3rs_deleted_at IS NULL"
    assert ends.world.target_rows("t", "count(*)", live) == [(390 if done else 400,)]
    again = start(runs, follow)
    assert again.wait() == 0, again.stderr
    assert runs.result(again)["rows_deleted"] == (0 if done else 10)
    assert ends.world.target_rows("t", "count(*)", live) == [(390,)]
    assert ends.world.target_rows("t") == [(390 if how == "hard" else 400,)]
    if how == "hard":
        ends.assert_settled()


def test_a_frozen_repair_that_was_taken_over_does_no_harm(ends: Ends, runs: Runs) -> None:
    carry(ends)
    spoil(ends)
    frozen = freeze(ends, runs, REPAIR)
    carry(ends)
    ends.change(1)
    carry(ends)
    frozen.go_on()
    assert frozen.wait() == 5, frozen.stderr
    mend(ends)
    ends.assert_settled()


def test_a_frozen_repair_takes_no_row_back_in_time_when_its_load_was_given_up(ends: Ends, runs: Runs) -> None:
    """As by ``watermark set``, which found that it had not happened; then rows change, and it happens all the same."""
    carry(ends)
    spoil(ends)
    frozen = freeze(ends, runs, REPAIR)
    state = ends.state
    assert state.sealed is not None
    given_up, anew = Unseal(load_id=state.sealed.load_id), SetWatermark(watermark=state.loaded, generation="anew")
    ends.world.ledger().commit(state.table, [given_up, anew])
    ends.world.execute("UPDATE t SET note = 'newer', update_at = '2026-02-01' WHERE MOD(id, 40) IN (3, 4, 6)")
    carry(ends)
    frozen.go_on()
    assert frozen.wait() == 5, frozen.stderr
    assert ends.world.target_rows("t", "count(*)", "WHERE note = 'newer'") == [(30,)]
    mend(ends)
    ends.assert_equal_once()


def test_a_frozen_delete_that_was_overtaken_deletes_nothing(ends: Ends, runs: Runs) -> None:
    carry(ends)
    ends.world.execute("DELETE FROM t WHERE MOD(id, 40) = 7")
    frozen = freeze(ends, runs, FOLLOW)
    ends.insert(range(7, 400, 40), PAST + dt.timedelta(days=1))
    carry(ends)  # they are back, and loaded
    frozen.go_on()
    assert frozen.wait() in (4, 5), frozen.stderr
    assert "loaded by another run since" in frozen.stderr + frozen.stdout
    ends.assert_settled()

"""kill -9 at random moments, again and again, while the source changes between the runs."""

from __future__ import annotations

import random
import signal
import time

import pytest

from .ends import Ends
from .runs import Runs


@pytest.mark.parametrize(("seed", "order"), [(1, "cursor"), (2, "key")])
def test_a_table_survives_kills_at_any_moment(ends: Ends, runs: Runs, seed: int, order: str) -> None:
    """A whole run takes about half a second here; each is killed somewhere in it."""
    chance = random.Random(seed)
    killed = 0
    for day in range(1, 8):
        run = runs.sync(change={"BACKUP_FILES_PER_LOAD": "2", "BACKUP_CHUNK_ORDER": order})
        time.sleep(chance.uniform(0.15, 0.6))
        if run.exit_code is None:
            run.kill()
        assert run.wait() in (0, -signal.SIGKILL), run.stderr
        killed += run.exit_code == -signal.SIGKILL
        if day % 2:
            ends.change(day)
    assert killed, "no run was killed"
    runs.settle()
    ends.assert_settled()

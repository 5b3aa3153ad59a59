"""A source that is far away: 50 ms to it and back, and one packet of a hundred lost on either way."""

from __future__ import annotations

from dataclasses import replace

from s3rs_ray.local.stack import LocalStack
from tests.support.far import open_far
from tests.support.forward import forward

from .ends import Ends
from .runs import Runs


def test_a_sync_from_a_far_source_ends_right(stack: LocalStack, ends: Ends, runs: Runs) -> None:
    with open_far(round_trip=0.05, loss=0.01) as far, forward(far.listen(), stack.settings.db_port) as port:
        runs.environment = {**runs.environment, "DB_HOST": far.address, "DB_PORT": str(port)}
        reached = ends.world.settings.model_copy(update={"db_host": far.address, "db_port": port})
        ends.world = replace(ends.world, settings=reached)
        run = runs.sync("--verify-data")
        assert run.wait(120) == 0, run.stderr
        assert far.lost, "every packet arrived"
        assert "tried again" not in run.stderr  # TCP makes the losses good
        ends.assert_settled()
        ends.assert_each_row_merged_once()

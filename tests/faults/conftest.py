"""One table in a world of its own, and processes of the program that work on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from s3rs_ray.local.stack import LocalStack
from tests.integration.conftest import World, bucket, world
from tests.support.s3_proxy import S3Proxy, s3_proxy

from .ends import Ends
from .runs import Runs

__all__ = ["World", "bucket", "ends", "proxy", "runs", "world"]

ROWS = 400


@pytest.fixture
def ends(world: World) -> Iterator[Ends]:
    """A source table ``t`` of 400 rows, some of which share their cursor."""
    ends = Ends(world)
    ends.create(ROWS)
    try:
        yield ends
    finally:
        ends.close()


@pytest.fixture
def runs(ends: Ends, tmp_path: Path) -> Iterator[Runs]:
    """Processes of the program on that table."""
    runs = Runs(
        environment=ends.world.environment,
        table=f"{ends.world.schema}.t",
        directory=tmp_path,
        nothing_left=ends.nothing_left,
    )
    try:
        yield runs
    finally:
        runs.clear()


@pytest.fixture
def proxy(stack: LocalStack, runs: Runs) -> Iterator[S3Proxy]:
    """A proxy between the runs and S3; the tests' own clients and COPY go past it."""
    with s3_proxy(stack.s3.endpoint_url) as proxy:
        runs.environment = {**runs.environment, "S3_ENDPOINT_URL": proxy.url}
        yield proxy

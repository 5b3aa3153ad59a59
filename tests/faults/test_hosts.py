"""A cluster of several hosts: the link of one is cut in the middle of a chunk, for good or for a while."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from s3rs_ray.local.stack import LocalStack
from tests.support.forward import forward
from tests.support.hosts import Lan, open_lan
from tests.support.ray_nodes import DRIVER, end_node, ray_variables, start_head, worker_on
from tests.support.s3_proxy import S3Fault, S3Proxy, s3_proxy

from .ends import Ends
from .runs import Runs, wait_for

SOONER = {"RAY_grpc_client_keepalive_time_ms": "4000", "RAY_grpc_client_keepalive_timeout_ms": "2000"}
"""Ten seconds by themselves."""


@pytest.fixture
def lan() -> Iterator[Lan]:
    with open_lan() as lan:
        yield lan


@pytest.fixture
def proxy(stack: LocalStack, ends: Ends, runs: Runs, lan: Lan) -> Iterator[S3Proxy]:
    """S3 and MySQL as the hosts reach them."""
    with (
        s3_proxy(stack.s3.endpoint_url, lan.address) as proxy,
        forward(socket.create_server((lan.address, 0)), stack.settings.db_port) as port,
    ):
        ways = {"S3_ENDPOINT_URL": proxy.url, "DB_HOST": lan.address, "DB_PORT": str(port)}
        runs.environment = {**runs.environment, **ways}
        reached = ends.world.settings.model_copy(update={"db_host": lan.address, "db_port": port})
        ends.world = replace(ends.world, settings=reached)
        yield proxy


@pytest.fixture
def head(lan: Lan) -> Iterator[str]:
    """The address of a head on this host, with a worker on each of two others."""
    with socket.socket() as free:
        free.bind((lan.address, 0))
        port = free.getsockname()[1]
    with ray_variables(RAY_health_check_timeout_ms="500"), ExitStack() as nodes:
        cluster = start_head(lan.address, port)
        nodes.callback(end_node, cluster.head_node)
        for _ in range(2):
            nodes.enter_context(worker_on(lan.add(), cluster))
        yield cluster.address


@pytest.mark.parametrize("comes_back", [False, True])
def test_the_link_of_a_host_is_cut_in_the_middle_of_a_chunk(
    ends: Ends, runs: Runs, lan: Lan, proxy: S3Proxy, head: str, comes_back: bool
) -> None:
    """What it was reading is read elsewhere, while what it wrote last arrives after all."""
    held = S3Fault(key=r"_batch_0003\.parquet", hold=threading.Event())
    proxy.set(held)
    run = runs.sync_with_ray("--address", head, change=DRIVER | SOONER)
    wait_for(lambda: bool(held.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr
    lost = next(host for host in lan.hosts if host.address in held.clients)
    open_gate = threading.Event()
    open_gate.set()
    again = S3Fault(key=r"_batch_0003\.parquet", method="HEAD", times=0, hold=open_gate)
    lost.cut()
    proxy.set(again)
    if comes_back:
        wait_for(lambda: bool(set(again.clients) - {lost.address}), "the chunk is tried elsewhere", run=run)
        lost.restore()
    assert run.wait(120) == 0, run.stderr
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()

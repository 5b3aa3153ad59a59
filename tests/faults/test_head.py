"""The head of a Ray cluster is lost under a driver that runs elsewhere: gone, or started again without its memory."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from tests.support.ray_nodes import DRIVER, end_node, ray_variables, start_head
from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends, assert_no_chunk_read_again
from .runs import Runs, wait_for

HEAD, WORKER = "127.0.0.2", "127.0.0.3"


@pytest.fixture
def clusters() -> Iterator[list[Cluster]]:
    """The cluster, and behind it those that took its place."""
    with ray_variables():
        with socket.socket() as free:
            free.bind((HEAD, 0))
            port = free.getsockname()[1]
        made = [start_head(HEAD, port)]
        worker = made[0].add_node(node_ip_address=WORKER, num_cpus=1)
        yield made
        for node in (worker, *(cluster.head_node for cluster in made)):
            end_node(node)


@pytest.mark.parametrize(("again", "says"), [(True, "does not know this run"), (False, "has not answered for")])
def test_a_run_whose_head_is_lost_ends_in_time_and_the_next_goes_on(
    ends: Ends, runs: Runs, proxy: S3Proxy, clusters: list[Cluster], again: bool, says: str
) -> None:
    """Ray itself would wait for ever, or end the driver without a word."""
    held = S3Fault(key=r"_batch_0003\.parquet", hold=threading.Event())
    proxy.set(held)
    change = {"RAY_ADDRESS": clusters[0].address, "RAY_gcs_rpc_server_reconnect_timeout_s": "20", **DRIVER}
    run = runs.sync_with_ray(change=change)
    wait_for(lambda: bool(held.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr
    wait_for(lambda: bool(ends.files()), "a file is on S3", run=run)
    end_node(clusters[0].head_node)
    if again:
        clusters.append(start_head(HEAD, int(clusters[0].address.rpartition(":")[2])))
    assert run.wait() == 1, run.stderr
    assert says in run.stderr
    assert "run the command again" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.document["status"] == "failed"
    assert ends.state.lease is None
    proxy.set()
    run_id = ends.open_run_id()
    assert_no_chunk_read_again({run_id: ends.written(run_id)}, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()

"""A Ray cluster of several nodes: drivers that join it, nodes that are lost, one coordinator for all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from ray._private.node import Node
from ray.cluster_utils import Cluster

from s3rs_ray.engine.cluster import source_resource
from s3rs_ray.engine.events import EventKind
from s3rs_ray.local.stack import LocalStack
from tests.support.ray_nodes import DRIVER, ray_variables
from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends
from .runs import Run, Runs, wait_for

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", **DRIVER}
"""Ray replaces 127.0.0.1 by the address that leads to the network, but on systems where it makes no clusters."""
READER = "ray::_extract"
COORDINATOR = "ray::LedgerActor"


@pytest.fixture(scope="module")
def cluster(stack: LocalStack) -> Iterator[Cluster]:
    """A head without room for readers, as in cluster.yaml, that knows of a cap on the readers of the stack's source."""
    with ray_variables(**LOOPBACK):
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "node_ip_address": "127.0.0.1",
                "include_dashboard": False,
                "resources": {source_resource(stack.settings): 1},
            },
        )
        yield made
        made.shutdown()


@pytest.fixture
def source(stack: LocalStack) -> str:
    return source_resource(stack.settings)


def processes(cluster: Cluster, kind: str) -> dict[int, int]:
    """The cluster's processes at such work, each with the raylet it belongs to."""
    raylets = {p.process.pid for node in cluster.list_all_nodes() for p in node.all_processes["raylet"]}
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if command.startswith(kind) and parent in raylets:
            found[int(entry.name)] = parent
    return found


def raylet(node: Node) -> int:
    """The process id of a node's raylet."""
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def coordinators(cluster: Cluster) -> set[str]:
    """Those the head knows, also one whose node was lost and that is not started again yet."""
    actors = cluster.global_state.actor_table(None).items()
    return {key for key, actor in actors if actor["ActorClassName"] == "LedgerActor" and actor["State"] != "DEAD"}


def test_a_node_dies_in_the_middle_of_a_chunk(
    ends: Ends, runs: Runs, proxy: S3Proxy, cluster: Cluster, source: str
) -> None:
    """What it read is read elsewhere, which is told; what lay on S3 is not touched again."""
    nodes = [cluster.add_node(num_cpus=1, resources={source: 1}) for _ in range(2)]
    held = S3Fault(key=r"_batch_000[34]\.parquet", times=2, hold=threading.Event())  # a chunk on each node
    proxy.set(held)
    run = runs.sync_with_ray(change={"RAY_ADDRESS": cluster.address, **LOOPBACK})
    wait_for(lambda: held.struck == 2 or run.exit_code is not None, "both workers write their files", run=run)
    assert run.exit_code is None, run.stderr
    readers = set(processes(cluster, READER).values())
    assert readers == {raylet(node) for node in nodes}
    assert set(processes(cluster, COORDINATOR).values()) == {raylet(cluster.head_node)}
    lost = nodes[0]
    before = ends.files()
    seen = len(proxy.requests)
    cluster.remove_node(lost, allow_graceful=False)
    proxy.set()
    assert run.wait(120) == 0, run.stderr
    again = [path for method, path in proxy.requests[seen:] if method == "PUT" and any(key in path for key in before)]
    assert not again, "a chunk whose file was on S3 was read and written again"
    retries = ends.report(run)["timeline"][runs.table]["retries"]
    assert [r["chunk"] in (3, 4) for r in retries if "the worker died" in r["reason"]] == [True], retries
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    cluster.remove_node(nodes[1])


def test_two_drivers_share_the_coordinator_and_the_cap_on_readers(
    ends: Ends, runs: Runs, proxy: S3Proxy, cluster: Cluster, source: str
) -> None:
    """The end of one, by kill -9, is not the end of the other; both together hold no more readers than are allowed."""
    node = cluster.add_node(num_cpus=4, resources={source: 2})
    others = coordinators(cluster)  # those of other tests' buckets stay
    ends.world.execute("CREATE TABLE u LIKE t")
    ends.world.execute("INSERT INTO u SELECT * FROM t")
    held = S3Fault(key=r"_batch_\d+\.parquet", times=0, hold=threading.Event())
    proxy.set(held)
    first = runs.sync_with_ray("--address", cluster.address, change=LOOPBACK)
    wait_for(lambda: held.struck == 2 or first.exit_code is not None, "its readers are at work", run=first)
    runs.table = f"{ends.world.schema}.u"
    second = runs.sync_with_ray("--address", cluster.address, change=LOOPBACK)
    other = ends.world.name("u")
    wait_for(lambda: bool((run := ends.world.ledger().load(other).run) and run.chunks), "it has a plan", run=second)
    time.sleep(1)
    assert len(processes(cluster, READER)) == 2
    assert len(coordinators(cluster) - others) == 1
    first.kill()
    proxy.set()
    assert second.wait(120) == 0, second.stderr
    ends.world.assert_equal("u")
    runs.table = f"{ends.world.schema}.t"
    runs.settle()
    ends.assert_settled()
    cluster.remove_node(node)


def test_a_run_says_that_it_waits_for_a_node_when_none_came_and_when_the_last_is_lost(
    ends: Ends, runs: Runs, proxy: S3Proxy, cluster: Cluster, source: str
) -> None:
    """It goes on by itself when one comes, as an autoscaler may bring it."""
    held = S3Fault(key=r"_batch_0003\.parquet", hold=threading.Event())
    proxy.set(held)
    run = runs.sync_with_ray("--progress", "json", change={"RAY_ADDRESS": cluster.address, **LOOPBACK})

    def waits(times: int) -> None:
        wait_for(lambda: len(told(run, waits=True)) == times or run.exit_code is not None, "it is said", run=run)
        assert run.exit_code is None, run.stderr
        reason = str(told(run, waits=True)[-1]["reason"])
        assert "a task needs 0.5 CPU, " in reason
        assert f", 1 {source}; its only node has 0 CPU, " in reason

    waits(1)
    first = cluster.add_node(num_cpus=1, resources={source: 1})
    wait_for(lambda: bool(held.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    wait_for(lambda: bool(told(run, waits=False)) or run.exit_code is not None, "it says that one came", run=run)
    assert run.exit_code is None, run.stderr
    cluster.remove_node(first, allow_graceful=False)
    waits(2)
    second = cluster.add_node(num_cpus=1, resources={source: 1})
    proxy.set()
    assert run.wait() == 0, run.stderr
    assert "the run goes on when one comes" in run.stderr
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    cluster.remove_node(second)


def told(run: Run, *, waits: bool) -> list[dict[str, object]]:
    """What was said of waiting for nodes, or of its end."""
    events = [orjson.loads(line) for line in run.stderr.splitlines() if line.startswith("{") and line.endswith("}")]
    return [event for event in events if event["event"] == EventKind.WAITING.value and event["waits"] == waits]


def test_a_cluster_that_is_not_there_is_said_at_once(runs: Runs, cluster: Cluster) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        run = runs.sync_with_ray("--address", f"127.0.0.1:{nobody.getsockname()[1]}")
        assert run.wait() == 2, run.stderr
    assert "no Ray cluster answers at 127.0.0.1:" in run.stderr

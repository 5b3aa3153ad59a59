"""Ray nodes for tests: the variables they need, heads with a port of their own, and their sudden end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile, mkdtemp
from typing import IO

from ray._private.node import Node
from ray.cluster_utils import Cluster

from .hosts import Host

DRIVER = {"RAY_AUTH_MODE": "disabled"}
"""For drivers: a ray.init earlier in this process leaves token authentication on for the clusters it starts."""

VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_health_check_period_ms": "500", **DRIVER}
START_SECONDS = 60.0


@contextmanager
def ray_variables(**more: str) -> Iterator[None]:
    """The environment in which nodes are started, with a directory of their own; put back at the end."""
    variables = {**VARIABLES, **more, "RAY_TMPDIR": mkdtemp(prefix="s3h-", dir="/tmp")}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        rmtree(variables["RAY_TMPDIR"], ignore_errors=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_head(address: str, port: int, **more: object) -> Cluster:
    """A head without room for readers, on an address and a port of ours."""
    arguments = {"num_cpus": 0, "node_ip_address": address, "gcs_server_port": port, "include_dashboard": False, **more}
    return Cluster(initialize_head=True, head_node_args=arguments)


@contextmanager
def worker_on(host: Host, cluster: Cluster, **resources: float) -> Iterator[None]:
    """A node with one CPU on a host of its own, once the head knows it."""
    words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={cluster.address}"]
    words += ["--num-cpus=1", f"--node-ip-address={host.address}", f"--resources={json.dumps(resources)}"]
    with TemporaryFile() as said, ended_process([*host.prefix, *words], said) as process:
        until = time.monotonic() + START_SECONDS
        while not any(
            n["Alive"] and n["NodeManagerAddress"] == host.address for n in cluster.global_state.node_table()
        ):
            if process.poll() is not None or time.monotonic() > until:
                said.seek(0)
                raise AssertionError(f"no node came up on {host.address}: {said.read().decode()}")
            time.sleep(0.05)
        yield


@contextmanager
def ended_process(
    words: Sequence[str], said: IO[bytes], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, of which nothing is left at the end."""
    process = subprocess.Popen(
        words, start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment
    )
    try:
        yield process
    finally:
        end_session(process.pid)
        process.wait()


def session_processes(leader: int) -> dict[int, str]:
    """Command line and environment of every process whose first ancestor is the leader of a session."""
    parents, texts = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            texts[int(entry.name)] = "\n".join(
                (entry / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")
            )
    found = {leader}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: texts[pid] for pid in found if pid in texts}


def end_session(leader: int) -> None:
    """kill -9 of everything in a session, and of what descends from it."""
    for pid in session_processes(leader):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(entry.name)) == leader:
                os.kill(int(entry.name), signal.SIGKILL)


def end_node(node: Node) -> None:
    """kill -9 of everything a node runs."""
    node.kill_all_processes(check_alive=False, allow_graceful=False)

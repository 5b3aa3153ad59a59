"""Ray nodes for tests: the variables they need, heads with a port of their own, and their sudden end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private.node import Node
from ray.cluster_utils import Cluster

DRIVER = {"RAY_AUTH_MODE": "disabled"}
"""For drivers: a ray.init earlier in this process leaves token authentication on for the clusters it starts."""

VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_health_check_period_ms": "500", "RAY_TMPDIR": "/tmp", **DRIVER}


@contextmanager
def ray_variables(**more: str) -> Iterator[None]:
    """The environment in which nodes are started; put back at the end."""
    variables = VARIABLES | more
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_head(address: str, port: int, **more: object) -> Cluster:
    """A head without room for readers, on an address and a port of ours."""
    arguments = {"num_cpus": 0, "node_ip_address": address, "gcs_server_port": port, "include_dashboard": False, **more}
    return Cluster(initialize_head=True, head_node_args=arguments)


def end_node(node: Node) -> None:
    """kill -9 of everything a node runs."""
    node.kill_all_processes(check_alive=False, allow_graceful=False)

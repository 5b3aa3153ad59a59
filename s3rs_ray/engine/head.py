"""Whether the head of the cluster is still there, and still the one that the driver joined; the nodes it knows."""

from __future__ import annotations

import logging
import math
import os
import threading
import time

import ray
import ray.exceptions
from ray._private.worker import global_worker
from ray.core.generated.gcs_pb2 import GcsNodeInfo

from ..errors import ClusterLost

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
NODES_SECONDS = 5.0
"""How often it is asked for its nodes."""
ANSWER_SECONDS = 2
"""How long the head may take to answer one look."""
RAY_SECONDS = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's own setting: how long its processes wait for a head before they end themselves, the driver's without a word."""
HINT = "run the command again when the cluster is back: it goes on from what is recorded on S3"


def patience() -> float:
    """Seconds after which a head that does not answer is taken to be gone: half of what Ray waits (60 s)."""
    return 0.5 * float(os.environ.get(RAY_SECONDS, "60"))


class HeadWatch:
    """Looks at the head from a thread of its own.

    Ray's calls wait for an answer that a dead head never gives or, when it was started again without its memory, go to
    one that refuses them for ever (measured: ``ray.get`` of an actor's call and ``ray.wait`` hang; ``ray.nodes`` ends
    the process). What waits for Ray therefore waits a little at a time, and asks here in between.

    Attributes:
        lost: why the cluster is lost; None while it is there.
        nodes: what each node that is alive has in all; None while that is not known.
    """

    def __init__(self, seconds: float) -> None:
        self.lost: ClusterLost | None = None
        self.nodes: list[dict[str, float]] | None = None
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises ClusterLost when the cluster is lost."""
        if self.lost is not None:
            raise self.lost

    def close(self) -> None:
        self._ended.set()
        self._thread.join(ANSWER_SECONDS)

    def _watch(self) -> None:
        answered, looked = time.monotonic(), -math.inf
        while not self._ended.wait(LOOK_SECONDS):
            try:
                # Any question does; this one is answered from the head's memory, and bounded in time.
                global_worker.gcs_client.internal_kv_get(b"s3rs-ray", b"s3rs-ray", timeout=ANSWER_SECONDS)
                answered = time.monotonic()
                if answered - looked >= NODES_SECONDS:
                    self.nodes, looked = _living_nodes(), answered
            except ray.exceptions.AuthenticationError as exc:  # a head knows its own cluster's drivers only
                self._lose(f"the head of the Ray cluster was started again and does not know this run: {exc}")
                return
            except ray.exceptions.RayError as exc:
                silent = time.monotonic() - answered
                log.info("the head of the Ray cluster has not answered for %.0f s: %s", silent, exc)
                if silent >= self._seconds:
                    self._lose(f"the head of the Ray cluster has not answered for {silent:.0f} s")
                    return

    def _lose(self, message: str) -> None:
        if not self._ended.is_set():
            self.lost = ClusterLost(message, hint=HINT)


def _living_nodes() -> list[dict[str, float]]:
    known = global_worker.gcs_client.get_all_node_info(timeout=ANSWER_SECONDS).values()
    return [dict(node.resources_total) for node in known if node.state == GcsNodeInfo.ALIVE]

"""Ray: the cluster and the remote tasks. ray lives here and in ``coordinator``."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import ray
import ray.exceptions

from ..config import Settings
from ..errors import ConfigError, S3rsError, WorkerLost
from ..model import DataFile
from ..scratch import open_scratch
from .coordinator import NAMESPACE, RemoteLedger
from .executor import CHECK_SECONDS, ChunkTask, Item, Result, Ticket, always, own_cpus, reader_count
from .head import HeadWatch, patience
from .joining import require_address, require_token
from .nodes import Shortage
from .sizing import FILE_BYTES, SLICE_BYTES
from .tasks import StageSeconds, extract_chunk
from .worker_metrics import measure

log = logging.getLogger(__name__)

TASK_CPUS = 0.5
"""A chunk's task waits for the source half of its time; more readers than cores keep the source busy."""
TASK_BYTES = 3 * SLICE_BYTES + FILE_BYTES + 192 * 2**20
"""Memory of a chunk's task: three slices, the file, and the process with its libraries."""
LOST_NODES = 3
"""How often Ray starts a task again whose process or node died, where nobody else does."""


@contextmanager
def open_cluster(settings: Settings, tell: Callable[[str], None]) -> Iterator[Cluster]:
    """A running cluster (``RAY_ADDRESS``), or one on this machine that ends with the block.

    Args:
        tell: called with the reason why tasks wait for a node, and with an empty text once one has come.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it says at each start how its tokens may be turned off
    local = not settings.ray_address
    with open_scratch() as directory:
        if not local:
            require_address(settings.ray_address)
            require_token(settings.ray_address)
        with _started(lambda: _init(settings, directory, local=local)):
            head = HeadWatch(patience())
            try:
                yield Cluster(settings, head, tell)
            finally:
                head.close()
                ray.shutdown()


def _init(settings: Settings, directory: str, *, local: bool) -> None:
    # A node alone would talk to itself through the address that leads to the network, and 127.0.0.1 is replaced by that
    # one; on macOS and Windows, where there is no other loopback address, Ray stays on the loopback by itself.
    loopback = {"_node_ip_address": "127.0.0.2"} if local and sys.platform == "linux" else {}
    # Nothing else runs on a node of its own, so its readers never wait for CPUs or memory, which Ray only counts.
    places = reader_count(settings, own_cpus())
    own: dict[str, Any] = {
        "include_dashboard": False,
        "num_cpus": math.ceil(places * TASK_CPUS),
        "_memory": places * TASK_BYTES,
        "_temp_dir": directory,
        **loopback,
    }
    try:
        ray.init(
            address=None if local else settings.ray_address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            **own if local else {},
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as exc:
        if local:
            raise
        raise ConfigError(
            f"cannot join the Ray cluster at {settings.ray_address}: {exc}",
            hint="run the command on a node of the cluster with the same versions of Python and Ray, or send it there"
            " by `ray job submit`",
        ) from exc


def source_resource(settings: Settings) -> str:
    """The custom resource of which each node says how many readers of the source it may hold."""
    return f"mysql:{settings.db_host}"


@contextmanager
def _started(start: Callable[[], None]) -> Iterator[None]:
    """Starts Ray in a thread that lives as long as the block.

    The kernel ends what Ray has started as soon as the *thread* that started it is gone (``PR_SET_PDEATHSIG`` of
    prctl(2), which Ray sets), and that of a table may be gone before the run is over. Nor does Ray replace this
    process's handler of SIGTERM from there by one that exits at once.

    Raises:
        What ``start`` raised.
    """
    began: Future[None] = Future()
    over = threading.Event()

    def keep() -> None:
        try:
            start()
        except BaseException as exc:  # noqa: BLE001  raised again by whoever waits
            began.set_exception(exc)
        else:
            began.set_result(None)
            over.wait()

    thread = threading.Thread(target=keep, name="ray", daemon=True)
    thread.start()
    try:
        began.result()
        yield
    finally:
        over.set()
        thread.join()


class Cluster:
    """An Executor over Ray, and the ledger's actor.

    When the cluster is lost, every task that has no result yet ends with :class:`~s3rs_ray.errors.ClusterLost`.
    """

    def __init__(self, settings: Settings, head: HeadWatch, tell: Callable[[str], None]) -> None:
        self.head = head
        self._tell = tell
        # The settings hold secrets: as an object of the store they stay out of task and actor metadata.
        self._settings = ray.put(settings)
        has = ray.cluster_resources()
        cpus = own_cpus() if not settings.ray_address else int(has.get("CPU", 1))
        self.places = reader_count(settings, cpus)
        self._places = threading.BoundedSemaphore(self.places)
        self._held: set[Ticket] = set()
        source = source_resource(settings)
        own = {source: 1.0} if source in has else {}
        self._shortage = Shortage(needs={"CPU": TASK_CPUS, "memory": TASK_BYTES, **own})
        self._looking = threading.Lock()
        remote = ray.remote(
            num_cpus=TASK_CPUS,
            memory=TASK_BYTES,
            resources=own or None,
            scheduling_strategy="SPREAD",
        )
        # A chunk that is lost with its worker is tried again by whoever waits for it, who tells and counts it.
        self._extract = remote(_extract).options(max_retries=0)
        self._apply = remote(_apply).options(max_retries=LOST_NODES)
        self.ledger = RemoteLedger(settings, self._settings, head)

    def submit(self, task: ChunkTask, attempt: int = 1) -> Ticket | None:
        if not self._places.acquire(blocking=False):
            return None
        ticket = Ticket(task=task, attempt=attempt, handle=self._extract.remote(task, self._settings))
        self._held.add(ticket)
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> list[Ticket]:
        if not tickets:
            return []
        handles = {t.handle: t for t in tickets}
        done, _ = ray.wait(list(handles), num_returns=1, timeout=seconds)
        if len(done) < len(handles):
            done, _ = ray.wait(list(handles), num_returns=len(handles), timeout=0) if done else (done, None)
        ended = list(tickets) if self.head.lost else [handles[handle] for handle in done]
        self._free(ended)
        if not ended:
            self._look_for_nodes()
        return ended

    def result(self, ticket: Ticket) -> DataFile:
        if self.head.lost and not ray.wait([ticket.handle], timeout=0)[0]:
            raise self.head.lost
        file: DataFile = _get(ticket.handle)
        return file

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            if ticket in self._held:  # the worker of a task that has ended may be at another one by now
                ray.cancel(ticket.handle, force=True)
        self._free(tickets)

    def run_all(
        self,
        function: Callable[[Item, Settings], Result],
        items: Sequence[Item],
        check: Callable[[], None],
        may_start: Callable[[int], bool] = always,
    ) -> Iterator[Result]:
        left = list(reversed(items))
        running: list[Any] = []
        try:
            while left or running:
                while left and len(running) < self.places and may_start(len(running)):
                    running.append(self._apply.remote(function, left.pop(), self._settings))
                if running:
                    done, running = ray.wait(running, num_returns=1, timeout=CHECK_SECONDS)
                else:
                    done = []
                    time.sleep(CHECK_SECONDS / 10)
                check()
                self.head.check()
                if running and not done:
                    self._look_for_nodes()
                for handle in done:
                    yield _get(handle)
        finally:
            for handle in running:
                ray.cancel(handle, force=True)

    def _look_for_nodes(self) -> None:
        if self.head.nodes is None:
            return
        with self._looking:
            reason = self._shortage.look(self.head.nodes, time.monotonic())
        if reason is None:
            return
        if reason:
            log.warning("%s; the run goes on when one comes", reason)
        self._tell(reason)

    def _free(self, tickets: Sequence[Ticket]) -> None:
        """Gives the places of tickets back, each once, however often they are waited for or cancelled."""
        for ticket in tickets:
            with suppress(KeyError):
                self._held.remove(ticket)
                self._places.release()


def _extract(task: ChunkTask, settings: Settings) -> DataFile:
    """The remote task."""
    spent = StageSeconds()
    file = extract_chunk(
        task.table, task.chunk, settings, order=task.order, server=task.server, finer=task.finer, spent=spent
    )
    measure(str(task.table.name), rows=file.rows, size=file.bytes, spent=spent)
    return file


def _apply(function: Callable[[Any, Settings], Any], item: Any, settings: Settings) -> Any:
    """The remote task of :meth:`Cluster.run_all`."""
    return function(item, settings)


def _get(handle: Any) -> Any:
    """What is behind a handle; a task's own error comes out as it was raised.

    Raises:
        WorkerLost: for everything that Ray says of a task it could not end: its process or node died, its result or its
            arguments are gone, memory or disk ran out (Ray manual, "Exceptions").
    """
    try:
        return ray.get(handle)
    except ray.exceptions.RayTaskError as exc:
        if isinstance(exc.cause, S3rsError):
            raise exc.cause from None
        if not isinstance(exc.cause, ray.exceptions.RayError):
            raise
        lost = exc.cause
    except ray.exceptions.RayError as exc:
        lost = exc
    raise WorkerLost(
        f"the worker died: {type(lost).__name__}",
        hint="the chunk is tried again; if workers run out of memory, lower BACKUP_BATCH_SIZE",
    ) from None

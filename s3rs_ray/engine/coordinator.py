"""The coordinator: one actor of a cluster that owns the ledger of a bucket, for all drivers there."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
import ray.exceptions

from ..config import Settings
from ..errors import ClusterLost, S3rsError
from ..ledger.changes import Change
from ..ledger.state import TableState
from ..ledger.store import COMMIT_SECONDS, Holder, Ledger
from ..model import TableName
from ..version import __version__
from .executor import CHECK_SECONDS
from .head import HeadWatch
from .tasks import open_ledger

log = logging.getLogger(__name__)

NAMESPACE = "s3rs-ray"
DRIVERS = 16
"""Calls carried out at a time, so that a driver whose S3 keeps it waiting holds up no other."""
ON_THE_HEAD = {"node:__internal_head__": 0.001}
"""A thousandth of what Ray gives the head's node alone. An actor that asks for nothing is placed at random."""
IDLE_SECONDS = 600.0
"""A run renews its leases far more often, so a coordinator without calls for so long has no driver."""


class LedgerActor:
    """The ledgers of all tasks and drivers. Its memory may be lost: the state is what S3 says.

    The settings come with every call, because the arguments of a constructor would have to outlive a restart, and
    because drivers may have credentials of their own.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._ledgers: OrderedDict[Settings, Ledger] = OrderedDict()
        self._lock = threading.Lock()
        self._running = 0
        self._used = time.monotonic()
        threading.Thread(target=self._end_when_idle, args=(idle_seconds,), name="idle", daemon=True).start()

    def call(self, settings: Settings, method: str, *arguments: Any, **named: Any) -> Any:
        """One method of the ledger."""
        with self._in_use():
            return getattr(self._ledger(settings), method)(*arguments, **named)

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._used = time.monotonic()

    def _end_when_idle(self, seconds: float) -> None:
        """Ends the actor for good when nobody has called for so long.

        A call that arrives at that very moment fails in its driver, which carries it out by a new coordinator; a change
        that got through all the same is known by its id.
        """
        own = ray.get_runtime_context().current_actor
        while True:
            time.sleep(seconds / 4)
            with self._lock:
                idle = not self._running and time.monotonic() - self._used >= seconds
            if idle:
                ray.kill(own)  # unlike the end of its process, nothing that Ray would start it again for

    def _ledger(self, settings: Settings) -> Ledger:
        with self._lock:
            ledger = self._ledgers.pop(settings, None) or open_ledger(settings)
            self._ledgers[settings] = ledger
            if len(self._ledgers) > DRIVERS:
                self._ledgers.popitem(last=False)
            return ledger


def coordinator_name(settings: Settings) -> str:
    """One for each bucket and version of the program; it names no host and no secret."""
    place = f"{settings.s3_endpoint_url} {settings.s3_bucket_name}"
    return f"ledger-{__version__}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def find_coordinator(settings: Settings) -> Any:
    """The handle of the cluster's coordinator, which is started where there is none.

    It is detached: it outlives the driver that came first, and ends when no driver has used it for ``IDLE_SECONDS``.
    It runs on the head, whose loss ends every run anyway: the loss of another node takes no coordinator along.
    """
    actor = ray.remote(num_cpus=0, resources=ON_THE_HEAD, max_restarts=-1, max_task_retries=3, max_concurrency=DRIVERS)(
        LedgerActor
    )
    return actor.options(
        name=coordinator_name(settings), namespace=NAMESPACE, lifetime="detached", get_if_exists=True
    ).remote(IDLE_SECONDS)


class RemoteLedger:
    """The ledger's methods, carried out by the coordinator.

    Args:
        shared: the settings as an object of Ray's store: there they stay out of task and actor metadata.

    A call that no coordinator answers is carried out here: when the cluster is lost, when the coordinator dies each
    time, and while its node is gone and the head does not know it yet (15 seconds by Ray's defaults; a call is given
    up sooner). The conditional write is what keeps two writers apart, the coordinator only spares them from meeting;
    and a change that got through all the same is known by its id.
    """

    def __init__(self, settings: Settings, shared: Any, head: HeadWatch) -> None:
        self._settings = settings
        self._shared = shared
        self._head = head
        self._actor = find_coordinator(settings)

    def load(self, table: TableName) -> TableState:
        state: TableState = self._call("load", table)
        return state

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        self._head.check()  # a table taken now could not be worked on
        state: TableState = self._call("acquire", table, holder)
        return state

    def release(self, table: TableName, holder: Holder) -> None:
        self._call("release", table, holder)

    def commit(
        self,
        table: TableName,
        changes: Sequence[Change],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState:
        # The id is made here, so that a call repeated after the actor died finds its own commit.
        change_id = change_id or uuid.uuid4().hex
        named = {"holder": holder, "change_id": change_id, "seconds": seconds}
        state: TableState = self._call("commit", table, tuple(changes), **named)
        return state

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A call; once more by a new coordinator when the one known is gone for good, else from here."""
        try:
            try:
                return self._await(self._actor.call.remote(self._shared, method, *arguments, **named))
            except ray.exceptions.ActorDiedError:
                self._actor = find_coordinator(self._settings)
            return self._await(self._actor.call.remote(self._shared, method, *arguments, **named))
        except ray.exceptions.RayTaskError as exc:
            if isinstance(exc.cause, S3rsError):
                raise exc.cause from None
            if not isinstance(exc.cause, ray.exceptions.RayError):
                raise
            silent: Exception = exc.cause
        except (ClusterLost, ray.exceptions.RayError) as exc:
            silent = exc
        log.info("the coordinator does not answer, %s goes past it: %s", method, type(silent).__name__)
        return getattr(open_ledger(self._settings), method)(*arguments, **named)

    def _await(self, answer: Any) -> Any:
        while True:
            self._head.check()
            try:
                return ray.get(answer, timeout=CHECK_SECONDS)
            except ray.exceptions.GetTimeoutError:
                continue

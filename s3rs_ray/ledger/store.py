"""Ledger: load -> check -> apply -> put_if; conflict, in-doubt, lease.

Correctness rests on the conditional write alone. Several ledgers over one bucket may work at once; each commit is
applied to the version that is there, or fails.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tenacity

from ..errors import LedgerError, ObjectNotFound, PreconditionFailed, StorageUnknown
from ..model import TableName
from ..storage.layout import STATE_PREFIX, format_state_key, parse_state_key
from ..storage.s3 import ObjectStore
from .apply import apply_commit, require_holder
from .changes import Acquire, Change, Commit, Release
from .document import format_state, parse_state
from .state import Lease, TableState

log = logging.getLogger(__name__)

COMMIT_ATTEMPTS = 12
COMMIT_SECONDS = 30.0
"""How long a commit is tried again, besides the time of its last try."""
BRIEF_SECONDS = 5.0
"""The same for a change that need not happen: a renewal comes again, a lease that is not given back ends by itself."""


def utc_now() -> dt.datetime:
    """The clock of the ledger."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One run of one process, told apart from every other, also from one that has the same pid later."""

    token: str
    host: str
    pid: int

    @classmethod
    def here(cls) -> Holder:
        pid = os.getpid()
        host, own = socket.gethostname(), uuid.uuid4().hex[:8]
        return cls(token=f"{host}/{pid}/{own}/{_start_mark(pid)}", host=host, pid=pid)


def _start_mark(pid: int) -> str:
    """When the process started, by the kernel's count; random where the kernel does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex
    return f"{boot[:8]}-{text.rpartition(')')[2].split()[19]}"


def _known_dead(lease: Lease | None) -> bool:
    """Whether the holder ran on this host and is certainly gone."""
    if lease is None or lease.host != socket.gethostname():
        return False
    if not Path("/proc/self/stat").exists():
        return False
    return lease.holder.rpartition("/")[2] != _start_mark_if_alive(lease.pid)


def is_over(lease: Lease, now: dt.datetime) -> bool:
    """Whether a lease holds nobody off any more."""
    return lease.expired(now) or _known_dead(lease)


def _start_mark_if_alive(pid: int) -> str:
    """The mark of a running process; empty for none, and for one that ended and was not waited for (a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "" if text.rpartition(")")[2].split()[0] in {"Z", "X"} else _start_mark(pid)


@dataclass(slots=True)
class _Cached:
    state: TableState
    version: str | None


class Ledger:
    """All tables' states in one bucket.

    Thread-safe; what concerns one table goes one after the other, tables side by side. What it remembers between
    calls is only a guess at the newest version, checked by every write, so a ledger that is lost and made again loses
    nothing.
    """

    def __init__(self, store: ObjectStore, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._tables: dict[TableName, threading.RLock] = {}
        self._cache: dict[TableName, _Cached] = {}

    def load(self, table: TableName) -> TableState:
        """The state that is on S3 now; a fresh one when there is none."""
        with self._alone(table):
            return self._read(table).state

    def _alone(self, table: TableName) -> threading.RLock:
        with self._lock:
            return self._tables.setdefault(table, threading.RLock())

    def tables(self) -> Iterator[TableName]:
        """Every table that has a state."""
        for item in self._store.list(STATE_PREFIX):
            name = parse_state_key(item.key)
            if name is not None:
                yield name

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        """Takes the table for ``holder``.

        Raises:
            TableBusy: somebody else holds it and is not known to be dead.
        """
        now = self._clock()
        lease = Lease(holder=holder.token, host=holder.host, pid=holder.pid, since=now, renewed=now)
        present = self.load(table).lease
        dead = present.holder if present is not None and _known_dead(present) else ""
        if dead and dead != holder.token:
            log.warning("%s: taking the table over from %s, which is gone", table, dead)
        return self.commit(table, [Acquire(lease=lease, dead=dead)], holder=holder.token)

    def release(self, table: TableName, holder: Holder) -> None:
        """Gives the table back."""
        self.commit(table, [Release()], holder=holder.token, seconds=BRIEF_SECONDS)

    def commit(
        self,
        table: TableName,
        changes: Sequence[Change],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState:
        """Applies changes together and writes the result; returns the state that is then on S3.

        Args:
            holder: the lease it is made under; empty for a change by hand, which needs a free table and leaves it free.
            change_id: names the commit; a second call with the same one changes nothing more.
            seconds: how long it is tried again.

        Raises:
            LedgerError: a requirement is not met by the newest state. LeaseLost also where the change was made, and
                another run has taken the table over before the reply came.
            StorageError: S3 failed, or kept its answer so long that the change is still in doubt.
        """
        with self._alone(table):
            commit = Commit(
                change_id=change_id or uuid.uuid4().hex, holder=holder, now=self._clock(), changes=tuple(changes)
            )
            return self._settle(table, commit, seconds)

    def _settle(self, table: TableName, commit: Commit, seconds: float) -> TableState:
        cached = self._cache.get(table) or self._read(table)
        if commit.change_id in cached.state.recent_changes:
            return _kept(cached.state, commit)
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_any(tenacity.stop_after_attempt(COMMIT_ATTEMPTS), tenacity.stop_after_delay(seconds)),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=2),
            retry=tenacity.retry_if_exception_type((PreconditionFailed, StorageUnknown)),
            reraise=True,
        ):
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    cached = self._read(table)
                    if commit.change_id in cached.state.recent_changes:
                        return _kept(cached.state, commit)  # the reply was lost, the write was not
                state = self._apply(table, cached, commit)
                if state is None:
                    return _kept(cached.state, commit)
                version = self._write(table, state, cached.version)
                self._cache[table] = _Cached(state, version)
                return state
        raise LedgerError(f"{table}: the state could not be written")  # not reached: the loop returns or raises

    def _apply(self, table: TableName, cached: _Cached, commit: Commit) -> TableState | None:
        """The state after the commit, by the newest one where the guess refuses; None when that holds it already."""
        try:
            return apply_commit(cached.state, commit)
        except LedgerError:
            fresh = self._read(table)  # the guess may be old: judge by what is on S3
            if fresh.version == cached.version:
                raise
            cached.state, cached.version = fresh.state, fresh.version
            return None if commit.change_id in fresh.state.recent_changes else apply_commit(fresh.state, commit)

    def _write(self, table: TableName, state: TableState, version: str | None) -> str:
        key, body = format_state_key(table), format_state(state)
        if version is None:
            return self._store.put_new(key, body)
        return self._store.put_if(key, body, version)

    def _read(self, table: TableName) -> _Cached:
        key = format_state_key(table)
        try:
            found = self._store.get(key)
            cached = _Cached(parse_state(found.body, key), found.version)
        except ObjectNotFound:
            now = self._clock()
            fresh = TableState(table=table, generation=uuid.uuid4().hex[:12], created_at=now, updated_at=now)
            cached = _Cached(fresh, None)
        self._cache[table] = cached
        return cached


def _kept(state: TableState, commit: Commit) -> TableState:
    """A state that holds a commit already, for whoever made it.

    Raises:
        LeaseLost: it holds the table no more, so it must not go on by what another run has made of the state.
    """
    gives_back = any(isinstance(change, Release) for change in commit.changes)
    if commit.holder and not gives_back:
        require_holder(state, commit.holder)
    return state

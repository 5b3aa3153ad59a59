"""What the steps of one table's run share: settings, ledger, executor, store, the lease, and the wish to stop."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ..config import Settings
from ..errors import Interrupted, LeaseLost, LedgerError, S3rsError, StorageError
from ..ledger.apply import require_holder
from ..ledger.changes import Change, Renew
from ..ledger.state import LEASE_SECONDS, TableState
from ..ledger.store import BRIEF_SECONDS, COMMIT_SECONDS, Holder, is_over, utc_now
from ..model import TableName
from ..policies import Strategy
from ..storage.s3 import S3Store
from .events import Event, EventKind, Report
from .executor import Workers

log = logging.getLogger(__name__)


class TableLedger(Protocol):
    """The ledger as a run uses it: in this process, or behind its actor."""

    def load(self, table: TableName) -> TableState: ...

    def acquire(self, table: TableName, holder: Holder) -> TableState: ...

    def release(self, table: TableName, holder: Holder) -> None: ...

    def commit(
        self,
        table: TableName,
        changes: Sequence[Change],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command asks for.

    Attributes:
        tables: names and globs.
        exclude: names and globs of tables to leave out of those.
        extract, load: the two stages; a backup has only the first, ``--redshift-only`` only the second.
        limit: at most so many rows are extracted for a table, and about so many are loaded.
        full_refresh: read the whole table again and replace what the target holds, whatever the mode.
        verify: compare what was loaded with the source afterwards.
    """

    tables: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    extract: bool = True
    load: bool = True
    limit: int | None = None
    full_refresh: bool = False
    verify: bool = False
    strategy: Strategy = Strategy.SEQUENTIAL
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where the work is done; opened when the first table has work, because Ray takes seconds to start."""

    executor: Workers
    ledger: TableLedger


@dataclass(slots=True, kw_only=True)
class Run:
    """One command at work on all its tables.

    Attributes:
        workplace: where work is done that takes CPUs: on the cluster, unless all is to stay in this process.
        threads: an executor in this process, for work that only waits for servers.
    """

    settings: Settings
    request: Request
    store: S3Store
    ledger: TableLedger
    workplace: Callable[[], Workplace]
    threads: Callable[[], Workers]
    report: Report
    clock: Callable[[], dt.datetime]
    stop: threading.Event
    started: dt.datetime
    execution_id: str = ""
    holder: Holder = field(default_factory=Holder.here)

    def say(self, kind: EventKind, table: TableName | None, run_id: str = "", **facts: str | int | float) -> None:
        event = Event(kind=kind, at=utc_now(), table=table, run_id=run_id or self.execution_id, facts=facts)
        self.report(event)

    def check_stop(self) -> None:
        """Raises Interrupted when a signal asked the run to stop."""
        if self.stop.is_set():
            raise Interrupted("stopped by a signal; what was finished is kept", hint="run the command again to go on")


@dataclass(slots=True, kw_only=True)
class Hold:
    """A table held by this run: every change is made under its lease.

    Attributes:
        lost: the first error by which the state could not be written: the lease is another's, or S3 stays away.
            Nothing more is tried then, so an outage ends the run after one commit's patience and not after that of
            each that would follow.
    """

    run: Run
    ledger: TableLedger
    table: TableName
    lost: S3rsError | None = None

    def commit(self, *changes: Change) -> TableState:
        if self.lost is not None:
            raise self.lost
        try:
            return self.ledger.commit(self.table, changes, holder=self.run.holder.token)
        except (LeaseLost, StorageError) as exc:
            self.lost = exc
            raise

    def load(self) -> TableState:
        """The state as this run left it. Raises LeaseLost when another has taken the table over."""
        state = self.ledger.load(self.table)
        try:
            require_holder(state, self.run.holder.token)
        except LeaseLost as exc:
            self.lost = exc
            raise
        return state

    def check(self) -> None:
        """Raises when a signal asked to stop, the lease was lost or the state could not be written."""
        self.run.check_stop()
        if self.lost is not None:
            raise self.lost


@contextmanager
def hold_table(run: Run, ledger: TableLedger, table: TableName) -> Iterator[Hold]:
    """Takes the table, renews the lease while the block runs, and gives the table back.

    Raises:
        TableBusy: somebody else holds it.
    """
    ledger.acquire(table, run.holder)
    hold = Hold(run=run, ledger=ledger, table=table)
    with _heartbeat(hold):
        try:
            yield hold
        finally:
            _release(hold)


def give_back_dead(run: Run, table: TableName, state: TableState) -> TableState:
    """The state without the lease of a holder that is gone, for a run that has no other reason to take the table."""
    if state.lease is None or not is_over(state.lease, run.clock()):
        return state
    try:
        run.ledger.acquire(table, run.holder)
        run.ledger.release(table, run.holder)
    except LedgerError:  # another run has taken the table meanwhile
        return state
    return run.ledger.load(table)


def _release(hold: Hold) -> None:
    try:
        hold.ledger.release(hold.table, hold.run.holder)
    except S3rsError as exc:  # the first error is the one to tell; the lease ends by itself
        log.warning("%s: the lease could not be given back (%s); it ends in %d s", hold.table, exc, LEASE_SECONDS)


@contextmanager
def _heartbeat(hold: Hold) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(hold, ended), name=f"heartbeat {hold.table}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _beat(hold: Hold, ended: threading.Event) -> None:
    while not ended.wait(LEASE_SECONDS / 3) and hold.lost is None:
        try:
            hold.ledger.commit(hold.table, [Renew()], holder=hold.run.holder.token, seconds=BRIEF_SECONDS)
        except LedgerError as exc:
            hold.lost = exc
            return
        except S3rsError as exc:
            log.warning("%s: the lease could not be renewed: %s", hold.table, exc)

"""The data files of tables on S3: listed with their standing, and deleted while the table is held."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from ..config import Settings
from ..errors import LedgerError
from ..ledger.changes import Renew
from ..ledger.state import TableState
from ..ledger.store import Holder, Ledger, utc_now
from ..model import TableName, Watermark
from ..storage.layout import parse_data_key, parse_table, table_prefix
from ..storage.s3 import DELETE_PAGE, ObjectStore, StoredObject
from .records import read_records
from .standing import SUFFIX, Amount, Choice, Ownership, Selection, Standing, choose
from .tasks import data_key, open_ledger, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What became of a table's files.

    Attributes:
        deleted: the files that are gone.
        after: what the table has left on S3.
    """

    table: TableName
    choice: Choice
    deleted: Amount
    after: Amount


def ownership(store: ObjectStore, settings: Settings, state: TableState) -> Ownership:
    """Who owns the files of a table, from its state and the records of its ended runs."""
    chunks = state.run.chunks if state.run else ()
    planned = [data_key(settings, state.table, c.run_id, c.ordinal) for c in chunks]
    return Ownership.of(state, read_records(store, state.table), planned)


def table_files(store: ObjectStore, settings: Settings, state: TableState) -> Iterator[tuple[StoredObject, Standing]]:
    """Every ``.parquet`` object of a table with its standing, in key order."""
    prefix, owners = settings.s3_incremental_path, ownership(store, settings, state)
    for item in store.list(table_prefix(prefix, state.table)):
        if item.key.endswith(SUFFIX):
            yield item, owners.standing(item.key, own=parse_data_key(prefix, item.key) is not None)


def stored_tables(store: ObjectStore, settings: Settings) -> list[TableName]:
    """Every table that has a folder of files."""
    prefix = settings.s3_incremental_path
    folders = groupby(store.list(prefix), key=lambda o: o.key.removeprefix(prefix).partition("/")[0])
    return [table for folder, _ in folders if (table := parse_table(folder)) is not None]


def choose_files(
    store: ObjectStore, settings: Settings, state: TableState, selection: Selection, now: dt.datetime
) -> Choice:
    """What cleaning a table would delete."""
    return choose(table_files(store, settings, state), selection, now)


def clean_table(
    settings: Settings, table: TableName, selection: Selection, clock: Callable[[], dt.datetime] = utc_now
) -> Cleaned:
    """Deletes a table's selected files while holding the table, so that no run writes or loads them.

    What may go is decided by the state found under the lease, whatever was shown before.

    Raises:
        TableBusy: a run holds the table.
    """
    store, ledger, holder = open_store(settings), open_ledger(settings), Holder.here()
    state = ledger.acquire(table, holder)
    try:
        choice = choose_files(store, settings, state, selection, clock())
        deleted = delete_held(store, ledger, table, holder, choice.doomed)
    finally:
        ledger.release(table, holder)
    after = Amount.of(
        [o for o in store.list(table_prefix(settings.s3_incremental_path, table)) if o.key.endswith(SUFFIX)]
    )
    return Cleaned(table=table, choice=choice, deleted=deleted, after=after)


def delete_held(
    store: ObjectStore, ledger: Ledger, table: TableName, holder: Holder, objects: Sequence[StoredObject]
) -> Amount:
    """Deletes objects page by page; before each, the table is shown to be held still.

    Raises:
        LeaseLost: another run took the table over; the rest is left.
    """
    rest = iter(objects)
    done = Amount()
    while page := tuple(islice(rest, DELETE_PAGE)):
        ledger.commit(table, [Renew()], holder=holder.token)
        store.delete(o.key for o in page)
        size = Amount.of(page)
        done = replace(done, files=done.files + size.files, bytes=done.bytes + size.bytes)
    return done


def find_orphans(store: ObjectStore, settings: Settings, state: TableState) -> list[StoredObject]:
    """The data files of a table that no run owns: of runs that were dropped, or of workers that outlived theirs."""
    return [item for item, standing in table_files(store, settings, state) if standing is Standing.ORPHAN]


def clean_orphans(settings: Settings, table: TableName) -> list[StoredObject]:
    """Deletes a table's orphans while holding the table, so that no run is writing; returns them.

    Raises:
        TableBusy: a run holds the table.
        LedgerError: the table has files and no state, so nobody can tell which of them are orphans.
    """
    store, ledger, holder = open_store(settings), open_ledger(settings), Holder.here()
    state = ledger.acquire(table, holder)
    try:
        if not state.last_run_id and state.extracted == Watermark.START:
            raise LedgerError(
                f"{table} has no state: which of its files are still needed cannot be told",
                hint="`watermark rebuild` makes a lost state again; `s3clean clean --pattern NAME` deletes one file",
            )
        orphans = find_orphans(store, settings, state)
        delete_held(store, ledger, table, holder, orphans)
        return orphans
    finally:
        ledger.release(table, holder)


def total(amounts: Iterable[Amount]) -> Amount:
    """All of them together."""
    found = list(amounts)
    return Amount(files=sum(a.files for a in found), bytes=sum(a.bytes for a in found))

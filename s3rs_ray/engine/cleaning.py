"""The data files of tables on S3: listed with their standing, and deleted while the table is held."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from ..config import Settings
from ..errors import LedgerError
from ..ledger.changes import Renew
from ..ledger.state import OpenRun, TableState
from ..ledger.store import Holder, Ledger, utc_now
from ..model import TableName, Watermark
from ..storage.layout import parse_data_key, parse_table, table_prefix
from ..storage.s3 import DELETE_PAGE, DELETE_PAGES, ObjectStore, StoredObject
from .records import read_records, waiting_files
from .side_by_side import side_by_side
from .standing import SUFFIX, Amount, Choice, Ownership, Selection, Standing, choose
from .tasks import data_key, open_ledger, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What became of a table's files.

    Attributes:
        deleted: the files that are gone.
        refused: the files that S3 did not delete, by key, with its reason.
    """

    table: TableName
    choice: Choice
    deleted: Amount
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def after(self) -> Amount:
        """What the table has left on S3."""
        before = self.choice.present
        return Amount(files=before.files - self.deleted.files, bytes=before.bytes - self.deleted.bytes)


Progress: TypeAlias = Callable[[int], None]
"""Told how many objects of a deletion are done with."""


def quietly(done: int) -> None:
    """A progress that nobody sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What became of objects that were to be deleted: how much is gone, and by key why others are not."""

    deleted: Amount = field(default_factory=Amount)
    refused: Mapping[str, str] = field(default_factory=dict)


def ownership(
    store: ObjectStore, settings: Settings, state: TableState, records: Iterable[OpenRun] | None = None
) -> Ownership:
    """Who owns the files of a table, from its state and the records of its ended runs.

    Args:
        records: where they have been read already.
    """
    run = state.run
    planned = [data_key(settings, state.table, run.run_id, n) for n in range(run.chunk_count)] if run else []
    known = read_records(store, state.table) if records is None else records
    return Ownership.of(state, known, waiting_files(store, state), planned)


def table_files(
    store: ObjectStore, settings: Settings, state: TableState, records: Iterable[OpenRun] | None = None
) -> Iterator[tuple[StoredObject, Standing]]:
    """Every ``.parquet`` object of a table with its standing, in key order."""
    prefix, owners = settings.s3_incremental_path, ownership(store, settings, state, records)
    for item in store.list(table_prefix(prefix, state.table)):
        if item.key.endswith(SUFFIX):
            yield item, owners.standing(item.key, own=parse_data_key(prefix, item.key) is not None)


def stored_tables(store: ObjectStore, settings: Settings) -> list[TableName]:
    """Every table that has a folder of files."""
    folders = store.folders(settings.s3_incremental_path)
    return [table for folder in folders if (table := parse_table(folder)) is not None]


def choose_files(
    store: ObjectStore, settings: Settings, state: TableState, selection: Selection, now: dt.datetime
) -> Choice:
    """What cleaning a table would delete."""
    return choose(table_files(store, settings, state), selection, now)


def choose_of_each(
    store: ObjectStore, settings: Settings, ledger: Ledger, tables: Iterable[TableName], selection: Selection
) -> dict[TableName, Choice]:
    """What cleaning tables would delete of each."""
    names, now = list(tables), utc_now()
    choices = side_by_side(lambda n: choose_files(store, settings, ledger.load(n), selection, now), names)
    return dict(zip(names, choices, strict=True))


def clean_table(
    settings: Settings,
    table: TableName,
    selection: Selection,
    clock: Callable[[], dt.datetime] = utc_now,
    *,
    progress: Progress = quietly,
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
        done = delete_held(Held(store, ledger, table, holder), choice.doomed, progress)
    finally:
        ledger.release(table, holder)
    return Cleaned(table=table, choice=choice, deleted=done.deleted, refused=done.refused)


@dataclass(frozen=True, slots=True)
class Held:
    """A table whose objects are deleted while this process holds it."""

    store: ObjectStore
    ledger: Ledger
    table: TableName
    holder: Holder


def delete_held(held: Held, objects: Iterable[StoredObject], progress: Progress = quietly) -> Deletion:
    """Deletes objects some pages at a time; before each time, the table is shown to be held still.

    Raises:
        LeaseLost: another run took the table over; the rest is left.
    """
    rest, parts, done = iter(objects), [Deletion()], 0
    while pages := tuple(islice(rest, DELETE_PAGE * DELETE_PAGES)):
        held.ledger.commit(held.table, [Renew()], holder=held.holder.token)
        parts.append(delete_objects(held.store, pages))
        done += len(pages)
        progress(done)
    return all_deletions(parts)


def delete_objects(store: ObjectStore, objects: Sequence[StoredObject]) -> Deletion:
    """Deletes objects of which nobody holds the table."""
    refused = store.delete(o.key for o in objects)
    return Deletion(deleted=Amount.of([o for o in objects if o.key not in refused]), refused=refused)


def all_deletions(parts: Iterable[Deletion]) -> Deletion:
    """All of them together."""
    found = list(parts)
    refused = {key: why for part in found for key, why in part.refused.items()}
    return Deletion(deleted=total(part.deleted for part in found), refused=refused)


def find_orphans(store: ObjectStore, settings: Settings, state: TableState) -> list[StoredObject]:
    """The data files of a table that no run owns: of runs that were dropped, or of workers that outlived theirs."""
    return [item for item, standing in table_files(store, settings, state) if standing is Standing.ORPHAN]


def clean_orphans(
    settings: Settings, table: TableName, progress: Progress = quietly
) -> tuple[list[StoredObject], Mapping[str, str]]:
    """Deletes a table's orphans while holding the table, so that no run is writing.

    Returns:
        those that are gone, and by key why others are not.

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
        refused = delete_held(Held(store, ledger, table, holder), orphans, progress).refused
        return [o for o in orphans if o.key not in refused], refused
    finally:
        ledger.release(table, holder)


def total(amounts: Iterable[Amount]) -> Amount:
    """All of them together."""
    found = list(amounts)
    return Amount(files=sum(a.files for a in found), bytes=sum(a.bytes for a in found))

"""Objects that no run owns: left by runs that were dropped, or by workers that outlived their run."""

from __future__ import annotations

from ..config import Settings
from ..ledger.state import TableState
from ..ledger.store import Holder
from ..model import TableName
from ..storage.layout import parse_data_key, table_prefix
from ..storage.s3 import ObjectStore, StoredObject
from .records import read_records
from .tasks import data_key, open_ledger, open_store


def find_orphans(store: ObjectStore, settings: Settings, state: TableState) -> list[StoredObject]:
    """The data files of a table that neither its state nor the record of a run names."""
    owned = owned_keys(store, settings, state)
    prefix = settings.s3_incremental_path
    return [
        item
        for item in store.list(table_prefix(prefix, state.table))
        if parse_data_key(prefix, item.key) is not None and item.key not in owned
    ]


def owned_keys(store: ObjectStore, settings: Settings, state: TableState) -> set[str]:
    """Every key of an open run (also of chunks still to be read), of a waiting load, or of a run's record."""
    owned = {f.key for f in state.backlog}
    if state.sealed is not None:
        owned |= set(state.sealed.keys)
    if state.run is not None:
        owned |= {data_key(settings, state.table, state.run.run_id, c.ordinal) for c in state.run.chunks}
    for run in read_records(store, state.table):
        owned |= {f.key for f in run.files}
    return owned


def clean_orphans(settings: Settings, table: TableName) -> list[StoredObject]:
    """Deletes a table's orphans while holding the table, so that no run is writing; returns them.

    Raises:
        TableBusy: a run holds the table.
    """
    store = open_store(settings)
    ledger, holder = open_ledger(settings), Holder.here()
    state = ledger.acquire(table, holder)
    try:
        orphans = find_orphans(store, settings, state)
        store.delete(o.key for o in orphans)
        return orphans
    finally:
        ledger.release(table, holder)

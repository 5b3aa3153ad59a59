"""What is old in a bucket: loaded files, manifests of settled loads, the history of runs; and, under a prefix that is
asked for, objects of nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ..config import Settings
from ..errors import S3rsError
from ..ledger.state import TableState
from ..ledger.store import Holder, utc_now
from ..model import TableName
from ..storage.layout import MANIFEST_PREFIX, RUN_PREFIX, STATE_PREFIX, format_manifest_key, format_table
from ..storage.s3 import ObjectStore, StoredObject
from .cleaning import (
    Deletion,
    Held,
    Progress,
    all_deletions,
    clean_table,
    delete_held,
    delete_objects,
    ownership,
    quietly,
    stored_tables,
    table_files,
    total,
)
from .history import History, find_history, find_reports
from .records import read_records
from .side_by_side import side_by_side
from .standing import Amount, Choice, Selection, Standing, choose
from .tasks import open_ledger, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShare:
    """What would go of one table: data files, manifests of loads that are settled, and the history of its runs."""

    table: TableName
    choice: Choice
    manifests: tuple[StoredObject, ...] = ()
    history: History = field(default_factory=History)

    @property
    def doomed(self) -> Amount:
        return total(map(Amount.of, (self.choice.doomed, self.manifests, self.history.doomed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What a bucket holds that is older than its retention.

    Attributes:
        reports: of commands.
        others: old objects under the prefix that belong to no table.
        failures: tables that could not be cleaned, with the reason.
        deletion: what is gone, nothing in a dry run; and what S3 did not delete, with its reason.
    """

    tables: tuple[TableShare, ...]
    reports: tuple[StoredObject, ...] = ()
    others: tuple[StoredObject, ...] = ()
    deletion: Deletion = field(default_factory=Deletion)
    failures: tuple[tuple[TableName, S3rsError], ...] = ()
    selection: Selection = field(default_factory=Selection)

    @property
    def doomed(self) -> Amount:
        return total([*(t.doomed for t in self.tables), Amount.of(self.reports), Amount.of(self.others)])


def find_expired(
    settings: Settings, prefix: str, age: dt.timedelta, clock: Callable[[], dt.datetime] = utc_now
) -> Expired:
    """What could go under a prefix; changes nothing.

    States and the old watermark are never part of it. Data files go by the rules of :mod:`.standing`, wherever they
    lie, what is under ``runs/`` by those of :mod:`.history`.
    """
    store, ledger, now = open_store(settings), open_ledger(settings), clock()
    selection = Selection(older_than=age, prefix=prefix)
    names = dict.fromkeys((*ledger.tables(), *stored_tables(store, settings)))
    states = list(side_by_side(ledger.load, names))
    shares = list(side_by_side(lambda state: _share(store, settings, state, selection, now), states))
    return Expired(
        selection=selection,
        tables=tuple(s for s in shares if s.doomed.files or s.choice.kept),
        reports=tuple(find_reports(store, (s.history for s in shares), selection, now)),
        others=_others(store, settings, states, selection, now),
    )


def _share(
    store: ObjectStore, settings: Settings, state: TableState, selection: Selection, now: dt.datetime
) -> TableShare:
    records = tuple(read_records(store, state.table))
    return TableShare(
        table=state.table,
        choice=choose(table_files(store, settings, state, records), selection, now),
        history=find_history(store, settings, state, records, selection, now),
        manifests=_settled_manifests(store, state, selection, now),
    )


def _settled_manifests(
    store: ObjectStore, state: TableState, selection: Selection, now: dt.datetime
) -> tuple[StoredObject, ...]:
    prefix = f"{MANIFEST_PREFIX}{format_table(state.table)}/"
    if not (prefix.startswith(selection.prefix) or selection.prefix.startswith(prefix)):
        return ()
    sealed = state.sealed
    needed = format_manifest_key(state.table, sealed.run_id, sealed.load_id) if sealed else ""
    return tuple(o for o in store.list(prefix) if o.key != needed and selection.takes(o, now))


def _others(
    store: ObjectStore, settings: Settings, states: Iterable[TableState], selection: Selection, now: dt.datetime
) -> tuple[StoredObject, ...]:
    """Objects outside the program's own folders. Files of runs under an earlier S3_INCREMENTAL_PATH are its own too."""
    own = (settings.s3_incremental_path, STATE_PREFIX, MANIFEST_PREFIX, RUN_PREFIX, settings.s3_high_watermark_key)
    if not selection.prefix or selection.prefix.startswith(own):
        return ()
    old = [o for o in store.list(selection.prefix) if not o.key.startswith(own) and selection.takes(o, now)]
    if not old:
        return ()
    owners = [ownership(store, settings, state) for state in states]
    return tuple(o for o in old if all(w.standing(o.key) in (Standing.ORPHAN, Standing.LOADED) for w in owners))


def delete_expired(
    settings: Settings, found: Expired, clock: Callable[[], dt.datetime] = utc_now, *, progress: Progress = quietly
) -> Expired:
    """Deletes what :func:`find_expired` found, each table's share while holding the table, by what holds true then.

    A table that is held by a run is left as it is and told among the failures.
    """
    failures: list[tuple[TableName, S3rsError]] = []
    parts: list[Deletion] = []
    done = 0
    for share in found.tables:
        if not share.doomed.files:
            continue
        try:
            parts.append(_clean_share(settings, share.table, found.selection, clock))
        except S3rsError as exc:
            failures.append((share.table, exc))
        done += share.doomed.files
        progress(done)
    parts.append(delete_objects(open_store(settings), (*found.reports, *found.others)))
    return replace(found, deletion=all_deletions(parts), failures=tuple(failures))


def _clean_share(
    settings: Settings, table: TableName, selection: Selection, clock: Callable[[], dt.datetime]
) -> Deletion:
    cleaned = clean_table(settings, table, selection, clock)
    store, ledger, holder = open_store(settings), open_ledger(settings), Holder.here()
    state = ledger.acquire(table, holder)
    try:
        manifests = _settled_manifests(store, state, selection, clock())
        records = tuple(read_records(store, table))
        history = find_history(store, settings, state, records, selection, clock()).doomed
        rest = delete_held(Held(store, ledger, table, holder), (*manifests, *history))
        return all_deletions((Deletion(deleted=cleaned.deleted, refused=cleaned.refused), rest))
    finally:
        ledger.release(table, holder)

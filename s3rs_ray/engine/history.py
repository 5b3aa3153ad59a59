"""What runs leave of themselves under ``runs/``, and what of it may go: decided by what would be missed.

A run's record with its pages and its contract go when none of its files is on S3 any more, and no load from S3 alone
could pass over its rows unnoticed: a newer record that reaches as far stays, and says so (:mod:`.adopt`). Markers,
comparisons and reports go by their age alone, but for the newest of each table. Nothing goes of a table without a
state, and nothing that was written since the oldest run with files that are not loaded yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ..config import Settings
from ..ledger.state import OpenRun, Page, TableState
from ..positions import Position, is_reached
from ..storage.layout import (
    COMPARISON,
    CONTRACT,
    FAILED,
    REPAIR,
    RUN_PREFIX,
    SUCCESS,
    parse_report_key,
    parse_run_time,
    report_prefix,
    table_prefix,
)
from ..storage.s3 import ObjectStore, StoredObject
from .standing import Selection
from .tasks import data_key

DATED = frozenset({SUCCESS, FAILED, COMPARISON, REPAIR})
"""What a command leaves under its own id: it goes by its age. All else is a run's, and goes with the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What lies under ``runs/`` of one table.

    Attributes:
        doomed: what may go.
        latest: the execution ids of the newest markers, whose reports stay.
        needed_since: the run time of the oldest run that has files not loaded yet; None when all are.
    """

    doomed: tuple[StoredObject, ...] = ()
    latest: frozenset[str] = frozenset()
    needed_since: dt.datetime | None = None


@dataclass(slots=True)
class _Folders:
    """The objects of a table by the name of the object and, oldest first, by the run or command."""

    named: dict[str, dict[str, StoredObject]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: ObjectStore, state: TableState) -> _Folders:
        prefix, folders = table_prefix(RUN_PREFIX, state.table), cls()
        for item in store.list(prefix):
            run, _, name = item.key.removeprefix(prefix).partition("/")
            folders.named.setdefault(name, {})[run] = item
        return folders

    def newest(self, *names: str) -> set[str]:
        """Of each kind of object, the run or command that wrote the last one."""
        return {max(self.named[name]) for name in names if name in self.named}


def find_history(
    store: ObjectStore,
    settings: Settings,
    state: TableState,
    records: Collection[OpenRun],
    selection: Selection,
    now: dt.datetime,
) -> History:
    """What may go of a table's history.

    Args:
        records: of all its ended runs.
    """
    folders, needed = _Folders.of(store, state), _needed_runs(state)
    since = min(map(parse_run_time, needed), default=None)
    latest = frozenset(folders.newest(SUCCESS, FAILED))
    if not state.last_run_id or not _overlaps(selection.prefix, table_prefix(RUN_PREFIX, state.table)):
        return History(latest=latest, needed_since=since)
    named = folders.named
    dated = [
        item
        for name in DATED & named.keys()
        for _, item in sorted(named[name].items())[:-1]
        if not _is_needed(item, since)
    ]
    runs: dict[str, list[StoredObject]] = {}
    for name in named.keys() - DATED:
        for run, item in named[name].items():
            runs.setdefault(run, []).append(item)
    stay = needed | {state.last_run_id} | folders.newest(CONTRACT) | evidence(records)
    written = {r.run_id: r for r in records}
    old = [
        item
        for run, items in runs.items()
        if run not in stay
        and all(selection.takes(item, now) for item in items)
        and not _has_files(store, settings, state, run, written.get(run))
        for item in items
    ]
    ours = [item for item in dated if selection.takes(item, now)]
    return History(doomed=(*ours, *old), latest=latest, needed_since=since)


def evidence(records: Collection[OpenRun]) -> set[str]:
    """The ended runs without whose records a load from S3 alone could miss rows, or take older ones, and not notice.

    Going back in time: each that reaches further than all behind it, that cannot be compared with them, and the
    newest that read the whole table.
    """
    found: set[str] = set()
    furthest: Position | None = None
    whole = False
    for run in sorted(records, key=lambda r: r.run_id, reverse=True):
        reaches = [f.reaches.position for f in run.files if f.reaches is not None]
        if run.window.whole and run.complete and not whole:
            whole = True
            found.add(run.run_id)
        if furthest is None or not all(_passed(reach, furthest) for reach in reaches):
            found.add(run.run_id)
        for reach in reaches:
            furthest = reach if furthest is None or _passed(furthest, reach) else furthest
    return found


def _passed(position: Position, by: Position) -> bool:
    try:
        return is_reached(position, by)
    except TypeError:  # the runs followed different columns
        return False


def _needed_runs(state: TableState) -> set[str]:
    """The runs whose files are not all loaded, as far as the state knows: the open one, and those of the queue."""
    prefix = table_prefix(RUN_PREFIX, state.table)
    needed = {
        waiting.key.removeprefix(prefix).partition("/")[0] if isinstance(waiting, Page) else waiting.run_id
        for waiting in state.backlog
    }  # a page lies with the first of the runs it speaks of; the files of the others are there to be seen
    needed |= {part.run_id for part in (state.run, state.sealed, state.refresh) if part is not None}
    return needed


def _is_needed(item: StoredObject, since: dt.datetime | None) -> bool:
    return since is not None and item.modified >= since


def _has_files(store: ObjectStore, settings: Settings, state: TableState, run_id: str, record: OpenRun | None) -> bool:
    """Whether a data file of a run is on S3, wherever S3_INCREMENTAL_PATH pointed when it was written."""
    keys = [data_key(settings, state.table, run_id, 0), *(f.key for f in (record.files if record else ()))]
    stems = {key[: key.rindex("_") + 1] for key in keys}
    return any(True for stem in stems for _ in store.list(stem))


def find_reports(
    store: ObjectStore, histories: Iterable[History], selection: Selection, now: dt.datetime
) -> Iterator[StoredObject]:
    """The reports that may go: the newest of all stays, and the newest of each table."""
    if not _overlaps(selection.prefix, report_prefix("")):
        return
    known = tuple(histories)
    since = min((h.needed_since for h in known if h.needed_since is not None), default=None)
    found = [(key[0], item) for item in store.list(report_prefix("")) if (key := parse_report_key(item.key))]
    stay = {run for h in known for run in h.latest} | {max((run for run, _ in found), default="")}
    for run, item in found:
        if run not in stay and not _is_needed(item, since) and selection.takes(item, now):
            yield item


def _overlaps(prefix: str, folder: str) -> bool:
    return prefix.startswith(folder) or folder.startswith(prefix)

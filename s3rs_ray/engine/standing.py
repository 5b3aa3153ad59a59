"""What a file of a table is to the table's state, and which files may go: decided from values alone.

A file may be deleted when its rows are in the warehouse: the watermark of what is loaded has passed it, and no open
run, waiting load or load in doubt names it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from ..errors import UsageError
from ..ledger.state import OpenRun, TableState
from ..model import DataFile, Watermark
from ..positions import is_reached
from ..storage.s3 import StoredObject

SUFFIX = ".parquet"
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class Standing(StrEnum):
    """What a file is to its table's state.

    Attributes:
        LOADED: its rows are in the warehouse.
        WAITING: not loaded, or not known to be, as after ``watermark reset``.
        OPEN: of a run that has not ended, its loaded files among them.
        DOUBT: of a load of which nobody knows yet whether it happened.
        ORPHAN: no run owns it, or none can load it any more.
        FOREIGN: no file of this program.
    """

    LOADED = "loaded"
    WAITING = "not loaded"
    OPEN = "open run"
    DOUBT = "load in doubt"
    ORPHAN = "orphan"
    FOREIGN = "of another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many files, and their bytes."""

    files: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, objects: Collection[StoredObject]) -> Amount:
        return cls(files=len(objects), bytes=sum(o.size for o in objects))


@dataclass(slots=True)
class Tally:
    """Counts files that are not kept in memory."""

    files: int = 0
    bytes: int = 0

    def add(self, item: StoredObject) -> None:
        self.files += 1
        self.bytes += item.size

    @property
    def amount(self) -> Amount:
        return Amount(files=self.files, bytes=self.bytes)


def recorded_standings(state: TableState, records: Iterable[OpenRun]) -> dict[str, Standing]:
    """The standing of every file that the record of an ended run names."""
    found: dict[str, Standing] = {}
    for run in records:
        reach: Watermark | None = None
        for file in sorted(run.files, key=lambda f: f.ordinal, reverse=True):
            reach = file.reaches or reach  # ranges of the key are done with the last of them
            found[file.key] = _recorded(state, reach, placeless=file.null_horizon is not None or file.mends)
    return found


def _recorded(state: TableState, reach: Watermark | None, *, placeless: bool) -> Standing:
    if reach is None:
        return Standing.ORPHAN
    if state.refresh is not None:  # its rows are not in the target yet, and the watermark counts them already
        return Standing.WAITING
    try:
        passed = is_reached(reach.position, state.loaded.position)
    except TypeError:  # the watermark has followed another column since
        return Standing.WAITING
    if placeless and passed and not state.rows_loaded:  # a table that starts anew takes such rows of its last run again
        passed = reach != state.loaded
    return Standing.LOADED if passed else Standing.WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns the files of one table.

    Attributes:
        recorded: by key, the standing of the files of runs that have ended.
        waiting, doubt: the keys of the files to be loaded, and of the load in doubt.
        planned: every key of the open run, also of chunks still to be read.
    """

    recorded: Mapping[str, Standing] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    doubt: frozenset[str] = frozenset()
    planned: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        state: TableState,
        records: Iterable[OpenRun],
        waiting: Iterable[DataFile] = (),
        planned: Iterable[str] = (),
    ) -> Ownership:
        """By a table's state and the records of its ended runs.

        Args:
            waiting: the files that may be loaded.
            planned: the keys of the open run's chunks.
        """
        return cls(
            recorded=recorded_standings(state, records),
            waiting=frozenset(f.key for f in waiting),
            doubt=frozenset(state.sealed.keys if state.sealed else ()),
            planned=frozenset(planned) | {f.key for f in (state.run.files if state.run else ())},
        )

    def standing(self, key: str, *, own: bool = True) -> Standing:
        """A key's standing.

        Args:
            own: whether it has the form of this program's data files.
        """
        if key in self.doubt:
            return Standing.DOUBT
        if key in self.planned:
            return Standing.OPEN
        if key in self.waiting:
            return Standing.WAITING
        if key in self.recorded:
            return self.recorded[key]
        return Standing.ORPHAN if own else Standing.FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files a command speaks of.

    Attributes:
        older_than: only files written so long ago; None for any.
        pattern: a glob over the file's name, over its part from ``batch_`` on, or over the whole key; empty for all.
        prefix: only keys that begin so.
    """

    older_than: dt.timedelta | None = None
    pattern: str = ""
    prefix: str = ""

    def takes(self, item: StoredObject, now: dt.datetime) -> bool:
        if not item.key.startswith(self.prefix):
            return False
        if self.older_than is not None and now - item.modified < self.older_than:
            return False
        if not self.pattern:
            return True
        name = item.key.rpartition("/")[2]
        batch = name[name.find("batch_") :] if "batch_" in name else name
        forms = (
            (item.key,) if "/" in self.pattern else (name, batch, name.removesuffix(SUFFIX), batch.removesuffix(SUFFIX))
        )
        return any(fnmatchcase(form, self.pattern) for form in forms)

    def names(self, item: StoredObject) -> bool:
        """Whether the pattern is this very file's name or key, so that it is asked for by name."""
        return self.pattern in (item.key, item.key.rpartition("/")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What would be deleted of a table, and what stays although it was selected.

    Attributes:
        present: all files of the table.
        doomed: the files to delete; ``unloaded`` those among them that were asked for by name though not loaded.
        kept: by standing, the selected files that are not deleted.
    """

    present: Amount
    doomed: tuple[StoredObject, ...]
    unloaded: tuple[StoredObject, ...]
    kept: Mapping[Standing, Amount]


def choose(files: Iterable[tuple[StoredObject, Standing]], selection: Selection, now: dt.datetime) -> Choice:
    """The files that may go: the selected ones that are loaded, and those asked for by name.

    A file of a load in doubt stays in any case: without it nobody can settle the load.
    """
    present, kept = Tally(), {standing: Tally() for standing in Standing}
    doomed: list[StoredObject] = []
    unloaded: list[StoredObject] = []
    for item, standing in files:
        present.add(item)
        if not selection.takes(item, now):
            continue
        if standing is Standing.LOADED:
            doomed.append(item)
        elif selection.names(item) and standing is not Standing.DOUBT:
            doomed.append(item)
            unloaded.append(item)
        else:
            kept[standing].add(item)
    return Choice(
        present=present.amount,
        doomed=tuple(doomed),
        unloaded=tuple(unloaded),
        kept={standing: tally.amount for standing, tally in kept.items() if tally.files},
    )


def parse_age(text: str) -> dt.timedelta:
    """``7d``, ``24h`` or ``30m``.

    Raises:
        UsageError: it is none of them.
    """
    match = re.fullmatch(r"([0-9]{1,6})([dhm])", text)
    if match is None:
        raise UsageError(f"--older-than {text!r} is no age", hint="give days, hours or minutes: 7d, 24h, 30m")
    return dt.timedelta(**{UNITS[match[2]]: int(match[1])})

"""What is on S3: counted from the listing and the states alone; no file is opened."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..config import Settings
from ..errors import S3rsError
from ..ledger.state import TableState
from ..ledger.store import Ledger
from ..model import TableName
from ..storage.layout import MANIFEST_PREFIX, RUN_PREFIX, STATE_PREFIX, parse_data_key
from ..storage.s3 import ObjectStore, StoredObject
from .cleaning import stored_tables, table_files
from .report import Document, list_reports, read_report
from .side_by_side import side_by_side
from .standing import Amount, Standing
from .tasks import open_ledger, open_store

Key = TypeVar("Key")


@dataclass(slots=True, kw_only=True)
class TableInventory:
    """The files of one table.

    Attributes:
        state: None where it cannot be read; ``problem`` says why.
        standings: by standing, how many files and bytes.
        days: by UTC day of the run, how many files and bytes.
        runs: by time of the run (UTC, whole seconds), how many files.
        smallest, largest: bytes.
    """

    table: TableName
    state: TableState | None = None
    problem: str = ""
    files: int = 0
    bytes: int = 0
    smallest: int = 0
    largest: int = 0
    standings: dict[Standing, Amount] = field(default_factory=dict)
    days: dict[dt.date, Amount] = field(default_factory=dict)
    runs: Counter[dt.datetime] = field(default_factory=Counter)

    @property
    def first(self) -> dt.datetime | None:
        return min(self.runs, default=None)

    @property
    def last(self) -> dt.datetime | None:
        return max(self.runs, default=None)

    @property
    def quiet_days(self) -> int:
        """Days without a file between the first and the last that have one."""
        return (max(self.days) - min(self.days)).days + 1 - len(self.days) if self.days else 0

    def add(self, item: StoredObject, standing: Standing, run_time: dt.datetime | None) -> None:
        """Counts a file."""
        self.smallest = item.size if not self.files else min(self.smallest, item.size)
        self.largest = max(self.largest, item.size)
        self.files += 1
        self.bytes += item.size
        _add(self.standings, standing, item.size)
        if run_time is not None:
            _add(self.days, run_time.date(), item.size)
            self.runs[run_time] += 1


def _add(amounts: dict[Key, Amount], key: Key, size: int) -> None:
    before = amounts.get(key, Amount())
    amounts[key] = Amount(files=before.files + 1, bytes=before.bytes + size)


def known_tables(store: ObjectStore, settings: Settings) -> list[TableName]:
    """Every table that has a state or files."""
    return sorted({*open_ledger(settings).tables(), *stored_tables(store, settings)}, key=str)


def take_inventory(settings: Settings, tables: Iterable[TableName]) -> list[TableInventory]:
    """The files of tables, listed once each; a state that cannot be read is told and does not hide the others."""
    store, ledger = open_store(settings), open_ledger(settings)
    return list(side_by_side(lambda table: _take_table(settings, store, ledger, table), tables))


def _take_table(settings: Settings, store: ObjectStore, ledger: Ledger, table: TableName) -> TableInventory:
    prefix, found = settings.s3_incremental_path, TableInventory(table=table)
    try:
        found.state = ledger.load(table)
        for item, standing in table_files(store, settings, found.state):
            key = parse_data_key(prefix, item.key)
            found.add(item, standing, key.run_time if key else None)
    except S3rsError as exc:
        found.problem = exc.message
    return found


def activity(inventories: Iterable[TableInventory]) -> dict[dt.date, Amount]:
    """By day, the files and bytes of all tables, oldest first."""
    days: dict[dt.date, Amount] = {}
    for inventory in inventories:
        for day, amount in inventory.days.items():
            before = days.get(day, Amount())
            days[day] = Amount(files=before.files + amount.files, bytes=before.bytes + amount.bytes)
    return dict(sorted(days.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One of the bucket's folders: what it is for, and what it holds."""

    prefix: str
    holds: str
    amount: Amount


def bucket_folders(store: ObjectStore, settings: Settings) -> list[Folder]:
    """What this program keeps in the bucket."""
    places = (
        (settings.s3_incremental_path, "Parquet files"),
        (STATE_PREFIX, "states of tables"),
        (MANIFEST_PREFIX, "COPY manifests"),
        (RUN_PREFIX, "records and reports of runs"),
    )
    amounts = side_by_side(lambda place: _amount(store.list(place[0])), places)
    return [Folder(prefix=p, holds=what, amount=a) for (p, what), a in zip(places, amounts, strict=True)]


def _amount(objects: Iterable[StoredObject]) -> Amount:
    files = size = 0
    for item in objects:
        files, size = files + 1, size + item.size
    return Amount(files=files, bytes=size)


def recent_runs(store: ObjectStore, count: int) -> Sequence[Document]:
    """The reports of the last runs, newest first."""
    return list(side_by_side(lambda run: read_report(store, run), list(list_reports(store))[: -count - 1 : -1]))

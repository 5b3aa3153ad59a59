"""Both ends of a table as the tests here see them, and everything that must hold once a run is through."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from s3rs_ray.engine.events import Status
from s3rs_ray.engine.report import Document, read_report
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.state import RECENT_LOADS, TableState
from s3rs_ray.local import comparison
from s3rs_ray.local.process import is_alive
from s3rs_ray.policies import Mode
from s3rs_ray.storage.layout import format_manifest_key, format_state_key, parse_data_key, table_prefix
from s3rs_ray.warehouse.sql import LEDGER_TABLE, SHADOW_PREFIX
from tests.integration.conftest import World

from .runs import Run

PAST = dt.datetime(2026, 1, 1)
PREFIX = "incremental/"


@dataclass(slots=True)
class Ends:
    """The table ``t`` of a world."""

    world: World

    def create(self, rows: int) -> None:
        self.world.execute(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, version INT NOT NULL, note VARCHAR(40),"
            " update_at DATETIME NOT NULL, KEY (update_at))"
        )
        self.insert(range(1, rows + 1))

    def insert(self, ids: Iterable[int], start: dt.datetime = PAST, ties: int = 7) -> None:
        """Rows of which ``ties`` neighbours share a cursor."""
        self.world.execute(
            "INSERT INTO t VALUES (%s, 0, %s, %s)",
            [(i, f"row {i} 🚚", start + dt.timedelta(seconds=i // ties)) for i in ids],
        )

    def change(self, day: int) -> None:
        """30 new rows and 40 updated ones, with cursors of a later day."""
        later = PAST + dt.timedelta(days=day)
        self.insert(range(1000 * day, 1000 * day + 30), later)
        self.world.execute(
            f"UPDATE t SET version = version + 1, note = 'day {day}', update_at = '{later}' WHERE id % 10 = {day % 10}"
        )

    def nothing_left(self, mode: Mode = Mode.MERGE) -> bool:
        """Whether one more sync, in this process, has nothing to do.

        A table that is replaced is asked for changes: whoever replaces it always has something to do.
        """
        asked = Mode.MERGE if mode is Mode.REPLACE else mode
        settings = self.world.settings.model_copy(update={"backup_mode": asked})
        return self.world.sync_one("t", settings).status is Status.NOTHING

    def shadows(self) -> list[str]:
        """The tables in which a full refresh is gathered."""
        with self.world.warehouse.cursor() as cursor:
            cursor.execute("SELECT table_name FROM svv_tables WHERE table_schema = %s", (self.world.schema,))
            return [name for (name,) in cursor.fetchall() if name.startswith(SHADOW_PREFIX)]

    @property
    def state(self) -> TableState:
        return self.world.ledger().load(self.world.name("t"))

    def age_lease(self) -> None:
        """Makes the lease as old as if its holder had not been heard of for an hour."""
        store, key = open_store(self.world.settings), format_state_key(self.world.name("t"))
        found = store.get(key)
        document = orjson.loads(found.body)
        renewed = dt.datetime.fromisoformat(document["lease"]["renewed"]) - dt.timedelta(hours=1)
        document["lease"]["renewed"] = renewed.isoformat()
        store.put_if(key, orjson.dumps(document), found.version)

    def open_run_id(self) -> str:
        """The run that is not finished."""
        run = self.state.run
        assert run is not None
        return run.run_id

    def files(self) -> list[str]:
        """Keys of all data files of the table on S3."""
        prefix = table_prefix(PREFIX, self.world.name("t"))
        return [o.key for o in open_store(self.world.settings).list(prefix)]

    def report(self, run: Run) -> Document:
        """The report that a run left on S3."""
        return read_report(open_store(self.world.settings), run.document["execution_id"])

    def written(self, run_id: str) -> set[int]:
        """Ordinals of a run's files on S3."""
        keys = [parse_data_key(PREFIX, key) for key in self.files()]
        return {k.ordinal for k in keys if k is not None and f"{k.run_time:%Y%m%dT%H%M%SZ}" == run_id.split("-")[0]}

    def loads(self) -> list[tuple[str, int, int]]:
        """Load id, rows and merged rows of every load of the table in the warehouse's load ledger."""
        found = self.world.target_rows(
            LEDGER_TABLE,
            "load_id, row_count, merged_count",
            f"WHERE source_table = '{self.world.schema}.t' AND file_count > 0",
        )
        return [(str(load_id), int(rows), int(merged)) for load_id, rows, merged in found]

    def assert_settled(self) -> None:
        """Both ends are equal, each row is there once, and state, files and load ledger agree."""
        self.assert_equal_once()
        state = self.state
        assert (state.run, state.sealed, state.backlog) == (None, None, ())
        # A run with nothing to do does not take the table, so the lease of a dead one may still be there.
        assert state.lease is None or not is_alive(state.lease.pid)
        assert state.loaded == state.extracted
        last = self.world.source_rows("t", "update_at, id", "ORDER BY update_at DESC, id DESC LIMIT 1")[0]
        assert state.loaded.position == last
        self._assert_books_agree(state)

    def assert_equal_once(self) -> None:
        """Both ends are equal, and each row is there once."""
        self.world.assert_equal("t")
        counted = self.world.target_rows("t", "count(*), count(distinct id)")[0]
        assert counted == self.world.source_rows("t", "COUNT(*), COUNT(DISTINCT id)")[0]

    def reconnect(self) -> None:
        """The tests' own connections, after a server was killed."""
        if self.world.source.open:
            self.world.source.close()
        self.world.source.connect()
        self.close()
        self.world = replace(self.world, warehouse=comparison.connect_warehouse(self.world.environment))

    def close(self) -> None:
        self.world.warehouse.close()

    def _assert_books_agree(self, state: TableState) -> None:
        loads = self.loads()
        repeated = [load_id for load_id, times in Counter(load_id for load_id, _, _ in loads).items() if times > 1]
        assert not repeated, "a load is in the ledger twice"
        known = {load_id for load_id, _, _ in loads}
        assert len({load.load_id for load in state.loads} & known) == min(len(known), RECENT_LOADS)
        assert state.rows_loaded == state.rows_extracted == sum(rows for _, rows, _ in loads)
        assert sorted(state.recent_files) == self.files(), "a file was loaded twice, or is owned by nobody"
        assert state.files_written == len(state.recent_files)
        store = open_store(self.world.settings)
        for load in state.loads:
            store.head(format_manifest_key(state.table, load.run_id, load.load_id))

    def assert_each_row_merged_once(self) -> None:
        """For a source that did not change: no load merged a row that another had merged."""
        assert sum(merged for _, _, merged in self.loads()) == self.world.source_rows("t")[0][0]


def assert_no_chunk_read_again(ends_before: dict[str, set[int]], later: Iterable[Run]) -> None:
    """No later run read a chunk whose file was on S3.

    Args:
        ends_before: run id -> ordinals of the files that were there.
    """
    for run in later:
        again = [(run_id, ordinal) for run_id, ordinal in run.reads if ordinal in ends_before.get(run_id, set())]
        assert not again, f"chunks with a file on S3 were read again: {again}"

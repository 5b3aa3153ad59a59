"""Rows far wider than the server's average says: memory holds a slice of them, and the file all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine import sizing, tasks
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.model import Chunk, Table
from s3rs_ray.source.catalog import Endpoint
from s3rs_ray.source.extract import Extract
from tests.integration.conftest import World

SLICE = 100_000
WIDE = 2_000


def test_a_worker_cuts_slices_finer_where_rows_become_wider_than_planned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "SLICE_BYTES", SLICE)
    monkeypatch.setattr(tasks, "SLICE_BYTES", SLICE)
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, note TEXT, KEY (update_at))"
        " STATS_PERSISTENT=1 STATS_AUTO_RECALC=0"
    )
    world.execute("INSERT INTO t SELECT seq, '2026-01-01' + INTERVAL seq SECOND, 'x' FROM seq_1_to_20000")
    world.execute("ANALYZE TABLE t")  # from here on the server takes every row for a short one
    wide = f"RPAD(seq, {WIDE}, 'ab')"
    world.execute(f"INSERT INTO t SELECT 20000 + seq, '2026-01-02' + INTERVAL seq SECOND, {wide} FROM seq_1_to_4000")
    held: list[int] = []
    read = tasks._read_counted

    def watched(table: Table, part: Chunk, settings: Settings, endpoint: Endpoint, *, server: str) -> Extract:
        extract = read(table, part, settings, endpoint, server=server)
        held.append(extract.data.nbytes)
        return extract

    monkeypatch.setattr(tasks, "_read_counted", watched)
    one_file = world.settings.model_copy(update={"backup_batch_size": 100_000, "backup_max_workers": 1})
    result = world.sync_one("t", one_file)
    assert (result.files_created, result.rows_loaded) == (1, 24_000)
    world.assert_equal("t")
    # The first wide rows come in a slice that was planned for short ones: nothing warned of them.
    assert sorted(held)[-2] <= 2 * SLICE + WIDE
    store = open_store(world.settings)
    [key] = [o.key for o in store.list("incremental/") if world.schema in o.key]
    footer = pq.ParquetFile(pa.BufferReader(store.get(key).body)).metadata
    assert (footer.num_row_groups, footer.num_rows) == (len(held), 24_000)

"""One COPY of one file, of two hundred and of two thousand."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from s3rs_ray.engine.loading import authorization, open_session, target_of
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.model import DataFile, Manifest, Table, TableName, Watermark
from s3rs_ray.policies import Mode
from s3rs_ray.source.types import arrow_schema
from s3rs_ray.storage.manifest import copy_manifest, load_id
from s3rs_ray.storage.parquet import write_parquet
from s3rs_ray.warehouse.loader import CopySource, Pair, load, prepare
from tests.support import build

if TYPE_CHECKING:
    from .conftest import World

ROWS = 3
PAST = dt.datetime(2026, 1, 1)


def write_file(world: World, table: Table, number: int) -> DataFile:
    """A file of three rows whose keys are its own."""
    ids = range(ROWS * number, ROWS * (number + 1))
    data = pa.Table.from_pylist(
        [{"ID": i, "update_at": PAST + dt.timedelta(seconds=i), "note": f"row {i}"} for i in ids],
        schema=arrow_schema(table.columns),
    )
    file = write_parquet(data, {})
    key = f"many/{world.schema}/{number:04d}.parquet"
    open_store(world.settings).put_new(key, file.body)
    return DataFile(
        key=key,
        rows=file.rows,
        bytes=file.body.size,
        digest=file.digest,
        run_id="run",
        ordinal=number,
        fingerprint=table.fingerprint,
        reaches=Watermark(position=(number,)),
    )


@pytest.mark.parametrize(
    ("count", "mode"), [(1, Mode.MERGE), (200, Mode.APPEND), (2000, Mode.MERGE), (200, Mode.REPLACE)]
)
def test_any_number_of_files_is_one_load(world: World, count: int, mode: Mode) -> None:
    table = build.table(name=TableName(world.schema, "t"))
    with ThreadPoolExecutor(8) as pool:
        files = tuple(pool.map(lambda number: write_file(world, table, number), range(count)))
    manifest = Manifest(
        load_id=load_id(generation="g", table=table.name, target="many", files=files),
        run_id="run",
        generation="g",
        table=table.name,
        target="many",
        mode=mode,
        fingerprint=table.fingerprint,
        after=Watermark.START,
        reaches=files[-1].reaches,
        files=files,
    )
    store, target = open_store(world.settings), target_of(table, world.settings)
    key = f"many/{world.schema}/manifest"
    store.put_new(key, copy_manifest(files, store.bucket))
    prepare(
        lambda: open_session(world.settings), Pair(source=table.name, target=target, identity="many", generation="g")
    )
    source = CopySource(manifest_url=store.url(key), authorize=lambda: authorization(world.settings))
    for again in (False, True):
        done = load(lambda: open_session(world.settings), manifest, target, source)
        assert (done.files, done.rows, done.merged, done.repeated) == (count, ROWS * count, ROWS * count, again)
    rows = ROWS * count
    assert world.target_rows("t", "count(*), count(distinct id), sum(id), count(note)") == [
        (rows, rows, rows * (rows - 1) // 2, rows)
    ]

"""What schedulers see of a run: its marker, its metrics, its lineage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.engine.tasks import StageSeconds, extract_chunk, open_store
from s3rs_ray.model import Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.cutting import cut_chunks, fixed

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World
    from .conftest import Command


@pytest.fixture
def table(world: World) -> str:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, '2026-01-01')", [(i,) for i in range(90)])
    return f"{world.schema}.t"


def markers(world: World) -> dict[str, Any]:
    store = open_store(world.settings)
    found = [o.key for o in store.list(f"runs/{world.schema}.") if o.key.endswith("/_SUCCESS")]
    return {key: json.loads(store.get(key).body) for key in found}


def test_a_run_that_ended_well_leaves_its_marker_last_and_one_with_nothing_to_do_too(
    world: World, command: Command, table: str
) -> None:
    run = command("sync", "-t", table, "--inline", "-o", "json").json["execution_id"]
    key = f"runs/{table}/{run}/_SUCCESS"
    (found,) = markers(world).values()
    assert list(markers(world)) == [key]
    assert {
        "status": "success",
        "rows_loaded": 90,
        "stages": ["extract", "load"],
        "table": table,
    }.items() <= found.items()
    store = open_store(world.settings)
    written = {o.key: o.modified for o in store.list("") if world.schema in o.key}
    assert max(written.values()) == written[key]
    again = command("sync", "-t", table, "--inline", "-o", "json").json["execution_id"]
    assert markers(world)[f"runs/{table}/{again}/_SUCCESS"]["status"] == "nothing_to_do"


def test_a_run_that_failed_leaves_no_marker_and_the_last_success_in_the_metrics(
    world: World, command: Command, table: str, tmp_path: Path
) -> None:
    told = {"METRICS_FILE": str(tmp_path / "s3rs.prom"), "OPENLINEAGE_URL": f"file:{tmp_path}/events"}
    assert command("sync", "-t", table, "--inline", **told).code == 0
    first = (tmp_path / "s3rs.prom").read_text()
    assert f's3rs_ray_run_rows_loaded{{table="{table}"}} 90' in first
    world.execute("DROP INDEX update_at ON t")
    world.execute("ALTER TABLE t MODIFY update_at VARCHAR(30)")
    failed = command("sync", "-t", table, "--inline", **told)
    assert failed.code == 1
    assert len(markers(world)) == 1
    second = (tmp_path / "s3rs.prom").read_text()
    assert f's3rs_ray_run_success{{table="{table}"}} 0' in second
    success = f's3rs_ray_run_success_timestamp_seconds{{table="{table}"}}'
    assert [line for line in first.splitlines() if line.startswith(success)] == [
        line for line in second.splitlines() if line.startswith(success)
    ]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [e["eventType"] for e in events] == ["START", "COMPLETE", "START", "FAIL"]
    assert {f["name"] for f in events[1]["outputs"][1]["facets"]["schema"]["fields"]} == {"id", "update_at"}


def test_a_chunk_says_what_each_stage_took_and_nothing_where_its_file_was_there(world: World, table: str) -> None:
    with open_catalog(world.settings, Endpoint(world.settings.db_host, world.settings.db_port)) as catalog:
        found, version = catalog.discover(world.name("t")), catalog.server_version()
        whole = Window(after=Watermark.START, upto=Watermark.START, whole=True)
        run_id = "20260101T000000Z-abcdef"
        (chunk,) = cut_chunks(catalog, found, whole, RangeOrder.KEY, run_id=run_id, sizes=fixed(1000))
    for again in (False, True):
        spent = StageSeconds()
        file = extract_chunk(found, chunk, world.settings, order=RangeOrder.KEY, server=version, spent=spent)
        assert file.rows == 90
        assert [s > 0 for s in (spent.read, spent.encode, spent.upload)] == [not again] * 3

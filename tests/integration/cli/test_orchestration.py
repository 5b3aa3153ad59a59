"""What schedulers see of a run: its marker, its metrics, its lineage."""

from __future__ import annotations

import html
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


def markers(world: World, name: str = "_SUCCESS") -> dict[str, Any]:
    store = open_store(world.settings)
    found = [o.key for o in store.list(f"runs/{world.schema}.") if o.key.endswith(f"/{name}")]
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
    (marker,) = markers(world, "_FAILED").values()
    assert (marker["status"], marker["exit_code"]) == ("failed", 1)
    assert marker["error"]
    assert marker["hint"]
    second = (tmp_path / "s3rs.prom").read_text()
    assert f's3rs_ray_run_success{{table="{table}"}} 0' in second
    success = f's3rs_ray_run_success_timestamp_seconds{{table="{table}"}}'
    assert [line for line in first.splitlines() if line.startswith(success)] == [
        line for line in second.splitlines() if line.startswith(success)
    ]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [e["eventType"] for e in events] == ["START", "COMPLETE", "START", "FAIL"]
    assert {f["name"] for f in events[1]["outputs"][1]["facets"]["schema"]["fields"]} == {"id", "update_at"}


def metrics(path: Path) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in path.read_text().splitlines() if not line.startswith("#"))
    }


@pytest.mark.parametrize(
    ("wrong", "pattern", "code", "says", "marked"),
    [
        ({"DB_PORT": "1"}, "t", 1, "SourceUnavailable", True),
        ({"REDSHIFT_PORT": "1"}, "t*", 1, "WarehouseUnavailable", True),
        ({}, "nothing_*", 2, "TableNotFound", False),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, "t", 1, "StorageUnavailable", False),
        ({"DB_PORT": "x"}, "t", 2, "ConfigError", False),
        ({"REDSHIFT_PASSWORD": ""}, "t", 2, "ConfigError", False),
    ],
    ids=["source", "warehouse", "no-table", "s3", "wrong-setting", "missing-setting"],
)
def test_a_command_that_fails_before_its_first_table_is_told_of_everywhere(
    world: World, command: Command, table: str, tmp_path: Path, wrong: dict[str, str], pattern: str, code: int,
    says: str, marked: bool,
) -> None:  # fmt: skip
    file, page = tmp_path / "s3rs.prom", tmp_path / "run.html"
    told = {"METRICS_FILE": str(file)}
    assert command("sync", "-t", table, "--inline", **told).code == 0
    first = metrics(file)
    assert first["s3rs_ray_command_success"] == 1
    failed = command(
        "sync", "-t", f"{world.schema}.{pattern}", "--inline", "-o", "json", "--report", str(page), **told, **wrong
    )
    document = failed.json
    assert (failed.code, document["status"], document["error"]["type"]) == (code, "failed", says)
    assert (document["table_results"], document["tables_requested"]) == ({}, [f"{world.schema}.{pattern}"])
    assert f"error: {document['error']['message']}" in failed.err
    second = metrics(file)
    assert second["s3rs_ray_command_success"] == 0
    assert second["s3rs_ray_command_end_timestamp_seconds"] > first["s3rs_ray_command_end_timestamp_seconds"]
    kept = {name for name in first if name not in (n for n in first if second[n] != first[n])}
    assert "s3rs_ray_command_success_timestamp_seconds" in kept
    assert f's3rs_ray_run_success{{table="{table}"}}' in kept
    key = f"runs/{table}/{document['execution_id']}/_FAILED"
    store = open_store(world.settings)
    found = {o.key: json.loads(store.get(o.key).body) for o in store.list(f"runs/{table}/") if "_FAILED" in o.key}
    assert list(found) == ([key] if marked else [])
    if marked:
        assert (found[key]["error"], found[key]["exit_code"]) == (document["error"]["message"], code)
    if says != "ConfigError":
        assert document["error"]["message"] in html.unescape(page.read_text())
    if marked or says == "TableNotFound":
        shown = command("report", document["execution_id"])
        assert f"error: {document['error']['message']}" in shown.out
    assert command("sync", "-t", table, "--inline", **told).code == 0
    assert metrics(file)["s3rs_ray_command_success"] == 1


def test_a_dry_run_is_no_run(world: World, command: Command, table: str, tmp_path: Path) -> None:
    assert command("sync", "-t", table, "--dry-run", METRICS_FILE=str(tmp_path / "m.prom"), DB_PORT="1").code == 1
    assert not (tmp_path / "m.prom").exists()


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

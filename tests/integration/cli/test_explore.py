"""``explore`` and ``dashboard``: what is on S3, with fields that are a contract."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from s3rs_ray.engine.tasks import open_store
from s3rs_ray.storage.layout import format_state_key

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command

FILES = {
    "files", "bytes", "smallest", "largest", "first_run", "last_run", "runs", "quiet_days", "standing", "days", "error",
}  # fmt: skip
MARKS = {"extracted_up_to", "loaded_up_to", "rows_extracted", "rows_loaded", "mysql_status", "redshift_status"}


def make(world: World, *tables: str) -> None:
    for table in tables:
        world.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
        world.execute(f"INSERT INTO {table} VALUES (1, '2026-01-01'), (2, '2026-01-02')")


def test_tables_files_and_days_are_told(world: World, command: Command) -> None:
    make(world, "t", "u")
    world.sync_one("t", world.settings.model_copy(update={"backup_batch_size": 1}))
    world.sync_one("u", load=False)
    found = command("explore", "-t", f"{world.schema}.*", "-o", "json").json
    assert set(found) == {"bucket", "files", "bytes", "tables", "activity"}
    t, u = found["tables"][f"{world.schema}.t"], found["tables"][f"{world.schema}.u"]
    assert set(t) == FILES
    assert (t["files"], t["runs"], u["files"], found["files"]) == (2, 1, 1, 3)
    assert (list(t["standing"]), list(u["standing"])) == (["loaded"], ["not loaded"])
    assert sum(day["files"] for day in found["activity"].values()) == 3
    assert abs(dt.datetime.fromisoformat(t["last_run"]) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    one = command("explore", "-t", "*", "--exclude", "u")
    assert f"{world.schema}.t" in one.out
    assert f"{world.schema}.u" not in one.out
    assert "█" in one.out
    assert command("explore", "-t", f"{world.schema}.none").code == 2


def test_the_dashboard_shows_all_of_it(world: World, command: Command) -> None:
    make(world, "t")
    assert command("sync", "-t", "t", "--inline").code == 0
    done = command("dashboard", "-t", "t", "-o", "json")
    found = done.json
    assert set(found) == {"bucket", "folders", "tables", "health", "runs"}
    assert (set(found["health"]), done.code) == ({"well", "checks", "findings"}, 0 if found["health"]["well"] else 1)
    assert [f["holds"] for f in found["folders"].values()] == [
        "Parquet files", "states of tables", "COPY manifests", "records and reports of runs",
    ]  # fmt: skip
    table = found["tables"][f"{world.schema}.t"]
    assert set(table) == FILES | MARKS
    assert (table["rows_loaded"], table["loaded_up_to"]) == (2, "2026-01-02 00:00:00")
    assert found["runs"][0]["tables_requested"] == ["t"]
    text = command("dashboard", "-t", "t").out
    for part in ("bucket s3://", "watermarks", "health", "recent runs", found["runs"][0]["execution_id"]):
        assert part in text


def test_a_state_that_cannot_be_read_is_told_and_hides_no_other(world: World, command: Command) -> None:
    make(world, "t", "u")
    world.sync_one("t")
    world.sync_one("u")
    store, key = open_store(world.settings), format_state_key(world.name("u"))
    store.put_if(key, b"{}", store.head(key).version)
    try:
        found = command("explore", "-t", "*", "-o", "json")
        assert found.json["tables"][f"{world.schema}.t"]["files"] == 1
        assert "is not the state of a table" in found.json["tables"][f"{world.schema}.u"]["error"]
        assert f"error: {world.schema}.u" in found.err
        assert command("dashboard", "-t", "*").code == 1
    finally:
        store.delete([key])

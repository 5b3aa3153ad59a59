"""``status``: what is down, what is missing, what was left behind."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from s3rs_ray.engine import health
from s3rs_ray.engine.health import LOOKERS, examine
from s3rs_ray.ledger.store import Holder
from s3rs_ray.model import TableName
from s3rs_ray.policies import Mode
from s3rs_ray.source.catalog import Catalog

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command


def make(world: World, index: str = ", KEY (update_at)") -> str:
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL{index})")
    world.execute("INSERT INTO t VALUES (1, '2026-01-01')")
    return f"{world.schema}.t"


def test_all_is_well_and_the_fields_are_a_contract(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t")
    done = command("status", "-t", table, "-o", "json")
    ours = [f for f in done.json["findings"] if f["about"] in (table, "mysql", "s3", "redshift")]
    assert (done.json["well"], ours) == (done.code == 0, [])
    assert set(done.json) == {"well", "checks", "tables", "findings"}
    assert set(done.json["checks"]) == {"mysql", "s3", "redshift"}
    assert set(done.json["checks"]["s3"]) == {"up", "seconds", "detail", "hint"}
    assert set(done.json["tables"][table]) == {
        "watermark", "files_waiting", "mysql_status", "redshift_status", "last_run", "held_by",
    }  # fmt: skip


def test_each_dependency_is_asked_whatever_the_others_say(command: Command) -> None:
    down = command("status", "-o", "json", DB_PORT="1")
    assert down.code == 1
    assert {name: c["up"] for name, c in down.json["checks"].items()} == {"mysql": False, "s3": True, "redshift": True}
    assert "check DB_HOST, DB_PORT" in down.json["checks"]["mysql"]["hint"]
    bucket = command("status", S3_BUCKET_NAME="no-such-bucket")
    assert bucket.code == 1
    assert "check S3_BUCKET_NAME" in bucket.out
    assert "DOWN" in bucket.out


def test_privileges_an_index_and_a_schema_that_are_missing_are_named(world: World, command: Command) -> None:
    table = make(world, index="")
    user = f"u{secrets.token_hex(4)}"
    world.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'Secret1234'")
    try:
        world.execute(f"GRANT SELECT ON `{world.schema}`.* TO {user}@'%'")
        done = command(
            "status", "-t", table, "-o", "json",
            DB_USER=user, DB_PASSWORD="Secret1234", REDSHIFT_SCHEMA="no_such_schema",
        )  # fmt: skip
    finally:
        world.execute(f"DROP USER {user}@'%'")
    said = {(f["about"], f["message"].partition(":")[0]): f for f in done.json["findings"]}
    assert said["mysql", f"{user} lacks PROCESS"]["hint"] == f"GRANT PROCESS ON *.* TO {user}"
    assert ("mysql", f"{user} lacks REPLICATION CLIENT") in said
    missing = said[table, "no index serves (update_at, id)"]
    assert missing["serious"] is False
    world.execute(missing["hint"])
    assert said["redshift", "there is no schema no_such_schema"]["hint"] == 'CREATE SCHEMA "no_such_schema"'
    again = command("status", "-t", table, "-o", "json").json["findings"]
    assert [f for f in again if f["about"] == table] == []


def test_a_table_that_cannot_be_moved_and_files_that_wait_are_told(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t", load=False)
    world.execute("CREATE TABLE plain (a INT)")
    done = command("status", "-t", f"{world.schema}.*")
    assert done.code == 1
    assert f"error: {world.schema}.plain has no column update_at" in done.out
    assert f"note: {table}: files that wait to be loaded: 1, with 1 row" in done.out
    assert f"s3rs-ray sync -t {table} --redshift-only" in done.out


def test_a_target_that_was_lost_is_told_though_there_is_nothing_to_sync(world: World, command: Command) -> None:
    table = make(world)
    world.sync_one("t")
    assert command("status", "-t", table).code == 0
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."t"'.encode())
    done = command("status", "-t", table)
    assert done.code == 1
    assert f"error: {table}: its target {world.schema}.t is not there any more" in done.out
    assert f"watermark reset -t {table}" in done.out


def test_only_the_tables_asked_for_are_shown(world: World, command: Command) -> None:
    table = make(world)
    world.execute("CREATE TABLE other (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO other VALUES (1, '2026-01-01')")
    world.sync("t", "other", load=False)
    assert set(command("status", "-o", "json").json["tables"]) == {table, f"{world.schema}.other"}
    asked = command("status", "-t", table, "-o", "json").json
    assert set(asked["tables"]) == {table}
    assert {f["about"] for f in asked["findings"] if "other" in f["about"]} == set()


def test_rights_that_a_load_would_miss_are_named(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make(world)
    world.sync_one("t")
    user, schema = f"u{secrets.token_hex(4)}", world.schema
    run = world.warehouse.execute
    run(f"CREATE USER {user} PASSWORD 'Secret1234'".encode())
    run(f'GRANT USAGE ON SCHEMA "{schema}" TO {user}'.encode())
    run(f'GRANT SELECT ON "{schema}".t TO {user}'.encode())
    other, holder = TableName(f"{schema}_other", "T"), Holder.here()  # Redshift folds names: its target is t as well
    world.ledger().acquire(other, holder)
    world.ledger().release(other, holder)
    done = command("status", "-t", table, "-o", "json", REDSHIFT_USER=user, REDSHIFT_PASSWORD="Secret1234")
    said = [f["message"] for f in done.json["findings"] if f["about"] == "redshift" and schema in f["message"]]
    assert said == [f"no CREATE on schema {schema}", f'no INSERT, DELETE on "{schema}"."t"']
    hints = [f["hint"] for f in done.json["findings"] if f["message"] in said]
    assert hints == [
        f'GRANT CREATE ON SCHEMA "{schema}" TO "{user}"',
        f'GRANT INSERT, DELETE ON "{schema}"."t" TO "{user}"',
    ]
    world.execute("INSERT INTO t VALUES (99, '2026-02-01')")
    refused = command("sync", "-t", table, "--inline", REDSHIFT_USER=user, REDSHIFT_PASSWORD="Secret1234")
    assert refused.code == 1
    assert "permission denied" in refused.err
    assert "hint: `s3rs-ray status` names the rights that are missing" in refused.err
    assert table in done.json["tables"]


@pytest.mark.parametrize(("granted", "at_once"), [(0, LOOKERS), (2, 2)], ids=["unlimited", "two-connections"])
def test_tables_are_looked_at_side_by_side_over_as_many_connections_as_the_source_grants(
    world: World, monkeypatch: pytest.MonkeyPatch, granted: int, at_once: int
) -> None:
    tables = [f"t{number}" for number in range(2 * LOOKERS)]
    for table in tables:
        world.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    together, look = threading.Barrier(at_once, timeout=30), health._look_at_table

    def look_together(catalog: Catalog, name: TableName, mode: Mode | None, *, asked: bool) -> Iterator[health.Finding]:
        together.wait()  # broken unless so many are here at once
        return look(catalog, name, mode, asked=asked)

    monkeypatch.setattr(health, "_look_at_table", look_together)
    user = f"u{secrets.token_hex(4)}"
    world.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'Secret1234' WITH MAX_USER_CONNECTIONS {granted}")
    try:
        world.execute(f"GRANT SELECT ON `{world.schema}`.* TO {user}@'%'")
        login = {"db_user": user, "db_password": SecretStr("Secret1234")}
        found = examine(world.settings.model_copy(update=login), [f"{world.schema}.*"])
    finally:
        world.execute(f"DROP USER {user}@'%'")
    told = [(f.about, f.message.partition(":")[0]) for f in found.findings if f.about.startswith(f"{world.schema}.")]
    assert told == [(f"{world.schema}.{table}", "no index serves (update_at, id)") for table in tables]

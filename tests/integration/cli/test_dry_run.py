"""``--dry-run``: what it says is what a run then does, and it does nothing itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.tasks import open_store

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command


@pytest.fixture
def table(world: World) -> str:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20), update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, 'x', '2026-01-01' + INTERVAL %s SECOND)", [(i, i) for i in range(90)])
    world.execute("ANALYZE TABLE t")
    return f"{world.schema}.t"


def everything(world: World) -> tuple[list[str], list[tuple[object, ...]]]:
    """All objects, and all tables of the warehouse with their columns."""
    with world.warehouse.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type, character_maximum_length FROM information_schema.columns"
            f" WHERE table_schema = '{world.schema}' ORDER BY 1, 2"
        )
        columns = cursor.fetchall()
    return [o.key for o in open_store(world.settings).list("")], list(columns)


def test_a_first_run_is_told_with_its_size_and_the_table_it_creates(world: World, command: Command, table: str) -> None:
    before = everything(world)
    shown = command("sync", "-t", table, "--dry-run", "--show-sql", "--batch-size", "30", "-o", "json")
    assert shown.code == 0
    (plan,) = shown.json["plans"]
    assert (plan["chunks"], plan["estimated_rows"], plan["rows_per_chunk"]) == (3, 90, 30)
    assert plan["estimated_bytes"] > 0
    assert (plan["target"]["exists"], plan["target"]["mode"]) == (False, "merge")
    (ddl,) = plan["target"]["ddl"]
    assert ddl.startswith("CREATE TABLE")
    assert '"note" VARCHAR(80)' in ddl
    assert "chunk=0" in plan["statements"]["read the first chunk"]
    assert everything(world) == before
    text = command("sync", "-t", table, "--dry-run", "--show-sql", "--batch-size", "30")
    assert "about 90 rows in 3 chunks" in text.out
    assert "it is not there and will be created" in text.out
    assert world.settings.s3_secret_key.get_secret_value() not in text.out + shown.out
    assert (
        command("sync", "-t", table, "--inline", "--batch-size", "30", "-o", "json").json["summary"]["total_files"] == 3
    )


def test_what_drift_does_to_the_target_is_said_and_then_done(world: World, command: Command, table: str) -> None:
    assert command("sync", "-t", table, "--inline").code == 0
    world.execute("ALTER TABLE t ADD COLUMN extra INT, MODIFY note VARCHAR(40)")
    world.execute("UPDATE t SET extra = 1, update_at = '2026-02-01' WHERE id < 5")
    before = everything(world)
    (plan,) = command("sync", "-t", table, "--dry-run", "-o", "json").json["plans"]
    assert plan["target"]["exists"]
    assert sorted(c.split()[0] for c in plan["target"]["changes"]) == ["adds", "widens"]
    assert everything(world) == before
    assert "before the load, this run:" in command("sync", "-t", table, "--dry-run").out
    assert command("sync", "-t", table, "--inline").code == 0
    world.execute("UPDATE t SET update_at = '2026-02-02' WHERE id < 5")
    (fits,) = command("sync", "-t", table, "--dry-run", "-o", "json").json["plans"]
    assert fits["target"]["changes"] == []


def test_a_type_change_that_would_be_refused_is_refused_already(world: World, command: Command, table: str) -> None:
    assert command("sync", "-t", table, "--inline").code == 0
    world.execute("ALTER TABLE t DROP COLUMN note, ADD COLUMN note DATE")
    world.execute("UPDATE t SET note = '2026-01-01', update_at = '2026-02-01'")
    dry = command("sync", "-t", table, "--dry-run", "-o", "json")
    real = command("sync", "-t", table, "--inline", "-o", "json")
    assert (dry.code, real.code) == (1, 1)
    assert dry.json["plans"][0]["error"] == real.json["table_results"][table]["error"]
    assert "note is VARCHAR(80) there" in dry.json["plans"][0]["error"]


def test_a_watermark_of_another_cursor_is_refused_already(world: World, command: Command, table: str) -> None:
    world.execute("ALTER TABLE t ADD COLUMN changed DATETIME NOT NULL DEFAULT '2026-01-01', ADD KEY (changed)")
    assert command("sync", "-t", table, "--inline").code == 0
    dry = command("sync", "-t", table, "--dry-run", "-o", "json", BACKUP_CURSOR_COLUMN="changed")
    real = command("sync", "-t", table, "--inline", "-o", "json", BACKUP_CURSOR_COLUMN="changed")
    assert dry.code == real.code == 1
    assert dry.json["plans"][0]["error"] == real.json["table_results"][table]["error"]


def test_minutes_come_from_the_last_run_and_say_so(world: World, command: Command, table: str) -> None:
    run = command("sync", "-t", table, "--inline", "-o", "json").json
    world.execute("UPDATE t SET update_at = '2026-02-01'")
    before = everything(world)
    (plan,) = command("sync", "-t", table, "--estimate", "-o", "json").json["plans"]
    assert run["execution_id"] in plan["estimate"]["known_from"]
    seconds = run["table_results"][table]["duration_seconds"]
    assert plan["estimate"]["minutes"] == pytest.approx(plan["estimated_rows"] / 90 * seconds / 60)
    assert everything(world) == before
    told = command("sync", "-t", table, "--estimate").out
    assert re.search(r"about \d+ seconds?: from 1 run of this table", told)


def test_statements_alone_are_a_wrong_word(command: Command, table: str) -> None:
    assert command("sync", "-t", table, "--show-sql").code == 2

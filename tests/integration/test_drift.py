"""A source that changes its columns between two runs, and targets that have columns of their own."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.local.redshift.faults import Fault, clear_faults, set_faults

if TYPE_CHECKING:
    from s3rs_ray.local.stack import LocalStack

    from .conftest import World


def make(world: World, columns: str = "note VARCHAR(20), number SMALLINT") -> None:
    world.execute(f"CREATE TABLE t (id INT PRIMARY KEY, {columns}, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, %s, %s, %s)", [(i, f"n{i}", i, when(i)) for i in range(100)])
    assert world.sync_one("t").rows_loaded == 100


def when(seconds: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1) + dt.timedelta(seconds=seconds)


def touch(world: World, where: str = "id < 10", change: str = "id = id", day: int = 2) -> None:
    world.execute(f"UPDATE t SET {change}, update_at = '2026-02-{day:02d}' WHERE {where}")


def test_an_added_column_is_added_there_and_what_is_missing_is_said(world: World) -> None:
    make(world)
    world.execute("ALTER TABLE t ADD COLUMN extra DECIMAL(10,2) NOT NULL DEFAULT 1.5 AFTER id")
    touch(world)
    result = world.sync_one("t")
    assert result.rows_loaded == 10
    assert [w.partition(":")[0] for w in result.warnings] == ["extra was added"]
    assert world.target_rows("t", "count(extra), min(extra)") == [(10, 1.5)]
    assert world.target_rows("t", "count(*)", "WHERE note = 'n' || CAST(id AS VARCHAR(9))") == [(100,)]


def test_an_added_column_is_said_also_where_the_connection_was_lost_over_it(world: World, stack: LocalStack) -> None:
    make(world)
    world.execute("ALTER TABLE t ADD COLUMN extra INT NOT NULL DEFAULT 1, MODIFY number INT")
    touch(world)
    lost = Fault(point="statement", action="drop", match="^ALTER", skip=1)  # one change is done, the other is not
    set_faults(stack.redshift.control_file, [lost])
    try:
        result = world.sync_one("t")
    finally:
        clear_faults(stack.redshift.control_file)
    assert result.rows_loaded == 10
    assert [w.partition(":")[0] for w in result.warnings] == ["extra was added"]
    assert world.target_rows("t", "count(extra), count(number)") == [(10, 100)]


def test_an_added_column_without_values_is_no_warning(world: World) -> None:
    make(world)
    world.execute("ALTER TABLE t ADD COLUMN extra INT")
    touch(world, change="extra = id")
    assert world.sync_one("t").warnings == ()
    world.assert_equal("t")


def test_a_dropped_column_stays_and_new_rows_hold_null_in_it(world: World) -> None:
    make(world)
    world.execute("ALTER TABLE t DROP COLUMN number")
    world.execute("INSERT INTO t VALUES (1000, 'new', '2026-02-01')")
    world.sync_one("t")
    assert world.target_rows("t", "number", "WHERE id IN (7, 1000) ORDER BY id") == [(7,), (None,)]


def test_columns_that_only_the_warehouse_has_keep_their_values(world: World) -> None:
    make(world)
    world.warehouse.execute(f'ALTER TABLE "{world.schema}"."t" ADD COLUMN remark VARCHAR(20)'.encode())
    world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET remark = \'ours\' WHERE id < 50'.encode())
    touch(world, "id BETWEEN 40 AND 59", "note = 'changed'")
    world.execute("INSERT INTO t VALUES (1000, 'new', 1, '2026-02-03')")
    assert world.sync_one("t").rows_loaded == 21
    world.assert_equal("t")
    assert world.target_rows("t", "count(remark)") == [(50,)]
    assert world.target_rows("t", "remark, note", "WHERE id IN (45, 55) ORDER BY id") == [
        ("ours", "changed"),
        (None, "changed"),
    ]


@pytest.mark.parametrize(
    ("change", "value", "kind"),
    [
        ("note VARCHAR(200)", "'" + "ä" * 200 + "'", ("character varying", 800)),
        ("number BIGINT", str(2**62), ("bigint", None)),
        ("number DECIMAL(20,5)", "123456789012345.12345", ("numeric", None)),
    ],
)
def test_a_widened_column_is_widened_there(world: World, change: str, value: str, kind: tuple[str, int | None]) -> None:
    make(world)
    world.execute(f"ALTER TABLE t MODIFY COLUMN {change}")
    touch(world, change=f"{change.split()[0]} = {value}")
    assert world.sync_one("t").rows_loaded == 10
    world.assert_equal("t")
    with world.warehouse.cursor() as cursor:
        cursor.execute(
            b"SELECT data_type, character_maximum_length FROM svv_columns WHERE table_schema = '%s'"
            b" AND table_name = 't' AND column_name = '%s'" % (world.schema.encode(), change.split()[0].encode())
        )
        name, length = cursor.fetchall()[0]
    assert (name, length if name == "character varying" else None) == kind


def test_a_changed_type_is_refused_before_any_work(world: World) -> None:
    make(world)
    world.execute("ALTER TABLE t DROP COLUMN note, ADD COLUMN note DATE")
    touch(world)
    before = world.ledger().load(world.name("t"))
    (refused,) = world.sync("t")
    assert refused.status is Status.FAILED
    assert "note is VARCHAR(80) there, and date needs DATE" in refused.error
    after = world.ledger().load(world.name("t"))
    assert (after.extracted, after.run, after.files_written) == (before.extracted, None, before.files_written)


def test_reordered_and_renamed_columns_keep_their_values(world: World) -> None:
    make(world)
    world.execute("ALTER TABLE t MODIFY COLUMN number SMALLINT FIRST, CHANGE COLUMN note remark VARCHAR(20)")
    touch(world, change="remark = 'renamed'")
    world.sync_one("t")
    assert world.target_rows("t", "number, remark", "WHERE id = 7") == [(7, "renamed")]
    assert world.target_rows("t", "count(*)", "WHERE number = id") == [(100,)]


def test_files_of_two_schemas_never_share_a_copy(world: World) -> None:
    make(world)
    touch(world, "id < 10")
    world.sync_one("t", load=False)
    world.execute("ALTER TABLE t ADD COLUMN extra INT FIRST")
    touch(world, "id BETWEEN 5 AND 14", "extra = id", day=3)
    world.sync_one("t", load=False)
    assert world.sync_one("t", extract=False).rows_loaded == 20
    loads = world.ledger().load(world.name("t")).loads
    assert [load.files for load in loads] == [1, 1, 1]
    world.assert_equal("t")


def test_a_run_interrupted_before_a_schema_change_keeps_what_it_can(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, %s)", [(i, when(i)) for i in range(1000)])
    settings = world.settings.model_copy(update={"backup_batch_size": 100, "backup_max_workers": 1})
    stop = threading.Event()

    def stop_after_two(event: Event) -> None:
        if event.kind is EventKind.CHUNK_DONE and event.facts["chunk"] == 1:
            stop.set()

    request = Request(tables=(f"{world.schema}.t",), inline=True)
    (stopped,) = driver.sync(settings, request, report=stop_after_two, stop=stop).tables
    world.execute("ALTER TABLE t ADD COLUMN note VARCHAR(10) DEFAULT 'x'")
    finished = world.sync_one("t", settings)
    assert stopped.rows_extracted + finished.rows_extracted == 1000
    assert world.target_rows("t", "count(*), count(distinct id)") == [(1000, 1000)]
    assert "planned for other columns" in finished.note

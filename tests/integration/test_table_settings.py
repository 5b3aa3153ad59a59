"""What the settings of a single table change: names, layout, filter, load columns."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.events import Status
from s3rs_ray.table_settings import TableSettings

if TYPE_CHECKING:
    from .conftest import World

PAST = dt.datetime(2026, 1, 1)


def make(world: World, rows: int = 100) -> None:
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, live TINYINT NOT NULL, note VARCHAR(20), update_at DATETIME,"
        " KEY (update_at))"
    )
    world.execute(
        "INSERT INTO t VALUES (%s, %s, 'x', %s)", [(i, i % 2, PAST + dt.timedelta(seconds=i)) for i in range(rows)]
    )


def given(world: World, **settings: Any) -> Settings:
    return world.settings.model_copy(update={"tables": {f"{world.schema}.t": TableSettings(**settings)}})


def test_a_target_has_the_name_the_schema_and_the_layout_it_was_given(world: World) -> None:
    make(world)
    other = f"{world.schema}_marts"
    settings = given(world, target="Packages", target_schema=other, distkey="ID", sortkeys=["update_at", "id"])
    assert world.sync_one("t", settings).rows_loaded == 100
    with world.warehouse.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{other}".packages'.encode())
        assert cursor.fetchall() == [(100,)]
        cursor.execute(
            f"SELECT diststyle, sortkey1, sortkey_num FROM svv_table_info WHERE \"schema\" = '{other}'"
            " AND \"table\" = 'packages'".encode()
        )
        assert cursor.fetchall() == [("KEY(id)", "update_at", 2)]
    (moved,) = world.sync("t")
    assert moved.status is Status.FAILED
    assert f"{other}.packages" in moved.error
    assert f"{world.schema}.t" in moved.error


def test_two_tables_of_one_name_that_differ_in_case_go_to_two_targets(world: World) -> None:
    make(world)
    world.execute("CREATE TABLE T LIKE t")
    world.execute("INSERT INTO T SELECT * FROM t WHERE id < 10")
    tables = {f"{world.schema}.T": TableSettings(target="upper_t")}
    settings = world.settings.model_copy(update={"tables": tables})
    assert world.sync_one("T", settings).rows_loaded == 10
    assert world.target_rows("upper_t") == [(10,)]


def test_a_layout_that_names_no_carried_column_is_refused_before_any_work(world: World) -> None:
    make(world)
    (refused,) = world.sync("t", settings=given(world, distkey="note", exclude=["note"]))
    assert (refused.exit_code, refused.files_created) == (2, 0)
    assert "note cannot be a distkey or sortkey" in refused.error


def test_rows_a_filter_leaves_out_are_as_if_they_were_not_there(world: World) -> None:
    make(world)
    world.execute("INSERT INTO t VALUES (1000, 0, 'x', NULL), (1001, 1, 'x', NULL)")
    settings = given(world, where="live = 1 OR note = 'wanted'").model_copy(update={"backup_batch_size": 7})
    first = world.sync_one("t", settings, verify=True)
    assert (first.rows_extracted, first.rows_loaded, first.verified_rows, first.warnings) == (50, 50, 50, ())
    world.execute("UPDATE t SET update_at = '2026-02-01' WHERE id IN (1, 2)")
    world.execute("UPDATE t SET note = 'wanted', update_at = '2026-02-01' WHERE id = 4")
    assert world.sync_one("t", settings, verify=True).rows_loaded == 2
    assert world.target_rows("t", "id", "WHERE id < 10 ORDER BY id") == [(i,) for i in (1, 3, 4, 5, 7, 9)]


def test_a_filter_that_changes_is_refused_and_said(world: World) -> None:
    make(world)
    world.sync_one("t", given(world, where="live = 1"))
    world.execute("UPDATE t SET update_at = '2026-02-01' WHERE id = 2")
    (refused,) = world.sync("t", settings=given(world, where="live = 0"))
    assert (refused.status, refused.files_created) == (Status.FAILED, 0)
    assert "where live = 1" in refused.error
    assert "where live = 0" in refused.error
    assert "watermark reset" in refused.hint
    (refused,) = world.sync("t")
    assert "where live = 1" in refused.error


@pytest.mark.parametrize("where", ["nowhere = 1", "live = ", "live = 1 ORDER BY id"])
def test_a_filter_the_source_does_not_take_is_refused_by_its_name(world: World, where: str) -> None:
    make(world)
    (refused,) = world.sync("t", settings=given(world, where=where))
    assert (refused.exit_code, refused.files_created) == (2, 0)
    assert f"`where` of {world.schema}.t" in refused.error


def test_every_row_says_when_and_by_which_run_it_was_loaded(world: World) -> None:
    make(world)
    settings = given(world, load_columns=True)
    world.sync_one("t", settings)
    first = world.ledger().load(world.name("t")).last_run_id
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-02-01' WHERE id < 10")
    world.sync_one("t")  # the columns are there, so they are kept true
    second = world.ledger().load(world.name("t")).last_run_id
    found = world.target_rows(
        "t",
        "_s3rs_run_id, count(*), min(datediff(second, _s3rs_loaded_at, getdate())) < 300, count(_s3rs_loaded_at)",
        "GROUP BY _s3rs_run_id ORDER BY _s3rs_run_id",
    )
    assert found == [(first, 90, True, 90), (second, 10, True, 10)]


def test_load_columns_are_added_to_a_target_that_is_there(world: World) -> None:
    make(world)
    world.sync_one("t")
    world.warehouse.execute(f'ALTER TABLE "{world.schema}".t ADD COLUMN remark VARCHAR(9)'.encode())
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-02-01' WHERE id < 10")
    assert world.sync_one("t", given(world, load_columns=True)).warnings == ()
    assert world.target_rows("t", "count(*), count(_s3rs_run_id), count(_s3rs_loaded_at)") == [(100, 10, 10)]

"""Whole syncs on real servers: what arrives, once, and what a second run does."""

from __future__ import annotations

import datetime as dt
import json
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.changes import Acquire, SetWatermark
from s3rs_ray.ledger.state import Lease
from s3rs_ray.model import Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.chunks import select_sql
from s3rs_ray.source.cutting import cut_chunks, fixed
from s3rs_ray.source.extract import read_chunk, session_sql
from s3rs_ray.storage.layout import format_state_key, table_prefix

if TYPE_CHECKING:
    from .conftest import World

PAST = dt.datetime(2026, 1, 1)


def make_table(world: World, rows: int, *, ties: int = 1, table: str = "t") -> None:
    world.execute(
        f"CREATE TABLE `{table}` (id BIGINT PRIMARY KEY, amount DECIMAL(20,10), note VARCHAR(40),"
        " update_at DATETIME NOT NULL, KEY (update_at))"
    )
    insert(world, range(1, rows + 1), ties=ties, table=table)


def insert(world: World, ids: range, *, ties: int = 1, start: dt.datetime = PAST, table: str = "t") -> None:
    world.execute(
        f"INSERT INTO `{table}` VALUES (%s, %s, %s, %s)",
        [
            (7 * i, Decimal(i) / 7, None if i % 3 else f"row {i} 🚚", start + dt.timedelta(seconds=i // ties))
            for i in ids
        ],
    )


def with_batches(world: World, rows: int) -> Any:
    return world.settings.model_copy(update={"backup_batch_size": rows})


def test_first_run_moves_all_second_nothing_third_only_what_changed(world: World) -> None:
    make_table(world, 1000)
    first = world.sync_one("t", with_batches(world, 300))
    assert (first.rows_extracted, first.rows_loaded, first.files_created) == (1000, 1000, 4)
    world.assert_equal("t")
    second = world.sync_one("t")
    assert (second.status, second.rows_extracted, second.rows_loaded) == (Status.NOTHING, 0, 0)
    insert(world, range(1001, 1051), start=PAST + dt.timedelta(days=1))
    world.execute("UPDATE t SET note = 'changed', update_at = '2026-01-03 00:00:00' WHERE id <= 140")
    third = world.sync_one("t")
    assert (third.rows_extracted, third.rows_loaded) == (70, 70)
    world.assert_equal("t")


def test_rows_that_share_a_cursor_across_chunk_borders_and_runs_arrive_once(world: World) -> None:
    make_table(world, 1000, ties=600)
    settings = with_batches(world, 170)
    assert world.sync_one("t", settings, limit=300).rows_loaded == 300
    assert world.sync_one("t", settings).rows_loaded == 700
    assert world.target_rows("t", "count(*), count(distinct id)") == [(1000, 1000)]
    world.assert_equal("t")


def test_limit_bounds_both_stages(world: World) -> None:
    make_table(world, 500)
    settings = with_batches(world, 100)
    world.sync_one("t", settings, load=False)
    limited = world.sync_one("t", settings, extract=False, limit=250)
    assert limited.rows_loaded == 200
    assert world.target_rows("t") == [(200,)]
    rest = world.sync_one("t", settings, extract=False)
    assert rest.rows_loaded == 300
    insert(world, range(501, 701), start=PAST + dt.timedelta(days=1))
    assert world.sync_one("t", settings, limit=50).rows_extracted == 50
    assert world.target_rows("t") == [(550,)]


def test_backups_of_several_nights_load_later_in_order(world: World) -> None:
    make_table(world, 300)
    world.sync_one("t", load=False)
    world.execute("UPDATE t SET note = 'second night', update_at = '2026-02-01 00:00:00' WHERE id <= 70")
    world.sync_one("t", load=False)
    loaded = world.sync_one("t", extract=False)
    assert loaded.rows_loaded == 310
    world.assert_equal("t")
    assert world.target_rows("t", "count(*)", "WHERE note = 'second night'") == [(10,)]


def test_a_warehouse_is_loaded_again_from_the_files_alone(world: World) -> None:
    make_table(world, 300)
    world.sync_one("t", with_batches(world, 100))
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."t"'.encode())
    driver_reset(world, "t")
    unreachable = world.settings.model_copy(update={"db_port": 1})
    again = world.sync_one("t", unreachable, extract=False)
    assert (again.rows_extracted, again.rows_loaded) == (0, 300)
    world.assert_equal("t")
    assert world.sync_one("t").status is Status.NOTHING


def driver_reset(world: World, table: str) -> None:
    world.ledger().commit(world.name(table), [SetWatermark(watermark=Watermark.START, generation="second")])


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, PRIMARY KEY (a, b)", lambda i: (i % 5, f"Key {i:04d} ß")),
        ("a BIGINT UNSIGNED, b INT, PRIMARY KEY (a)", lambda i: (2**64 - 1 - i, i)),
        ("a VARBINARY(16), b INT, PRIMARY KEY (a)", lambda i: (bytes([i % 256, 0, 39, 92, i // 256]), i)),
        ("a DECIMAL(30,5), b DATE, PRIMARY KEY (b, a)", lambda i: (Decimal(i) / 100000, dt.date(2026, 1, 1 + i % 9))),
        ("a VARCHAR(20) CHARACTER SET latin1, b INT, PRIMARY KEY (a)", lambda i: (f"ÿ'\\{i}", i)),
    ],
    ids=["composite", "unsigned", "binary", "decimal-date", "latin1"],
)
def test_any_key_is_cut_without_loss(world: World, key: str, values: Any) -> None:
    columns, _, primary = key.partition(", PRIMARY")
    world.execute(f"CREATE TABLE t ({columns}, update_at DATETIME NOT NULL, PRIMARY{primary}, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, %s, %s)", [(*values(i), PAST) for i in range(500)])
    result = world.sync_one("t", with_batches(world, 64))
    assert (result.rows_extracted, result.files_created) == (500, 8)
    assert world.target_rows("t") == [(500,)]


def test_a_table_without_an_index_on_the_cursor_goes_by_its_key(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME(3) NOT NULL)")
    world.execute(
        "INSERT INTO t VALUES (%s, %s)", [(i, PAST + dt.timedelta(milliseconds=977 * i % 5000)) for i in range(1000)]
    )
    settings = with_batches(world, 300)
    assert world.sync_one("t", settings).rows_loaded == 1000
    world.execute("UPDATE t SET update_at = '2026-03-01' WHERE id % 10 = 0")
    assert world.sync_one("t", settings).rows_loaded == 100
    world.assert_equal("t")


def test_every_chunk_is_an_index_range(world: World) -> None:
    make_table(world, 3000, ties=50)
    settings = with_batches(world, 500)
    endpoint = Endpoint(settings.db_host, settings.db_port)
    with open_catalog(settings, endpoint) as catalog:
        table = catalog.discover(world.name("t"))
        upto = catalog.high_watermark(table, Watermark.START, dt.datetime(2027, 1, 1), None)
        assert upto is not None
        window = Window(after=Watermark.START, upto=upto)
        chunks = list(cut_chunks(catalog, table, window, RangeOrder.CURSOR, run_id="r", sizes=fixed(500)))
        catalog.query(session_sql(settings, catalog.server_version(), lookups=True))
        explained = [catalog.query("EXPLAIN " + select_sql(table, chunk))[0] for chunk in chunks]
    assert [row[3] for row in explained] == ["range"] * 6
    assert all("Rowid-ordered scan" in str(row[-1]) for row in explained)
    assert [c.rows for c in chunks] == [500] * 6


def test_the_rows_of_a_window_are_guessed_from_the_index_alone(world: World) -> None:
    make_table(world, 3000, ties=1)
    world.execute("ANALYZE TABLE t")
    with open_catalog(world.settings, Endpoint(world.settings.db_host, world.settings.db_port)) as catalog:
        table = catalog.discover(world.name("t"))
        last, early = (
            world.source_rows("t", "update_at", f"ORDER BY update_at LIMIT 1 OFFSET {n}")[0] for n in (2999, 99)
        )
        guesses = [
            catalog.estimated_rows(table, Window(after=Watermark.START, upto=Watermark(position=(*at, 10**6))))
            for at in (last, early)
        ]
    assert 2500 <= guesses[0] <= 3500
    assert 50 <= guesses[1] <= 200


def test_rows_found_through_a_secondary_index_are_looked_up_in_the_order_of_the_primary_key(world: World) -> None:
    make_table(world, 3000, ties=50)
    endpoint = Endpoint(world.settings.db_host, world.settings.db_port)
    with open_catalog(world.settings, endpoint) as catalog:
        table, server = catalog.discover(world.name("t")), catalog.server_version()
        window = Window(after=Watermark.START, upto=Watermark(position=(dt.datetime(2027, 1, 1), 0)))

        def lookups(order: RangeOrder) -> int:
            """How many multi-range reads the server began while a chunk was read."""
            chunk = next(cut_chunks(catalog, table, window, order, run_id="r", sizes=fixed(500)))
            began = "SHOW GLOBAL STATUS LIKE 'Handler_mrr_init'"
            before = int(str(catalog.query(began)[0][1]))
            extract = read_chunk(table, chunk, world.settings, endpoint, server=server)
            assert extract.data.num_rows == 500
            return int(str(catalog.query(began)[0][1])) - before

        assert lookups(RangeOrder.CURSOR) == 1
        assert lookups(RangeOrder.KEY) == 0


def test_an_interrupted_run_is_finished_by_the_next_and_reads_only_what_is_missing(world: World) -> None:
    make_table(world, 1000)
    settings = with_batches(world, 50).model_copy(update={"backup_max_workers": 1})
    stop = threading.Event()

    def stop_after_three(event: Event) -> None:
        if event.kind is EventKind.CHUNK_DONE and event.facts["chunk"] == 2:
            stop.set()

    request = Request(tables=(f"{world.schema}.t",), inline=True)
    (stopped,) = driver.sync(settings, request, report=stop_after_three, stop=stop).tables
    assert stopped.status is Status.INTERRUPTED
    assert stopped.exit_code == 130
    assert 3 <= stopped.files_created < 20
    finished = world.sync_one("t", settings)
    assert finished.files_created == 20 - stopped.files_created
    assert world.target_rows("t", "count(*), count(distinct id)") == [(1000, 1000)]
    world.assert_equal("t")


def test_a_second_run_is_told_who_holds_the_table(world: World) -> None:
    make_table(world, 10)
    now = dt.datetime.now(dt.UTC)
    lease = Lease(holder="elsewhere/1/x", host="elsewhere", pid=1, since=now, renewed=now)
    world.ledger().commit(world.name("t"), [Acquire(lease=lease)], holder=lease.holder)
    (busy,) = world.sync("t")
    assert (busy.status, busy.exit_code) == (Status.FAILED, 5)
    assert "process 1 on elsewhere since" in busy.error
    kept = world.ledger().load(world.name("t")).lease
    assert kept is not None
    assert kept.holder == lease.holder


def test_one_table_that_fails_does_not_stop_the_others(world: World) -> None:
    make_table(world, 10, table="good")
    world.execute("CREATE TABLE bad (id INT PRIMARY KEY, ctid INT, update_at DATETIME NOT NULL)")
    result = driver.sync(world.settings, Request(tables=(f"{world.schema}.*",), inline=True))
    assert {t.table.name: t.status for t in result.tables} == {"good": Status.SUCCESS, "bad": Status.FAILED}
    assert (result.status, result.exit_code) == (Status.PARTIAL, 3)
    assert "column ctid (int(11)): the name belongs to a system column" in result.failures[0].error


def test_a_state_of_another_source_is_refused(world: World) -> None:
    make_table(world, 10)
    world.sync_one("t")
    insert(world, range(11, 21), start=PAST + dt.timedelta(days=1))
    elsewhere = world.settings.model_copy(update={"db_host": "localhost"})
    (refused,) = world.sync("t", settings=elsewhere)
    assert "the state was made for the source" in refused.error


def test_state_and_files_lie_where_people_look_for_them(world: World) -> None:
    make_table(world, 100)
    world.sync_one("t", with_batches(world, 60))
    store = open_store(world.settings)
    state = json.loads(store.get(format_state_key(world.name("t"))).body)
    assert state["table_name"] == f"{world.schema}.t"
    assert state["last_mysql_data_timestamp"] == "2026-01-01 00:01:40"
    assert (state["mysql_rows_extracted"], state["redshift_rows_loaded"], state["s3_file_count"]) == (100, 100, 2)
    assert (state["mysql_status"], state["redshift_status"], state["backup_strategy"]) == (
        "success",
        "success",
        "sequential",
    )
    keys = [o.key for o in store.list(table_prefix("incremental/", world.name("t")))]
    assert state["processed_s3_files"] == keys
    frames = [pl.read_parquet(store.get(key).body) for key in keys]
    assert sorted(pl.concat(frames)["id"].to_list()) == [7 * i for i in range(1, 101)]


def test_only_settled_rows_are_read(world: World) -> None:
    make_table(world, 10)
    world.execute("INSERT INTO t VALUES (1000, 1, 'now', UTC_TIMESTAMP()), (1001, 1, 'later', '2999-01-01')")
    cautious = world.settings.model_copy(update={"backup_settle_seconds": 3600, "backup_cursor_time_zone": "+00:00"})
    assert world.sync_one("t", cautious).rows_extracted == 10
    assert world.sync_one("t", cautious).status is Status.NOTHING


def test_comparison_sees_a_single_changed_value(world: World) -> None:
    make_table(world, 50)
    world.sync_one("t")
    world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET amount = amount + 0.0000000001 WHERE id = 7'.encode())
    with pytest.raises(AssertionError, match="amount of the row 7"):
        world.assert_equal("t")

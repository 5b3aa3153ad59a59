"""Signals to the whole process group, as a terminal sends them: drain and save, or stop at once."""

from __future__ import annotations

import signal
import threading
import time

import psycopg
import pytest

from s3rs_ray.local.comparison import connect_warehouse
from s3rs_ray.local.redshift.faults import Fault, clear_faults, set_faults
from s3rs_ray.local.stack import LocalStack
from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends, assert_no_chunk_read_again
from .runs import Run, Runs, wait_for

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def held_run(runs: Runs, proxy: S3Proxy) -> tuple[Run, threading.Event]:
    """A run of which one chunk waits for S3 to take its file."""
    hold = threading.Event()
    fault = S3Fault(key=r"_batch_0003\.parquet", hold=hold)
    proxy.set(fault)
    run = runs.sync()
    wait_for(lambda: bool(fault.struck), "a chunk is held", run=run)
    return run, hold


@SIGNALS
def test_the_first_signal_keeps_what_is_under_way(
    ends: Ends, runs: Runs, proxy: S3Proxy, number: signal.Signals
) -> None:
    run, hold = held_run(runs, proxy)
    run.signal(number)
    run.wait_said("a second signal stops at once")
    hold.set()
    assert run.wait() == 128 + number
    assert run.document["table_results"][runs.table]["status"] == "interrupted"
    state = ends.state
    assert state.run is not None
    assert state.lease is None
    assert {f.ordinal for f in state.run.files} == ends.written(state.run.run_id) >= {0, 1, 2, 3}
    later = runs.settle()
    assert_no_chunk_read_again({state.run.run_id: {f.ordinal for f in state.run.files}}, later)
    ends.assert_settled()


@SIGNALS
def test_the_second_signal_stops_at_once(ends: Ends, runs: Runs, proxy: S3Proxy, number: signal.Signals) -> None:
    run, _ = held_run(runs, proxy)  # S3 does not answer while the run is stopped
    run.signal(number)
    run.wait_said("a second signal stops at once")
    started = time.monotonic()
    run.signal(number)
    assert run.wait(10) == -number
    assert time.monotonic() - started < 5
    proxy.set()
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_signal_during_a_load_lets_it_end(ends: Ends, runs: Runs, stack: LocalStack) -> None:
    try:
        set_faults(stack.redshift.control_file, [Fault(point="copy", action="delay", seconds=1.0)])
        run = runs.sync(change={"BACKUP_FILES_PER_LOAD": "4"})
        run.wait_said("load started")
        run.signal(signal.SIGINT)
        assert run.wait() == 130
    finally:
        clear_faults(stack.redshift.control_file)
    state = ends.state
    assert (state.sealed, state.lease) == (None, None)
    assert len(ends.loads()) == len(state.loads) == 1
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()


@SIGNALS
def test_a_verification_ends_its_queries_and_tells_what_it_did(
    ends: Ends, runs: Runs, stack: LocalStack, number: signal.Signals
) -> None:
    """Its first task, of 50 segments, waits for the warehouse; then this one or the next for the source."""
    runs.settle()
    schema = ends.world.schema
    postgres = stack.postgres
    with (
        stack.mariadb.connect() as other,
        other.cursor() as source,
        psycopg.connect(host=postgres.socket_dir, port=postgres.port, user=postgres.user, dbname=postgres.database)
        as behind,
    ):  # fmt: skip
        with connect_warehouse(ends.world.environment) as warehouse, warehouse.transaction():
            warehouse.execute(f'LOCK "{schema}"."t"')
            run = runs.sync(command=("verify", "--max-workers", "1"), change={"BACKUP_BATCH_SIZE": "4"})
            running = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE '%% verify=%%' AND USER <> %s"
            wait_for(lambda: bool(behind.execute(BLOCKED).fetchone()), "the warehouse is asked", run=run)
            source.execute(f"LOCK TABLES `{schema}`.t WRITE")
        wait_for(lambda: bool(source.execute(running, ("nobody",)) and len(source.fetchall()) > 1), "it asks", run=run)
        run.signal(number)
        assert run.wait() == 128 + number
        source.execute(running, ("nobody",))
        assert len(source.fetchall()) == 1  # this query itself
        source.execute("UNLOCK TABLES")
    table = run.document["tables"][runs.table]
    assert (run.document["status"], table["status"], table["segments"]) == ("interrupted", "interrupted", 100)
    assert table["segments_compared"] < 100
    assert runs.sync(command=("verify",)).wait() == 0


@pytest.mark.parametrize(("rows", "segments"), [("20", 20), ("8", 50)], ids=["threads", "Ray"])
def test_a_verification_that_is_stopped_leaves_no_statement_in_the_warehouse(
    ends: Ends, runs: Runs, stack: LocalStack, rows: str, segments: int
) -> None:
    """Redshift does not notice that a client is gone before it has an answer for it."""
    runs.settle()
    postgres = stack.postgres
    with (
        psycopg.connect(
            host=postgres.socket_dir, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
        ) as behind,
        connect_warehouse(ends.world.environment) as warehouse,
        warehouse.transaction(),
    ):
        warehouse.execute(f'LOCK "{ends.world.schema}"."t"')
        run = runs.sync(command=("verify", "--max-workers", "2"), change={"BACKUP_BATCH_SIZE": rows})
        wait_for(lambda: len(behind.execute(VERIFYING).fetchall()) == 2, "two tasks ask the warehouse", run=run)
        run.signal(signal.SIGINT)
        assert run.wait() == 130
        wait_for(lambda: not behind.execute(VERIFYING).fetchall(), "none of them is left", run=run)
    assert run.document["tables"][runs.table]["segments"] == segments


BLOCKED = "SELECT 1 FROM pg_locks WHERE NOT granted"
VERIFYING = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'verify=%' AND state = 'active'"

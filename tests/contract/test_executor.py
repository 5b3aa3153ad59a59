"""What every Executor does: one suite for threads of this process and for Ray, on real servers."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

import pymysql
import pytest
import ray
import ray.exceptions

from s3rs_ray.config import Settings
from s3rs_ray.engine import coordinator
from s3rs_ray.engine.cluster import Cluster, open_cluster
from s3rs_ray.engine.coordinator import RemoteLedger, find_coordinator
from s3rs_ray.engine.executor import ChunkTask, Executor, InlineExecutor, Ticket, Workers
from s3rs_ray.engine.tasks import data_key, open_ledger, open_store
from s3rs_ray.errors import IntegrityError, ObjectNotFound, S3rsError, SourceError, WorkerLost
from s3rs_ray.ledger.changes import Renew
from s3rs_ray.ledger.store import Holder
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import Chunk, DataFile, Table, TableName, Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.cutting import cut_chunks, fixed
from s3rs_ray.storage.layout import format_run_id, parse_run_time
from tests.support.ray_nodes import session_processes

ROWS = 90
PLACES = 3
"""Half a CPU each: an odd number of them is not a whole number of CPUs."""
PATIENCE = 60.0


@pytest.fixture(scope="module")
def place(stack: LocalStack) -> Settings:
    return stack.settings.model_copy(update={"backup_max_workers": PLACES, "backup_retry_attempts": 0})


@pytest.fixture(scope="module")
def inline(place: Settings) -> Iterator[Workers]:
    executor = InlineExecutor(place)
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def over_ray(place: Settings) -> Iterator[Cluster]:
    """Ray, started by a thread that is gone by now, as that of a table may be while another table is worked on."""
    with ExitStack() as opened:
        with ThreadPoolExecutor(1) as table:
            cluster = table.submit(opened.enter_context, open_cluster(place, lambda reason: None)).result()
        yield cluster


@pytest.fixture(scope="module", params=["inline", "over_ray"])
def executor(request: pytest.FixtureRequest) -> Workers:
    chosen: Workers = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="module")
def table(stack: LocalStack, place: Settings) -> Iterator[Table]:
    """A table of ninety rows."""
    schema = f"contract_{secrets.token_hex(6)}"
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {schema}")
        cursor.execute(
            f"CREATE TABLE {schema}.t (ID INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY by_update (update_at))"
        )
        cursor.execute(f"INSERT INTO {schema}.t SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_{ROWS}")
        with open_catalog(place, Endpoint(place.db_host, place.db_port)) as catalog:
            yield catalog.discover(TableName(schema, "t"))
        # What was cancelled is still read by the server, and would keep the table for as long.
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE info LIKE %s AND id <> CONNECTION_ID()",
            [f"%from `{schema}`%"],
        )
        for (orphan,) in cursor.fetchall():
            with suppress(pymysql.MySQLError):  # it ended meanwhile
                cursor.execute(f"KILL {orphan}")
        cursor.execute(f"DROP DATABASE {schema}")


@pytest.fixture
def chunks(table: Table, place: Settings) -> list[Chunk]:
    """The table cut into nine chunks of a run of the test's own."""
    with open_catalog(place, Endpoint(place.db_host, place.db_port)) as catalog:
        horizon = catalog.query(f"SELECT MAX(update_at), MAX(ID) FROM {table.name}")[0]
        window = Window(after=Watermark.START, upto=Watermark(position=horizon))  # type: ignore[arg-type]
        return list(cut_chunks(catalog, table, window, RangeOrder.CURSOR, run_id=new_run_id(), sizes=fixed(ROWS // 9)))


def new_run_id() -> str:
    """A second that no other test's run has: the file names hold it."""
    base = parse_run_time("20200101T000000Z-")
    return format_run_id(base.fromtimestamp(base.timestamp() + secrets.randbelow(10**8), base.tzinfo), "contract")


def task_of(table: Table, chunk: Chunk) -> ChunkTask:
    return ChunkTask(table=table, chunk=chunk, order=RangeOrder.CURSOR, server="MariaDB")


def slow(table: Table, seconds: float = 0.1) -> Table:
    """The same table, whose every row takes its time."""
    first, *rest = table.columns
    return replace(table, columns=(replace(first, select=f"`ID` + SLEEP({seconds})"), *rest))


def submitted(executor: Executor, task: ChunkTask) -> Ticket:
    """A ticket, as soon as a place is free."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ticket = executor.submit(task)
        if ticket is not None:
            return ticket
        time.sleep(0.02)
    raise AssertionError("no place became free")


def ended(executor: Executor, tickets: list[Ticket]) -> list[Ticket]:
    """All tickets, in the order in which they ended."""
    left, done = list(tickets), list[Ticket]()
    until = time.monotonic() + PATIENCE
    while left and time.monotonic() < until:
        for ticket in executor.wait(left, 0.5):
            left.remove(ticket)
            done.append(ticket)
    assert not left
    return done


def run_all(executor: Executor, tasks: list[ChunkTask]) -> list[DataFile]:
    waiting, running, files = list(tasks), list[Ticket](), list[DataFile]()
    while waiting or running:
        while waiting and (ticket := executor.submit(waiting[0])) is not None:
            running.append(ticket)
            waiting.pop(0)
        for done in executor.wait(running, 0.5):
            running.remove(done)
            files.append(executor.result(done))
    return files


def failure(executor: Executor, task: ChunkTask) -> S3rsError:
    [ticket] = ended(executor, [submitted(executor, task)])
    with pytest.raises(S3rsError) as failed:
        executor.result(ticket)
    return failed.value


def test_every_chunk_becomes_one_file_and_none_is_lost(
    executor: Executor, table: Table, chunks: list[Chunk], place: Settings
) -> None:
    files = run_all(executor, [task_of(table, c) for c in chunks])
    assert sorted(f.ordinal for f in files) == list(range(9))
    assert sum(f.rows for f in files) == ROWS
    store = open_store(place)
    for file in files:
        assert store.head(file.key).size == file.bytes
        assert file.key == data_key(place, table.name, file.run_id, file.ordinal)


def test_a_task_carried_out_again_returns_the_file_that_is_there(
    executor: Executor, table: Table, chunks: list[Chunk]
) -> None:
    task = task_of(table, chunks[0])
    assert run_all(executor, [task]) == run_all(executor, [task])


def test_no_more_tasks_are_taken_than_there_are_places_until_one_has_ended(
    executor: Executor, table: Table, chunks: list[Chunk]
) -> None:
    tickets = [submitted(executor, task_of(slow(table), c)) for c in chunks[:PLACES]]
    assert executor.submit(task_of(table, chunks[PLACES])) is None
    ended(executor, tickets)
    last = submitted(executor, task_of(table, chunks[PLACES]))
    assert executor.result(ended(executor, [last])[0]).ordinal == PLACES


def test_waiting_is_bounded_and_waiting_for_nothing_returns_at_once(
    executor: Executor, table: Table, chunks: list[Chunk]
) -> None:
    started = time.monotonic()
    assert executor.wait([], 10) == []
    assert time.monotonic() - started < 1
    ticket = submitted(executor, task_of(slow(table), chunks[0]))
    assert executor.wait([ticket], 0.05) == []
    assert ended(executor, [ticket]) == [ticket]


def test_a_task_that_ended_is_told_while_another_goes_on(
    executor: Executor, table: Table, chunks: list[Chunk], stack: LocalStack
) -> None:
    lock = f"contract {chunks[0].run_id}"
    first, *rest = table.columns
    held_up = replace(first, select=f"IF(GET_LOCK('{lock}', 60), `ID`, NULL)")
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 10)", (lock,))
        late = submitted(executor, task_of(replace(table, columns=(held_up, *rest)), chunks[0]))
        early = submitted(executor, task_of(table, chunks[1]))
        done: list[Ticket] = []
        until = time.monotonic() + PATIENCE
        while not done and time.monotonic() < until:
            done = executor.wait([late, early], 0.5)
        assert done == [early]
        cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))
    assert executor.result(ended(executor, [late])[0]).ordinal == 0


def test_an_error_comes_back_as_what_it_was_with_hint_and_context(
    executor: Executor, table: Table, chunks: list[Chunk], place: Settings
) -> None:
    key = data_key(place, table.name, chunks[0].run_id, 0)
    open_store(place).put_new(key, b"of another program")
    error = failure(executor, task_of(table, chunks[0]))
    assert type(error) is IntegrityError
    assert key in error.message
    assert error.hint
    assert error.context == {"key": key}


def test_a_source_that_refuses_is_an_error_of_the_source_and_names_no_secret(
    executor: Executor, table: Table, chunks: list[Chunk], place: Settings
) -> None:
    gone = replace(table, name=TableName(table.name.schema, "gone"))
    error = failure(executor, task_of(gone, chunks[1]))
    assert isinstance(error, SourceError)
    assert "gone" in error.message
    assert place.db_password.get_secret_value() not in f"{error!r}{error.context}{error.__cause__}{error.__context__}"


def test_a_failed_task_gives_its_place_back(executor: Executor, table: Table, chunks: list[Chunk]) -> None:
    gone = replace(table, name=TableName(table.name.schema, "gone"))
    for _ in range(PLACES + 1):
        failure(executor, task_of(gone, chunks[0]))
    assert len(run_all(executor, [task_of(table, c) for c in chunks[1:4]])) == 3


def test_a_place_is_given_back_once_however_often_a_task_is_waited_for_or_cancelled(
    executor: Executor, table: Table, chunks: list[Chunk]
) -> None:
    tickets = [submitted(executor, task_of(table, c)) for c in chunks[:2]]
    ended(executor, tickets)
    for _ in range(2):
        executor.wait(tickets, 0)
        executor.cancel(tickets)
    running = [submitted(executor, task_of(slow(table), c)) for c in chunks[2 : 2 + PLACES]]
    assert executor.submit(task_of(table, chunks[-1])) is None
    ended(executor, running)


def test_a_coordinator_that_was_ended_is_replaced(over_ray: Cluster, place: Settings) -> None:
    ledger = RemoteLedger(place, ray.put(place), over_ray.head)
    name = TableName("settlement", "parcels")
    first = ledger.load(name)
    ray.kill(find_coordinator(place), no_restart=True)
    assert ledger.load(name).table == first.table


def test_a_coordinator_that_nobody_uses_ends_and_whoever_comes_then_gets_a_new_one(
    over_ray: Cluster, place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes made at about the moment it ends are each made, and once."""
    monkeypatch.setattr(coordinator, "IDLE_SECONDS", 0.4)
    # With a coordinator of its own.
    elsewhere = place.model_copy(update={"s3_endpoint_url": place.s3_endpoint_url + "/"})
    ledger = RemoteLedger(elsewhere, ray.put(elsewhere), over_ray.head)
    first = find_coordinator(elsewhere)
    name, me = TableName("settlement", secrets.token_hex(6)), Holder.here()
    ledger.acquire(name, me)
    for pause in (0.0, 0.1, 0.38, 0.4, 0.42, 0.45, 0.5, 0.6):
        time.sleep(pause)
        change = secrets.token_hex(6)
        assert ledger.commit(name, [Renew()], holder=me.token, change_id=change).recent_changes.count(change) == 1
    ledger.release(name, me)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(first.call.remote(elsewhere, "load", name))


def test_a_change_is_made_past_a_coordinator_that_cannot_work(over_ray: Cluster, place: Settings) -> None:
    """Its worker dies each time it is given a task: it unpickles what ends the process."""
    name, me, past = TableName("settlement", secrets.token_hex(6)), Holder.here(), open_ledger(place)
    past.acquire(name, me)
    RemoteLedger(place, Deadly(), over_ray.head).commit(name, [Renew()], holder=me.token, change_id="past it")
    assert past.load(name).recent_changes.count("past it") == 1
    past.release(name, me)


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)


def test_a_chunk_is_lost_with_its_worker_and_not_begun_again_unseen(
    over_ray: Cluster, place: Settings, table: Table, chunks: list[Chunk]
) -> None:
    """Whoever waits for it tries it again, and can tell."""
    ticket = submitted(over_ray, task_of(slow(table, 3.0), chunks[0]))
    until = time.monotonic() + PATIENCE
    while not (
        readers := [p for p, text in session_processes(os.getpid()).items() if text.startswith("ray::_extract")]
    ):
        assert time.monotonic() < until, "no reader is at work"
        time.sleep(0.02)
    os.kill(readers[0], signal.SIGKILL)
    assert ended(over_ray, [ticket]) == [ticket]
    with pytest.raises(WorkerLost, match="the worker died: "):
        over_ray.result(ticket)
    with pytest.raises(ObjectNotFound):
        open_store(place).head(data_key(place, table.name, chunks[0].run_id, chunks[0].ordinal))


def test_a_task_whose_arguments_are_gone_is_lost_as_one_whose_worker_died(over_ray: Cluster) -> None:
    with pytest.raises(WorkerLost, match="the worker died: OwnerDiedError"):
        list(over_ray.run_all(_find_the_owner_dead, [1], lambda: None))


def _find_the_owner_dead(item: int, settings: Settings) -> int:
    raise ray.exceptions.OwnerDiedError("", None, "")


def test_tasks_that_were_cancelled_give_their_places_back(
    executor: Executor, table: Table, chunks: list[Chunk]
) -> None:
    executor.cancel([submitted(executor, task_of(slow(table), c)) for c in chunks[:PLACES]])
    assert len(run_all(executor, [task_of(table, c) for c in chunks[3:6]])) == 3


def test_a_function_of_many_items_runs_in_as_many_places_as_there_are(executor: Workers) -> None:
    calls: list[int] = []
    assert sorted(executor.run_all(_half, list(range(0, 20, 2)), lambda: calls.append(1))) == list(range(10))
    assert calls
    with pytest.raises(IntegrityError, match="odd"):
        list(executor.run_all(_half, [2, 3, 4], lambda: None))


def test_whoever_waits_for_a_function_may_stop(executor: Workers) -> None:
    def stop() -> None:
        raise SourceError("enough")

    with pytest.raises(SourceError, match="enough"):
        list(executor.run_all(_half, [2, 4], stop))


def _half(number: int, settings: Settings) -> int:
    assert settings.db_host
    if number % 2:
        raise IntegrityError(f"{number} is odd")
    return number // 2

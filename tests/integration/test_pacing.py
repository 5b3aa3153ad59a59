"""A source under strain is spared, and several tables share the readers."""

from __future__ import annotations

import threading

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, Status
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.policies import Strategy

from .conftest import World

OTHERS = 12


def create(world: World, name: str, rows: int) -> None:
    world.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute(f"INSERT INTO {name} SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_{rows}")


def be_busy(stack: LocalStack) -> None:
    """A statement at work until the lock is free."""
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('busy', 60)")
        cursor.execute("SELECT RELEASE_LOCK('busy')")


def settings(world: World, **flags: object) -> Settings:
    return Settings.load(environment=world.environment, flags={"backup_settle_seconds": 0, **flags})


def test_readers_pause_while_the_source_is_busy_and_go_on_when_it_is_not(stack: LocalStack, world: World) -> None:
    """A dozen other statements are at work; they end only once the run has said that it waits for them."""
    create(world, "t", 400)
    paced: list[tuple[object, object]] = []
    before = []
    waits = threading.Event()

    def report(event: Event) -> None:
        if event.kind is EventKind.PACED:
            paced.append((event.facts["readers"], event.facts["reason"]))
            if event.facts["readers"] == 0:
                waits.set()
        if event.kind is EventKind.CHUNK_DONE and not waits.is_set():
            before.append(event)

    with stack.mariadb.connect() as holder, holder.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('busy', 0)")
        others = [threading.Thread(target=be_busy, args=(stack,)) for _ in range(OTHERS)]
        for other in others:
            other.start()
        ended = threading.Thread(target=lambda: waits.wait(60) and cursor.execute("SELECT RELEASE_LOCK('busy')"))
        ended.start()
        [result] = driver.sync(
            settings(world, backup_max_threads_running=8, backup_batch_size=20),
            Request(tables=(f"{world.schema}.t",), inline=True),
            report=report,
        ).tables
        for thread in (ended, *others):
            thread.join()
    assert not result.error, result
    assert waits.is_set()
    assert len(before) < 20, "all chunks were read before the source was spared"
    assert "Threads_running is" in str(paced[0][1])
    assert paced[-1][1] == "the source has recovered"
    world.assert_equal("t")


def test_tables_of_very_different_size_share_the_readers_and_one_that_fails_stops_none(world: World) -> None:
    sizes = {"large": 4000, "a": 60, "b": 40, "c": 20}
    for name, rows in sizes.items():
        create(world, name, rows)
    world.execute("CREATE TABLE broken (id BIGINT PRIMARY KEY, note VARCHAR(9))")  # no cursor
    order: list[tuple[str, EventKind]] = []
    lock = threading.Lock()

    def report(event: Event) -> None:
        with lock:
            if event.table:
                order.append((event.table.name, event.kind))

    names = ("large", "broken", "a", "b", "c")
    done = driver.sync(
        settings(world, backup_batch_size=20, backup_max_workers=2, backup_max_tables=5),
        Request(tables=tuple(f"{world.schema}.{n}" for n in names), inline=True, strategy=Strategy.INTER_TABLE),
        report=report,
    )
    status = {t.table.name: t.status for t in done.tables}
    assert status.pop("broken") is Status.FAILED
    assert set(status.values()) == {Status.SUCCESS}
    assert done.exit_code == 3
    last = max(order.index((name, EventKind.BACKUP_DONE)) for name in ("a", "b", "c"))
    large = sum(entry == ("large", EventKind.CHUNK_DONE) for entry in order[:last])
    assert large < 100, "small tables waited for a large one"
    for name in sizes:
        world.assert_equal(name)

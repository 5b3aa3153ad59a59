"""Syncs one after the other while the source is written to in every way a source is; then both ends are equal."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymysql
import pytest

from s3rs_ray.local.settlement import Connection
from s3rs_ray.local.stack import LocalStack

from .ends import Ends
from .runs import Runs

SECONDS = 5.0
SETTLE_SECONDS = 1
OPEN_SECONDS = 1.8
CONFLICTS = frozenset({1205, 1213})  # lock wait timeout, deadlock


@dataclass(slots=True)
class Writers:
    """Threads that write until they are told to stop; each has a connection of its own.

    Attributes:
        writes: how often each kind of write was committed.
        errors: what ended a writer before its time.
    """

    connect: Callable[[], Connection]
    schema: str
    stop: threading.Event = field(default_factory=threading.Event)
    writes: dict[str, int] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(10_000, 10_000_000)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_id(self) -> int:
        with self._lock:
            return next(self._ids)

    @contextmanager
    def running(self, *kinds: Callable[[Writers, Connection, random.Random], None]) -> Iterator[None]:
        threads = [threading.Thread(target=self._write, args=(kind,), name=kind.__name__) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(30)
        assert not [t.name for t in threads if t.is_alive()], "a writer hangs"
        assert not self.errors

    def _write(self, kind: Callable[[Writers, Connection, random.Random], None]) -> None:
        chance = random.Random(kind.__name__)
        try:
            with self.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"USE `{self.schema}`")
                while not self.stop.is_set():
                    if self._once(kind, connection, chance):
                        self.writes[kind.__name__] = self.writes.get(kind.__name__, 0) + 1
        except Exception as exc:  # noqa: BLE001  the test's own thread tells
            self.errors.append(exc)

    def _once(
        self,
        kind: Callable[[Writers, Connection, random.Random], None],
        connection: Connection,
        chance: random.Random,
    ) -> bool:
        try:
            kind(self, connection, chance)
        except pymysql.err.OperationalError as exc:
            if exc.args[0] not in CONFLICTS:
                raise
            connection.rollback()
            return False
        return True


def execute(connection: Connection, sql: str, *arguments: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments or None)


def insert(writers: Writers, connection: Connection, chance: random.Random) -> None:
    """One row, committed at once."""
    execute(connection, "INSERT INTO t (id, version, note) VALUES (%s, 0, 'new')", writers.new_id())
    time.sleep(chance.uniform(0, 0.03))


def update(_: Writers, connection: Connection, chance: random.Random) -> None:
    """One row, among those that a window has just moved."""
    execute(connection, "UPDATE t SET version = version + 1 WHERE id = %s", chance.randrange(1, 400))
    time.sleep(chance.uniform(0, 0.03))


def update_ties(_: Writers, connection: Connection, chance: random.Random) -> None:
    """Many rows that then share one cursor; waits for the locks of others after its time is fixed."""
    execute(connection, "UPDATE t SET version = version + 1, note = 'tied' WHERE id %% 5 = %s", chance.randrange(5))
    time.sleep(chance.uniform(0.1, 0.5))


def commit_late(writers: Writers, connection: Connection, chance: random.Random) -> None:
    """A transaction that stays open for longer than rows need to settle."""
    connection.begin()
    execute(connection, "INSERT INTO t (id, version, note) VALUES (%s, 0, 'late')", writers.new_id())
    execute(connection, "UPDATE t SET version = version + 1, note = 'late' WHERE id = %s", chance.randrange(1, 400))
    time.sleep(chance.uniform(SETTLE_SECONDS, OPEN_SECONDS))
    execute(connection, "INSERT INTO t (id, version, note) VALUES (%s, 0, 'late')", writers.new_id())
    connection.commit()
    time.sleep(chance.uniform(0, OPEN_SECONDS))


def roll_back(writers: Writers, connection: Connection, chance: random.Random) -> None:
    """Rows that never were."""
    connection.begin()
    execute(connection, "INSERT INTO t (id, version, note) VALUES (%s, 0, 'never')", writers.new_id())
    execute(connection, "UPDATE t SET version = -1, note = 'never' WHERE id = %s", chance.randrange(1, 400))
    time.sleep(chance.uniform(0, 0.2))
    connection.rollback()


@pytest.mark.parametrize("cursor", ["DATETIME", "TIMESTAMP(6)"])
def test_when_the_writers_stop_one_more_sync_makes_both_ends_equal(
    stack: LocalStack, ends: Ends, runs: Runs, cursor: str
) -> None:
    ends.world.execute(
        f"ALTER TABLE t MODIFY update_at {cursor} NOT NULL DEFAULT CURRENT_TIMESTAMP{cursor.lstrip('DATEIMSP')}"
        f" ON UPDATE CURRENT_TIMESTAMP{cursor.lstrip('DATEIMSP')}"
    )
    settle = {"BACKUP_SETTLE_SECONDS": str(SETTLE_SECONDS), "BACKUP_FILES_PER_LOAD": "2"}
    writers = Writers(connect=stack.mariadb.connect, schema=ends.world.schema)
    moved = []
    with writers.running(insert, update, update_ties, commit_late, roll_back):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            run = runs.sync(change=settle)
            assert run.wait() == 0, run.stderr
            moved.append(runs.result(run)["rows_loaded"])
    assert set(writers.writes) == {"insert", "update", "update_ties", "commit_late", "roll_back"}
    assert sum(1 for rows in moved if rows) > 1, "hardly any sync had something to move"
    time.sleep(SETTLE_SECONDS + 1.1)  # the last rows settle, and the clock passes their second
    last = runs.sync(change=settle)
    assert last.wait() == 0, last.stderr
    ends.assert_settled()


def test_rows_of_a_statement_that_reads_for_long_before_it_writes_are_not_passed_by(
    stack: LocalStack, ends: Ends, runs: Runs
) -> None:
    """Its time is fixed when it begins; READ COMMITTED neither changes nor locks a row until it writes."""
    ends.world.execute("ALTER TABLE t MODIFY update_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)")
    settle = {"BACKUP_SETTLE_SECONDS": "1"}
    slow = (
        f"/* a report */\nINSERT INTO `{ends.world.schema}`.t (id, version, note) SELECT 5000 + id, 0, 'slow' FROM"
        f" (SELECT id, SUM(SLEEP(0.1)) z FROM `{ends.world.schema}`.t WHERE id <= 35 GROUP BY id ORDER BY z) q"
    )

    def write_slowly() -> None:
        with stack.mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(slow)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        time.sleep(0.3)
        ends.world.execute("INSERT INTO t (id, version, note) VALUES (4000, 0, 'quick')")
        time.sleep(1.3)
        during = runs.sync(change=settle)
        assert during.wait() == 0, during.stderr
        assert writer.is_alive(), "the statement ended too soon to show anything"
    finally:
        writer.join(30)
    time.sleep(1.2)
    after = runs.sync(change=settle)
    assert after.wait() == 0, after.stderr
    ends.assert_settled()

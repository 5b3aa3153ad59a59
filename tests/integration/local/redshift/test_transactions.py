"""Transactions, locks and isolation. Source: redshift.md, "Transactions, staging, exactly once"; AWS documentation,
"Managing concurrent write operations", "LOCK", "TRUNCATE", "ALTER TABLE"."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa
import pytest

from tests.integration.local.redshift.lake import Lake, error_of

Run = Callable[..., list[list[object]]]


class Session:
    """A connection in autocommit mode, so that BEGIN and COMMIT are said aloud."""

    def __init__(self, connection: object) -> None:
        self.connection = connection

    def __call__(self, sql: str) -> list[list[object]]:
        cursor = self.connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []

    def in_background(self, sql: str) -> Callable[[], list[list[object]]]:
        """Starts a statement; the result waits for it."""
        outcome: list[object] = []

        def work() -> None:
            try:
                outcome.append(self(sql))
            except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
                outcome.append(error)

        thread = threading.Thread(target=work)
        thread.start()

        def result() -> list[list[object]]:
            thread.join(20)
            assert not thread.is_alive(), f"still waiting: {sql}"
            (found,) = outcome
            if isinstance(found, Exception):
                raise found
            return found  # type: ignore[return-value]

        return result


class OpenSession(Protocol):
    def __call__(self) -> Session: ...


@pytest.fixture
def session(connect: Callable[..., object]) -> OpenSession:
    return lambda: Session(connect())


def test_a_rollback_takes_everything_back(session: OpenSession, schema: str) -> None:
    one = session()
    one("BEGIN")
    one(f"CREATE TABLE {schema}.t (a INT)")
    one(f"INSERT INTO {schema}.t VALUES (1)")
    one("ROLLBACK")
    assert error_of(one, f"SELECT * FROM {schema}.t")["C"] == "42P01"


def test_an_error_fails_the_transaction_whoever_found_it(session: OpenSession, schema: str) -> None:
    one = session()
    for bad in ("SELECT 1 +", "CREATE INDEX i ON t (a)", "SELECT * FROM nothing", "VACUUM"):
        one("BEGIN")
        error_of(one, bad)
        assert error_of(one, "SELECT 1")["C"] == "25P02", bad
        one("ROLLBACK")
        assert one("SELECT 1") == [[1]]


def test_truncate_commits(session: OpenSession, run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"CREATE TABLE {schema}.u (a INT)")
    run(f"INSERT INTO {schema}.t VALUES (1)")
    one = session()
    one("BEGIN")
    one(f"INSERT INTO {schema}.u VALUES (1)")
    one(f"TRUNCATE {schema}.t")
    one("ROLLBACK")
    assert run(f"SELECT (SELECT count(*) FROM {schema}.t), (SELECT count(*) FROM {schema}.u)") == [[0, 1]]


def test_commands_refused_inside_a_transaction(session: OpenSession, run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a VARCHAR(3))")
    run(f"CREATE TABLE {schema}.u (a VARCHAR(3))")
    one = session()
    for sql, name in (
        (f"VACUUM {schema}.t", "VACUUM"),
        (f"ALTER TABLE {schema}.t APPEND FROM {schema}.u", "ALTER TABLE APPEND"),
        (f"ALTER TABLE {schema}.t ALTER COLUMN a TYPE VARCHAR(9)", "ALTER TABLE ALTER COLUMN"),
        (f"ALTER TABLE {schema}.t ALTER SORTKEY (a)", "ALTER TABLE ALTER SORTKEY"),
    ):
        one("BEGIN")
        error = error_of(one, sql)
        assert error["M"] == f"{name} cannot run inside a transaction block"
        one("ROLLBACK")
        one(sql)


def test_a_varchar_can_be_resized_under_conditions(run: Run, schema: str) -> None:
    """AWS documentation, ALTER TABLE, ALTER COLUMN."""
    run(
        f"CREATE TABLE {schema}.t (a VARCHAR(3), b VARCHAR(3) DEFAULT 'x', c VARCHAR(3) PRIMARY KEY, d INT, "
        "e VARCHAR(3) ENCODE text255, f VARCHAR(3) ENCODE bytedict, g VARCHAR(3) ENCODE runlength, "
        "h VARCHAR(3) ENCODE text32k)"
    )
    run(f"INSERT INTO {schema}.t (a, c) VALUES ('abc', 'k')")
    run(f"ALTER TABLE {schema}.t ALTER COLUMN a TYPE VARCHAR(5)")
    run(f"UPDATE {schema}.t SET a = 'abcde'")
    assert error_of(run, f"ALTER TABLE {schema}.t ALTER COLUMN a TYPE VARCHAR(4)")["C"] == "22001"
    for column in "bcdefgh":
        assert error_of(run, f"ALTER TABLE {schema}.t ALTER COLUMN {column} TYPE VARCHAR(9)")["C"] == "0A000"


def test_alter_table(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT, b INT, c INT) DISTKEY (a) SORTKEY (b)")
    run(f"INSERT INTO {schema}.t VALUES (1, 2, 3)")
    run(f"ALTER TABLE {schema}.t ADD COLUMN d VARCHAR(3) DEFAULT 'x' NOT NULL")
    run(f"ALTER TABLE {schema}.t RENAME COLUMN c TO e")
    assert run(f"SELECT a, b, e, d FROM {schema}.t") == [[1, 2, 3, "x"]]
    assert error_of(run, f"ALTER TABLE {schema}.t DROP COLUMN a")["M"] == 'cannot drop distkey column "a"'
    assert error_of(run, f"ALTER TABLE {schema}.t DROP COLUMN b")["M"] == 'cannot drop sortkey column "b"'
    run(f"ALTER TABLE {schema}.t DROP COLUMN e")
    run(f"ALTER TABLE {schema}.t RENAME TO u")
    assert run(f"SELECT * FROM {schema}.u") == [[1, 2, "x"]]


def test_append_moves_the_rows(run: Run, schema: str) -> None:
    """AWS documentation, ALTER TABLE APPEND."""
    run(f"CREATE TABLE {schema}.t (a INT, b INT)")
    run(f"CREATE TABLE {schema}.s (b INT, a INT)")
    run(f"CREATE TABLE {schema}.less (a INT)")
    run(f"INSERT INTO {schema}.s VALUES (2, 1)")
    run(f"ALTER TABLE {schema}.t APPEND FROM {schema}.s")
    assert run(f"SELECT a, b FROM {schema}.t") == [[1, 2]]
    assert run(f"SELECT count(*) FROM {schema}.s") == [[0]]
    assert error_of(run, f"ALTER TABLE {schema}.t APPEND FROM {schema}.less")["C"] == "0A000"
    run(f"ALTER TABLE {schema}.t APPEND FROM {schema}.less FILLTARGET")


def test_a_transaction_sees_the_snapshot_of_its_first_statement(session: OpenSession, schema: str) -> None:
    one, two = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one("BEGIN")
    assert one(f"SELECT count(*) FROM {schema}.t") == [[0]]
    two(f"INSERT INTO {schema}.t VALUES (1)")
    assert one(f"SELECT count(*) FROM {schema}.t") == [[0]]
    one("COMMIT")
    assert one(f"SELECT count(*) FROM {schema}.t") == [[1]]


def test_lock_comes_before_the_snapshot(session: OpenSession, schema: str) -> None:
    """The pattern of a load ledger: BEGIN; LOCK; look the load id up."""
    one, two = session(), session()
    one(f"CREATE TABLE {schema}.ledger (id VARCHAR(64))")
    for each in (one, two):
        each("BEGIN")
    one(f"LOCK {schema}.ledger")
    waiting = two.in_background(f"LOCK {schema}.ledger")
    one(f"INSERT INTO {schema}.ledger VALUES ('load')")
    time.sleep(0.2)
    one("COMMIT")
    waiting()
    assert two(f"SELECT count(*) FROM {schema}.ledger") == [[1]]
    two("COMMIT")


def test_an_update_after_anothers_commit_is_1023(session: OpenSession, schema: str) -> None:
    """The other pattern: UPDATE control SET version = v + 1 WHERE version = v."""
    one, two = session(), session()
    one(f"CREATE TABLE {schema}.control (version INT)")
    one(f"INSERT INTO {schema}.control VALUES (1)")
    update = f"UPDATE {schema}.control SET version = 2 WHERE version = 1"
    one("BEGIN")
    two("BEGIN")
    one(update)
    waiting = two.in_background(update)
    time.sleep(0.2)
    one("COMMIT")
    error = error_of(waiting)
    assert (error["C"], error["M"]) == ("XX000", "1023")
    assert "Serializable isolation violation on table" in error["D"]
    two("ROLLBACK")


@pytest.mark.parametrize("second", ["INSERT INTO {t} VALUES (2)", "DELETE FROM {t} WHERE a = 99", "COPY"])
def test_writers_of_one_table_wait_for_each_other(session: OpenSession, schema: str, lake: Lake, second: str) -> None:
    """AWS documentation: the second writer waits until the first releases the table; readers do not wait."""
    one, two, reader = session(), session(), session()
    one(f"CREATE TABLE {schema}.t (a BIGINT)")
    url = lake.manifest_of(pa.table({"a": pa.array([2], pa.int64())}))
    sql = lake.copy_sql(f"{schema}.t", url) if second == "COPY" else second.format(t=f"{schema}.t")
    one("BEGIN")
    one(f"INSERT INTO {schema}.t VALUES (1)")
    done = threading.Event()

    def write() -> None:
        two(sql)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not done.wait(0.3)
    assert reader(f"SELECT count(*) FROM {schema}.t") == [[0]]
    one("COMMIT")
    thread.join(10)
    assert done.is_set()


def test_loads_of_different_tables_run_side_by_side(session: OpenSession, schema: str, lake: Lake) -> None:
    sessions = [session() for _ in range(3)]
    url = lake.manifest_of(pa.table({"a": pa.array(range(1000), pa.int64())}))
    for number, one in enumerate(sessions):
        one("BEGIN")
        one(f"CREATE TABLE {schema}.t{number} (a BIGINT)")
        one(f"CREATE TEMP TABLE stg (LIKE {schema}.t{number})")
    loads = [one.in_background(lake.copy_sql("stg", url)) for one in sessions]
    for number, (one, load) in enumerate(zip(sessions, loads, strict=True)):
        load()
        one(f"INSERT INTO {schema}.t{number} SELECT a FROM stg")
        one("COMMIT")
        assert one(f"SELECT count(*) FROM {schema}.t{number}") == [[1000]]


def test_a_swap_in_one_transaction_is_seen_at_once(session: OpenSession, schema: str) -> None:
    one, reader = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one(f"INSERT INTO {schema}.t VALUES (1)")
    one(f"CREATE TABLE {schema}.t_new (LIKE {schema}.t)")
    one(f"INSERT INTO {schema}.t_new VALUES (2)")
    one("BEGIN")
    one(f"ALTER TABLE {schema}.t RENAME TO t_old")
    one(f"ALTER TABLE {schema}.t_new RENAME TO t")
    answer = reader.in_background(f"SELECT a FROM {schema}.t")
    time.sleep(0.1)
    one(f"DROP TABLE {schema}.t_old")
    one("COMMIT")
    assert answer() in ([[1]], [[2]])
    assert reader(f"SELECT a FROM {schema}.t") == [[2]]


def test_both_can_create_what_is_missing(session: OpenSession, schema: str) -> None:
    for number in range(5):
        sql = f"CREATE TABLE IF NOT EXISTS {schema}.t{number} (a INT)"
        for result in [session().in_background(sql) for _ in range(4)]:
            result()


def test_a_temporary_table_hides_a_table_and_is_private(session: OpenSession, schema: str) -> None:
    one, two = session(), session()
    one(f"SET search_path TO {schema}")
    one(f"CREATE TABLE {schema}.t (a INT)")
    one("CREATE TEMP TABLE t (LIKE t)")
    one("INSERT INTO t VALUES (1)")
    assert one(f"SELECT count(*) FROM {schema}.t") == [[0]]
    assert error_of(two, "SELECT * FROM t")["C"] == "42P01"


def test_a_statement_timeout(session: OpenSession, schema: str) -> None:
    one, two = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one("BEGIN")
    one(f"LOCK {schema}.t")
    two("SET statement_timeout TO 100")
    assert error_of(two, f"SELECT * FROM {schema}.t")["C"] == "57014"
    one("ROLLBACK")


def test_a_session_can_be_cancelled_and_ended(session: OpenSession, schema: str) -> None:
    one, two = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one("BEGIN")
    one(f"LOCK {schema}.t")
    ((pid,),) = two("SELECT pg_backend_pid()")
    for sql in (f"SELECT pg_cancel_backend({pid})", f"CANCEL {pid}"):
        waiting = two.in_background(f"SELECT * FROM {schema}.t")
        time.sleep(0.2)
        one(sql)
        assert error_of(waiting)["C"] == "57014"
    one(f"SELECT pg_terminate_backend({pid})")
    time.sleep(0.1)
    with pytest.raises(Exception, match=r"server socket closed|57P01|terminating|Broken|reset"):
        two("SELECT 1")


def test_a_table_the_snapshot_does_not_know_is_1018(session: OpenSession, schema: str) -> None:
    """AWS documentation, "Serializable isolation", relation does not exist error: never an empty result instead."""
    one, reader = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t WITH NO SCHEMA BINDING")
    one(f"INSERT INTO {schema}.t VALUES (1)")
    for relation in ("t", "v"):
        reader("BEGIN")
        reader("SELECT count(*) FROM svv_tables")
        one("BEGIN")
        one(f"CREATE TABLE {schema}.t_new (LIKE {schema}.t)")
        one(f"INSERT INTO {schema}.t_new VALUES (2)")
        one(f"DROP TABLE {schema}.t")
        one(f"ALTER TABLE {schema}.t_new RENAME TO t")
        one("COMMIT")
        error = error_of(reader, f"SELECT a FROM {schema}.{relation}")
        assert (error["C"], error["M"], error["D"]) == ("XX000", "1018", "Relation does not exist")
        reader("ROLLBACK")
        assert reader(f"SELECT a FROM {schema}.{relation}") == [[2]]


@pytest.mark.parametrize("relation", ["t", "v"])
def test_a_reader_without_pause_never_sees_an_empty_table(session: OpenSession, schema: str, relation: str) -> None:
    one, reader = session(), session()
    one(f"CREATE TABLE {schema}.t (a INT)")
    one(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t WITH NO SCHEMA BINDING")
    one(f"INSERT INTO {schema}.t VALUES (0)")
    seen: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(reader(f"SELECT a FROM {schema}.{relation}"))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(1, 25):
            one("BEGIN")
            one(f"CREATE TABLE {schema}.t_new (LIKE {schema}.t)")
            one(f"INSERT INTO {schema}.t_new VALUES ({number})")
            one(f"ALTER TABLE {schema}.t RENAME TO t_old")
            one(f"ALTER TABLE {schema}.t_new RENAME TO t")
            one(f"DROP TABLE {schema}.t_old")
            one("COMMIT")
    finally:
        stop.set()
        thread.join(20)
    assert all(len(rows) == 1 for rows in seen)  # type: ignore[arg-type]
    assert len(seen) > 5

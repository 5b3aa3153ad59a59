"""The protocol: who is let in, TLS, psql, prepared statements, faults. Source: redshift.md, "The driver"."""

from __future__ import annotations

import gc
import os
import socket
import struct
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import redshift_connector

from s3rs_ray.local.postgres import find_binaries
from s3rs_ray.local.redshift.faults import Fault, set_faults
from tests.integration.local.redshift.conftest import StandIn
from tests.integration.local.redshift.lake import Lake, error_of

Run = Callable[..., list[list[object]]]
Connect = Callable[..., redshift_connector.Connection]


def login_error(connect: Connect, **wishes: object) -> dict[str, str]:
    """The fields of the error a connection attempt raises; the driver leaves its socket open behind it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            connect(**wishes)
        except (redshift_connector.Error, OSError) as error:
            found = error.args[0] if isinstance(error.args[0], dict) else {"M": str(error.args)}
        else:
            raise AssertionError("it was let in")
        gc.collect()
    return found


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"user": "nobody"}, {"password": ""}, {"user": "redshift_standin"}]
)
def test_a_wrong_password_is_28000(connect: Connect, wrong: dict[str, str]) -> None:
    error = login_error(connect, **wrong)
    assert error["C"] == "28000"
    assert error["M"].startswith("password authentication failed for user")


def test_another_database_is_unknown(connect: Connect) -> None:
    assert login_error(connect, database="postgres")["C"] == "3D000"


def test_what_the_server_says_of_itself(connect: Connect) -> None:
    """redshift.md, the driver: server_version 8.0.2, no server_protocol_version."""
    told = dict(connect().parameter_statuses)
    assert told[b"server_version"] == b"8.0.2"
    assert b"server_protocol_version" not in told
    assert told[b"standard_conforming_strings"] == b"off"


@pytest.mark.filterwarnings("ignore:ssl:DeprecationWarning")
def test_tls_on_request(standin: StandIn, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(standin.certificate))
    for sslmode in ("verify-ca", "verify-full"):
        cursor = connect(ssl=True, sslmode=sslmode).cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ([1],)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate verify failed" in str(login_error(connect, ssl=True))


def psql(standin: StandIn, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    account = standin.account
    return subprocess.run(
        [str(find_binaries() / "psql"), "-X", "-A", "-t", "-h", "127.0.0.1", "-p", str(standin.port), "-U",
         account.user, "-d", account.database, *words],
        env={**os.environ, "PGPASSWORD": account.password, "PGSSLMODE": "disable", **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )  # fmt: skip


def test_psql(standin: StandIn, schema: str, lake: Lake) -> None:
    url = lake.manifest_of(pa.table({"a": pa.array([1, 2], pa.int64())}))
    done = psql(
        standin,
        "-c", f"CREATE TABLE {schema}.t (a BIGINT, b VARBYTE(3))",
        "-c", lake.copy_sql(f"{schema}.t", url, "(a)"),
        "-c", f"INSERT INTO {schema}.t VALUES (3, 'abc'::varbyte)",
        "-c", f"SELECT a, b FROM {schema}.t ORDER BY a; SELECT count(*) FROM {schema}.t",
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["CREATE TABLE", "COPY", "INSERT 0 1", "1|", "2|", "3|616263", "3"]


def test_psql_describes_tables(standin: StandIn, run: Run, schema: str) -> None:
    """psql as it comes, of any version since 15: \\dt, \\dv, \\d of a table and of a view, \\dn."""
    long = "n" * 70
    run(
        f"CREATE TABLE {schema}.t (a BIGINT NOT NULL, b VARCHAR(9) DEFAULT 'x', c DECIMAL(9,2), {long} INT) DISTKEY (a)"
    )
    run(f"CREATE VIEW {schema}.v AS SELECT a, b FROM {schema}.t")
    asked = (rf"\dt {schema}.*", rf"\dv {schema}.*", rf"\d {schema}.t", rf"\d {schema}.v", r"\dn s_*")
    done = psql(standin, *(word for command in asked for word in ("-c", command)))
    owner = standin.account.user
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{schema}|t|table|{owner}",
        f"{schema}|v|view|{owner}",
        "a|bigint||not null|",
        "b|character varying(9)|||'x'::character varying",
        "c|numeric(9,2)|||",
        f"{long}|integer|||",
        "a|bigint|||",
        "b|character varying(9)|||",
        f"{schema}|{owner}",
    ]
    every = psql(standin, "-c", r"\dt *.*", "-c", r"\dn")
    assert f"{schema}|t|table" in every.stdout
    assert "redshift_standin" not in every.stdout + every.stderr


def test_libpq_over_tls(standin: StandIn) -> None:
    """What psql is built on, with a certificate that is verified; the wheel's own psql has no TLS."""
    account = standin.account
    where = (
        f"host=127.0.0.1 port={standin.port} dbname={account.database} user={account.user} "
        f"password={account.password} sslmode=verify-full"
    )
    with psycopg.connect(f"{where} sslrootcert={standin.certificate}", autocommit=True) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        psycopg.connect(where)


def test_several_statements_at_once_are_one_transaction(standin: StandIn, schema: str) -> None:
    psql(standin, "-c", f"CREATE TABLE {schema}.t (a INT)")
    done = psql(standin, "-c", f"INSERT INTO {schema}.t VALUES (1); SELECT nonsense(1)")
    assert "function nonsense is not supported" in done.stderr
    assert psql(standin, "-c", f"SELECT count(*) FROM {schema}.t").stdout == "0\n"
    psql(standin, "-c", f"BEGIN; INSERT INTO {schema}.t VALUES (1); COMMIT; SELECT nonsense(1)")
    assert psql(standin, "-c", f"SELECT count(*) FROM {schema}.t").stdout == "1\n"


@pytest.mark.parametrize("cached", [0, 1, 1000])
@pytest.mark.parametrize("autocommit", [True, False])
def test_prepared_statements_are_closed_in_order(connect: Connect, schema: str, cached: int, autocommit: bool) -> None:
    """redshift.md, the driver: it sends Close from inside CommandComplete after ALTER, CREATE, DROP, ROLLBACK."""
    connection = connect(max_prepared_statements=cached, autocommit=autocommit)
    cursor = connection.cursor()
    for number in range(4):
        cursor.execute(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(9))")
        for value in range(3):
            cursor.execute(f"INSERT INTO {schema}.t VALUES (%s, %s)", (value, str(number)))
            cursor.execute(f"SELECT count(*) FROM {schema}.t WHERE a <= %s", (value,))
            assert cursor.fetchall() == ([value + 1],)
        cursor.execute(f"ALTER TABLE {schema}.t ADD COLUMN c INT")
        cursor.execute(f"SELECT * FROM {schema}.t WHERE a = 1")
        assert cursor.fetchall() == ([1, str(number), None],)
        cursor.execute(f"DROP TABLE {schema}.t")
        error_of(cursor.execute, "SELECT nonsense()")
        if not autocommit:
            connection.rollback()
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == ([1],)


def test_a_client_that_goes_away_rolls_back(connect: Connect, run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT)")
    connection = connect(autocommit=False)
    connection.cursor().execute(f"INSERT INTO {schema}.t VALUES (1)")
    connection._usock.shutdown(socket.SHUT_RDWR)
    connection._usock.close()
    run(f"INSERT INTO {schema}.t VALUES (2)")
    assert run(f"SELECT a FROM {schema}.t") == [[2]]


def test_a_result_of_many_rows(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(50))")
    run(f"INSERT INTO {schema}.t VALUES " + ", ".join(f"({n}, '{'x' * 50}')" for n in range(1000)))
    rows = run(f"SELECT t.a, u.b FROM {schema}.t JOIN {schema}.t u ON u.a < 20")
    assert len(rows) == 20000


def test_garbage_is_hung_up_on(standin: StandIn) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", struct.pack("!ii", 8, 12345), b"\x00\x00\x00\x01"):
        with socket.create_connection(("127.0.0.1", standin.port), timeout=5) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(1000):
                pass


# Faults


def strike(control_file: Path, point: str, action: str, **more: object) -> None:
    set_faults(control_file, [Fault(point=point, action=action, **more)])  # type: ignore[arg-type]


@pytest.mark.parametrize(("point", "kept"), [("before_commit", 0), ("after_commit", 1)])
def test_a_connection_lost_around_commit(
    connect: Connect, run: Run, schema: str, control_file: Path, point: str, kept: int
) -> None:
    run(f"CREATE TABLE {schema}.t (a INT)")
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute(f"INSERT INTO {schema}.t VALUES (1)")
    strike(control_file, point, "drop")
    with pytest.raises(redshift_connector.InterfaceError, match="server socket closed"):
        cursor.execute("COMMIT")
    time.sleep(0.05)
    assert run(f"SELECT count(*) FROM {schema}.t") == [[kept]]


def test_an_injected_conflict_and_error(connect: Connect, schema: str, control_file: Path) -> None:
    cursor = connect().cursor()
    strike(control_file, "statement", "conflict", match="DELETE")
    cursor.execute("BEGIN")
    cursor.execute(f"CREATE TABLE {schema}.t (a INT)")
    assert error_of(cursor.execute, f"DELETE FROM {schema}.t")["M"] == "1023"
    assert error_of(cursor.execute, "SELECT 1")["C"] == "25P02"
    cursor.execute("ROLLBACK")
    strike(control_file, "before_commit", "error", message="disk full", sqlstate="53100")
    cursor.execute("BEGIN")
    assert error_of(cursor.execute, "COMMIT")["C"] == "53100"
    cursor.execute("ROLLBACK")


@pytest.mark.parametrize("point", ["copy", "copy_end"])
def test_an_injected_copy_error(
    connect: Connect, run: Run, schema: str, lake: Lake, control_file: Path, point: str
) -> None:
    run(f"CREATE TABLE {schema}.t (a BIGINT)")
    sql = lake.copy_sql(f"{schema}.t", lake.manifest_of(pa.table({"a": pa.array([1], pa.int64())})))
    strike(control_file, point, "error", message="Assert", detail="code: 1000")
    assert error_of(run, sql)["M"] == "Assert"
    assert run(f"SELECT count(*) FROM {schema}.t") == [[0]]
    run(sql)
    strike(control_file, point, "drop")
    with pytest.raises(redshift_connector.InterfaceError):
        connect().cursor().execute(sql)
    time.sleep(0.05)
    assert run(f"SELECT count(*) FROM {schema}.t") == [[1]]


def test_a_slow_accept_and_a_dropped_one(connect: Connect, control_file: Path) -> None:
    strike(control_file, "accept", "delay", seconds=0.3)
    started = time.monotonic()
    connect()
    assert time.monotonic() - started >= 0.3
    strike(control_file, "accept", "drop")
    login_error(connect)
    connect()


def test_a_delay(run: Run, control_file: Path) -> None:
    strike(control_file, "statement", "delay", seconds=0.2, match="SELECT 41")
    started = time.monotonic()
    run("SELECT 41")
    assert time.monotonic() - started >= 0.2

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from pathlib import Path

import pymysql
import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local.mariadb import MariaDB, MariaDBAccount
from s3rs_ray.local.process import free_port


def run(server: MariaDB, *statements: str) -> tuple[tuple[object, ...], ...]:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchall())


def login(server: MariaDB, user: str, password: str) -> None:
    pymysql.connect(host=server.host, port=server.port, user=user, password=password).close()


def test_it_is_tuned_for_tests_and_speaks_utf8_and_utc(server_directory: Path) -> None:
    with MariaDB(server_directory, buffer_pool_mb=64, options=("--max-connections=23",)) as server:
        wanted = {
            "@@innodb_buffer_pool_size": 64 << 20,
            "@@character_set_server": "utf8mb4",
            "@@performance_schema": 0,
            "@@log_bin": 0,
            "@@time_zone": "+00:00",
            "@@max_connections": 23,
            "@@bind_address": "127.0.0.1",
        }
        assert run(server, f"SELECT {', '.join(wanted)}") == (tuple(wanted.values()),)


def test_its_user_owns_it_and_nobody_else_gets_in(server_directory: Path) -> None:
    with MariaDB(server_directory) as server:
        assert run(
            server,
            "CREATE DATABASE `other one`",
            "CREATE TABLE `other one`.t (a INT)",
            "CREATE USER 'reader'@'%' IDENTIFIED BY 'p'",
            "GRANT SELECT ON `other one`.* TO 'reader'@'%'",
            "SHOW ENGINE INNODB STATUS",
            "SHOW MASTER STATUS",
            "SELECT COUNT(*) FROM information_schema.innodb_trx",
        )
        login(server, "reader", "p")
        login(server, server.account.user, server.account.password)
        for user, password in (
            (server.account.user, "wrong"),
            (server.account.user, ""),
            ("root", ""),
            ("mariadb.sys", ""),
            ("", ""),
        ):
            with pytest.raises(pymysql.err.OperationalError) as refused:
                login(server, user, password)
            assert refused.value.args[0] in (1045, 1698, 4151)  # access denied, without password, account locked


def test_a_password_may_hold_anything(server_directory: Path) -> None:
    account = MariaDBAccount(user="o'neill", password="a'b\\c\"d@%/:`$ {}#;--", database="back`tick")
    with MariaDB(server_directory, account) as server:
        login(server, account.user, account.password)
        with pytest.raises(pymysql.err.OperationalError):
            login(server, account.user, account.password[:-1])


def test_the_password_is_in_no_argument_log_or_file(server_directory: Path) -> None:
    with MariaDB(server_directory) as server:
        secret = server.account.password.encode()
        assert secret not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert secret not in Path(f"/proc/{server.pid}/environ").read_bytes()
        kept = [path for path in server_directory.rglob("*") if path.is_file()]
        assert server.log_file in kept
        assert not [path for path in kept if secret in path.read_bytes()]


def test_committed_rows_outlive_a_kill_on_the_same_port(server_directory: Path) -> None:
    with MariaDB(server_directory) as server:
        run(server, "CREATE TABLE t (a INT PRIMARY KEY) ENGINE=InnoDB", "INSERT INTO t VALUES (1), (2)")
        port, pid = server.port, server.pid
        open_connection = server.connect()
        with open_connection.cursor() as cursor:
            open_connection.begin()
            cursor.execute("INSERT INTO t VALUES (3)")
            server.kill()
        with pytest.raises(pymysql.err.OperationalError):
            server.connect()
        server.start()
        assert (server.port, server.pid != pid) == (port, True)
        assert run(server, "SELECT a FROM t ORDER BY a") == ((1,), (2,))


def test_one_that_somebody_else_killed_is_started_again(server_directory: Path) -> None:
    with MariaDB(server_directory) as server:
        os.kill(server.pid, signal.SIGKILL)
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        ready = [server.ready]
        server.start()
        assert [*ready, server.ready] == [False, True]
        with pytest.raises(LocalStackError, match="is running already"):
            server.start()


def test_a_kept_directory_is_used_again_with_a_new_password(server_directory: Path) -> None:
    with MariaDB(server_directory) as first:
        run(first, "CREATE TABLE t AS SELECT 7 AS a")
    with MariaDB(server_directory) as second:
        assert run(second, "SELECT a FROM t") == ((7,),)
        with pytest.raises(pymysql.err.OperationalError):
            login(second, first.account.user, first.account.password)


def test_a_port_taken_in_the_meantime_is_given_up_for_another(
    server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        free = free_port()
        ports = iter([busy, busy, free])
        monkeypatch.setattr("s3rs_ray.local.server.free_port", lambda: next(ports))
        with MariaDB(server_directory) as server:
            assert server.port == free
            run(server, "SELECT 1")


def test_a_server_that_refuses_an_option_says_so(server_directory: Path) -> None:
    server = MariaDB(server_directory, options=("--no-such-option",))
    with pytest.raises(LocalStackError, match="unknown option '--no-such-option'"):
        server.start()
    with pytest.raises(LocalStackError, match="not running"):
        assert server.pid


def test_many_connections_at_once(server_directory: Path) -> None:
    with MariaDB(server_directory) as server:
        connections = [server.connect() for _ in range(150)]
        for connection in connections:
            connection.close()


def test_accounts_are_values() -> None:
    account = MariaDBAccount()
    with pytest.raises(dataclasses.FrozenInstanceError):
        account.password = "x"  # type: ignore[misc]

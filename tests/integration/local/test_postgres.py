from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from s3rs_ray.local.postgres import Postgres, find_binaries
from s3rs_ray.local.process import children_of, is_alive, wait_until


def psql_arguments(server: Postgres, sql: str) -> list[str]:
    program = str(find_binaries() / "psql")
    return [program, "-h", server.socket_dir, "-p", str(server.port), "-U", server.user, "-XAtc", sql, server.database]


def psql(server: Postgres, sql: str) -> str:
    done = subprocess.run(psql_arguments(server, sql), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_has_its_database_and_its_tuning_and_no_tcp_port(server_directory: Path) -> None:
    with Postgres(server_directory, database='the "dev" one') as server:
        assert psql(server, "SELECT current_database()") == 'the "dev" one'
        wanted = {"fsync": "off", "wal_level": "minimal", "listen_addresses": "", "TimeZone": "UTC", "jit": "off"}
        assert {name: psql(server, f"SHOW {name}") for name in wanted} == wanted
        assert psql(server, "SHOW server_encoding") == "UTF8"
        assert psql(server, "SELECT 'a' < 'B'") == "f"  # bytes, as Redshift compares them


def test_nobody_else_may_reach_its_socket(server_directory: Path) -> None:
    with Postgres(server_directory) as server:
        assert Path(server.socket_dir).stat().st_mode & 0o077 == 0


def test_committed_rows_outlive_a_kill_also_with_a_busy_session(server_directory: Path) -> None:
    with Postgres(server_directory) as server:
        psql(server, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
        endless = "INSERT INTO t SELECT generate_series(1, 100000000)"
        busy = subprocess.Popen(psql_arguments(server, endless), stderr=subprocess.DEVNULL)
        wait_until(
            lambda: "1" in psql(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%'"),
            timeout_s=10,
            what="the session is busy",
        )
        time.sleep(0.1)
        children = children_of(server.pid)
        assert len(children) > 3
        server.kill()
        assert not [child for child in children if is_alive(child)]
        assert busy.wait(10) != 0
        server.start()
        assert psql(server, "SELECT count(*), sum(a) FROM t") == "1000|500500"


def test_a_hundred_sessions_at_once(server_directory: Path) -> None:
    words = b"user\0stack\0database\0dev\0\0"
    start = (8 + len(words)).to_bytes(4, "big") + (196_608).to_bytes(4, "big") + words
    with Postgres(server_directory) as server:
        clients = []
        for _ in range(100):
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{server.socket_dir}/.s.PGSQL.{server.port}")
            client.sendall(start)
            clients.append(client)
        assert [client.recv(1) for client in clients] == [b"R"] * 100
        for client in clients:
            client.close()


def test_statements_stay_out_of_the_log(server_directory: Path) -> None:
    with Postgres(server_directory) as server:
        with pytest.raises(AssertionError, match="no_such_table"):
            psql(server, "COPY no_such_table FROM 's3://x' CREDENTIALS 'sesame'")
        with pytest.raises(AssertionError, match="division by zero"):
            psql(server, "SELECT 1/0 AS sesame")
        assert "sesame" not in server.log_file.read_text()


def test_a_kept_directory_is_used_again(server_directory: Path) -> None:
    with Postgres(server_directory) as first:
        psql(first, "CREATE TABLE t AS SELECT 7 AS a")
    with Postgres(server_directory) as second:
        assert psql(second, "SELECT a FROM t") == "7"

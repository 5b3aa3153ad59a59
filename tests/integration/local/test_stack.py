from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pymysql
import pytest
import redshift_connector
from botocore.exceptions import ClientError

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local.process import children_of, is_alive, wait_until
from s3rs_ray.local.stack import LocalStack

OWNER = """
    import os, time
    from s3rs_ray.local.process import children_of
    from s3rs_ray.local.stack import LocalStack

    with LocalStack() as stack:
        servers = [part.pid for part in (stack.mariadb, stack.s3, stack.postgres, stack.redshift)]
        print(stack.directory, *servers, *children_of(stack.postgres.pid), flush=True)
        time.sleep(60)
"""


def source(environment: Mapping[str, str], password: str = "") -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=environment["DB_HOST"],
        port=int(environment["DB_PORT"]),
        user=environment["DB_USER"],
        password=password or environment["DB_PASSWORD"],
        database=environment["DB_DATABASE"],
        autocommit=True,
    )


def warehouse(environment: Mapping[str, str], password: str = "") -> Any:
    return redshift_connector.connect(
        host=environment["REDSHIFT_HOST"],
        port=int(environment["REDSHIFT_PORT"]),
        user=environment["REDSHIFT_USER"],
        password=password or environment["REDSHIFT_PASSWORD"],
        database=environment["REDSHIFT_DATABASE"],
        ssl=environment["REDSHIFT_SSL_MODE"] != "disable",
        timeout=10,
    )


def warehouse_refuses(environment: Mapping[str, str], password: str = "") -> str:
    """What the refusal says, empty when it lets in. redshift-connector leaves the socket of a failed login open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            warehouse(environment, password).close()
        except (redshift_connector.Error, OSError) as refused:
            message = str(refused)
        else:
            message = ""
        gc.collect()
    return message


def warehouse_rows(environment: Mapping[str, str], *statements: str) -> list[list[Any]]:
    with warehouse(environment) as connection, connection.cursor() as cursor:
        for statement in statements[:-1]:
            cursor.execute(statement)
        connection.commit()
        cursor.execute(statements[-1])
        return [list(row) for row in cursor.fetchall()]


def objects(environment: Mapping[str, str], secret_key: str = "") -> list[str]:
    s3 = boto3.client(
        "s3",
        endpoint_url=environment["S3_ENDPOINT_URL"],
        region_name=environment["S3_REGION"],
        aws_access_key_id=environment["S3_ACCESS_KEY"],
        aws_secret_access_key=secret_key or environment["S3_SECRET_KEY"],
    )
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=environment["S3_BUCKET_NAME"]).get("Contents", [])]


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """Another process that has a stack."""
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(OWNER)], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def servers_of(owner: subprocess.Popen[str]) -> tuple[Path, list[int]]:
    assert owner.stdout is not None
    directory, *pids = owner.stdout.readline().split()
    alive = [int(pid) for pid in pids if is_alive(int(pid))]  # a child that served one connection may have ended
    assert len(alive) > 6
    return Path(directory), alive


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_servers_die_with_their_owner(owner: subprocess.Popen[str], how: signal.Signals) -> None:
    directory, pids = servers_of(owner)
    owner.send_signal(how)
    owner.wait(20)
    wait_until(lambda: not any(map(is_alive, pids)), timeout_s=10, what="all servers are gone")
    if how != signal.SIGINT:  # nobody could clean up
        assert directory.exists()
        with LocalStack():
            assert not directory.exists()
    assert not directory.exists()


def test_two_stacks_live_side_by_side(stack: LocalStack) -> None:
    with LocalStack() as other:
        mine, theirs = stack.environment(), other.environment()
        for name in ("DB_PORT", "S3_ENDPOINT_URL", "REDSHIFT_PORT"):
            assert mine[name] != theirs[name]
        with source(theirs) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE only_there (a INT)")
        with source(mine) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'only_there'")
            assert cursor.fetchone() == (0,)
        assert warehouse_rows(theirs, "CREATE TABLE only_there (a INT)", "SELECT count(*) FROM only_there") == [[0]]
        with pytest.raises(redshift_connector.ProgrammingError):
            warehouse_rows(mine, "SELECT count(*) FROM only_there")
        with pytest.raises(pymysql.err.OperationalError):
            source(mine, theirs["DB_PASSWORD"])
        with pytest.raises(ClientError):
            objects(mine, theirs["S3_SECRET_KEY"])
        assert warehouse_refuses(mine, theirs["REDSHIFT_PASSWORD"])


def test_the_right_passwords_are_let_in_and_wrong_ones_are_not(stack: LocalStack) -> None:
    environment = stack.environment()
    source(environment).close()
    assert isinstance(objects(environment), list)
    assert warehouse_rows(environment, "SELECT 1") == [[1]]
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        source(environment, "wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        objects(environment, "wrong")
    assert "password authentication failed" in warehouse_refuses(environment, "wrong")


def test_the_settings_are_the_environment(stack: LocalStack) -> None:
    settings, environment = stack.settings, stack.environment()
    assert settings.db_port == stack.mariadb.port
    assert settings.db_password.get_secret_value() == environment["DB_PASSWORD"]
    assert settings.s3_endpoint_url == stack.s3.endpoint_url
    assert settings.redshift_password.get_secret_value() == environment["REDSHIFT_PASSWORD"]
    assert (settings.redshift_schema, settings.redshift_ssl_mode) == ("public", "disable")


def test_no_password_is_in_an_argument_an_environment_or_a_log(stack: LocalStack) -> None:
    environment = stack.environment()
    secrets = [environment[name].encode() for name in ("DB_PASSWORD", "S3_SECRET_KEY", "REDSHIFT_PASSWORD")]
    for part in (stack.mariadb, stack.s3, stack.postgres, stack.redshift):
        shown = b"".join(Path(f"/proc/{part.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        shown += part.log_file.read_bytes()
        assert not [secret for secret in secrets if secret in shown], part.name


def test_the_warehouse_outlives_kills_of_the_stand_in_and_of_its_backend() -> None:
    with LocalStack() as stack:
        environment = stack.environment()
        warehouse_rows(environment, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (7)", "SELECT 1")
        for part in (stack.redshift, stack.postgres):
            part.kill()
            assert warehouse_refuses(environment)
            part.start()
            assert warehouse_rows(environment, "SELECT a FROM t") == [[7]]
        assert stack.environment() == environment


def test_a_frozen_server_does_not_hold_up_the_end() -> None:
    with LocalStack() as stack:
        for part in (stack.mariadb, stack.s3, stack.postgres, stack.redshift):
            os.kill(part.pid, signal.SIGSTOP)
    assert not stack.directory.exists()


def test_a_given_directory_is_kept_and_used_again(server_directory: Path) -> None:
    directory = server_directory / "kept"
    with LocalStack(directory) as first:
        with first.mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t AS SELECT 7 AS a")
        warehouse_rows(first.environment(), "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (8)", "SELECT 1")
        with pytest.raises(LocalStackError, match="another local stack uses"):
            LocalStack(directory).start()
    with LocalStack(directory) as second:
        with second.mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT a FROM t")
            assert cursor.fetchone() == (7,)
        assert warehouse_rows(second.environment(), "SELECT a FROM t") == [[8]]


def test_when_one_server_cannot_start_none_is_left() -> None:
    before = set(children_of(os.getpid()))
    stack = LocalStack(mariadb_options=("--no-such-option",))
    with pytest.raises(LocalStackError, match="unknown option '--no-such-option'"):
        stack.start()
    assert set(children_of(os.getpid())) == before
    assert not stack.directory.exists()

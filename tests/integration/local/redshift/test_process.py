"""The stand-in as a process of its own: how it is started, how it ends, that it can be started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import redshift_connector

from tests.integration.local.redshift.conftest import StandIn

Start = Callable[[], tuple[subprocess.Popen[str], dict[str, object]]]


@pytest.fixture
def start(standin: StandIn) -> Iterator[Start]:
    """Starts a second stand-in in front of the same PostgreSQL."""
    started: list[subprocess.Popen[str]] = []

    def start_one() -> tuple[subprocess.Popen[str], dict[str, object]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3rs_ray.local.redshift"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(standin._settings(0)) + "\n")
        process.stdin.flush()
        return process, json.loads(process.stdout.readline())

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def test_it_says_where_it_listens_and_ends_with_stdin(start: Start, standin: StandIn) -> None:
    process, ready = start()
    assert ready.keys() == {"host", "port", "pid"}
    assert (ready["host"], ready["pid"]) == ("127.0.0.1", process.pid)
    account = standin.account
    connection = redshift_connector.connect(
        host="127.0.0.1", port=ready["port"], user=account.user, password=account.password, database=account.database,
        ssl=False,
    )  # fmt: skip
    connection.cursor().execute("SELECT 1")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    with pytest.raises(redshift_connector.InterfaceError):
        connection.cursor().execute("SELECT 1")
    connection.close()


def test_it_ends_on_sigterm(start: Start) -> None:
    process, _ = start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM


def test_no_password_is_in_the_arguments(start: Start, standin: StandIn) -> None:
    process, _ = start()
    assert standin.account.password not in " ".join(map(str, process.args))  # type: ignore[arg-type]


def test_settings_show_no_secret(standin: StandIn) -> None:
    from s3rs_ray.local.redshift.__main__ import parse_settings

    line = json.dumps(standin._settings(0))
    shown = repr(parse_settings(line))
    assert standin.account.password not in shown
    assert standin._s3.account.secret_key not in shown

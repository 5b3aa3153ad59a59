"""What Ray writes to stdout while a command works."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from s3rs_ray.cli.quiet import guarded_stdout

RAYS = (
    b"\x1b[33m(raylet)\x1b[39m A worker died or was killed while executing a task by an unexpected system error. To"
    b" troubleshoot the problem, check the logs for the dead worker. Lease ID: 0c00\n"
)


def test_what_others_write_to_stdout_becomes_log_lines(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with guarded_stdout():
        os.write(1, b"by a library\n")
        subprocess.run([sys.executable, "-c", "print('by a process')"], check=True)
        os.write(1, b"no line end, \xff no UTF-8")
    print("the result")
    assert capfd.readouterr().out == "the result\n"
    said = {r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG}
    assert {"on stdout: by a library", "on stdout: by a process"} <= said
    assert "on stdout: no line end, \ufffd no UTF-8" in said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (RAYS, "a worker process died; its chunk is read again"),
        (b"(raylet) 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed\n", "memory"),
        (b"(raylet) The node with node id: ab12 has been marked dead because the detector has missed\n", "died"),
    ],
)
def test_the_end_of_a_worker_is_one_warning(line: bytes, says: str, caplog: pytest.LogCaptureFixture) -> None:
    with guarded_stdout():
        os.write(1, line)
    [warning] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert says in warning.getMessage()


def test_many_lines_do_not_stop_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    with guarded_stdout():
        for _ in range(100):
            os.write(1, b"x" * 4095 + b"\n")
    assert capfd.readouterr().out == ""

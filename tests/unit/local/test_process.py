from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local.process import (
    Account,
    Launch,
    Process,
    bring_up,
    children_of,
    free_port,
    is_alive,
    run_tool,
    unprivileged_account,
    until_ready,
    wait_until,
)

AS_ROOT = os.geteuid() == 0


def python(code: str, directory: Path, **fields: object) -> Launch:
    arguments = [sys.executable, "-S", "-c", textwrap.dedent(code)]
    launch = {"name": "the test's server", "arguments": arguments, "log_file": directory / "log"} | fields
    return Launch(**launch)  # type: ignore[arg-type]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = Process(python("import time; print('up', flush=True); time.sleep(60)", tmp_path))
    yield process
    process.kill()


def test_the_error_of_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a line of an earlier start\n")
    process = Process(python("import sys; print('line 1'); sys.exit('no disk left')", tmp_path))
    with pytest.raises(LocalStackError) as failed:
        bring_up(until_ready(process, lambda: False))
    assert "the test's server ended with status 1 before it was ready" in failed.value.message
    assert failed.value.message.endswith("line 1\nno disk left")
    assert "earlier start" not in failed.value.message
    assert str(tmp_path / "log") in failed.value.hint


def test_a_server_that_never_gets_ready_is_given_up(sleeper: Process) -> None:
    with pytest.raises(LocalStackError, match="was not ready after 0 s"):
        bring_up(until_ready(sleeper, lambda: False, timeout_s=0.1))


def test_startups_run_side_by_side_and_the_first_error_ends_them(tmp_path: Path) -> None:
    before = set(children_of(os.getpid()))
    slow = run_tool(python("import time; time.sleep(60)", tmp_path))
    bad = run_tool(python("raise SystemExit(3)", tmp_path))
    with pytest.raises(LocalStackError, match="failed with status 3"):
        bring_up(slow, bad)
    assert set(children_of(os.getpid())) == before


def test_a_tool_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="did not end within 0 s"):
        bring_up(run_tool(python("import time; time.sleep(60)", tmp_path), timeout_s=0.1))


def test_a_tool_reads_its_file(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("hello")
    bring_up(run_tool(python("print(input())", tmp_path, stdin=tmp_path / "input")))
    assert (tmp_path / "log").read_text() == "hello\n"


def test_stop_ends_a_process_that_ignores_it_or_is_frozen(tmp_path: Path) -> None:
    stubborn = Process(
        python("import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)", tmp_path)
    )
    wait_until(lambda: "1" in stubborn.log(), timeout_s=10, what="it runs")
    stubborn.stop(grace_s=0.1)
    assert stubborn.exit_code == -signal.SIGKILL

    frozen = Process(python("import time; print(2, flush=True); time.sleep(60)", tmp_path))
    wait_until(lambda: "2" in frozen.log(), timeout_s=10, what="it runs")
    os.kill(frozen.pid, signal.SIGSTOP)
    frozen.stop()
    assert frozen.exit_code == -signal.SIGTERM


def test_pipes_carry_the_settings_in_and_one_line_out(tmp_path: Path) -> None:
    code = """
        import sys, time
        word = sys.stdin.readline().strip()
        sys.stdout.write(word[:2]); sys.stdout.flush(); time.sleep(0.1)
        sys.stdout.write(word[2:] + "\\nmore\\n"); sys.stdout.flush()
        sys.stdin.read()
    """
    process = Process(python(code, tmp_path, pipes=True))
    assert process.answer() is None
    process.send(b"settings")
    bring_up(until_ready(process, lambda: process.answer() is not None))
    assert process.answer() == b"settings"
    process.kill()


def test_sending_to_a_process_that_is_gone_leaves_the_log_to_tell(tmp_path: Path) -> None:
    process = Process(python("import sys; sys.exit('gone')", tmp_path, pipes=True))
    wait_until(lambda: process.exit_code is not None, timeout_s=10, what="it is gone")
    process.send(b"settings")
    assert process.answer() is None
    assert "gone" in process.failure("ended").message
    process.kill()


MODES = ["keep", "switch", "namespace"] if AS_ROOT else ["keep"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_server_dies_with_its_parent(mode: str, platform: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    owner = f"""
        import pathlib, sys, time
        from s3rs_ray.local import process as p
        account = p.Account(uid=65534, gid=65534, namespace={mode == "namespace"}) if {mode != "keep"} else None
        if {platform == "darwin"}:
            launcher = pathlib.Path({str(tmp_path)!r}) / "launch.py"
            launcher.write_text("import sys\\nsys.platform = 'darwin'\\n" +
                p._LAUNCHER.read_text().replace("from __future__ import annotations", ""))
            p._LAUNCHER = launcher
        server = p.Process(p.Launch(
            name="server", log_file=pathlib.Path({str(tmp_path)!r}) / "log", account=account,
            arguments=["/bin/sh", "-c", "id -u; exec sleep 60"],
        ))
        p.wait_until(lambda: server.log().strip().isdigit(), timeout_s=10, what="the server is up")
        print(server.pid, server.log().strip(), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(owner)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, uid = map(int, parent.stdout.readline().split())
        assert uid == (os.geteuid() if mode == "keep" else 65534)
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid), timeout_s=5, what="the server is gone")


def test_a_running_process_is_seen_as_a_living_child(sleeper: Process) -> None:
    assert sleeper.exit_code is None
    assert sleeper.pid in children_of(os.getpid())
    assert is_alive(sleeper.pid)
    sleeper.kill()
    assert sleeper.pid not in children_of(os.getpid())
    assert not is_alive(sleeper.pid)


def test_a_server_that_refuses_root_gets_an_account_it_can_work_with(tmp_path: Path) -> None:
    open_directory, closed_directory = Path("/usr"), tmp_path / "closed"
    closed_directory.mkdir(mode=0o700)
    if AS_ROOT:
        reachable = unprivileged_account(open_directory)
        assert reachable is not None
        assert not reachable.namespace
        assert reachable.uid != 0
        hidden = unprivileged_account(open_directory, closed_directory)
        assert hidden == Account(uid=reachable.uid, gid=reachable.gid, namespace=True)
    else:
        assert unprivileged_account(open_directory, closed_directory) is None


def test_free_ports_can_be_bound_and_lie_below_the_ephemeral_ones() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) > 15
    assert all(15_000 <= port < 32_000 for port in ports)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))


def test_a_port_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        candidates = iter([taken.getsockname()[1], 15_999])
        monkeypatch.setattr(random, "randrange", lambda *_: next(candidates))
        assert free_port() == 15_999


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(LocalStackError, match=r"the tide is out: not so after 0\.05 s"):
        wait_until(lambda: False, timeout_s=0.05, what="the tide is out")

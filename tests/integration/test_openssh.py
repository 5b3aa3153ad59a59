"""The tunnel of SSH_TUNNEL_CLIENT=system: what its ``ssh`` is told and may read, how it ends, what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3rs_ray.errors import ConfigError, SourceUnavailable
from s3rs_ray.local.process import is_alive, wait_until
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.scratch import OWNER, remove_leftovers
from s3rs_ray.tunnel import close_idle_tunnels
from tests.support.bastion import SSH, BastionServer, open_bastion
from tests.support.ray_nodes import session_processes
from tests.support.tunnels import ask, refused, through


@pytest.fixture(params=[SSH])
def bastion(request: pytest.FixtureRequest, tmp_path: Path, stack: LocalStack) -> Iterator[BastionServer]:
    """A bastion that leads to the stack's MariaDB, and settings that lead there by the machine's ssh."""
    with open_bastion(tmp_path, stack.settings.db_port) as running:
        running.client = request.param
        yield running
        close_idle_tunnels()


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def ssh_of(owner: int, bastion: BastionServer) -> tuple[int, str]:
    """Process id, and command line with environment, of the ssh that a process has started."""
    [found] = [
        (pid, text)
        for pid, text in session_processes(owner).items()
        if pid != owner and f"HostKeyAlias=[127.0.0.1]:{bastion.port}" in text
    ]
    return found


def directory_of(ssh: str) -> Path:
    """Where it listens."""
    words = ssh.split("\0")
    return Path(words[words.index("-L") + 1].partition(":")[0]).parent


linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")


@linux
def test_no_secret_is_on_the_command_line_in_the_environment_or_in_a_file(
    stack: LocalStack, bastion: BastionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "password of the source")
    monkeypatch.setenv("SSH_BASTION_KEY_PASSPHRASE", "open sesame")
    bastion.key_file.unlink()
    bastion.key.write_private_key_file(str(bastion.key_file), password="open sesame")
    ask(through(stack, bastion, SSH_BASTION_KEY_PASSPHRASE="open sesame"))
    _, ssh = ssh_of(os.getpid(), bastion)
    assert "sesame" not in ssh
    assert "password of" not in ssh
    directory = directory_of(ssh)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in directory.iterdir()} == {"ssh", "askpass", OWNER}
    assert "sesame" not in (directory / "askpass").read_text()


@linux
def test_one_that_was_killed_is_replaced_and_nothing_is_left_of_it_in_the_end(
    stack: LocalStack, bastion: BastionServer
) -> None:
    settings = through(stack, bastion)
    port = ask(settings)
    first, _ = ssh_of(os.getpid(), bastion)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_alive(first), timeout_s=10, what="the killed ssh is gone")
    assert ask(settings) == port
    second, words = ssh_of(os.getpid(), bastion)
    assert second != first
    assert bastion.logins == 2
    close_idle_tunnels()
    assert not is_alive(second)
    assert not directory_of(words).exists()


@linux
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_outlives_the_thread_that_asked_first_and_ends_with_the_process(
    stack: LocalStack, bastion: BastionServer, end: signal.Signals
) -> None:
    program = """
        import sys, threading, time
        from s3rs_ray.config import Settings
        from s3rs_ray.tunnel import open_source_tunnel
        def ask():
            with open_source_tunnel(Settings.load()):
                pass
        for _ in range(2):
            asker = threading.Thread(target=ask)
            asker.start()
            asker.join()
            time.sleep(0.2)
        print("open", flush=True)
        time.sleep(60)
    """
    environment = os.environ | stack.environment() | bastion.settings()
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "open\n"
            assert bastion.logins == 1
            ssh, words = ssh_of(owner.pid, bastion)
        finally:
            owner.send_signal(end)
    wait_until(lambda: not is_alive(ssh), timeout_s=10, what="ssh has ended")
    remove_leftovers(directory_of(words).parent)
    assert not directory_of(words).exists()


def test_a_key_that_others_can_read_is_refused_with_the_remedy(stack: LocalStack, bastion: BastionServer) -> None:
    bastion.key_file.chmod(0o644)
    error = refused(through(stack, bastion), ConfigError)
    assert str(bastion.key_file) in error.message
    assert "chmod 600" in error.hint


def test_a_bastion_that_says_nothing_is_given_up(stack: LocalStack, bastion: BastionServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        settings = through(stack, bastion, SSH_BASTION_PORT=port, DB_CONNECT_TIMEOUT_SECONDS="1")
        error = refused(settings, SourceUnavailable)
    assert "cannot open a tunnel" in error.message
    assert "timed out" in error.message


def test_paths_and_names_of_any_kind_reach_ssh_as_they_are(
    stack: LocalStack, bastion: BastionServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / 'a "b" %h \\ c'
    place.mkdir()
    key, known = place / "key", place / "known hosts"
    bastion.key_file.rename(key)
    bastion.known_hosts.rename(known)
    monkeypatch.chdir(tmp_path)
    own = {"SSH_BASTION_KEY_PATH": str(key), "SSH_KNOWN_HOSTS": str(known.relative_to(tmp_path))}
    ask(through(stack, bastion, **own))
    error = refused(through(stack, bastion, **own, SSH_BASTION_USER="-oProxyCommand=touch x"), SourceUnavailable)
    assert "cannot open a tunnel" in error.message
    assert not Path("x").exists()

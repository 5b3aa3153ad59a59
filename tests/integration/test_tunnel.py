"""The tunnel to MySQL: who is let in, whom we believe, one for all, and what becomes of it when the bastion dies."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.errors import ConfigError, SourceUnavailable
from s3rs_ray.local.process import wait_until
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.tunnel import close_idle_tunnels, open_source_tunnel
from tests.support.bastion import CLIENTS, BastionServer, open_bastion
from tests.support.tunnels import ask, refused, through

from .conftest import World


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """What makes the tunnel: both are as wary and as steady."""
    return str(request.param)


@pytest.fixture
def bastion(tmp_path: Path, stack: LocalStack, client: str) -> Iterator[BastionServer]:
    """A bastion that leads to the stack's MariaDB, and settings that lead there by the client."""
    with open_bastion(tmp_path, stack.settings.db_port) as running:
        running.client = client
        yield running
        close_idle_tunnels()


def test_all_who_ask_share_one_tunnel_that_stays_until_the_end(stack: LocalStack, bastion: BastionServer) -> None:
    settings = through(stack, bastion)
    port = ask(settings)
    threads = [threading.Thread(target=ask, args=(settings,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_source_tunnel(settings) as (_, again):
        assert again == port
        close_idle_tunnels()
        assert ask(settings) == port  # it was not idle
    assert (bastion.logins, bastion.connections) == (1, 1)
    close_idle_tunnels()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_an_unknown_host_is_never_trusted_silently(stack: LocalStack, bastion: BastionServer) -> None:
    bastion.known_hosts.unlink()
    error = refused(through(stack, bastion), ConfigError)
    assert f"[127.0.0.1]:{bastion.port} is not in {bastion.known_hosts}" in error.message
    assert bastion.host_key.fingerprint in error.message
    assert "SSH_TRUST_FIRST_USE" in error.hint
    assert not bastion.known_hosts.exists()


def test_trust_on_first_use_is_said_and_remembered(
    stack: LocalStack, bastion: BastionServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = tmp_path / "new" / "known_hosts"
    settings = through(stack, bastion, SSH_KNOWN_HOSTS=str(known), SSH_TRUST_FIRST_USE="true")
    with caplog.at_level(logging.WARNING):
        ask(settings)
    assert "is trusted on first use" in caplog.text
    assert known.read_text() == bastion.line()
    close_idle_tunnels()
    ask(through(stack, bastion, SSH_KNOWN_HOSTS=str(known)))


def test_a_host_key_that_changed_is_refused_even_where_the_first_use_is_trusted(
    stack: LocalStack, bastion: BastionServer
) -> None:
    bastion.host_key = paramiko.ECDSAKey.generate()
    error = refused(through(stack, bastion, SSH_TRUST_FIRST_USE="true"), ConfigError)
    assert "which is not the one in" in error.message
    assert "ssh-keygen -R" in error.hint


def test_a_host_that_shows_another_kind_of_key_than_the_known_one_is_not_one_of_a_first_use(
    stack: LocalStack, bastion: BastionServer
) -> None:
    bastion.host_key = paramiko.RSAKey.generate(2048)
    error = refused(through(stack, bastion, SSH_TRUST_FIRST_USE="true"), ConfigError)
    assert "which is not the one in" in error.message
    assert bastion.line() not in bastion.known_hosts.read_text()


def test_a_revoked_host_key_is_refused_and_other_lines_of_the_file_do_no_harm(
    stack: LocalStack, bastion: BastionServer
) -> None:
    key = bastion.line().split(" ", 1)[1]
    others = (
        f"\n# a comment\n@cert-authority *.example {key}other.example ssh-rsa AAAA\nnonsense\nh unknown-type AAAA\n"
    )
    bastion.known_hosts.write_text(others + bastion.line())
    ask(through(stack, bastion))
    close_idle_tunnels()
    for known in (bastion.line(), ""):
        bastion.known_hosts.write_text(f"{known}@revoked * {key}")
        error = refused(through(stack, bastion, SSH_TRUST_FIRST_USE="true"), ConfigError)
        assert "marks as revoked" in error.message
    assert bastion.line() not in bastion.known_hosts.read_text()


def test_among_several_kinds_of_host_keys_the_known_one_is_asked_for(stack: LocalStack, bastion: BastionServer) -> None:
    bastion.more_host_keys.append(paramiko.RSAKey.generate(2048))
    ask(through(stack, bastion))


def test_a_key_with_a_passphrase(stack: LocalStack, bastion: BastionServer) -> None:
    bastion.key_file.unlink()
    bastion.key.write_private_key_file(str(bastion.key_file), password="open sesame")
    error = refused(through(stack, bastion), ConfigError)
    assert "SSH_BASTION_KEY_PASSPHRASE" in error.message
    error = refused(through(stack, bastion, SSH_BASTION_KEY_PASSPHRASE="wrong word"), ConfigError)
    assert "wrong word" not in f"{error!r}{error.hint}"
    ask(through(stack, bastion, SSH_BASTION_KEY_PASSPHRASE="open sesame"))


def test_the_agents_keys_are_used_without_a_key_file_and_for_one_it_was_given(
    stack: LocalStack, bastion: BastionServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    error = refused(through(stack, bastion, SSH_BASTION_KEY_PATH=""), ConfigError)
    assert "there is no key to log in" in error.message
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            bastion.key_file.chmod(0o600)
            until = time.monotonic() + 20
            while not path.exists() and time.monotonic() < until:
                time.sleep(0.01)
            added = subprocess.run(
                ["ssh-add", "-q", str(bastion.key_file)], env=dict(os.environ), stdin=subprocess.DEVNULL
            )
            assert added.returncode == 0
            ask(through(stack, bastion, SSH_BASTION_KEY_PATH=""))
            close_idle_tunnels()
            bastion.key_file.unlink()
            bastion.key.write_private_key_file(str(bastion.key_file), password="only the agent knows")
            ask(through(stack, bastion))
        finally:
            agent.terminate()


def test_a_port_that_is_taken_is_not_insisted_on(stack: LocalStack, bastion: BastionServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        assert ask(through(stack, bastion, SSH_LOCAL_PORT=str(port))) != port
    close_idle_tunnels()
    assert ask(through(stack, bastion, SSH_LOCAL_PORT=str(port))) == port


def test_a_bastion_that_lets_nobody_in_or_is_gone(stack: LocalStack, bastion: BastionServer) -> None:
    error = refused(through(stack, bastion, SSH_BASTION_USER="stranger"), SourceUnavailable)
    assert "lets nobody in as stranger" in error.message
    settings = through(stack, bastion)
    ask(settings)
    bastion.kill()

    def unanswered() -> str:
        """Refused by the tunnel, or, before it has noticed the loss, by the session in it."""
        with pytest.raises(SourceUnavailable) as raised:
            ask(settings)
        return raised.value.message

    wait_until(lambda: "cannot open a tunnel" in unanswered(), timeout_s=10, what="the tunnel notices the loss")
    bastion.start()
    ask(settings)


def test_a_bastion_is_killed_and_started_again_during_a_sync(world: World, bastion: BastionServer) -> None:
    """The chunks under way are read again through a new connection; the run ends well."""
    world.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_3000")
    settings = Settings.load(
        environment=world.environment | bastion.settings(),
        flags={"backup_batch_size": 100, "backup_settle_seconds": 0, "backup_max_workers": 2},
    )
    files = 0

    def report(event: Event) -> None:
        nonlocal files
        files += event.kind is EventKind.CHUNK_DONE
        if event.kind is EventKind.CHUNK_DONE and files in (3, 12):
            bastion.kill()
            bastion.start()

    [result] = driver.sync(settings, Request(tables=(f"{world.schema}.t",), inline=True), report=report).tables
    assert not result.error, result
    assert result.rows_loaded == 3000
    assert bastion.logins == 3
    assert set(bastion.asked) == {(settings.db_host, settings.db_port)}
    world.assert_equal("t")

"""Without a bastion nothing stands between; with one, what is missing is said before anything is tried."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from s3rs_ray import tunnel
from s3rs_ray.config import Settings
from s3rs_ray.errors import ConfigError
from s3rs_ray.tunnel import open_source_tunnel, open_warehouse_tunnel


def test_without_a_bastion_the_same_address_comes_back() -> None:
    settings = Settings.load(
        environment={"DB_HOST": "mysql", "DB_PORT": "1", "REDSHIFT_HOST": "redshift", "REDSHIFT_PORT": "2"}
    )
    with open_source_tunnel(settings) as source, open_warehouse_tunnel(settings) as warehouse:
        assert source == ("mysql", 1)
        assert warehouse == ""


def test_each_end_has_a_bastion_of_its_own(tmp_path: Path) -> None:
    key = tmp_path / "none"
    settings = Settings.load(
        environment={"DB_HOST": "mysql", "REDSHIFT_SSH_BASTION_HOST": "b", "REDSHIFT_SSH_BASTION_KEY_PATH": str(key)}
    )
    with open_source_tunnel(settings) as source:
        assert source == ("mysql", 3306)
    refuse(open_warehouse_tunnel(settings), key)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    key = tmp_path / "none"
    settings = Settings.load(environment={"SSH_BASTION_HOST": "b", "SSH_BASTION_KEY_PATH": str(key)})
    refuse(open_source_tunnel(settings), key)


@pytest.mark.parametrize("prefix", ["SSH_BASTION", "REDSHIFT_SSH_BASTION"])
def test_a_system_without_ssh_is_told_how_to_get_one(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings.load(environment={f"{prefix}_HOST": "b", "SSH_TUNNEL_CLIENT": "system"})
    opened: AbstractContextManager[object] = (
        open_source_tunnel(settings) if prefix == "SSH_BASTION" else open_warehouse_tunnel(settings)
    )
    with pytest.raises(ConfigError, match="there is no ssh") as refused, opened:
        pass
    assert "openssh-client" in refused.value.hint
    assert "SSH_TUNNEL_CLIENT=builtin" in refused.value.hint


def test_the_variable_that_sshd_sets_in_every_session_is_none_of_ours() -> None:
    Settings.load(environment={"SSH_CLIENT": "192.0.2.1 50000 22"})


def refuse(opened: AbstractContextManager[object], key: Path) -> None:
    with pytest.raises(ConfigError, match="there is no key file") as refused, opened:
        pass
    assert str(key) in refused.value.message


class LostChannel:
    """A channel of paramiko whose connection is just being lost: whatever is sent through it raises (seen of both)."""

    def __init__(self) -> None:
        self.tried: list[str] = []

    def recv(self, size: int) -> bytes:
        return b""

    def sendall(self, data: bytes) -> None:
        raise OSError("Socket is closed")

    def shutdown(self, how: int) -> None:
        self.tried.append("shutdown")
        raise OSError("Socket is closed")

    def close(self) -> None:
        self.tried.append("close")
        raise EOFError


def test_a_session_whose_bastion_is_lost_while_it_ends_says_nothing() -> None:
    channel = LostChannel()
    tunnel._end(channel)
    assert channel.tried == ["shutdown", "close"]

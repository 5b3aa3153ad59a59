"""open_tunnel: the address of a server from here, through an SSH bastion where one is set. sshtunnel lives here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .config import Settings
from .errors import ConfigError, SourceUnavailable, WarehouseUnavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """An SSH server between here and a database."""

    host: str
    port: int
    user: str
    key_path: str
    local_port: int


@contextmanager
def open_source_tunnel(settings: Settings) -> Iterator[tuple[str, int]]:
    """Host and port of MySQL from here; without a bastion the same pair comes back."""
    bastion = Bastion(
        host=settings.ssh_bastion_host,
        port=settings.ssh_bastion_port,
        user=settings.ssh_bastion_user,
        key_path=settings.ssh_bastion_key_path,
        local_port=settings.ssh_local_port,
    )
    with _open_tunnel(bastion, settings.db_host, settings.db_port, SourceUnavailable) as address:
        yield address


@contextmanager
def open_warehouse_tunnel(settings: Settings) -> Iterator[tuple[str, int]]:
    """Host and port of Redshift from here; without a bastion the same pair comes back."""
    bastion = Bastion(
        host=settings.redshift_ssh_bastion_host,
        port=settings.redshift_ssh_bastion_port,
        user=settings.redshift_ssh_bastion_user,
        key_path=settings.redshift_ssh_bastion_key_path,
        local_port=settings.redshift_ssh_local_port,
    )
    with _open_tunnel(bastion, settings.redshift_host, settings.redshift_port, WarehouseUnavailable) as address:
        yield address


@contextmanager
def _open_tunnel(
    bastion: Bastion, host: str, port: int, unavailable: type[SourceUnavailable | WarehouseUnavailable]
) -> Iterator[tuple[str, int]]:
    if not bastion.host:
        yield host, port
        return
    import sshtunnel  # imports paramiko, half a second that a direct connection need not pay

    if bastion.key_path and not Path(bastion.key_path).expanduser().is_file():
        raise ConfigError(
            f"there is no key file {bastion.key_path}", hint="give the private key's path in SSH_BASTION_KEY_PATH"
        )
    forwarder = sshtunnel.SSHTunnelForwarder(
        (bastion.host, bastion.port),
        ssh_username=bastion.user or None,
        ssh_pkey=str(Path(bastion.key_path).expanduser()) if bastion.key_path else None,
        remote_bind_address=(host, port),
        local_bind_address=("127.0.0.1", bastion.local_port),  # it binds 0.0.0.0 unless told
        set_keepalive=30.0,
    )
    try:
        forwarder.start()
    except (sshtunnel.BaseSSHTunnelForwarderError, OSError) as exc:
        forwarder.stop(force=True)  # a forwarder that is not stopped keeps the interpreter from exiting
        raise unavailable(
            f"cannot open a tunnel to {host}:{port} through {bastion.user}@{bastion.host}:{bastion.port}: {exc}",
            hint="check the SSH_BASTION_… settings, the key and the network",
        ) from exc
    try:
        yield "127.0.0.1", int(forwarder.local_bind_port)
    finally:
        forwarder.stop(force=True)

"""The way to a server from here, through an SSH bastion where one is set. sshtunnel lives here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .config import Settings
from .errors import ConfigError, SourceUnavailable, WarehouseUnavailable

if TYPE_CHECKING:
    import sshtunnel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """An SSH server between here and a database."""

    host: str
    port: int
    user: str
    key_path: str


@contextmanager
def open_source_tunnel(settings: Settings) -> Iterator[tuple[str, int]]:
    """Host and port of MySQL from here; without a bastion the same pair comes back."""
    bastion = Bastion(
        host=settings.ssh_bastion_host,
        port=settings.ssh_bastion_port,
        user=settings.ssh_bastion_user,
        key_path=settings.ssh_bastion_key_path,
    )
    remote = (settings.db_host, settings.db_port)
    if not bastion.host:
        yield remote
        return
    end = ("127.0.0.1", settings.ssh_local_port)  # it binds 0.0.0.0 unless told
    with _open_forwarder(bastion, remote, (end,), SourceUnavailable) as forwarder:
        yield "127.0.0.1", int(forwarder.local_bind_port)


@contextmanager
def open_warehouse_tunnel(settings: Settings) -> Iterator[str]:
    """The unix socket of a tunnel to Redshift; empty without a bastion.

    Through a socket without an address, the driver still knows Redshift by its own name: TLS verifies the certificate
    against it, and an IAM login reads region and workgroup off it.
    """
    bastion = Bastion(
        host=settings.redshift_ssh_bastion_host,
        port=settings.redshift_ssh_bastion_port,
        user=settings.redshift_ssh_bastion_user,
        key_path=settings.redshift_ssh_bastion_key_path,
    )
    if not bastion.host:
        yield ""
        return
    with TemporaryDirectory(prefix="s3rs-") as directory:  # its mode lets nobody else use the tunnel
        socket = str(Path(directory) / "redshift")
        port = settings.redshift_ssh_local_port
        ends = (socket, ("127.0.0.1", port)) if port else (socket,)
        remote = (settings.redshift_host, settings.redshift_port)
        with _open_forwarder(bastion, remote, ends, WarehouseUnavailable):
            yield socket


@contextmanager
def _open_forwarder(
    bastion: Bastion,
    remote: tuple[str, int],
    ends: Sequence[str | tuple[str, int]],
    unavailable: type[SourceUnavailable | WarehouseUnavailable],
) -> Iterator[sshtunnel.SSHTunnelForwarder]:
    """Leads local ends, TCP ports or unix sockets, to a server behind a bastion."""
    import sshtunnel  # imports paramiko, half a second that a direct connection need not pay

    host, port = remote
    if bastion.key_path and not Path(bastion.key_path).expanduser().is_file():
        raise ConfigError(
            f"there is no key file {bastion.key_path}", hint="give the private key's path in SSH_BASTION_KEY_PATH"
        )
    forwarder = sshtunnel.SSHTunnelForwarder(
        (bastion.host, bastion.port),
        ssh_username=bastion.user or None,
        ssh_pkey=str(Path(bastion.key_path).expanduser()) if bastion.key_path else None,
        remote_bind_addresses=[remote] * len(ends),
        local_bind_addresses=list(ends),
        set_keepalive=30.0,
    )
    try:
        forwarder.start()
        for server in forwarder._server_list:
            server.handle_error = _say_failure  # a unix socket's would print a traceback
    except (sshtunnel.BaseSSHTunnelForwarderError, OSError) as exc:
        _give_up(forwarder)
        raise unavailable(
            f"cannot open a tunnel to {host}:{port} through {bastion.user}@{bastion.host}:{bastion.port}: {exc}",
            hint="check the SSH_BASTION_… settings, the key and the network",
        ) from exc
    try:
        yield forwarder
    finally:
        forwarder.stop(force=True)


def _give_up(forwarder: sshtunnel.SSHTunnelForwarder) -> None:
    """Stops a forwarder that could not start; one that is not stopped keeps the interpreter from exiting."""
    if not forwarder.is_active:  # its servers do not serve yet, and stop() would wait for them for ever
        for server in forwarder._server_list:
            server.server_close()
        forwarder._server_list.clear()
    forwarder.stop(force=True)


def _say_failure(request: object, address: object) -> None:
    error = sys.exc_info()[1]
    if type(error).__name__ == "HandlerSSHTunnelForwarderError":
        log.warning("the bastion does not lead on: %s", error)
    else:  # a session that ends while the other side is gone
        log.debug("a session through the tunnel ended: %r", error)

"""An SSH server on 127.0.0.1 that lets one key in and leads every address asked for to one port here."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from select import select

import paramiko

USER = "jump"


class Bastion(paramiko.ServerInterface):  # type: ignore[misc]
    """The server of one connection.

    Attributes:
        asked: the addresses clients wanted to be led to.
    """

    def __init__(self, key: paramiko.PKey, port: int, asked: list[tuple[str, int]]) -> None:
        self._key, self._port, self.asked = key, port, asked
        self.ends: dict[int, socket.socket] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == USER and key.asbytes() == self._key.asbytes()
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self.asked.append((destination[0], destination[1]))
        try:
            self.ends[chanid] = socket.create_connection(("127.0.0.1", self._port), 5)
        except OSError:
            return int(paramiko.OPEN_FAILED_CONNECT_FAILED)
        return int(paramiko.OPEN_SUCCEEDED)


@contextlib.contextmanager
def open_bastion(directory: Path, leads_to: int) -> Iterator[tuple[dict[str, str], list[tuple[str, int]]]]:
    """Runs a bastion; yields the settings that lead through it, and the addresses it is asked for as they come."""
    key = paramiko.RSAKey.generate(2048)
    key_file = directory / "bastion-key"
    key.write_private_key_file(str(key_file))
    asked: list[tuple[str, int]] = []
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, key, leads_to, asked, transports), daemon=True).start()
        settings = {
            "REDSHIFT_SSH_BASTION_HOST": "127.0.0.1",
            "REDSHIFT_SSH_BASTION_PORT": str(listener.getsockname()[1]),
            "REDSHIFT_SSH_BASTION_USER": USER,
            "REDSHIFT_SSH_BASTION_KEY_PATH": str(key_file),
        }
        yield settings, asked
        listener.shutdown(socket.SHUT_RDWR)
    for transport in transports:
        transport.close()


def _accept(
    listener: socket.socket,
    key: paramiko.PKey,
    leads_to: int,
    asked: list[tuple[str, int]],
    transports: list[paramiko.Transport],
) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        transport = paramiko.Transport(client)
        transport.set_log_channel("bastion")  # sshtunnel prints what the channel "paramiko.transport" logs
        transports.append(transport)
        transport.add_server_key(paramiko.ECDSAKey.generate())
        server = Bastion(key, leads_to, asked)
        with contextlib.suppress(paramiko.SSHException, EOFError):
            transport.start_server(server=server)
            threading.Thread(target=_serve, args=(transport, server), daemon=True).start()


def _serve(transport: paramiko.Transport, server: Bastion) -> None:
    while transport.is_active():
        channel = transport.accept(1)
        if channel is not None:
            end = server.ends.pop(channel.chanid)
            threading.Thread(target=_pump, args=(channel, end), daemon=True).start()


def _pump(channel: paramiko.Channel, end: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError, EOFError, paramiko.SSHException), end, channel:  # closed meanwhile
        while True:
            ready, _, _ = select([channel, end], [], [], 30)
            for one, other in ((channel, end), (end, channel)):
                if one in ready:
                    data = one.recv(1 << 15)
                    if not data:
                        return
                    other.sendall(data)

"""An SSH server on 127.0.0.1 that lets one key in and leads every address asked for to one port here."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from select import select

import paramiko
import pytest

USER = "jump"
SSH = pytest.param("system", marks=pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here"))
CLIENTS = ("builtin", SSH)
"""What SSH_TUNNEL_CLIENT may be, for tests of both."""


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


class BastionServer:
    """A bastion on a port of its own, which may be killed and started again.

    Attributes:
        client: what settings() has logged in by.
        asked: the addresses clients wanted to be led to, as they come.
        logins: how many connections were made to it.
    """

    def __init__(self, directory: Path, leads_to: int) -> None:
        self._directory, self._leads_to = directory, leads_to
        self.key = paramiko.RSAKey.generate(2048)
        self.key_file = directory / "bastion-key"
        self.key.write_private_key_file(str(self.key_file))
        self.known_hosts = directory / "known_hosts"
        self.host_key = paramiko.ECDSAKey.generate()
        self.more_host_keys: list[paramiko.PKey] = []
        self.client = "builtin"
        self.asked: list[tuple[str, int]] = []
        self.logins = 0
        self._transports: list[paramiko.Transport] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.known_hosts.write_text(self.line())

    def line(self) -> str:
        """Its line in known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def settings(self, prefix: str = "SSH_BASTION") -> dict[str, str]:
        """What leads through it."""
        return {
            f"{prefix}_HOST": "127.0.0.1",
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_USER": USER,
            f"{prefix}_KEY_PATH": str(self.key_file),
            "SSH_KNOWN_HOSTS": str(self.known_hosts),
            "SSH_TUNNEL_CLIENT": self.client,
        }

    def start(self) -> None:
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def kill(self) -> None:
        """Ends it and all that goes through it, without a word."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.sock.close()
            transport.close()
        self._transports.clear()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return sum(t.is_active() for t in self._transports)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.logins += 1
            transport = paramiko.Transport(client)
            transport.set_log_channel("bastion")
            self._transports.append(transport)
            for key in (*self.more_host_keys, self.host_key):
                transport.add_server_key(key)
            server = Bastion(self.key, self._leads_to, self.asked)
            # OSError: a client that is refused may be gone, by a reset, before this side has seen the keys agreed upon.
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=server)
                threading.Thread(target=_serve, args=(transport, server), daemon=True).start()


@contextlib.contextmanager
def open_bastion(directory: Path, leads_to: int) -> Iterator[BastionServer]:
    """A running bastion that leads every address to a port here."""
    bastion = BastionServer(directory, leads_to)
    bastion.start()
    try:
        yield bastion
    finally:
        bastion.kill()


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

"""A port on another address that leads to a server of this machine, for whom 127.0.0.1 does not lead there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def forward(listener: socket.socket, port: int) -> Iterator[int]:
    """The port of a listener whose connections are carried to ``port`` of 127.0.0.1. Closes the listener."""
    sessions: list[_Session] = []
    with listener:
        accepting = threading.Thread(target=_accept, args=(listener, port, sessions))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for session in sessions:
                session.end()
                session.join()


class _Session(threading.Thread):
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        super().__init__(name="forward")
        self._client, self._server = client, server

    def run(self) -> None:
        back = threading.Thread(target=self._carry, args=(self._server, self._client))
        with self._client, self._server:
            back.start()
            self._carry(self._client, self._server)
            back.join()

    def end(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 18):
                other.sendall(data)
        self.end()


def _accept(listener: socket.socket, port: int, sessions: list[_Session]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            continue
        sessions.append(_Session(client, server))
        sessions[-1].start()

"""A link of bounded speed between the product and the source: bytes that come back are let through at so many a second.

On one machine every server shares the cores, and what keeps a program from being fast is the cores alone. Behind a link
the network is, as it is for a source in another place; what two stages do side by side can be seen then.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 64 * 1024
BURST_S = 0.02
"""How long the link may lag behind before it waits: sleeps are no finer than this."""


@dataclass(slots=True)
class Pace:
    """Lets so many bytes a second through, over all connections together; thread-safe.

    Attributes:
        bytes_per_second: of the link.
        free_at: when what was let through until now has passed, on the monotonic clock.
    """

    bytes_per_second: float
    free_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, size: int) -> float:
        """The seconds to wait before ``size`` bytes have passed."""
        with self.lock:
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + size / self.bytes_per_second
            return self.free_at - now


@contextmanager
def open_link(host: str, port: int, bytes_per_second: float) -> Iterator[int]:
    """A port on 127.0.0.1 behind which the server answers at most so fast."""
    pace = Pace(bytes_per_second)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener, host, port, pace), name="link", daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, host: str, port: int, pace: Pace) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((host, port))
            threading.Thread(target=_connect, args=(client, server, pace), name="link", daemon=True).start()


def _connect(client: socket.socket, server: socket.socket, pace: Pace) -> None:
    with client, server:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asking = threading.Thread(target=_pass_on, args=(client, server, None), name="link", daemon=True)
        asking.start()
        _pass_on(server, client, pace)
        asking.join()


def _pass_on(source: socket.socket, target: socket.socket, pace: Pace | None) -> None:
    """Until one end is closed; the other one is told."""
    with suppress(OSError):
        while piece := source.recv(PIECE):
            if pace is not None and (wait := pace.take(len(piece))) > BURST_S:
                time.sleep(wait)
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

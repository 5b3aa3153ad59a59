"""One session with the PostgreSQL behind the stand-in, over its unix socket with trust authentication."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from s3rs_ray.local.redshift.translation import translate_error
from s3rs_ray.local.redshift.wire import PROTOCOL_3, Channel, ConnectionLost, cstrings

__all__ = ["Backend", "BackendAddress", "Rows", "parse_error", "send_cancel"]

Rows = list[tuple[str | None, ...]]
_LARGE = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAddress:
    """Where the PostgreSQL is: the folder of its socket, its port, the user that owns it, the database."""

    socket_dir: str
    port: int
    user: str
    database: str

    @property
    def socket_path(self) -> str:
        """The unix socket itself."""
        return str(Path(self.socket_dir) / f".s.PGSQL.{self.port}")


def parse_error(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their one-letter keys."""
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


def send_cancel(address: BackendAddress, body: bytes) -> None:
    """Passes a CancelRequest on: the same process id and secret, which are PostgreSQL's own."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address.socket_path)
        sock.sendall(struct.pack("!i", len(body) + 4) + body)


@dataclass(slots=True)
class Backend:
    """A session with PostgreSQL.

    Attributes:
        status: the transaction status of the last ReadyForQuery: ``I`` idle, ``T`` in a transaction, ``E`` failed.
        pid: the process id of the PostgreSQL session, which is also the client's session id.
        key: the body of BackendKeyData.
        on_notice: called with the body of every notice.
    """

    channel: Channel
    status: str = "I"
    pid: int = 0
    key: bytes = b""
    parameters: dict[str, str] = field(default_factory=dict)
    on_notice: Callable[[bytes], None] = lambda _body: None

    @classmethod
    def open(cls, address: BackendAddress, user: str, settings: dict[str, str]) -> Backend:
        """Connects as ``user``.

        Raises:
            BackendError: PostgreSQL refused the session.
            ConnectionLost: PostgreSQL is not there.
        """
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(address.socket_path)
        except OSError as error:
            sock.close()
            raise ConnectionLost(f"no PostgreSQL at {address.socket_path}: {error}") from error
        # A larger buffer lets the encoding of a load run ahead of PostgreSQL.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        backend = cls(Channel(sock))
        pairs = {"user": user, "database": address.database, **settings}
        body = struct.pack("!i", PROTOCOL_3) + cstrings(*(x for pair in pairs.items() for x in pair)) + b"\0"
        backend.channel.write_raw(struct.pack("!i", len(body) + 4) + body)
        backend.drain()
        return backend

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Queues a message to PostgreSQL."""
        self.channel.write(kind, body)

    def receive(self) -> tuple[bytes, bytes]:
        """The next message that answers something; notices and status changes are taken care of on the way."""
        self.channel.flush()
        while True:
            kind, body = self.channel.read_message()
            if kind == b"N":
                self.on_notice(body)
            elif kind == b"S":
                name, _, value = body.rstrip(b"\0").partition(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif kind == b"K":
                self.key, self.pid = body, int.from_bytes(body[:4], "big")
            elif kind == b"Z":
                self.status = body.decode()
                return kind, body
            elif kind != b"A":
                return kind, body

    def drain(self) -> Rows:
        """Reads until ReadyForQuery and returns the rows that came.

        Raises:
            BackendError: PostgreSQL answered with an error.
        """
        rows: Rows = []
        error: dict[str, str] | None = None
        while True:
            kind, body = self.receive()
            if kind == b"D":
                rows.append(_text_row(body))
            elif kind == b"E":
                error = error or parse_error(body)
                if error.get("S") == "FATAL":
                    break
            elif kind == b"Z":
                break
        if error is not None:
            raise translate_error(error, self.pid)
        return rows

    def query(self, sql: str) -> Rows:
        """Runs ``sql`` by the simple protocol; values come as text.

        Raises:
            BackendError: PostgreSQL answered with an error.
        """
        self.send(b"Q", cstrings(sql))
        return self.drain()

    def abort(self) -> None:
        """Puts an open transaction into the failed state, as an error of the server's own would have done."""
        if self.status == "T":
            self.send(b"Q", cstrings("DO $$ BEGIN RAISE EXCEPTION 'refused by the gate'; END $$"))
            while self.receive()[0] != b"Z":
                pass

    def start_copy(self, sql: str) -> None:
        """Opens a COPY FROM STDIN.

        Raises:
            BackendError: PostgreSQL refused it; the session is ready again.
        """
        self.send(b"Q", cstrings(sql))
        kind, body = self.receive()
        if kind == b"E":
            error = parse_error(body)
            self.drain()
            raise translate_error(error, self.pid)

    def send_copy_data(self, data: bytes) -> None:
        """Sends one piece of a COPY; large pieces are cut so that no message grows without bound."""
        view = memoryview(data)
        for at in range(0, len(view), _LARGE):
            part = view[at : at + _LARGE]
            self.channel.send_parts([b"d" + (len(part) + 4).to_bytes(4, "big"), part])

    def finish_copy(self) -> None:
        """Ends a COPY that went well.

        Raises:
            BackendError: PostgreSQL found something wrong in the data.
        """
        self.send(b"c")
        self.drain()

    def fail_copy(self) -> None:
        """Ends a COPY that must not count; an open transaction is failed by it."""
        self.send(b"f", cstrings("the load was given up"))
        while self.receive()[0] != b"Z":
            pass

    def close(self) -> None:
        """Ends the session; an open transaction is rolled back."""
        try:
            self.send(b"X")
            self.channel.flush()
        except ConnectionLost:
            # Already gone, which is what was asked for.
            return
        finally:
            self.channel.close()


def _text_row(body: bytes) -> tuple[str | None, ...]:
    values: list[str | None] = []
    at = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        length = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[at : at + length].decode("utf-8"))
            at += length
    return tuple(values)

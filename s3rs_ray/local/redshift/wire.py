"""The messages of the PostgreSQL protocol 3.0, which Redshift speaks: framing, start-up, passwords.

Source: PostgreSQL documentation, "Message Formats"; for what redshift_connector sends, redshift.md, "The driver".
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterable

from s3rs_ray.local.redshift.sqlerror import SqlError

__all__ = [
    "CANCEL_CODE",
    "GSS_CODE",
    "PROTOCOL_3",
    "SSL_CODE",
    "Channel",
    "ConnectionLost",
    "cstrings",
    "md5_answer",
    "md5_secret",
    "message",
    "parse_startup",
    "split_cstring",
]

PROTOCOL_3 = 196608
SSL_CODE = 80877103
GSS_CODE = 80877104
CANCEL_CODE = 80877102
_CHUNK = 1 << 16
_MAX_MESSAGE = 1 << 30


class ConnectionLost(Exception):
    """The other side closed the connection or sent something that is no message."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One framed message: its type, its length in bytes (counting itself), its body."""
    return kind + struct.pack("!i", len(body) + 4) + body


def cstrings(*texts: str) -> bytes:
    """The texts in UTF-8, each ended by a zero byte."""
    return b"".join(text.encode() + b"\0" for text in texts)


def split_cstring(body: bytes, at: int) -> tuple[str, int]:
    """The zero-ended text at ``at`` and the position after it.

    Raises:
        SqlError: 22021 for what is not UTF-8.
        ValueError: there is no zero byte.
    """
    end = body.index(b"\0", at)
    try:
        return body[at:end].decode("utf-8"), end + 1
    except UnicodeDecodeError as error:
        raise SqlError("22021", 'invalid byte sequence for encoding "UNICODE"') from error


def parse_startup(body: bytes) -> dict[str, str]:
    """The keys and values of a start-up packet, whatever they are called.

    redshift_connector sends keys PostgreSQL refuses (``client_protocol_version``, ``driver_version``...).
    """
    texts = body.rstrip(b"\0").split(b"\0")
    if len(texts) % 2:
        # An empty last value lost its terminator to the strip above.
        texts.append(b"")
    return {texts[i].decode("utf-8"): texts[i + 1].decode("utf-8") for i in range(0, len(texts), 2) if texts[i]}


def md5_secret(user: str, password: str) -> str:
    """What is stored of a password: md5(password + user) in hex."""
    return hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()


def md5_answer(secret: str, salt: bytes) -> str:
    """The answer a client must give to an md5 challenge."""
    return "md5" + hashlib.md5(secret.encode() + salt, usedforsecurity=False).hexdigest()


class Channel:
    """A socket that is read and written by whole messages; writes are kept until :meth:`flush`.

    Raises:
        ConnectionLost: from every reading and writing method, when the other side is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._in = bytearray()
        self._at = 0
        self._out = bytearray()

    def read_exact(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        while len(self._in) - self._at < count:
            self._fill()
        data = bytes(self._in[self._at : self._at + count])
        self._at += count
        return data

    def read_message(self) -> tuple[bytes, bytes]:
        """The next message: its one-byte type and its body."""
        head = self.read_exact(5)
        length = int.from_bytes(head[1:], "big")
        if not 4 <= length <= _MAX_MESSAGE:
            raise ConnectionLost(f"a message of {length} bytes")
        return head[:1], self.read_exact(length - 4)

    @property
    def has_input(self) -> bool:
        """Whether bytes were already received that nobody has read."""
        return len(self._in) > self._at

    def write(self, kind: bytes, body: bytes = b"") -> None:
        """Queues one message."""
        self._out += kind
        self._out += (len(body) + 4).to_bytes(4, "big")
        self._out += body
        if len(self._out) >= _CHUNK:
            self.flush()

    def write_raw(self, data: bytes) -> None:
        """Queues bytes as they are (start-up packets, single-byte answers)."""
        self._out += data

    def flush(self) -> None:
        """Sends what is queued."""
        if self._out:
            data, self._out = self._out, bytearray()
            self._send(data)

    def send_parts(self, parts: Iterable[bytes | memoryview]) -> None:
        """Sends large parts at once, without copying them into the queue."""
        self.flush()
        for part in parts:
            self._send(part)

    def close(self) -> None:
        """Closes the socket; what was queued is lost."""
        self.sock.close()

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def _fill(self) -> None:
        if self._at:
            del self._in[: self._at]
            self._at = 0
        try:
            data = self.sock.recv(_CHUNK)
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not data:
            raise ConnectionLost("the other side closed the connection")
        self._in += data

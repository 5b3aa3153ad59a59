"""Listens for clients on 127.0.0.1 and gives each its own thread, session and PostgreSQL session."""

from __future__ import annotations

import logging
import re
import secrets
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path

from s3rs_ray.local.redshift.backend import Backend, BackendAddress, send_cancel
from s3rs_ray.local.redshift.catalog import create_catalog, create_users, load_type_codes
from s3rs_ray.local.redshift.copying import Copying
from s3rs_ray.local.redshift.faults import Faults
from s3rs_ray.local.redshift.longnames import LongNames
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.objects import S3Access
from s3rs_ray.local.redshift.rows import Codes
from s3rs_ray.local.redshift.session import Session
from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.tokens import quote_literal
from s3rs_ray.local.redshift.wire import (
    CANCEL_CODE,
    GSS_CODE,
    PROTOCOL_3,
    SSL_CODE,
    Channel,
    ConnectionLost,
    cstrings,
    md5_answer,
    parse_startup,
)

__all__ = ["RedshiftServer", "ServerSettings"]

_log = logging.getLogger(__name__)
_MAX_STARTUP = 1 << 16

_SESSION_SETTINGS = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "jit": "off",
}
# What a client is told of itself. redshift_connector needs 8.0.2 and no server_protocol_version.
_PARAMETERS = {
    "server_version": "8.0.2",
    "server_encoding": "UNICODE",
    "client_encoding": "UTF8",
    "integer_datetimes": "on",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "standard_conforming_strings": "off",
    "max_numeric_precision": "38",
}
# A name that GetClusterCredentials or GetCredentials gave stands for the user behind it.
_TEMPORARY = re.compile("^IAMA?:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the server is started with.

    Attributes:
        backend: the PostgreSQL behind it.
        users: name to password; the first is the superuser.
        s3: where the files of a COPY are.
        port: to listen on; 0 takes a free one.
        control_file: where faults are set, or None.
        tls_cert: certificate in PEM, or None to refuse TLS.
        tls_key: its key in PEM, or None.
    """

    backend: BackendAddress
    users: dict[str, str] = field(repr=False)
    s3: S3Access
    port: int = 0
    control_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


class RedshiftServer:
    """The listening server.

    Args:
        settings: see :class:`ServerSettings`.

    Raises:
        ConnectionLost: the PostgreSQL is not there.
        SqlError: it refused what is created in it beforehand.
        OSError: the port is taken.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._faults = Faults(settings.control_file)
        admin = self._open_admin()
        try:
            create_catalog(admin, settings.backend.database)
            create_users(admin, settings.users)
            self._codes = Codes(load_type_codes(admin), LongNames(self._open_admin))
        finally:
            admin.close()
        self._tls = _tls_context(settings)
        self._socket = socket.create_server(("127.0.0.1", settings.port), backlog=128)
        self.host, self.port = self._socket.getsockname()[:2]

    def serve(self) -> None:
        """Accepts clients for as long as the process lives."""
        while True:
            sock, _ = self._socket.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve_client, args=(sock,), daemon=True, name="client").start()

    def _open_admin(self) -> Backend:
        address = self._settings.backend
        return Backend.open(address, address.user, {"client_min_messages": "warning", "jit": "off"})

    def _serve_client(self, sock: socket.socket) -> None:
        channel = Channel(sock)
        backend: Backend | None = None
        try:
            self._faults.strike("accept")
            backend = self._open_session(channel)
            if backend is None:
                return
            copying = Copying(self._settings.s3, self._faults, self._open_admin)
            Session(client=channel, backend=backend, codes=self._codes, copying=copying, faults=self._faults).run()
        except (ConnectionLost, ValueError, IndexError, struct.error) as error:
            # The last three are what a malformed message looks like to its reader.
            _log.debug("a session ended: %s", error)
        except SqlError as error:
            _log.debug("a client was not let in: %s", error.message)
            _say_goodbye(channel, error)
        finally:
            if backend is not None:
                backend.close()
            channel.close()

    def _open_session(self, channel: Channel) -> Backend | None:
        """Start-up: TLS, cancel requests, authentication. None when there is no session to serve."""
        while True:
            length = int.from_bytes(channel.read_exact(4), "big")
            if not 8 <= length <= _MAX_STARTUP:
                raise ConnectionLost("not a start-up packet")
            body = channel.read_exact(length - 4)
            code = int.from_bytes(body[:4], "big")
            if code == SSL_CODE:
                self._start_tls(channel)
            elif code == GSS_CODE:
                channel.write_raw(b"N")
                channel.flush()
            elif code == CANCEL_CODE:
                send_cancel(self._settings.backend, body)
                return None
            elif code == PROTOCOL_3:
                return self._log_in(channel, parse_startup(body[4:]))
            else:
                raise SqlError("08P01", f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}")

    def _start_tls(self, channel: Channel) -> None:
        channel.write_raw(b"S" if self._tls else b"N")
        channel.flush()
        if self._tls is None:
            return
        try:
            channel.sock = self._tls.wrap_socket(channel.sock, server_side=True)
        except OSError as error:
            raise ConnectionLost(f"no TLS: {error}") from error

    def _log_in(self, channel: Channel, wishes: dict[str, str]) -> Backend:
        user, database = wishes.get("user", ""), wishes.get("database", wishes.get("user", ""))
        self._authenticate(channel, user)
        address = self._settings.backend
        if database != address.database:
            raise SqlError("3D000", f'database "{database}" does not exist', severity="FATAL")
        settings = {**_SESSION_SETTINGS, "redshift.application_name": wishes.get("application_name", "")}
        backend = Backend.open(address, _TEMPORARY.sub("", user), settings)
        channel.write(b"R", (0).to_bytes(4, "big"))
        for name, value in {**_PARAMETERS, "session_authorization": user}.items():
            channel.write(b"S", cstrings(name, value))
        channel.write(b"K", backend.key)
        channel.write(b"Z", b"I")
        return backend

    def _authenticate(self, channel: Channel, user: str) -> None:
        salt = secrets.token_bytes(4)
        channel.write(b"R", (5).to_bytes(4, "big") + salt)
        channel.flush()
        kind, body = channel.read_message()
        if kind != b"p":
            raise ConnectionLost("no password")
        admin = self._open_admin()
        try:
            rows = admin.query(f"SELECT secret FROM {INTERNAL_SCHEMA}.passwords WHERE name = {quote_literal(user)}")
        finally:
            admin.close()
        expected = md5_answer(str(rows[0][0]), salt) if rows and rows[0][0] else secrets.token_hex()
        if not secrets.compare_digest(body.rstrip(b"\0"), expected.encode()):
            raise SqlError("28000", f'password authentication failed for user "{user}"', severity="FATAL")


def _tls_context(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


def _say_goodbye(channel: Channel, error: SqlError) -> None:
    try:
        channel.write(b"E", error.fields())
        channel.flush()
    except ConnectionLost:
        _log.debug("the client did not wait for the reason")

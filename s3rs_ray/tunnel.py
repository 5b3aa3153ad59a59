"""The way to a server from here, through an SSH bastion where one is set."""

from __future__ import annotations

import atexit
import errno
import functools
import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .bastion import Bastion, Refused, log_in
from .config import Settings
from .errors import ConfigError, SourceUnavailable, WarehouseUnavailable
from .openssh import start_ssh
from .scratch import open_scratch

log = logging.getLogger(__name__)

PIECE_BYTES = 2**18

End = str | tuple[str, int]
"""A unix socket's path, or a TCP address."""


@contextmanager
def open_source_tunnel(settings: Settings) -> Iterator[tuple[str, int]]:
    """Host and port of MySQL from here; without a bastion the same pair comes back.

    All who ask in one process share one tunnel. It stays open for the next, until :func:`close_idle_tunnels` or the end
    of the process, and is connected anew when the bastion was lost meanwhile.

    Raises:
        ConfigError: no key, or a host that is not known. SourceUnavailable: the bastion lets nobody through.
    """
    bastion = _source_bastion(settings)
    remote = (settings.db_host, settings.db_port)
    if not bastion.host:
        yield remote
        return
    tunnel = _take(bastion, remote, settings.ssh_local_port)
    try:
        yield "127.0.0.1", tunnel.port
    finally:
        with _lock:
            tunnel.users -= 1


def close_idle_tunnels() -> None:
    """Closes the shared tunnels that nobody uses at the moment."""
    with _lock:
        idle = [key for key, tunnel in _shared.items() if not tunnel.users]
        for key in idle:
            _shared.pop(key).close()


@contextmanager
def open_warehouse_tunnel(settings: Settings) -> Iterator[str]:
    """The unix socket of a tunnel to Redshift; empty without a bastion.

    Through a socket without an address, the driver still knows Redshift by its own name: TLS verifies the certificate
    against it, and an IAM login reads region and workgroup off it.
    """
    bastion = _warehouse_bastion(settings)
    if not bastion.host:
        yield ""
        return
    with open_scratch() as directory:  # where nobody else can use the tunnel
        path = str(Path(directory) / "redshift")
        port = settings.redshift_ssh_local_port
        ends: tuple[End, ...] = (path, ("127.0.0.1", port)) if port else (path,)
        tunnel = Tunnel(bastion, (settings.redshift_host, settings.redshift_port), WarehouseUnavailable)
        try:
            tunnel.connect()
            tunnel.listen(ends)
            yield path
        finally:
            tunnel.close()


def _source_bastion(settings: Settings) -> Bastion:
    return Bastion(
        host=settings.ssh_bastion_host,
        port=settings.ssh_bastion_port,
        user=settings.ssh_bastion_user,
        key_path=settings.ssh_bastion_key_path,
        passphrase=settings.ssh_bastion_key_passphrase,
        known_hosts=settings.ssh_known_hosts,
        trust_first_use=settings.ssh_trust_first_use,
        seconds=settings.db_connect_timeout_seconds,
        prefix="SSH_BASTION",
        client=settings.ssh_tunnel_client,
    )


def _warehouse_bastion(settings: Settings) -> Bastion:
    return Bastion(
        host=settings.redshift_ssh_bastion_host,
        port=settings.redshift_ssh_bastion_port,
        user=settings.redshift_ssh_bastion_user,
        key_path=settings.redshift_ssh_bastion_key_path,
        passphrase=settings.redshift_ssh_bastion_key_passphrase,
        known_hosts=settings.ssh_known_hosts,
        trust_first_use=settings.ssh_trust_first_use,
        seconds=settings.redshift_connect_timeout_seconds,
        prefix="REDSHIFT_SSH_BASTION",
        client=settings.ssh_tunnel_client,
    )


class Session(Protocol):
    """A connection to the server behind the bastion: a socket, or what paramiko has in place of one."""

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Route(Protocol):
    """A connection to a bastion that leads on to one server."""

    @property
    def alive(self) -> bool:
        """Whether it was not lost, as far as is known."""

    def lead_on(self) -> Session:
        """A session with the server; the loss of the connection may be noticed only now."""

    def close(self) -> None: ...


class Tunnel:
    """Local ends that lead to a server behind a bastion. Thread-safe.

    All its threads are daemons: a tunnel that nobody closes does not keep the interpreter from exiting.
    """

    def __init__(
        self,
        bastion: Bastion,
        remote: tuple[str, int],
        unavailable: type[SourceUnavailable | WarehouseUnavailable],
    ) -> None:
        self.users = 0
        self.port = 0
        self._bastion = bastion
        self._remote = remote
        self._unavailable = unavailable
        self._lock = threading.Lock()
        self._route: Route | None = None
        self._listeners: list[socket.socket] = []
        self._closed = False

    def connect(self) -> Route:
        """The connection to the bastion, made anew when there is none or it was lost."""
        with self._lock:
            if self._closed:
                raise self._unavailable("the tunnel is closed")
            if self._route is not None:
                if self._route.alive:
                    return self._route
                log.warning("the connection to the bastion %s was lost; connecting anew", self._bastion)
                self._route.close()
            log_in_by = start_ssh if self._bastion.client == "system" else log_in
            try:
                self._route = log_in_by(self._bastion, self._remote)
            except Refused as exc:
                host, port = self._remote
                raise self._unavailable(
                    f"cannot open a tunnel to {host}:{port} through {self._bastion}: {exc}",
                    hint=f"check the {self._bastion.prefix}_… settings, the key and the network",
                ) from exc
            return self._route

    def listen(self, ends: Sequence[End], *, elsewhere: bool = False) -> None:
        """Opens the local ends.

        Args:
            elsewhere: take any free port when the one asked for is taken.
        """
        for end in ends:
            try:
                listener = _listener(end)
            except OSError as exc:
                if not elsewhere or exc.errno != errno.EADDRINUSE or isinstance(end, str):
                    raise ConfigError(f"the local end of the tunnel, {end}, cannot be opened: {exc}") from exc
                log.info("port %d is taken, by another worker's tunnel perhaps; any free one is used", end[1])
                listener = _listener((end[0], 0))
            self._listeners.append(listener)
            if not isinstance(end, str):
                self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener,), name="tunnel", daemon=True).start()

    def close(self) -> None:
        """Ends everything that goes through it."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            if self._route is not None:
                self._route.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                if self._closed:
                    return
                raise
            threading.Thread(target=self._carry, args=(client,), name="tunnel session", daemon=True).start()

    def _open_session(self) -> Session:
        """A way through the bastion; the loss of its connection may be noticed only now."""
        route = self.connect()
        try:
            return route.lead_on()
        except Exception:
            if route.alive:
                raise
            return self.connect().lead_on()

    def _carry(self, client: socket.socket) -> None:
        """One session; one that cannot be led on is closed, which its client sees as a lost connection."""
        with client:
            try:
                session = self._open_session()
            except Exception as exc:  # noqa: BLE001  paramiko raises many kinds; nobody is above this thread
                log.warning("the bastion does not lead on: %s", exc)
                return
            try:
                _pump(client, session)
            except (OSError, EOFError) as exc:
                log.debug("a session through the tunnel ended: %r", exc)
            finally:
                _end(session)


def _listener(end: End) -> socket.socket:
    if isinstance(end, str):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(end)
        listener.listen(32)
        return listener
    return socket.create_server(end, backlog=32)


def _pump(client: socket.socket, session: Session) -> None:
    """Carries bytes both ways until both sides have ended theirs, or one is gone."""
    back = threading.Thread(target=_copy_back, args=(session, client), name="tunnel session", daemon=True)
    back.start()
    while data := client.recv(PIECE_BYTES):
        session.sendall(data)
    session.shutdown(socket.SHUT_WR)
    back.join()


def _copy_back(session: Session, client: socket.socket) -> None:
    try:
        while data := session.recv(PIECE_BYTES):
            client.sendall(data)
    except (OSError, EOFError) as exc:
        log.debug("a session through the tunnel ended: %r", exc)
    with suppress(OSError):  # the other direction ends as well, when the far side has gone
        client.shutdown(socket.SHUT_RDWR)


def _end(session: Session) -> None:
    """Ends a session, and whoever waits for more of it; a bastion that is lost meanwhile is not told of."""
    for end in (functools.partial(session.shutdown, socket.SHUT_RDWR), session.close):
        with suppress(OSError, EOFError):
            end()


@dataclass(frozen=True, slots=True)
class _Key:
    """What tells shared tunnels apart. A forked process shares none with its parent."""

    bastion: Bastion
    remote: tuple[str, int]
    port: int
    process: int


_lock = threading.Lock()
_shared: dict[_Key, Tunnel] = {}


def _take(bastion: Bastion, remote: tuple[str, int], port: int) -> Tunnel:
    key = _Key(bastion, remote, port, os.getpid())
    with _lock:
        tunnel = _shared.get(key)
        if tunnel is None:
            tunnel = Tunnel(bastion, remote, SourceUnavailable)
            tunnel.connect()
            tunnel.listen((("127.0.0.1", port),), elsewhere=True)
            _shared[key] = tunnel
        tunnel.users += 1
    try:
        tunnel.connect()
    except BaseException:
        with _lock:
            tunnel.users -= 1
        raise
    return tunnel


@atexit.register
def _close_all() -> None:
    for tunnel in _shared.values():
        tunnel.close()

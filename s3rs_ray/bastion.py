"""An SSH server between here and a database: logging in, and knowing that it is the right one. paramiko lives here."""

from __future__ import annotations

import getpass
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from .errors import ConfigError

if TYPE_CHECKING:
    import paramiko

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 30
WINDOW_BYTES = 16 * 2**20
"""What may be on its way unacknowledged: enough for 1 Gbit/s at a round trip of 100 ms."""
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
"""In ``~/.ssh``, tried when no key file is given (ssh_config(5), IdentityFile)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """An SSH server and how to log in there.

    Attributes:
        key_path: a private key file; empty for the agent's keys and the default files.
        known_hosts: the file of the host keys that are trusted.
        trust_first_use: a host that is not in the file is trusted and written there.
        seconds: how long connecting may take.
        prefix: of the settings it is made of, for messages.
    """

    host: str
    port: int
    user: str
    key_path: str
    passphrase: SecretStr
    known_hosts: str
    trust_first_use: bool
    seconds: float
    prefix: str

    def __str__(self) -> str:
        return f"{self.user or getpass.getuser()}@{self.host}:{self.port}"


class Refused(Exception):
    """The bastion cannot be reached or lets nobody in; the message says why."""


def log_in(bastion: Bastion) -> paramiko.Transport:
    """A connection to the bastion, whose host key was checked before anything was told to it.

    Raises:
        ConfigError: no usable key, or the host is unknown or not the one that is known.
        Refused: everything else.
    """
    import paramiko  # half a second that a direct connection need not pay

    agent = paramiko.Agent()
    try:
        return _connect(bastion, tuple(_keys(bastion, agent.get_keys())))
    finally:
        agent.close()


def _connect(bastion: Bastion, keys: tuple[paramiko.PKey, ...]) -> paramiko.Transport:
    import paramiko

    try:
        connection = socket.create_connection((bastion.host, bastion.port), bastion.seconds)
    except OSError as exc:
        raise Refused(str(exc)) from exc
    _detect_loss(connection)
    transport = paramiko.Transport(connection, default_window_size=WINDOW_BYTES)
    transport.daemon = True
    transport.banner_timeout = transport.auth_timeout = bastion.seconds
    try:
        known = _known_keys(bastion)
        _prefer(transport, known)
        transport.start_client(timeout=bastion.seconds)
        _check_host(bastion, transport.get_remote_server_key(), known)
        _authenticate(transport, bastion, keys)
    except (paramiko.SSHException, OSError, EOFError) as exc:
        transport.close()
        raise Refused(str(exc) or type(exc).__name__) from exc
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return transport


def _detect_loss(connection: socket.socket) -> None:
    """A bastion that vanished without a word is noticed within a minute and not after a quarter of an hour."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * KEEPALIVE_SECONDS * 1000)


def _host_name(bastion: Bastion) -> str:
    """As known_hosts has it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return bastion.host if bastion.port == 22 else f"[{bastion.host}]:{bastion.port}"


def _known_keys(bastion: Bastion) -> dict[str, paramiko.PKey]:
    """The host keys that are trusted, by type."""
    import paramiko

    path = Path(bastion.known_hosts).expanduser()
    hosts = paramiko.HostKeys()
    try:
        hosts.load(str(path))
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ConfigError(f"cannot read SSH_KNOWN_HOSTS {path}: {exc}") from exc
    return dict(hosts.lookup(_host_name(bastion)) or {})


def _prefer(transport: paramiko.Transport, known: dict[str, paramiko.PKey]) -> None:
    """Asks for a host key of a type that is known: a server has several."""
    options = transport.get_security_options()
    types = [t for t in options.key_types if ("ssh-rsa" if t.startswith("rsa-sha2") else t) in known]
    if types:
        options.key_types = tuple(types)


def _check_host(bastion: Bastion, key: paramiko.PKey, known: dict[str, paramiko.PKey]) -> None:
    if known.get(key.get_name()) == key:
        return
    name, what = _host_name(bastion), f"{key.get_name()} {key.fingerprint}"
    if known:
        raise ConfigError(
            f"the bastion {name} shows the host key {what}, which is not the one in {bastion.known_hosts}",
            hint="somebody may listen between here and there; if the bastion was replaced, remove the old line by"
            f" `ssh-keygen -R '{name}'`",
        )
    if not bastion.trust_first_use:
        raise ConfigError(
            f"the bastion {name} is not in {bastion.known_hosts}; it shows the host key {what}",
            hint=f"compare the key with the bastion's own, then `ssh-keyscan -p {bastion.port} {bastion.host} >>"
            f" {bastion.known_hosts}`; SSH_TRUST_FIRST_USE=true trusts a bastion that is not known yet",
        )
    log.warning("the bastion %s is trusted on first use: %s", name, what)
    _remember(Path(bastion.known_hosts).expanduser(), name, key)


def _remember(path: Path, name: str, key: paramiko.PKey) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name} {key.get_name()} {key.get_base64()}\n")
    except OSError as exc:
        raise ConfigError(f"cannot write SSH_KNOWN_HOSTS {path}: {exc}") from exc


def _keys(bastion: Bastion, held: tuple[paramiko.PKey, ...]) -> Iterator[paramiko.PKey]:
    """The keys to try: the given one, or else the agent's and the default files'.

    Args:
        held: the agent's.

    Raises:
        ConfigError: there is none, or the given one cannot be read and no agent has it.
    """
    if bastion.key_path:
        path = Path(bastion.key_path).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"there is no key file {path}", hint=f"give the private key's path in {bastion.prefix}_KEY_PATH"
            )
        try:
            yield _read_key(path, bastion)
        except ConfigError:
            if not held:
                raise
            yield from held  # a key with a passphrase that an agent was given
        return
    files = [path for name in DEFAULT_KEYS if (path := Path("~/.ssh").expanduser() / name).is_file()]
    if not held and not files:
        raise ConfigError(
            f"there is no key to log in to {bastion} with",
            hint=f"give {bastion.prefix}_KEY_PATH, or an agent by SSH_AUTH_SOCK",
        )
    yield from held
    for path in files:
        try:
            yield _read_key(path, bastion)
        except ConfigError as exc:
            log.info("%s is left out: %s", path, exc.message)


def _read_key(path: Path, bastion: Bastion) -> paramiko.PKey:
    import paramiko

    passphrase = bastion.passphrase.get_secret_value()
    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, OSError, paramiko.SSHException):
        variable = f"{bastion.prefix}_KEY_PASSPHRASE"
        why = f"with the passphrase in {variable}" if passphrase else f"without a passphrase ({variable})"
        raise ConfigError(
            f"the key file {path} cannot be read {why}", hint="give a private key and its passphrase, or use an agent"
        ) from None


def _authenticate(transport: paramiko.Transport, bastion: Bastion, keys: tuple[paramiko.PKey, ...]) -> None:
    import paramiko

    user = bastion.user or getpass.getuser()
    for key in keys:
        try:
            transport.auth_publickey(user, key)
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    raise Refused(f"it lets nobody in as {user} with the keys there are ({len(keys)})")

"""An SSH server between here and a database: logging in, and knowing that it is the right one. paramiko lives here."""

from __future__ import annotations

import getpass
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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
        client: what logs in there: `builtin` or `system` (SSH_TUNNEL_CLIENT).
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
    client: str

    def __str__(self) -> str:
        return f"{self.login_name}@{self.host}:{self.port}"

    @property
    def login_name(self) -> str:
        """The user there; without one given, that of this process."""
        return self.user or getpass.getuser()

    @property
    def known_as(self) -> str:
        """Its name in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"


class Refused(Exception):
    """The bastion cannot be reached or lets nobody in; the message says why."""


class Login:
    """A connection to a bastion, and sessions through it to one server."""

    def __init__(self, transport: paramiko.Transport, remote: tuple[str, int], seconds: float) -> None:
        self._transport, self._remote, self._seconds = transport, remote, seconds

    @property
    def alive(self) -> bool:
        return bool(self._transport.is_active())

    def lead_on(self) -> paramiko.Channel:
        """A session with the server; the loss of the connection may be noticed only now."""
        return self._transport.open_channel("direct-tcpip", self._remote, ("127.0.0.1", 0), timeout=self._seconds)

    def close(self) -> None:
        self._transport.close()


def log_in(bastion: Bastion, remote: tuple[str, int]) -> Login:
    """A connection to the bastion, whose host key was checked before anything was told to it.

    Raises:
        ConfigError: no usable key, or the host is unknown or not the one that is known.
        Refused: everything else.
    """
    import paramiko  # half a second that a direct connection need not pay

    agent = paramiko.Agent()
    try:
        keys = tuple(key for key, _ in _keys(bastion, agent.get_keys()))
        transport = _greet(bastion)
        with _refusals(transport):
            _authenticate(transport, bastion, keys)
    finally:
        agent.close()
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return Login(transport, remote, bastion.seconds)


def check_host(bastion: Bastion) -> None:
    """Looks at the host key alone, and remembers it where it is trusted on first use.

    Raises:
        ConfigError: the host is unknown or not the one that is known. Refused: it cannot be reached.
    """
    _greet(bastion).close()


def choose_keys(bastion: Bastion) -> tuple[tuple[Path, ...], bool]:
    """The key files to log in with, and whether the agent's keys are tried as well.

    Raises:
        ConfigError: there is none, or the given one cannot be read and no agent has it.
    """
    import paramiko

    agent = paramiko.Agent()
    try:
        homes = [home for _, home in _keys(bastion, agent.get_keys())]
    finally:
        agent.close()
    return tuple(home for home in homes if home), None in homes


def _greet(bastion: Bastion) -> paramiko.Transport:
    """A connection to a bastion whose host key is the right one; nobody is logged in yet."""
    import paramiko

    try:
        connection = socket.create_connection((bastion.host, bastion.port), bastion.seconds)
    except OSError as exc:
        raise Refused(str(exc)) from exc
    _detect_loss(connection)
    transport = paramiko.Transport(connection, default_window_size=WINDOW_BYTES)
    transport.daemon = True
    transport.banner_timeout = transport.auth_timeout = bastion.seconds
    with _refusals(transport):
        known, revoked = _known_keys(bastion)
        _prefer(transport, known)
        transport.start_client(timeout=bastion.seconds)
        _check_host(bastion, transport.get_remote_server_key(), known, revoked)
    return transport


@contextmanager
def _refusals(transport: paramiko.Transport) -> Iterator[None]:
    """Ends the connection when the block fails."""
    import paramiko

    try:
        yield
    except (paramiko.SSHException, OSError, EOFError) as exc:
        transport.close()
        raise Refused(str(exc) or type(exc).__name__) from exc
    except BaseException:
        transport.close()
        raise


def _detect_loss(connection: socket.socket) -> None:
    """A bastion that vanished without a word is noticed within a minute and not after a quarter of an hour."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2 * KEEPALIVE_SECONDS * 1000)


def _known_keys(bastion: Bastion) -> tuple[dict[str, paramiko.PKey], list[paramiko.PKey]]:
    """The host keys that are trusted, by type, and those that no host may show any more (``@revoked``).

    Lines of certificate authorities are passed over: host certificates are not looked at.
    """
    import paramiko
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    path = Path(bastion.known_hosts).expanduser()
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}, []
    except OSError as exc:
        raise ConfigError(f"cannot read SSH_KNOWN_HOSTS {path}: {exc}") from exc
    hosts, revoked = paramiko.HostKeys(), []
    for number, line in enumerate(map(str.strip, lines), 1):
        marker, _, rest = line.partition(" ") if line.startswith("@") else ("", "", line)
        if not line or line.startswith("#") or marker == "@cert-authority":
            continue
        try:
            entry = HostKeyEntry.from_line(rest.strip(), number)
        except (paramiko.SSHException, InvalidHostKey):
            log.warning("line %d of %s is passed over: it is no host key", number, path)
            continue
        if entry is not None and marker:
            revoked.append(entry.key)
        elif entry is not None:
            for name in entry.hostnames:
                hosts.add(name, entry.key.get_name(), entry.key)
    return dict(hosts.lookup(bastion.known_as) or {}), revoked


def _prefer(transport: paramiko.Transport, known: dict[str, paramiko.PKey]) -> None:
    """Asks for a host key of a type that is known: a server has several."""
    options = transport.get_security_options()
    types = [t for t in options.key_types if ("ssh-rsa" if t.startswith("rsa-sha2") else t) in known]
    options.key_types = (*types, *(t for t in options.key_types if t not in types))


def _check_host(
    bastion: Bastion, key: paramiko.PKey, known: dict[str, paramiko.PKey], revoked: list[paramiko.PKey]
) -> None:
    name, what = bastion.known_as, f"{key.get_name()} {key.fingerprint}"
    if key in revoked:
        raise ConfigError(
            f"the bastion {name} shows the host key {what}, which {bastion.known_hosts} marks as revoked",
            hint="give the bastion a new host key; whoever has the old one may be somebody else",
        )
    if known.get(key.get_name()) == key:
        return
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


def _keys(bastion: Bastion, held: tuple[paramiko.PKey, ...]) -> Iterator[tuple[paramiko.PKey, Path | None]]:
    """The keys to try, each with its file, if it has one: the given one, or else the agent's and the default files'.

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
            yield _read_key(path, bastion), path
        except ConfigError:
            if not held:
                raise
            yield from ((key, None) for key in held)  # a key with a passphrase that an agent was given
        return
    files = [path for name in DEFAULT_KEYS if (path := Path("~/.ssh").expanduser() / name).is_file()]
    if not held and not files:
        raise ConfigError(
            f"there is no key to log in to {bastion} with",
            hint=f"give {bastion.prefix}_KEY_PATH, or an agent by SSH_AUTH_SOCK",
        )
    yield from ((key, None) for key in held)
    for path in files:
        try:
            yield _read_key(path, bastion), path
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

    user = bastion.login_name
    for key in keys:
        try:
            transport.auth_publickey(user, key)
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    raise Refused(f"it lets nobody in as {user} with the keys there are ({len(keys)})")

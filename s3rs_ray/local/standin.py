"""The process of the Redshift stand-in: ``python -m s3rs_ray.local.redshift`` in front of a private PostgreSQL."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .postgres import Postgres
from .process import Launch, Startup
from .s3 import S3
from .server import Server

__all__ = ["Redshift", "RedshiftAccount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftAccount:
    """The user who owns the warehouse.

    The password is random and of Redshift's rules (upper case, lower case, digit; none of / @ " ' \\ and space).
    """

    user: str = "settlement_loader"
    password: str = field(default_factory=lambda: f"aA1%:{secrets.token_urlsafe(18)}#&+=?", repr=False)
    database: str = "dev"
    schema: str = "public"
    iam_role: str = "arn:aws:iam::123456789012:role/s3rs-ray-copy"


class Redshift(Server):
    """A server that redshift-connector takes for Redshift; its data is in the given PostgreSQL.

    Args:
        directory: an existing directory of this stack.
        backend: must be ready before this one can be; it may be started at the same time.
        s3: what COPY and UNLOAD reach; likewise.
        account: who may log in; a random password when None.

    Attributes:
        control_file: the stand-in reads faults to inject from it (see the package ``redshift``).
    """

    name = "the Redshift stand-in"
    folder = "redshift"

    def __init__(self, directory: Path, backend: Postgres, s3: S3, account: RedshiftAccount | None = None) -> None:
        super().__init__(directory)
        self._backend = backend
        self._s3 = s3
        self.account = account or RedshiftAccount()
        self.control_file = self._directory / "control.json"

    def starting(self) -> Startup:
        """``start`` for ``bring_up``; waits for the backend and for S3."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        yield from self._start_on_a_port(self._start_on)

    def _start_on(self, port: int) -> Startup:
        process = self._spawn(
            Launch(
                name=self.name,
                arguments=[sys.executable, "-m", f"{__package__}.redshift"],
                log_file=self.log_file,
                pipes=True,
            )
        )
        # It imports its libraries while the others start; what it needs of them is told when they are ready.
        yield from self._await(lambda: self._backend.ready and self._s3.ready)
        yield from self._serve_with(process, self._settings(port))

    def _settings(self, port: int) -> dict[str, object]:
        account = self.account
        return {
            "backend_socket_dir": self._backend.socket_dir,
            "backend_port": self._backend.port,
            "backend_user": self._backend.user,
            "database": account.database,
            "users": {account.user: account.password},
            "s3_endpoint_url": self._s3.endpoint_url,
            "s3_region": self._s3.account.region,
            "iam_roles": [account.iam_role],
            "s3_access_key": self._s3.account.access_key,
            "s3_secret_key": self._s3.account.secret_key,
            "port": port,
            "control_file": str(self.control_file),
            "tls_cert": None,
            "tls_key": None,
        }

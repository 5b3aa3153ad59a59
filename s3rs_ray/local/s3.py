"""A private S3 server: moto in a process of its own, with one bucket and one pair of keys that are checked.

Objects live in that process' memory and in deleted temporary files: they are gone when it is.
"""

from __future__ import annotations

import secrets
import string
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .process import Launch, Startup
from .server import Server

__all__ = ["S3", "S3Account"]

_PROGRAM = Path(__file__).with_name("s3_server.py")


def _random_key(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Account:
    """A bucket and who may use it; the keys are random and of Amazon's form (with / and + in the secret)."""

    bucket: str = "settlement-lake"
    region: str = "eu-central-1"
    access_key: str = field(default_factory=lambda: "AKIA" + _random_key(string.ascii_uppercase + "234567", 16))
    secret_key: str = field(
        default_factory=lambda: _random_key(string.ascii_letters + string.digits, 36) + "/+/+", repr=False
    )


class S3(Server):
    """An S3 endpoint on 127.0.0.1.

    Args:
        directory: an existing directory of this stack, for the log and for large objects.
        account: bucket, region and keys; random keys when None.

    Attributes:
        account: what it was started with. ``kill`` and ``start`` keep it and the port, not the objects.
    """

    name = "the S3 server"
    folder = "s3"

    def __init__(self, directory: Path, account: S3Account | None = None) -> None:
        super().__init__(directory)
        self.account = account or S3Account()

    def temporary_keys(self, expires: int) -> tuple[str, str, str]:
        """Access key, secret key and session token that are good until ``expires`` (seconds since 1970)."""
        from .s3_server import temporary_keys  # imports moto, half a second that nobody else need pay

        return temporary_keys(self.account.secret_key, expires)

    @property
    def endpoint_url(self) -> str:
        """Its URL, ``http://127.0.0.1:PORT``."""
        return f"http://{self.host}:{self.port}"

    def starting(self) -> Startup:
        """``start`` for ``bring_up``."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        yield from self._start_on_a_port(self._start_on)

    def _start_on(self, port: int) -> Startup:
        process = self._spawn(
            Launch(
                name=self.name,
                # -P: the modules beside the program must not hide others of the same name.
                arguments=[sys.executable, "-P", str(_PROGRAM)],
                log_file=self.log_file,
                pipes=True,
            )
        )
        settings = {
            "port": port,
            "bucket": self.account.bucket,
            "region": self.account.region,
            "access_key": self.account.access_key,
            "secret_key": self.account.secret_key,
        }
        yield from self._serve_with(process, settings)

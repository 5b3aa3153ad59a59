"""A private S3 server: moto in a process of its own, with one bucket and one pair of keys that are checked.

Objects live in that process' memory and in deleted temporary files: they are gone when it is.
"""

from __future__ import annotations

import json
import secrets
import string
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ..errors import LocalStackError
from .process import Launch, Process, Startup, bring_up, free_port, until_ready

__all__ = ["S3", "S3Account"]

_PROGRAM = Path(__file__).with_name("s3_server.py")
_STARTS = 5


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


class S3:
    """An S3 endpoint on 127.0.0.1.

    Args:
        directory: an existing directory of this stack, for the log and for large objects.
        account: bucket, region and keys; random keys when None.

    Attributes:
        account: what it was started with. ``kill`` and ``start`` keep it and the port, not the objects.
        port: 0 until it has been started.
    """

    def __init__(self, directory: Path, account: S3Account | None = None) -> None:
        self._directory = directory / "s3"
        self.account = account or S3Account()
        self.port = 0
        self._process: Process | None = None

    @property
    def endpoint_url(self) -> str:
        """Its URL, ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            LocalStackError: it is not running.
        """
        if self._process is None:
            raise LocalStackError("the S3 server is not running")
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """What the server wrote."""
        return self._directory / "s3.log"

    def start(self) -> None:
        """Starts it and waits until it serves; again on the same port after ``kill``.

        Raises:
            LocalStackError: moto is not installed, or it failed; with the end of its log.
        """
        bring_up(self.starting())

    def starting(self) -> Startup:
        """``start`` for ``bring_up``."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for attempt in range(_STARTS):
            port = self.port or free_port()
            process = self._process = Process(self._launch())
            process.send(json.dumps(self._settings(port)).encode())
            try:
                yield from until_ready(process, self._serves)
            except LocalStackError:
                process.kill()
                if attempt == _STARTS - 1 or "Address already in use" not in process.log_tail():
                    raise
            else:
                self.port = port
                return

    def stop(self) -> None:
        """Stops it."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Kills it (SIGKILL), as a crash would; ``start`` brings it back empty."""
        if self._process:
            self._process.kill()
            self._process = None

    def __enter__(self) -> S3:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serves(self) -> bool:
        return self._process is not None and self._process.answer() is not None

    def _launch(self) -> Launch:
        # -P: the modules beside the program must not hide others of the same name.
        return Launch(
            name="the S3 server",
            arguments=[sys.executable, "-P", str(_PROGRAM)],
            log_file=self.log_file,
            pipes=True,
        )

    def _settings(self, port: int) -> dict[str, str | int]:
        return {
            "port": port,
            "bucket": self.account.bucket,
            "region": self.account.region,
            "access_key": self.account.access_key,
            "secret_key": self.account.secret_key,
        }

"""``python -m s3rs_ray.local.redshift``: the stand-in as a process of its own.

Reads one line of JSON from stdin (passwords come this way, never as arguments), prints one line of JSON when it is
ready, and ends when stdin is closed or on SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TypedDict

from s3rs_ray.local.redshift.backend import BackendAddress
from s3rs_ray.local.redshift.objects import S3Access
from s3rs_ray.local.redshift.server import RedshiftServer, ServerSettings

__all__ = ["main"]


class Configuration(TypedDict):
    """The keys of the line on stdin."""

    backend_socket_dir: str
    backend_port: int
    backend_user: str
    database: str
    users: dict[str, str]
    s3_endpoint_url: str
    s3_region: str
    iam_roles: list[str]
    s3_access_key: str
    s3_secret_key: str
    port: int
    control_file: str | None
    tls_cert: str | None
    tls_key: str | None


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def parse_settings(line: str) -> ServerSettings:
    """The settings in one line of JSON.

    Raises:
        KeyError: a key is missing.
        ValueError: it is not JSON.
    """
    given: Configuration = json.loads(line)
    return ServerSettings(
        backend=BackendAddress(
            socket_dir=given["backend_socket_dir"],
            port=given["backend_port"],
            user=given["backend_user"],
            database=given["database"],
        ),
        users=given["users"],
        s3=S3Access(
            endpoint_url=given["s3_endpoint_url"],
            region=given["s3_region"],
            iam_roles=frozenset(given["iam_roles"]),
            access_key=given["s3_access_key"],
            secret_key=given["s3_secret_key"],
        ),
        port=given.get("port", 0),
        control_file=_path(given.get("control_file")),
        tls_cert=_path(given.get("tls_cert")),
        tls_key=_path(given.get("tls_key")),
    )


def main() -> int:
    """Serves until stdin ends."""
    # The default action ends the process at once; sessions hold nothing that must be saved.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    line = sys.stdin.readline()
    if not line.strip():
        return 0
    server = RedshiftServer(parse_settings(line))
    threading.Thread(target=server.serve, daemon=True, name="accept").start()
    ready = {"host": server.host, "port": server.port, "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    while sys.stdin.readline():
        # Nothing more is expected; only the end of stdin means something.
        continue
    # At once: loads under way belong to nobody now, and their threads would be waited for.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

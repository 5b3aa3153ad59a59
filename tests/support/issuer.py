"""The endpoint from which a container's processes get temporary AWS credentials, as ECS and EKS have it."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Issuer:
    """A running endpoint.

    Attributes:
        lifetime: seconds that the credentials it gives are good for.
        refuses: it answers with an error instead.
        asked: how often it was asked.
        given: every secret it gave: secret keys and tokens.
    """

    make: Callable[[int], tuple[str, str, str]]
    lifetime: int
    url: str = ""
    refuses: bool = False
    asked: int = 0
    given: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """What leads botocore to it, and to nothing else."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }

    def answer(self) -> tuple[int, dict[str, str]]:
        self.asked += 1
        if self.refuses:
            return 403, {"message": "the session has ended"}
        expires = int(time.time()) + self.lifetime
        access_key, secret_key, token = self.make(expires)
        self.given |= {secret_key, token}
        ends = dt.datetime.fromtimestamp(expires, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "Token": token, "Expiration": ends}


@contextmanager
def open_issuer(make: Callable[[int], tuple[str, str, str]], lifetime: int) -> Iterator[Issuer]:
    """An endpoint on 127.0.0.1.

    Args:
        make: access key, secret key and token that are good until a time.
    """
    issuer = Issuer(make, lifetime)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = issuer.answer()
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/credentials"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

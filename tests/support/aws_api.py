"""The two calls of AWS that grant a temporary password, answered on 127.0.0.1 as their API references show them.

Sources: Amazon Redshift API Reference, "GetClusterCredentials" (query protocol, XML); Amazon Redshift Serverless API
Reference, "GetCredentials" (JSON 1.1); both services' "Common Errors".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

CLUSTER = "warehouse"
WORKGROUP = "analytics"
XMLNS = "http://redshift.amazonaws.com/doc/2012-12-01/"


@dataclass(kw_only=True)
class AwsApi:
    """What it grants and what it was asked.

    Attributes:
        grant: makes a password for a user known to the warehouse, and returns it.
        refusal: code and text to refuse every request with; None grants.
        asked: the parameters of every request for a password.
        headers: the headers of every request.
    """

    grant: Callable[[str], str]
    refusal: tuple[str, str] | None = None
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, headers: dict[str, str], body: str) -> tuple[int, str, str]:
        """Status, content type and text of an answer."""
        self.headers.append(headers)
        target = headers.get("X-Amz-Target", "")
        if target:
            return self._serverless(target, json.loads(body))
        return self._provisioned(parse_qs(body))

    def _provisioned(self, asked: dict[str, list[str]]) -> tuple[int, str, str]:
        if self.refusal:
            return _xml_error(403, *self.refusal)
        if asked["Action"] != ["GetClusterCredentials"]:
            return _xml_error(404, "CustomDomainAssociationNotFoundFault", "no such custom domain")
        if asked.get("ClusterIdentifier") != [CLUSTER]:
            return _xml_error(404, "ClusterNotFound", "Cluster not found")
        self.asked.append(asked)
        created = asked.get("AutoCreate") == ["true"]
        user = f"{'IAMA' if created else 'IAM'}:{asked['DbUser'][0]}"
        fields = {"DbUser": user, "DbPassword": self.grant(user), "Expiration": "2040-01-01T00:00:00.000Z"}
        values = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
        action = "GetClusterCredentials"
        body = f"<{action}Response xmlns='{XMLNS}'><{action}Result>{values}</{action}Result></{action}Response>"
        return 200, "text/xml", body

    def _serverless(self, target: str, asked: dict[str, str]) -> tuple[int, str, str]:
        if self.refusal:
            return _json_error(400, *self.refusal)
        if target != "RedshiftServerless.GetCredentials":
            return _json_error(400, "ValidationException", target)
        if asked.get("workgroupName") != WORKGROUP:
            return _json_error(404, "ResourceNotFoundException", "workgroup not found")
        self.asked.append({name: [str(value)] for name, value in asked.items()})
        user = "IAM:analyst"
        granted = {"dbUser": user, "dbPassword": self.grant(user), "expiration": 2208988800}
        return 200, "application/x-amz-json-1.1", json.dumps(granted)


def _xml_error(status: int, code: str, text: str) -> tuple[int, str, str]:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
    return status, "text/xml", f"<ErrorResponse xmlns='{XMLNS}'>{error}<RequestId>1</RequestId></ErrorResponse>"


def _json_error(status: int, code: str, text: str) -> tuple[int, str, str]:
    return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": text})


@contextmanager
def open_aws_api(grant: Callable[[str], str]) -> Iterator[AwsApi]:
    """Serves until the block ends."""
    api = AwsApi(grant=grant)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, kind, text = api.answer(dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield api
        server.shutdown()
        thread.join()

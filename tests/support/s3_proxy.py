"""A proxy in front of an S3 server that answers wrongly, loses replies or holds requests where a test wants it."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

HOLD_SECONDS = 60
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect", "date", "server"})


@dataclass(slots=True, kw_only=True)
class S3Fault:
    """What happens to matching requests.

    Attributes:
        key: a regular expression that the path of the request must contain.
        skip: how many matching requests pass before it strikes.
        times: how often it strikes; 0 = always.
        forward: whether the request reaches the server; the client then does not hear the true answer.
        status, code: the error that is answered; status 0: the connection is closed without a word.
        body: what is answered instead of an error.
        hold: the request waits, before it is forwarded, until this is set; then it goes on as if nothing had been.
        struck: how often it has struck.
        clients: the addresses of those it struck.
    """

    key: str
    method: str = "PUT"
    skip: int = 0
    times: int = 1
    forward: bool = False
    status: int = 0
    code: str = "InternalError"
    body: str = ""
    hold: threading.Event | None = None
    seen: int = 0
    struck: int = 0
    clients: list[str] = field(default_factory=list)

    def strikes(self, method: str, path: str, client: str) -> bool:
        if method != self.method or not re.search(self.key, path):
            return False
        self.seen += 1
        due = self.seen > self.skip and (self.times == 0 or self.seen <= self.skip + self.times)
        self.struck += due
        self.clients += [client] * due
        return due


@dataclass(slots=True)
class S3Proxy:
    """A running proxy.

    Attributes:
        requests: method and path of everything that came in.
    """

    backend: tuple[str, int]
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    _faults: list[S3Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, *faults: S3Fault) -> None:
        """Replaces the faults; the first that matches a request strikes. Those that are replaced hold no longer."""
        with self._lock:
            old, self._faults = self._faults, list(faults)
        for fault in old:
            if fault.hold is not None:
                fault.hold.set()

    def due(self, method: str, path: str, client: str) -> S3Fault | None:
        """The fault for a request, which is counted."""
        with self._lock:
            self.requests.append((method, path))
            return next((f for f in self._faults if f.strikes(method, path, client)), None)


@contextmanager
def s3_proxy(endpoint_url: str, host: str = "127.0.0.1") -> Iterator[S3Proxy]:
    """A proxy on a free port of ``host`` in front of ``endpoint_url``."""
    address = urlsplit(endpoint_url)
    assert address.hostname is not None
    assert address.port is not None
    proxy = S3Proxy((address.hostname, address.port))
    server = _Server((host, 0), _handler(proxy))
    proxy.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="S3 proxy")
    thread.start()
    try:
        yield proxy
    finally:
        proxy.set()
        server.shutdown()
        thread.join()
        server.close_clients()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.clients: set[_Handler] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests here are about."""

    def close_clients(self) -> None:
        """Ends connections that are kept open, so that their threads end."""
        for handler in list(self.clients):
            handler.cut()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: S3Proxy
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.clients.add(self)

    def finish(self) -> None:
        self.server.clients.discard(self)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""

    def cut(self) -> None:
        """Closes the connection without a word."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.due(self.command, unquote(self.path), self.client_address[0])
        if fault is not None and fault.hold is not None:
            fault.hold.wait(HOLD_SECONDS)
            fault = None
        if fault is None:
            self.answer(*self.forward(body))
            return
        if fault.forward:
            self.forward(body)
        if fault.status == 0:
            self.cut()
            return
        error = f"<Error><Code>{fault.code}</Code><Message>on purpose</Message></Error>"
        text = f'<?xml version="1.0"?>\n{fault.body or error}'
        self.answer(fault.status, [("Content-Type", "application/xml")], text.encode())

    def forward(self, body: bytes) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        """The server's answer. The Host header stays as it is: it is part of the signature."""
        connection = http.client.HTTPConnection(*self.proxy.backend, timeout=HOLD_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        length = next((v for n, v in headers if n.lower() == "content-length"), "0")
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = serve  # noqa: N815  http.server looks for these names


def _handler(proxy: S3Proxy) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"proxy": proxy})

"""The S3 server's process: moto behind a check of every request's signature.

``s3.py`` runs this file by path and writes one JSON line to its stdin::

    {"port": 20000, "bucket": "…", "region": "…", "access_key": "…", "secret_key": "…"}

It answers ``{"port": 20000, "pid": 4711}`` on stdout when it serves, and ends at SIGTERM or when stdin ends. It
imports nothing of this package, so that no driver and no Ray is loaded here.

moto accepts any key unless IAM users are kept in it, and checks only some operations then. The check is therefore
done in front of it, for all of them, as Amazon describes it ("Signature Version 4 signing process", request header
and query string forms). Anonymous requests are refused, as a private bucket does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

__all__ = ["SignatureCheck", "temporary_keys"]

Environ = dict[str, Any]
StartResponse = Callable[..., object]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_ALGORITHM = "AWS4-HMAC-SHA256"
_TEMPORARY = "ASIA"
"""How the access keys of temporary credentials begin (IAM documentation, "Unique identifiers")."""
_REFUSALS = {
    "AccessDenied": "Access Denied",
    "InvalidAccessKeyId": "The AWS Access Key Id you provided does not exist in our records.",
    "ExpiredToken": "The provided token has expired.",
    "InvalidToken": "The provided token is malformed or otherwise invalid.",
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signature:
    """What a request claims."""

    scope: str  # access key/date/region/service/aws4_request
    signed_headers: str
    value: str
    time: str
    payload: str
    query: str
    token: str


def temporary_keys(secret_key: str, expires: int) -> tuple[str, str, str]:
    """Access key, secret key and session token that the server takes until ``expires`` (seconds since 1970).

    The token says when it ends, and both keys follow from it, so that the server need not be told of them.
    """
    token = f"{expires}-{secrets.token_hex(8)}"
    return (*_keys_of(secret_key, token), token)


def _keys_of(secret_key: str, token: str) -> tuple[str, str]:
    made = hmac.new(secret_key.encode(), token.encode(), "sha256").hexdigest()
    return _TEMPORARY + made[:16].upper(), made[16:56]


class SignatureCheck:
    """Lets requests through that are signed with the one pair of keys, or with temporary ones made from it."""

    def __init__(self, application: Application, access_key: str, secret_key: str) -> None:
        self._application = application
        self._access_key = access_key
        self._secret_key = secret_key

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refusal = self._refusal(environ)
        if not refusal:
            return self._application(environ, start_response)
        _swallow_body(environ)
        body = f'<?xml version="1.0"?>\n<Error><Code>{refusal}</Code><Message>{_REFUSALS[refusal]}</Message></Error>'
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        # Amazon S3 API Reference, "Error responses": 400 for both errors of tokens.
        start_response("400 Bad Request" if refusal.endswith("Token") else "403 Forbidden", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]

    def _refusal(self, environ: Environ) -> str:
        """The error code of the refusal, empty when the request is signed as it should be."""
        claim = _parse_signature(environ)
        if claim is None:
            return "AccessDenied"
        access_key, _, scope = claim.scope.partition("/")
        known, secret_key = self._access_key, self._secret_key
        if access_key.startswith(_TEMPORARY):
            expires = claim.token.partition("-")[0]
            known, secret_key = _keys_of(self._secret_key, claim.token)
            if known != access_key or not expires.isdecimal():
                return "InvalidToken"
            if int(expires) <= time.time():
                return "ExpiredToken"
        if not hmac.compare_digest(access_key.encode(), known.encode()):
            return "InvalidAccessKeyId"
        digest = hashlib.sha256(_canonical_request(environ, claim).encode()).hexdigest()
        text = "\n".join((_ALGORITHM, claim.time, scope, digest))
        key = f"AWS4{secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        expected = hmac.new(key, text.encode(), "sha256").hexdigest()
        return "" if hmac.compare_digest(expected, claim.value) else "SignatureDoesNotMatch"


def _parse_signature(environ: Environ) -> _Signature | None:
    path_and_query = environ["REQUEST_URI"].partition("?")
    algorithm, _, fields = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if algorithm == _ALGORITHM:
        words = dict(field.strip().partition("=")[::2] for field in fields.split(","))
        return _Signature(
            scope=words.get("Credential", ""),
            signed_headers=words.get("SignedHeaders", ""),
            value=words.get("Signature", ""),
            time=environ.get("HTTP_X_AMZ_DATE", ""),
            payload=environ.get("HTTP_X_AMZ_CONTENT_SHA256", "UNSIGNED-PAYLOAD"),
            query=path_and_query[2],
            token=environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""),
        )
    query = dict(urllib.parse.parse_qsl(path_and_query[2], keep_blank_values=True))
    if query.get("X-Amz-Algorithm") == _ALGORITHM:
        rest = [pair for pair in path_and_query[2].split("&") if not pair.startswith("X-Amz-Signature=")]
        return _Signature(
            scope=query.get("X-Amz-Credential", ""),
            signed_headers=query.get("X-Amz-SignedHeaders", ""),
            value=query.get("X-Amz-Signature", ""),
            time=query.get("X-Amz-Date", ""),
            payload="UNSIGNED-PAYLOAD",
            query="&".join(rest),
            token=query.get("X-Amz-Security-Token", ""),
        )
    return None


def _canonical_request(environ: Environ, claim: _Signature) -> str:
    path = urllib.parse.unquote_to_bytes(environ["REQUEST_URI"].partition("?")[0])
    pairs = sorted(
        (_quoted(name), _quoted(value))
        for name, _, value in (pair.partition("=") for pair in claim.query.split("&") if pair)
    )
    names = claim.signed_headers.split(";")
    return "\n".join(
        (
            environ["REQUEST_METHOD"],
            urllib.parse.quote(path, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{_header(environ, name)}" for name in names),
            "",
            claim.signed_headers,
            claim.payload,
        )
    )


def _quoted(text: str) -> str:
    """Percent-encoded as the signature wants it, whatever way the client wrote it."""
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe="-_.~")


def _header(environ: Environ, name: str) -> str:
    key = name.upper().replace("-", "_")
    value = environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")
    return " ".join(str(value).split())


def _swallow_body(environ: Environ) -> None:
    """Reads what the client still sends: a connection closed under it would hide the answer."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0:
        piece = environ["wsgi.input"].read(min(left, 1 << 20))
        if not piece:
            break
        left -= len(piece)


def main() -> None:
    """Serves until SIGTERM or the end of stdin."""
    settings = json.loads(sys.stdin.buffer.readline())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # moto prints; stdout is for the one answer only
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)
    _create_bucket(moto, settings["bucket"], settings["region"])
    guarded = SignatureCheck(moto, settings["access_key"], settings["secret_key"])
    server = make_server("127.0.0.1", settings["port"], guarded, threaded=True, request_handler=MotoRequestHandler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers.write(json.dumps({"port": server.port, "pid": os.getpid()}) + "\n")
    answers.close()
    sys.stdin.buffer.read()
    os._exit(0)  # requests under way are of no use to anybody now


def _create_bucket(application: Application, bucket: str, region: str) -> None:
    # Unsigned, so it goes to moto itself.
    done = Client(application).put(
        f"/{bucket}",
        data=f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint>"
        "</CreateBucketConfiguration>",
        headers={"Host": f"s3.{region}.amazonaws.com"},
    )
    if done.status_code != 200:
        raise SystemExit(f"bucket {bucket}: {done.status} {done.text}")


if __name__ == "__main__":
    main()

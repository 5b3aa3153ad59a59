"""The check of signatures, against the examples of Amazon's manual ("Signature Calculations … Examples")."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3rs_ray.local.s3_server import SignatureCheck, temporary_keys

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SCOPE = f"{ACCESS_KEY}/20130524/us-east-1/s3/aws4_request"


def call(environ: dict[str, Any]) -> tuple[str, bytes]:
    def behind(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"let through"]

    status: list[str] = []
    check = SignatureCheck(behind, ACCESS_KEY, SECRET_KEY)
    body = check(environ, lambda line, _headers: status.append(line))
    return status[0], b"".join(body)


def request(
    method: str, uri: str, *, signed: str, signature: str, payload: str = EMPTY, **headers: str
) -> dict[str, Any]:
    authorization = f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={signed},Signature={signature}"
    return {
        "REQUEST_METHOD": method,
        "REQUEST_URI": uri,
        "HTTP_HOST": "examplebucket.s3.amazonaws.com",
        "HTTP_X_AMZ_DATE": "20130524T000000Z",
        "HTTP_X_AMZ_CONTENT_SHA256": payload,
        "HTTP_AUTHORIZATION": authorization,
        "wsgi.input": io.BytesIO(),
        **headers,
    }


GET = {
    "signed": "host;range;x-amz-content-sha256;x-amz-date",
    "signature": "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    "HTTP_RANGE": "bytes=0-9",
}
EXAMPLES = {
    "GET object": request("GET", "/test.txt", **GET),
    "PUT object": request(
        "PUT",
        "/test%24file.text",
        signed="date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        signature="98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        payload="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        HTTP_DATE="Fri, 24 May 2013 00:00:00 GMT",
        HTTP_X_AMZ_STORAGE_CLASS="REDUCED_REDUNDANCY",
    ),
    "GET bucket lifecycle": request(
        "GET",
        "/?lifecycle",
        signed="host;x-amz-content-sha256;x-amz-date",
        signature="fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "GET bucket (list)": request(
        "GET",
        "/?max-keys=2&prefix=J",
        signed="host;x-amz-content-sha256;x-amz-date",
        signature="34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    "presigned GET": {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
        f"{SCOPE.replace('/', '%2F')}&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        "HTTP_HOST": "examplebucket.s3.amazonaws.com",
        "wsgi.input": io.BytesIO(),
    },
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_manuals_examples_are_let_through(name: str) -> None:
    assert call(EXAMPLES[name]) == ("200 OK", b"let through")


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("change", [{"REQUEST_METHOD": "DELETE"}, {"HTTP_HOST": "other.s3.amazonaws.com"}])
def test_a_changed_request_is_refused(name: str, change: dict[str, str]) -> None:
    status, body = call({**EXAMPLES[name], **change})
    assert status == "403 Forbidden"
    assert b"<Code>SignatureDoesNotMatch</Code>" in body


def test_an_unknown_key_and_a_missing_signature_are_refused() -> None:
    wrong = {**EXAMPLES["GET object"]}
    wrong["HTTP_AUTHORIZATION"] = wrong["HTTP_AUTHORIZATION"].replace("AKIA", "AKIB")
    assert b"InvalidAccessKeyId" in call(wrong)[1]
    del wrong["HTTP_AUTHORIZATION"]
    assert b"AccessDenied" in call(wrong)[1]


@pytest.mark.parametrize(
    ("lifetime", "spoil", "answer"),
    [
        (60, {}, "200 OK"),
        (-1, {}, "<Code>ExpiredToken</Code>"),
        (60, {"HTTP_X_AMZ_SECURITY_TOKEN": f"{2**40}-of-my-own"}, "<Code>InvalidToken</Code>"),
        (60, {"HTTP_X_AMZ_SECURITY_TOKEN": ""}, "<Code>InvalidToken</Code>"),
        (60, {"HTTP_X_AMZ_DATE": "20130524T000001Z"}, "<Code>SignatureDoesNotMatch</Code>"),
    ],
)
def test_temporary_keys_are_good_until_they_end(lifetime: int, spoil: dict[str, str], answer: str) -> None:
    access_key, secret_key, token = temporary_keys(SECRET_KEY, int(time.time()) + lifetime)
    sent = AWSRequest("GET", "http://examplebucket.s3.amazonaws.com/test.txt")
    S3SigV4Auth(Credentials(access_key, secret_key, token), "s3", "us-east-1").add_auth(sent)
    environ = request("GET", "/test.txt", signed="", signature="") | {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.headers.items()
    }
    status, body = call(environ | spoil)
    assert answer in f"{status} {body.decode()}"
    assert status.startswith("400") == ("Token" in answer)


def test_the_body_of_a_refused_request_is_read_so_that_the_client_sees_the_answer() -> None:
    body = io.BytesIO(b"x" * 5_000_000)
    call({**EXAMPLES["PUT object"], "REQUEST_METHOD": "POST", "wsgi.input": body, "CONTENT_LENGTH": "5000000"})
    assert body.read() == b""


def test_a_refused_head_has_no_body() -> None:
    assert call({**EXAMPLES["GET object"], "REQUEST_METHOD": "HEAD"}) == ("403 Forbidden", b"")

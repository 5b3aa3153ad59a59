"""ObjectStore: the few operations everything rests on, and S3 as one of them. boto3 lives here."""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Protocol

import boto3
import botocore.exceptions as boto_errors
import botocore.loaders
import botocore.session
import pyarrow as pa
import tenacity
from botocore.config import Config
from botocore.utils import parse_timestamp

from ..config import Settings
from ..errors import (
    ConditionalConflict,
    ConfigError,
    ObjectNotFound,
    PreconditionFailed,
    S3rsError,
    StorageError,
    StorageUnavailable,
    StorageUnknown,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object's description, and its body where it was asked for.

    Attributes:
        version: the ETag; what ``put_if`` compares.
        size: bytes.
    """

    key: str
    version: str
    size: int
    modified: dt.datetime
    metadata: Mapping[str, str] = field(default_factory=lambda: _NO_METADATA)
    body: bytes = b""


class ObjectStore(Protocol):
    """Strongly consistent storage with conditional writes (Amazon S3 User Guide, "Conditional requests")."""

    def get(self, key: str) -> StoredObject:
        """The object with its body. Raises ObjectNotFound."""
        ...

    def get_part(self, key: str, start: int, size: int) -> bytes:
        """``size`` bytes of an object from ``start`` on, at least one of them in it. Raises ObjectNotFound."""
        ...

    def head(self, key: str) -> StoredObject:
        """The object without its body. Raises ObjectNotFound."""
        ...

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        """Writes an object that must not exist yet; returns its version. Raises PreconditionFailed."""
        ...

    def put_if(self, key: str, body: bytes, version: str) -> str:
        """Replaces exactly that version of an object; returns the new one. Raises PreconditionFailed."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix in key order, however many pages they take."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """What follows a prefix up to the next ``/`` in the keys below it, each once, in order. No object is listed."""
        ...

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        """Deletes objects; returns those that could not be, each with the reason. One that is not there is no failure.

        Raises:
            StorageError: a whole request failed; which of the objects are gone is not known.
        """
        ...

    def url(self, key: str) -> str:
        """The ``s3://`` address of a key."""
        ...


DELETE_PAGE = 1000
"""Keys of one request (Amazon S3 API Reference, "DeleteObjects")."""
DELETE_PAGES = 4
"""Requests side by side. S3 takes 3,500 deletions a second below a prefix (User Guide, "Best practices design
patterns: optimizing Amazon S3 performance"), and says SlowDown for keys beyond them."""
DELETE_ATTEMPTS = 5
BUSY_CODES = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"})
"""What S3 answers for single keys of a deletion that is worth another try."""
_NO_METADATA: Mapping[str, str] = {}
RETRYABLE_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted"})
RENEW = "renew the AWS credentials (`aws sso login`, the role, or what credential_process calls)"
NOT_RENEWED = (
    boto_errors.CredentialRetrievalError,
    boto_errors.MetadataRetrievalError,
    boto_errors.RefreshWithMFAUnsupportedError,
    boto_errors.SSOError,
    boto_errors.TokenRetrievalError,
)
"""What botocore raises, from whatever call, when credentials end and it gets no others."""
LOGINS = frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})
"""The operations by which it asks for credentials itself."""
UNAVAILABLE_CODES = {
    "NoSuchBucket": "check S3_BUCKET_NAME, or create the bucket",
    "InvalidAccessKeyId": "check S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "check S3_SECRET_KEY",
    "ExpiredToken": f"renew S3_SESSION_TOKEN; without S3 keys in the settings, {RENEW}",
    "AccessDenied": "the credentials need s3:GetObject, s3:PutObject, s3:ListBucket and s3:DeleteObject",
    "403": "check S3_ACCESS_KEY, S3_SECRET_KEY and the rights on S3_BUCKET_NAME",
    "PermanentRedirect": "check S3_REGION",
}


class S3Store:
    """ObjectStore over one bucket.

    Args:
        attempts: how often boto3 tries a request.
        patience: seconds it waits for more of an answer.
    """

    def __init__(self, settings: Settings, *, attempts: int = 4, patience: int = 60) -> None:
        settings.require("S3_BUCKET_NAME")
        self.bucket = settings.s3_bucket_name
        self._settings = settings
        self._where = settings.s3_endpoint_url or "S3"
        try:
            self._client = _client(settings, attempts=attempts, patience=patience)
        except (boto_errors.BotoCoreError, ValueError) as exc:
            raise StorageUnavailable(f"cannot use the S3 settings: {exc}", hint="check the S3_… settings") from exc

    def check(self) -> None:
        """Raises StorageUnavailable unless the bucket is there and lets us in."""
        with self._translated("", write=False):
            _client(self._settings, attempts=2, patience=4).list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def get(self, key: str) -> StoredObject:
        with self._translated(key, write=False):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            body = answer["Body"].read()
        return StoredObject(
            key=key,
            version=answer["ETag"],
            size=len(body),
            modified=answer["LastModified"],
            metadata=answer["Metadata"],
            body=body,
        )

    def get_part(self, key: str, start: int, size: int) -> bytes:
        with self._translated(key, write=False):
            answer = self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + size - 1}")
            return answer["Body"].read()

    def head(self, key: str) -> StoredObject:
        with self._translated(key, write=False):
            answer = self._client.head_object(Bucket=self.bucket, Key=key)
        return StoredObject(
            key=key,
            version=answer["ETag"],
            size=answer["ContentLength"],
            modified=answer["LastModified"],
            metadata=answer["Metadata"],
        )

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        return self._put(key, body, {"IfNoneMatch": "*", "Metadata": dict(metadata or {})})

    def put_if(self, key: str, body: bytes, version: str) -> str:
        return self._put(key, body, {"IfMatch": version})

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(ConditionalConflict),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=2),
        stop=tenacity.stop_after_attempt(8),
        reraise=True,
    )
    def _put(self, key: str, body: bytes | pa.Buffer, condition: dict[str, Any]) -> str:
        content: bytes | IO[bytes] = pa.BufferReader(body) if isinstance(body, pa.Buffer) else body
        with self._translated(key, write=True):
            answer = self._client.put_object(Bucket=self.bucket, Key=key, Body=content, **condition)
        return answer["ETag"]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._translated(prefix, write=False):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield StoredObject(
                        key=item["Key"], version=item["ETag"], size=item["Size"], modified=item["LastModified"]
                    )

    def folders(self, prefix: str) -> Iterator[str]:
        with self._translated(prefix, write=False):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for folder in page.get("CommonPrefixes", ()):
                    yield folder["Prefix"].removeprefix(prefix).removesuffix("/")

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        rest = iter(keys)
        refused: dict[str, str] = {}
        with ThreadPoolExecutor(DELETE_PAGES, thread_name_prefix="delete") as pool:
            while pages := [p for _ in range(DELETE_PAGES) if (p := tuple(islice(rest, DELETE_PAGE)))]:
                for found in pool.map(self._delete_page, pages):
                    refused |= found
        return refused

    def _delete_page(self, page: Sequence[str]) -> dict[str, str]:
        refused: dict[str, str] = {}
        for attempt in range(DELETE_ATTEMPTS):
            with self._translated(page[0], write=True):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": k} for k in page], "Quiet": True}
                )
            errors = {e.get("Key", ""): (e.get("Code", ""), e.get("Message", "")) for e in answer.get("Errors", ())}
            busy = [key for key, (code, _) in errors.items() if code in BUSY_CODES]
            if attempt + 1 == DELETE_ATTEMPTS:
                busy = []
            refused |= {key: f"{code}: {text}" for key, (code, text) in errors.items() if key not in set(busy)}
            if not busy:
                break
            page = busy
            time.sleep(random.uniform(0.05, 0.1) * 4**attempt)  # noqa: S311  up to 6 s before the last try
        return refused

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    @contextmanager
    def _translated(self, key: str, *, write: bool) -> Iterator[None]:
        """Turns boto's errors into ours; tells *failed* from *unknown* for writes."""
        url = self.url(key)
        try:
            yield
        except boto_errors.ClientError as exc:
            if exc.operation_name in LOGINS:
                raise _not_renewed(exc) from exc
            raise self._client_error(exc, url, write=write) from exc
        except NOT_RENEWED as exc:
            raise _not_renewed(exc) from exc
        except RuntimeError as exc:  # botocore's word for new credentials that have ended already
            if "credentials" not in str(exc):
                raise
            raise _not_renewed(exc) from exc
        except (boto_errors.EndpointConnectionError, boto_errors.ConnectTimeoutError) as exc:
            raise StorageUnavailable(
                f"cannot reach {self._where}: {exc}", hint="check S3_ENDPOINT_URL, S3_REGION and the network"
            ) from exc
        except (boto_errors.NoCredentialsError, boto_errors.PartialCredentialsError) as exc:
            raise StorageUnavailable(
                f"no credentials for S3: {exc}", hint="set S3_ACCESS_KEY and S3_SECRET_KEY, or an AWS profile or role"
            ) from exc
        except (boto_errors.BotoCoreError, boto_errors.HTTPClientError) as exc:
            kind = StorageUnknown if write else StorageUnavailable
            raise kind(f"the connection to {self._where} failed on {url}: {exc}") from exc

    def _client_error(self, exc: boto_errors.ClientError, url: str, *, write: bool) -> S3rsError:
        error = exc.response.get("Error", {})
        code, text = error.get("Code", ""), error.get("Message", "")
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in {"NoSuchKey", "404"}:
            return ObjectNotFound(f"no object {url}")
        if code in {"PreconditionFailed", "412"}:
            return PreconditionFailed(f"{url} was written by somebody else first")
        if code in RETRYABLE_CODES or status == 409:
            return ConditionalConflict(f"a conditional write to {url} met another")
        if code in UNAVAILABLE_CODES:
            return StorageUnavailable(f"{url}: {code}: {text}", hint=UNAVAILABLE_CODES[code], context={"code": code})
        kind = StorageUnknown if write and status >= 500 else StorageError
        return kind(f"{url}: {code or status}: {text}", context={"code": code})


def _not_renewed(exc: Exception) -> StorageUnavailable:
    """Nothing was sent: a write did not happen."""
    return StorageUnavailable(
        f"the AWS credentials could not be had or renewed: {exc}",
        hint=f"{RENEW} and run the command again: it goes on from what is recorded on S3",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKeys:
    """An access key pair, with its token when it is temporary."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def current_keys(settings: Settings) -> AwsKeys:
    """The keys this process reaches S3 with at this moment: the settings', else those of the AWS default chain.

    Temporary keys of the chain have some minutes left: botocore renews them before their end.

    Raises:
        ConfigError: there are none. StorageUnavailable: they ended, and no others are to be had.
    """
    if settings.s3_access_key or settings.s3_secret_key.get_secret_value():
        settings.require("S3_ACCESS_KEY", "S3_SECRET_KEY")
        return AwsKeys(
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            session_token=settings.s3_session_token.get_secret_value(),
        )
    hint = "set REDSHIFT_IAM_ROLE, or S3_ACCESS_KEY and S3_SECRET_KEY, or an AWS profile or role"
    try:
        chain = aws_session().get_credentials()
        frozen = chain.get_frozen_credentials() if chain is not None else None
    except (*NOT_RENEWED, boto_errors.ClientError, RuntimeError) as exc:
        raise _not_renewed(exc) from exc
    except boto_errors.BotoCoreError as exc:
        raise ConfigError(f"the AWS default chain has no keys for COPY: {exc}", hint=hint) from exc
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise ConfigError("COPY has nothing to read S3 with: no role, no S3 keys, no AWS credentials", hint=hint)
    return AwsKeys(access_key=frozen.access_key, secret_key=frozen.secret_key, session_token=frozen.token or "")


_DEFINITIONS = botocore.loaders.create_loader()
"""The descriptions of AWS's services and endpoints: large JSON files, which each session would read anew."""


_REGION = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}
"""Where a session's region is read: botocore looks at the older name alone, ECS, EKS and Lambda set the other.

Source: AWS SDKs and Tools Reference Guide, "AWS Region" (AWS_REGION); Boto3, "Using environment variables".
"""


def aws_session() -> boto3.session.Session:
    """A session of its own, with its own credentials, over descriptions that are read once in a process."""
    core = botocore.session.Session(session_vars=_REGION)
    core.register_component("data_loader", _DEFINITIONS)
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
    return boto3.session.Session(botocore_session=core)


def _time(value: Any) -> dt.datetime:
    """A time in an answer: botocore's own reading, of any form there is, is more than half of what a listing costs."""
    try:
        return dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):  # headers are in another form
        return parse_timestamp(value)


def _client(settings: Settings, *, attempts: int, patience: int) -> S3Client:
    given = bool(settings.s3_access_key)
    return aws_session().client(
        "s3",
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url or None,
        aws_access_key_id=settings.s3_access_key if given else None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() if given else None,
        aws_session_token=settings.s3_session_token.get_secret_value() or None if given else None,
        config=Config(
            connect_timeout=4,
            read_timeout=patience,
            max_pool_connections=16,
            retries={"mode": "standard", "max_attempts": attempts},
            s3={"addressing_style": "path"} if settings.s3_endpoint_url else {},
        ),
    )

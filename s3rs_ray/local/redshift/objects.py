"""Reads the objects of a load from S3, with the role or the keys the COPY gives.

Source: redshift.md, "COPY" (416 InvalidRange for a wrong size, missing files); AWS documentation, "S3ServiceException
errors", "Not authorized to get credentials of role".
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from s3rs_ray.local.redshift.actions import Credentials
from s3rs_ray.local.redshift.loaderror import LoadError, s3_error
from s3rs_ray.local.redshift.manifest import ManifestEntry
from s3rs_ray.local.redshift.sqlerror import SqlError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Objects", "S3Access"]

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_CHUNK = 1 << 20


@dataclass(slots=True, kw_only=True)
class S3Access:
    """The S3 the stand-in reads from, and the roles it may assume.

    Attributes:
        endpoint_url: of the S3 server.
        region: of the warehouse and its buckets.
        iam_roles: the roles a COPY may name; ``default`` is always among them.
        access_key: used for a load by role.
        secret_key: used for a load by role.
    """

    endpoint_url: str
    region: str
    iam_roles: frozenset[str]
    access_key: str
    secret_key: str = field(repr=False)
    _clients: dict[Credentials, S3Client] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, credentials: Credentials) -> Objects:
        """The objects these credentials may read.

        Raises:
            SqlError: the role is not one of the warehouse's.
        """
        if credentials.role:
            if credentials.role != "default" and credentials.role not in self.iam_roles:
                text = f"Not authorized to get credentials of role {credentials.role}"
                raise LoadError(text, 30000, "", "xen_aws_credentials_mgr.cpp:402")
            credentials = Credentials(access_key=self.access_key, secret_key=self.secret_key)
        with self._lock:
            client = self._clients.get(credentials)
            if client is None:
                client = self._clients[credentials] = self._connect(credentials)
        return Objects(client, self.region)

    def _connect(self, credentials: Credentials) -> S3Client:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token or None,
            config=Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 2, "mode": "standard"}, connect_timeout=5
            ),
        )


@dataclass(frozen=True, slots=True)
class Objects:
    """What one COPY may read."""

    client: S3Client
    region: str

    def url(self, entry: ManifestEntry) -> str:
        """How Redshift's errors name the file."""
        return f"https://s3.{self.region}.amazonaws.com/{entry.bucket}/{entry.key}"

    def read_manifest(self, bucket: str, key: str) -> bytes:
        """The bytes of the manifest.

        Raises:
            SqlError: it is not there or may not be read.
        """
        try:
            return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise _no_prefix(key) from error
            raise _refused(error, f"s3://{bucket}/{key}") from error
        except BotoCoreError as error:
            raise s3_error(f"S3CurlException: {error}", 9001, "") from error

    def list_prefix(self, bucket: str, prefix: str) -> list[ManifestEntry]:
        """Every object under a prefix, as a COPY without MANIFEST takes them.

        Raises:
            SqlError: there is none, or it may not be listed.
        """
        entries: list[ManifestEntry] = []
        try:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    entries.append(
                        ManifestEntry(bucket=bucket, key=item["Key"], mandatory=True, content_length=item["Size"])
                    )
        except ClientError as error:
            raise _refused(error, f"s3://{bucket}/{prefix}") from error
        except BotoCoreError as error:
            raise s3_error(f"S3CurlException: {error}", 9001, "") from error
        if not entries:
            raise _no_prefix(prefix)
        return entries

    def fetch(self, entry: ManifestEntry) -> BinaryIO | None:
        """The object as a temporary file that is gone when closed; None when it is missing and not mandatory.

        Raises:
            SqlError: it is missing, has another size, or may not be read.
        """
        url = self.url(entry)
        # AWS documentation, "COPY from columnar data formats": these are decompressed before they are read.
        if entry.key.endswith((".gz", ".snappy", ".bz2")):
            raise s3_error("Spectrum Scan Error", 15007, f"File '{url}' has the suffix of a compressed file", url)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            answer = self.client.get_object(Bucket=entry.bucket, Key=entry.key)
            if answer["ContentLength"] != entry.content_length:
                answer["Body"].close()
                raise _wrong_size(url)
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                file.write(chunk)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING and not entry.mandatory:
                return None
            raise _refused(error, url) from error
        except BotoCoreError as error:
            raise s3_error("S3 Query Exception (Fetch)", 15001, str(error), url) from error
        file.seek(0)
        return file


def _no_prefix(key: str) -> LoadError:
    return s3_error(f"The specified S3 prefix '{key}' does not exist", 8001, "")


def _wrong_size(url: str) -> LoadError:
    context = (
        "Task failed due to an internal error. HTTP response error code: 416 Message: InvalidRange "
        f"The requested range is not satisfiable, File name: {url}"
    )
    return s3_error("S3 Query Exception (Fetch)", 15001, context, url)


def _refused(error: ClientError, url: str) -> SqlError:
    told = error.response["Error"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"S3ServiceException:{told.get('Message', '')},Status {status},Error {told['Code']}"
    return s3_error(text, 8001, f"Failed to read {url}", url)

"""What the tests put into S3: Parquet files, manifests, and the COPY that loads them."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import redshift_connector

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Lake", "error_of"]


def parquet_bytes(table: pa.Table, **options: object) -> bytes:
    """A file of ``table`` as the product writes it, unless ``options`` say otherwise."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **{"compression": "snappy", "data_page_version": "1.0", **options})
    return buffer.getvalue()


class Lake:
    """The bucket of the tests."""

    def __init__(self, client: S3Client, bucket: str, role: str) -> None:
        self.client = client
        self.bucket = bucket
        self.role = role

    def put(self, data: bytes, key: str = "") -> str:
        """Writes an object and returns its key."""
        key = key or f"incremental/{secrets.token_hex(6)}.parquet"
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)
        return key

    def entry(self, data: bytes, key: str = "", *, mandatory: bool = True) -> dict[str, object]:
        """Writes a file and returns its entry of a manifest."""
        url = f"s3://{self.bucket}/{self.put(data, key)}"
        return {"url": url, "mandatory": mandatory, "meta": {"content_length": len(data)}}

    def manifest(self, entries: Sequence[object]) -> str:
        """Writes a manifest and returns its URL."""
        return self.manifest_text(json.dumps({"entries": list(entries)}))

    def manifest_text(self, text: str) -> str:
        """Writes any text in place of a manifest and returns its URL."""
        key = self.put(text.encode(), f"manifests/{secrets.token_hex(6)}.manifest")
        return f"s3://{self.bucket}/{key}"

    def manifest_of(self, table: pa.Table, **options: object) -> str:
        """Writes one file and a manifest of it; returns the URL of the manifest."""
        return self.manifest([self.entry(parquet_bytes(table, **options))])

    def copy_sql(self, table: str, url: str, columns: str = "", options: str = "") -> str:
        """A COPY by role."""
        head = f"COPY {table} {columns} FROM '{url}' IAM_ROLE '{self.role}'"
        return f"{head} FORMAT AS PARQUET MANIFEST {options}"


def error_of(call: object, *arguments: object) -> dict[str, str]:
    """The fields of the error a statement raises.

    Raises:
        AssertionError: it raised none.
    """
    try:
        call(*arguments)  # type: ignore[operator]
    except (redshift_connector.ProgrammingError, redshift_connector.InterfaceError) as error:
        fields = error.args[0]
        assert isinstance(fields, dict), fields
        return fields
    raise AssertionError(f"no error: {arguments}")

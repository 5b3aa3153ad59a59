"""The manifest of a COPY from a columnar format.

Source: AWS documentation, "Using a manifest to specify data files", "COPY from columnar data formats" (``meta`` with
``content_length`` is required); redshift.md, "COPY ... FORMAT AS PARQUET" (texts and code 15003).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from s3rs_ray.local.redshift.loaderror import LoadError, manifest_error

__all__ = ["ManifestEntry", "parse_manifest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One file of a load.

    Attributes:
        bucket: of the object.
        key: of the object; ``//`` in it is kept, since it names another object.
        mandatory: whether a missing object fails the load; **false** unless the manifest says so.
        content_length: the exact size in bytes.
    """

    bucket: str
    key: str
    mandatory: bool
    content_length: int


def parse_manifest(data: bytes) -> list[ManifestEntry]:
    """The files a manifest lists, in order; one that is listed twice comes twice.

    Raises:
        LoadError: 15003 with Redshift's text.
    """
    try:
        document = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise manifest_error("Parsed manifest is not a valid JSON object.") from error
    if not isinstance(document, dict):
        raise manifest_error("Parsed manifest is not a valid JSON object.")
    entries = document.get("entries")
    if not isinstance(entries, list):
        raise manifest_error("Manifest does not have 'entries' key.")
    return [_entry(entry) for entry in entries]


def _entry(entry: object) -> ManifestEntry:
    if not isinstance(entry, dict):
        raise manifest_error("File entry is not a valid JSON object.")
    url = entry.get("url")
    if not isinstance(url, str):
        raise manifest_error("File entry does not have 'url' key.")
    meta = entry.get("meta")
    if not isinstance(meta, dict):
        raise manifest_error("File entry does not have 'meta' key.")
    length = meta.get("content_length")
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise manifest_error("'meta' does not have a valid 'content_length' key.")
    mandatory = entry.get("mandatory", False)
    if not isinstance(mandatory, bool):
        raise manifest_error("'mandatory' is not a boolean.")
    bucket, key = _split(url)
    return ManifestEntry(bucket=bucket, key=key, mandatory=mandatory, content_length=length)


def _split(url: str) -> tuple[str, str]:
    bucket, slash, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not slash or not key:
        raise _bad_url(url)
    return bucket, key


def _bad_url(url: str) -> LoadError:
    return manifest_error(f"The S3 URL '{url}' in the manifest is not valid.")

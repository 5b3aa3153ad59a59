"""Manifest <-> JSON, the load id, and the manifest file that COPY reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson

from ..model import DataFile, TableName


def load_id(*, generation: str, table: TableName, target: str, files: Sequence[DataFile]) -> str:
    """The identity of one load: sha256 over what is loaded, to where, in which life of the table's state.

    The generation changes when a watermark is reset, so that the same files can be loaded again on purpose, and
    only then.
    """
    content = [generation, str(table), target, [[f.key, f.digest, f.rows] for f in files]]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def copy_manifest(files: Sequence[DataFile], bucket: str) -> bytes:
    """The manifest file of a COPY (Amazon Redshift Database Developer Guide, "Using a manifest").

    ``mandatory`` is always true, because a missing file is skipped silently otherwise; ``content_length`` is
    required for Parquet. A file without rows is left out.
    """
    entries = [
        {"url": f"s3://{bucket}/{f.key}", "mandatory": True, "meta": {"content_length": f.bytes}}
        for f in files
        if f.rows
    ]
    return orjson.dumps({"entries": entries}, option=orjson.OPT_INDENT_2)

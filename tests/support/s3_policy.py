"""A bucket policy that forbids the deletion of single objects, as the S3 server here and Amazon's keep it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from s3rs_ray.storage.s3 import S3Store


@contextmanager
def no_deletion(store: S3Store, *keys: str) -> Iterator[None]:
    """While the block runs, nobody may delete these objects."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": [f"arn:aws:s3:::{store.bucket}/{key}" for key in keys],
    }
    client = store._client
    client.put_bucket_policy(
        Bucket=store.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    try:
        yield
    finally:
        client.delete_bucket_policy(Bucket=store.bucket)

"""A world for one test: a source schema, a warehouse schema of the same name, and settings that lead to both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import TableResult
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.store import Ledger
from s3rs_ray.local import comparison
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import TableName

if TYPE_CHECKING:
    from s3rs_ray.local.settlement import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both ends as a test sees them, by other clients than the product's."""

    schema: str
    settings: Settings
    source: Connection
    warehouse: psycopg.Connection[tuple[Any, ...]]
    environment: dict[str, str] = field(repr=False)

    def execute(self, sql: str, rows: Sequence[Sequence[object]] | None = None) -> None:
        """Runs a statement in the source schema; ``rows`` are its parameters, many times."""
        with self.source.cursor() as cursor:
            cursor.execute(f"USE `{self.schema}`")
            if rows is None:
                cursor.execute(sql)
            else:
                cursor.executemany(sql, rows)

    def sync(self, *tables: str, settings: Settings | None = None, **asked: Any) -> list[TableResult]:
        """Syncs tables of the schema without Ray."""
        request = Request(tables=tuple(f"{self.schema}.{t}" for t in tables), inline=True, **asked)
        return list(driver.sync(settings or self.settings, request).tables)

    def sync_one(self, table: str, settings: Settings | None = None, **asked: Any) -> TableResult:
        """Syncs one table and expects that it works."""
        (result,) = self.sync(table, settings=settings, **asked)
        assert not result.error, result
        return result

    def target_rows(self, table: str, columns: str = "count(*)", tail: str = "") -> list[tuple[Any, ...]]:
        """What the warehouse holds."""
        with self.warehouse.cursor() as cursor:
            cursor.execute(f'SELECT {columns} FROM "{self.schema}"."{table}" {tail}'.encode())
            return cursor.fetchall()

    def source_rows(self, table: str, columns: str = "COUNT(*)", tail: str = "") -> list[tuple[Any, ...]]:
        """What the source holds."""
        with self.source.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM `{self.schema}`.`{table}` {tail}")
            return list(cursor.fetchall())

    def assert_equal(self, table: str, key: str = "id") -> comparison.Comparison:
        """Compares both ends value by value."""
        pair = comparison.Pair(schema=self.schema, table=table, key=key, target=f'"{self.schema}"."{table}"')
        result = comparison.compare(self.source, self.warehouse, pair)
        assert result.equal, result.differences
        return result

    def name(self, table: str) -> TableName:
        return TableName(self.schema, table)

    def ledger(self) -> Ledger:
        return Ledger(open_store(self.settings))


@lru_cache(maxsize=1)
def s3_client(settings: Settings) -> Any:
    """A client of a stack's S3 that is not the product's."""
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )


def make_bucket(settings: Settings, name: str) -> None:
    s3_client(settings).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": settings.s3_region})


@pytest.fixture
def bucket(settings: Settings, source_schema: str) -> Iterator[str]:
    """A bucket of the test's own: commands list all that is in one, so that of all tests would grow long."""
    name = source_schema.replace("_", "-")
    make_bucket(settings, name)
    yield name
    client = s3_client(settings)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        if found := [{"Key": entry["Key"]} for entry in page.get("Contents", ())]:
            client.delete_objects(Bucket=name, Delete={"Objects": found, "Quiet": True})
    with suppress(ClientError):  # a process that a test killed may have written last
        client.delete_bucket(Bucket=name)


@pytest.fixture
def world(
    stack: LocalStack, settings: Settings, connection: Connection, source_schema: str, bucket: str
) -> Iterator[World]:
    """A world whose rows settle at once: tests write and sync in the same second."""
    names = {"DB_DATABASE": source_schema, "REDSHIFT_SCHEMA": source_schema, "S3_BUCKET_NAME": bucket}
    environment = stack.environment() | names
    with comparison.connect_warehouse(environment) as warehouse:
        yield World(
            schema=source_schema,
            settings=settings.model_copy(
                update={**{name.lower(): value for name, value in names.items()}, "backup_settle_seconds": 0}
            ),
            source=connection,
            warehouse=warehouse,
            environment=environment,
        )

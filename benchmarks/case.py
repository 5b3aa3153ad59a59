"""What is measured on: the embedded stack, a filled table, its chunks as the product cuts them."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow.fs
import pyarrow.parquet as pq

from s3rs_ray.config import Settings
from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.executor import own_cpus, reader_count
from s3rs_ray.engine.plan import TablePlan
from s3rs_ray.engine.sizing import chunk_sizer
from s3rs_ray.local import settlement
from s3rs_ray.local.comparison import connect_warehouse
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import Chunk
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.chunks import looks_rows_up
from s3rs_ray.source.cutting import cut_chunks
from s3rs_ray.source.extract import session_sql

TABLE = f"{settlement.DATABASE}.{settlement.DELIVERY_TABLE}"
ROW_BYTES = 600
"""What a row may take in InnoDB's cache, indexes included; the cache holds the whole table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket and a warehouse schema of its own, so that no measurement sees another's state."""

    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return Settings.load(environment=self.environment)

    @property
    def bucket(self) -> str:
        return self.environment["S3_BUCKET_NAME"]

    @property
    def schema(self) -> str:
        return self.environment["REDSHIFT_SCHEMA"]


@dataclass(slots=True, kw_only=True)
class Case:
    """The stack and the table.

    Attributes:
        rows: counted by the server, not by the product.
        environment: the variables that lead the product to the stack, with those of ``--set``.
        directory: a temporary one, for files and as working directory of commands.
        arrow_bytes: of all rows as ConnectorX returns them; 0 until a reader counted them.
        backed_up: a place with a backup that no load has used yet.
    """

    stack: LocalStack
    plan: TablePlan
    chunks: tuple[Chunk, ...]
    server: str
    rows: int
    environment: Mapping[str, str]
    directory: Path
    arrow_bytes: int = 0
    backed_up: Place | None = None

    @property
    def settings(self) -> Settings:
        return Settings.load(environment=self.environment)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.stack.mariadb.host, self.stack.mariadb.port)

    @property
    def session(self) -> list[str]:
        """What the product sets on a connection before it reads a chunk."""
        lookups = looks_rows_up(self.plan.table, self.chunks[0].range.columns)
        return session_sql(self.settings, self.server, lookups=lookups)

    @property
    def servers(self) -> dict[str, tuple[int, ...]]:
        """The servers' processes by party."""
        stack = self.stack
        return {
            "source": (stack.mariadb.pid,),
            "s3": (stack.s3.pid,),
            "warehouse": (stack.postgres.pid, stack.redshift.pid),
        }

    @property
    def program_environment(self) -> dict[str, str]:
        """This process's environment without the product's own variables."""
        return {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}

    def open_place(self) -> Place:
        name = f"bench-{secrets.token_hex(4)}"
        _lake(self.environment).create_dir(name)
        changed = {"S3_BUCKET_NAME": name, "REDSHIFT_SCHEMA": name.replace("-", "_")}
        return Place(environment={**self.environment, **changed})

    def close_place(self, place: Place) -> None:
        """Gives memory and disk back."""
        _lake(place.environment).delete_dir(place.bucket)
        with connect_warehouse(dict(place.environment)) as warehouse, suppress(psycopg.errors.InvalidSchemaName):
            warehouse.execute(f'DROP SCHEMA "{place.schema}" CASCADE')

    @contextmanager
    def place(self) -> Iterator[Place]:
        opened = self.open_place()
        try:
            yield opened
        finally:
            self.close_place(opened)


def lake_content(place: Place) -> tuple[int, int]:
    """Rows by the Parquet footers, and bytes, of the files in a place's bucket; read by pyarrow alone."""
    lake = _lake(place.environment)
    files = lake.get_file_info(pyarrow.fs.FileSelector(place.bucket, recursive=True))
    parquet = [f for f in files if f.path.endswith(".parquet")]
    rows = sum(pq.read_metadata(f.path, filesystem=lake).num_rows for f in parquet)
    return rows, sum(f.size for f in parquet)


def warehouse_rows(place: Place) -> int:
    """Rows of the place's target table, counted through psycopg."""
    with connect_warehouse(dict(place.environment)) as warehouse:
        row = warehouse.execute(f'SELECT count(*) FROM "{place.schema}"."{settlement.DELIVERY_TABLE}"').fetchone()
    return int(row[0]) if row else 0


@contextmanager
def open_case(rows: int, overrides: Mapping[str, str]) -> Iterator[Case]:
    """Brings the stack up and fills the table.

    Args:
        overrides: further variables for the product.
    """
    pool_mb = max(256, rows * ROW_BYTES // 2**20)
    with (
        LocalStack(buffer_pool_mb=min(pool_mb, _memory_bytes() // 4 // 2**20)) as stack,
        tempfile.TemporaryDirectory(prefix="s3rs-bench-") as directory,
    ):
        with stack.mariadb.connect() as connection, connection.cursor() as cursor:
            settlement.create_schema(connection)
            settlement.fill(connection, rows)
            cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
            counted = int(str((cursor.fetchone() or (0,))[0]))
        environment = {**stack.environment(), "LOG_LEVEL": "WARNING", **overrides}
        plan, chunks, server = _cut(Settings.load(environment=environment))
        yield Case(
            stack=stack,
            plan=plan,
            chunks=chunks,
            server=server,
            rows=counted,
            environment=environment,
            directory=Path(directory),
        )


def _cut(settings: Settings) -> tuple[TablePlan, tuple[Chunk, ...], str]:
    """The plan of a first backup and the slices of its chunks: what the product reads with one query each."""
    (plan,) = driver.plan(settings, Request(tables=(TABLE,), load=False))
    assert plan.window is not None
    with open_catalog(settings, Endpoint(settings.db_host, settings.db_port)) as catalog:
        readers = reader_count(settings, own_cpus())
        sizes = chunk_sizer(plan.table, settings, window_rows=plan.estimated_rows, readers=readers)
        chunks = cut_chunks(catalog, plan.table, plan.window, plan.order, run_id="benchmark", sizes=sizes)
        return plan, tuple(part for chunk in chunks for part in chunk.slices), catalog.server_version()


def _lake(environment: Mapping[str, str]) -> pyarrow.fs.S3FileSystem:
    return pyarrow.fs.S3FileSystem(
        access_key=environment["S3_ACCESS_KEY"],
        secret_key=environment["S3_SECRET_KEY"],
        endpoint_override=environment["S3_ENDPOINT_URL"],
        region=environment["S3_REGION"],
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

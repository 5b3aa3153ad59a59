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
from s3rs_ray.local.comparison import connect_warehouse
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import Chunk
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.chunks import looks_rows_up
from s3rs_ray.source.cutting import cut_chunks, evened
from s3rs_ray.source.extract import session_sql

from .link import open_link
from .tables import DELIVERY, Kind

ROOT = Path(__file__).parent.parent

LEAST_POOL_MB = 256


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
        kind: of the table that is measured.
        plan: of its first backup.
        arrow_bytes: of all rows as ConnectorX returns them; 0 until a reader counted them.
        backed_up: a place with a backup that no load has used yet.
    """

    stack: LocalStack
    kind: Kind
    plan: TablePlan
    server: str
    rows: int
    environment: Mapping[str, str]
    directory: Path
    arrow_bytes: int = 0
    backed_up: Place | None = None
    _chunks: tuple[Chunk, ...] | None = None

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The slices of a first backup's chunks: what the product reads with one query each."""
        if self._chunks is None:
            self._chunks = tuple(part for chunk in cut(self, self.plan.order) for part in chunk.slices)
        return self._chunks

    @property
    def settings(self) -> Settings:
        return Settings.load(environment=self.environment)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.settings.db_host, self.settings.db_port)

    @property
    def session(self) -> list[str]:
        """What the product sets on a connection before it reads a chunk."""
        lookups = looks_rows_up(self.plan.table, self.chunks[0].range.columns)
        return [session_sql(self.settings, self.server, lookups=lookups)]

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
        """This process's environment without the product's own variables, and with the tree that is measured."""
        kept = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
        return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))}

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFile:
    """A Parquet file on S3 by its footer, read by pyarrow alone.

    Attributes:
        group_rows, group_bytes: of each row group; bytes before compression, which are more than those on disk.
    """

    bytes: int
    group_rows: tuple[int, ...]
    group_bytes: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.group_rows)


def lake_files(place: Place) -> list[LakeFile]:
    """The Parquet files in a place's bucket, in the order of their chunks."""
    lake = _lake(place.environment)
    found = lake.get_file_info(pyarrow.fs.FileSelector(place.bucket, recursive=True))
    parquet = sorted((f for f in found if f.path.endswith(".parquet")), key=lambda f: f.path)
    return [_lake_file(pq.read_metadata(f.path, filesystem=lake), f.size) for f in parquet]


def _lake_file(footer: pq.FileMetaData, size: int) -> LakeFile:
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return LakeFile(
        bytes=size,
        group_rows=tuple(g.num_rows for g in groups),
        group_bytes=tuple(g.total_byte_size for g in groups),
    )


def warehouse_rows(place: Place, name: str) -> int:
    """Rows of a target table of the place, counted through psycopg."""
    with connect_warehouse(dict(place.environment)) as warehouse:
        row = warehouse.execute(f'SELECT count(*) FROM "{place.schema}"."{name}"').fetchone()
    return int(row[0]) if row else 0


@contextmanager
def open_case(rows: int, overrides: Mapping[str, str], kind: Kind = DELIVERY) -> Iterator[Case]:
    """Brings the stack up, with a cache of the source that holds the table, and fills it.

    Args:
        overrides: further variables for the product.
    """
    pool_mb = max(LEAST_POOL_MB, rows * kind.row_bytes // 2**20)
    with LocalStack(buffer_pool_mb=min(pool_mb, _memory_bytes() // 4 // 2**20)) as stack:
        with stack.mariadb.connect() as connection:
            kind.fill(connection, rows)
        with case_on(stack, kind, overrides) as case:
            yield case


@contextmanager
def case_on(stack: LocalStack, kind: Kind, overrides: Mapping[str, str]) -> Iterator[Case]:
    """The case of a table that a running stack holds."""
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {kind.full_name}")
        counted = int(str((cursor.fetchone() or (0,))[0]))
    environment = {**stack.environment(), "LOG_LEVEL": "WARNING", **overrides}
    settings = Settings.load(environment=environment)
    (plan,) = driver.plan(settings, Request(tables=(kind.full_name,), load=False))
    with open_catalog(settings, Endpoint(settings.db_host, settings.db_port)) as catalog:
        server = catalog.server_version()
    with tempfile.TemporaryDirectory(prefix="s3rs-bench-") as directory:
        yield Case(
            stack=stack,
            kind=kind,
            plan=plan,
            server=server,
            rows=counted,
            environment=environment,
            directory=Path(directory),
        )


@contextmanager
def behind_link(case: Case, megabytes: float | None) -> Iterator[None]:
    """Lets nobody read the source faster than so many MB/s, all of them together; None leaves it as it is."""
    if megabytes is None:
        yield
        return
    plain = case.environment
    with open_link(case.endpoint.host, case.endpoint.port, megabytes * 1e6) as port:
        case.environment = {**plain, "DB_HOST": "127.0.0.1", "DB_PORT": str(port)}
        yield
    case.environment = plain


def cut(case: Case, order: RangeOrder) -> list[Chunk]:
    """All chunks of a first backup."""
    plan, settings = case.plan, case.settings
    assert plan.window is not None
    with open_catalog(settings, case.endpoint) as catalog:
        readers = reader_count(settings, own_cpus())
        sizes = chunk_sizer(plan.table, settings, window_rows=plan.estimated_rows, readers=readers)
        chunks = cut_chunks(catalog, plan.table, plan.window, order, run_id="benchmark", sizes=sizes)
        return list(evened(chunks, sizes, readers))


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

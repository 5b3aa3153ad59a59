"""Other ways to bring the table from MySQL into Parquet files, each as its users write it, in a process of its own.

They write to a local directory, which is less work than the product's: no upload, no digest, no ledger.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from s3rs_ray.local import settlement
from s3rs_ray.model import Column
from s3rs_ray.source.extract import source_url

from .case import Case
from .sample import Sample, WrongResult, require_rows
from .watch import watching

BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a peer reads from.

    Attributes:
        url: for ConnectorX.
        columns: the SELECT list that makes every value exact: the same the product uses.
        columns_in_text: the same with BIGINT UNSIGNED as text, for tools that stop at 2^63.
    """

    host: str
    port: int
    user: str
    password: str
    url: str
    columns: str
    columns_in_text: str

    @property
    def query(self) -> str:
        return f"SELECT {self.columns} FROM {settlement.DELIVERY_TABLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another tool.

    Attributes:
        packages: what has to be importable; imported outside the measured time.
        run: writes the whole table as Parquet below the directory.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    run: Callable[[Source, Path], None]


def with_dlt_connectorx(source: Source, directory: Path) -> None:
    """dlt's sql_table with the ConnectorX backend."""
    _with_dlt(source, directory, "connectorx", {"conn": source.url, "protocol": "binary"})


def with_dlt_pyarrow(source: Source, directory: Path) -> None:
    """dlt's sql_table with the pyarrow backend."""
    _with_dlt(replace(source, columns=source.columns_in_text), directory, "pyarrow", {})


def _with_dlt(source: Source, directory: Path, backend: str, options: dict[str, Any]) -> None:
    import dlt
    from dlt.sources.sql_database import sql_table

    text = import_module("sqlalchemy").text
    user, password = quote(source.user, safe=""), quote(source.password, safe="")
    resource = sql_table(
        credentials=f"mysql+pymysql://{user}:{password}@{source.host}:{source.port}/{settlement.DATABASE}",
        table=settlement.DELIVERY_TABLE,
        backend=backend,
        chunk_size=BATCH_ROWS,
        reflection_level="minimal",
        backend_kwargs=options,
        query_adapter_callback=lambda query, table: text(source.query),
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(directory / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(directory / "lake").as_uri()),
        dataset_name="bench",
    )
    pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()


def with_polars(source: Source, directory: Path) -> None:
    """polars.read_database_uri, the table in memory at once, then write_parquet."""
    import polars

    frame = polars.read_database_uri(source.query, source.url, engine="connectorx", protocol="binary")
    _lake(directory).mkdir(parents=True)
    frame.write_parquet(_lake(directory) / "table.parquet")


def with_pandas(source: Source, directory: Path) -> None:
    """The loop people write by hand: an unbuffered pymysql cursor, fetchmany, a DataFrame, to_parquet."""
    import pandas
    import pymysql
    import pymysql.cursors

    lake = _lake(directory)
    lake.mkdir(parents=True)
    connection = pymysql.connect(
        host=source.host,
        port=source.port,
        user=source.user,
        password=source.password,
        database=settlement.DATABASE,
        cursorclass=pymysql.cursors.SSCursor,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {settlement.DELIVERY_TABLE}")
        names = [column[0] for column in cursor.description]
        number = 0
        while rows := cursor.fetchmany(BATCH_ROWS):
            frame = pandas.DataFrame(rows, columns=names)
            frame.to_parquet(lake / f"part-{number}.parquet")
            number += 1


def _lake(directory: Path) -> Path:
    """Where dlt puts a table's files too."""
    return directory / "lake" / "bench" / settlement.DELIVERY_TABLE


PEERS = (
    Peer(
        name="dlt-connectorx",
        title="dlt, ConnectorX backend, to local Parquet",
        packages=("dlt", "sqlalchemy"),
        run=with_dlt_connectorx,
    ),
    Peer(
        name="dlt-pyarrow",
        title="dlt, pyarrow backend, to local Parquet",
        packages=("dlt", "sqlalchemy"),
        run=with_dlt_pyarrow,
    ),
    Peer(
        name="polars",
        title="polars read_database_uri + write_parquet, local",
        packages=("polars",),
        run=with_polars,
    ),
    Peer(
        name="pandas",
        title="pymysql + pandas loop, to local Parquet",
        packages=("pandas", "pymysql"),
        run=with_pandas,
    ),
)


def peer_missing(peer: Peer) -> str:
    """Why a peer cannot be measured."""
    absent = [package for package in peer.packages if find_spec(package) is None]
    return f"not installed: {', '.join(absent)} (pip install -e '.[bench]')" if absent else ""


def measure_peer(case: Case, peer: Peer) -> Sample:
    """Runs a peer in a process of its own and counts the rows of its files."""
    account, columns = case.stack.mariadb.account, case.plan.table.columns
    source = {
        "host": case.endpoint.host,
        "port": case.endpoint.port,
        "user": account.user,
        "password": account.password,
        "url": source_url(case.settings, case.endpoint),
        "columns": ", ".join(f"{c.select} AS `{c.name}`" for c in columns),
        "columns_in_text": ", ".join(
            f"CAST({c.select} AS CHAR) AS `{c.name}`" if _beyond_int64(c) else f"{c.select} AS `{c.name}`"
            for c in columns
        ),
    }
    with TemporaryDirectory(dir=case.directory) as directory:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, peer.name, directory],
            env={**case.program_environment, "RUNTIME__DLTHUB_TELEMETRY": "false"},
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with watching([process.pid], case.servers) as seen:
            answer, errors = process.communicate(json.dumps(source).encode())
            whole = time.perf_counter() - started
        if process.returncode:
            raise WrongResult(f"{peer.name} exited with {process.returncode}:\n{errors.decode()[-2000:]}")
        files = list(_lake(Path(directory)).glob("*.parquet"))
        require_rows(peer.name, case.rows, sum(_rows(file) for file in files))
        return Sample(
            rows=case.rows,
            seconds=json.loads(answer.splitlines()[-1])["seconds"],
            whole_seconds=whole,
            parquet_bytes=sum(f.stat().st_size for f in files),
            largest_bytes=seen.largest_bytes,
            driver_bytes=seen.driver_bytes,
            cpu_seconds=seen.cpu_seconds,
        )


def _beyond_int64(column: Column) -> bool:
    return column.source_type.startswith("bigint") and "unsigned" in column.source_type


def _rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def run(arguments: Sequence[str]) -> None:
    """The peer's process: ``NAME DIRECTORY``, the source on stdin; the seconds on stdout."""
    name, directory = arguments
    source = Source(**json.load(sys.stdin))
    peer = next(p for p in PEERS if p.name == name)
    for package in peer.packages:
        import_module(package)
    started = time.perf_counter()
    peer.run(source, Path(directory))
    os.write(1, json.dumps({"seconds": time.perf_counter() - started}).encode() + b"\n")


if __name__ == "__main__":
    run(sys.argv[1:])

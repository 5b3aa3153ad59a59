"""The ceilings: the same rows read by the ``mariadb`` client to nowhere, and by ConnectorX in processes of its own."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import IO

import connectorx

from s3rs_ray.source.chunks import select_sql
from s3rs_ray.source.extract import source_url

from .case import Case
from .sample import Sample, require_rows
from .watch import watching

CLIENT = "mariadb"
START_SECONDS = 60

_together: Barrier | None = None


def client_missing() -> str:
    """Why the client cannot be measured."""
    return "" if shutil.which(CLIENT) else f"no program {CLIENT} (Debian: apt-get install mariadb-client-core)"


def read_with_client(case: Case) -> Sample:
    """``mariadb -q … > /dev/null``, one process; its rows are counted by ``check_client``."""
    with Path(os.devnull).open("wb") as nowhere:
        started = time.perf_counter()
        process = _start_client(case, nowhere)
        with watching([process.pid], case.servers) as seen:
            _ask(process, case)
            seconds = time.perf_counter() - started
    return Sample(
        rows=case.rows,
        seconds=seconds,
        whole_seconds=seconds,
        largest_bytes=seen.largest_bytes,
        driver_bytes=seen.driver_bytes,
        cpu_seconds=seen.cpu_seconds,
    )


def check_client(case: Case) -> None:
    """Counts the lines the client writes for the same statements: one for each row, as it escapes line ends."""
    path = case.directory / "client.out"
    with path.open("wb") as file:
        _ask(_start_client(case, file), case)
    with path.open("rb") as file:
        pieces = iter(functools.partial(file.read, 1 << 20), b"")
        require_rows("the mariadb client", case.rows, sum(piece.count(b"\n") for piece in pieces))
    path.unlink()


def _start_client(case: Case, output: IO[bytes]) -> subprocess.Popen[bytes]:
    account = case.stack.mariadb.account
    where = [f"--host={case.endpoint.host}", f"--port={case.endpoint.port}", f"--user={account.user}"]
    return subprocess.Popen(
        [CLIENT, "--no-defaults", "--quick", "--batch", "--skip-column-names", "--protocol=tcp", *where],
        env={**os.environ, "MYSQL_PWD": account.password},
        stdin=subprocess.PIPE,
        stdout=output,
    )


def _ask(process: subprocess.Popen[bytes], case: Case) -> None:
    statements = [*case.session, *(select_sql(case.plan.table, c) for c in case.chunks)]
    process.communicate(";\n".join([*statements, ""]).encode())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, CLIENT)


def read_with_connectorx(case: Case, processes: int) -> Sample:
    """The chunks' own SELECTs, handed out one at a time to processes that have imported what they need."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes + 1)
    url = source_url(case.settings, case.endpoint)
    read = functools.partial(_read, url, case.session)
    with context.Pool(processes, _prepare, (together,)) as pool:
        ready = [pool.apply_async(_ready) for _ in range(processes)]
        together.wait(START_SECONDS)
        pids = [answer.get(START_SECONDS) for answer in ready]
        with watching(pids, case.servers) as seen:
            started = time.perf_counter()
            queries = [select_sql(case.plan.table, chunk) for chunk in case.chunks]
            answers = list(pool.imap_unordered(read, queries, chunksize=1))
            seconds = time.perf_counter() - started
    rows, arrow_bytes = sum(r for r, _ in answers), sum(b for _, b in answers)
    require_rows("ConnectorX", case.rows, rows)
    case.arrow_bytes = arrow_bytes
    return Sample(
        rows=rows,
        seconds=seconds,
        whole_seconds=seconds,
        arrow_bytes=arrow_bytes,
        largest_bytes=seen.largest_bytes,
        cpu_seconds=seen.cpu_seconds,
    )


def _prepare(together: Barrier) -> None:
    global _together  # noqa: PLW0603  a pool's process has no other place for it
    _together = together


def _ready() -> int:
    """Meets the other processes, so that each has taken one of these tasks."""
    assert _together is not None
    _together.wait(START_SECONDS)
    return os.getpid()


def _read(url: str, session: Sequence[str], query: str) -> tuple[int, int]:
    """Rows and Arrow bytes of one query, read as the product reads it and dropped."""
    table = connectorx.read_sql(url, query, return_type="arrow", protocol="binary", pre_execution_query=list(session))
    return table.num_rows, table.nbytes

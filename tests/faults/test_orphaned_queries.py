"""Queries that workers of a dead run left at the source are ended when the run is taken over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pymysql
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.errors import SourceError
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.model import Watermark, Window
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.source.chunks import comment_sql
from s3rs_ray.source.extract import read_chunk
from s3rs_ray.source.queries import end_queries
from tests.integration.conftest import World
from tests.support import build

from .ends import Ends
from .runs import Runs, wait_for

RUN = "20260131T000000Z-abcdef"


@contextmanager
def sleeping(stack: LocalStack, run_id: str, what: str) -> Iterator[list[BaseException | None]]:
    """A query of a run that takes a minute; yields how it ended, once it has."""
    ended: list[BaseException | None] = []
    connection = stack.mariadb.connect()
    with connection.cursor() as first:
        first.execute("SELECT CONNECTION_ID()")
        [[number]] = first.fetchall()

    def ask() -> None:
        try:
            connection.cursor().execute(comment_sql(run_id, what) + "SELECT SLEEP(60)")
        except pymysql.err.MySQLError as exc:
            ended.append(exc)
        else:
            ended.append(None)

    thread = threading.Thread(target=ask)
    thread.start()
    with stack.mariadb.connect() as other, other.cursor() as cursor:
        try:
            wait_for(lambda: bool(cursor.execute(FIND, (f"%run={run_id} {what}%",))), "the query runs")
            yield ended
        finally:
            if not ended:
                cursor.execute(f"KILL {number}")
            thread.join()
            connection.close()


FIND = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()"


def test_those_of_one_chunk_or_one_run_are_ended_and_no_others(stack: LocalStack, settings: Settings) -> None:
    with (
        sleeping(stack, RUN, "chunk=1") as first,
        sleeping(stack, RUN, "chunk=11") as second,
        sleeping(stack, RUN + "0", "chunk=1") as other,
        open_catalog(settings, Endpoint(settings.db_host, settings.db_port)) as catalog,
    ):
        assert end_queries(catalog, RUN, "chunk=1") == 1
        wait_for(lambda: bool(first), "the chunk's query ends")
        assert not second
        assert end_queries(catalog, RUN) == 1
        wait_for(lambda: bool(second), "the run's query ends")
        assert end_queries(catalog, RUN) == 0
        assert not other


def test_a_read_by_connectorx_is_found_by_its_comment_and_ended(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t SELECT seq, '2026-01-31' FROM seq_1_to_60")
    here = Endpoint(world.settings.db_host, world.settings.db_port)
    with open_catalog(world.settings, here) as catalog:
        table = catalog.discover(world.name("t"))
        first, *rest = table.columns
        slow = replace(table, columns=(replace(first, select="id + SLEEP(1)"), *rest))
        [chunk] = build.run_chunks(
            RUN, [None, None], of=Window(after=Watermark.START, upto=Watermark.START), columns=("id",), rows=60
        )
        failed: list[SourceError] = []

        def read() -> None:
            with pytest.raises(SourceError) as raised:
                read_chunk(slow, chunk, world.settings, here, server="MariaDB")
            failed.append(raised.value)

        thread = threading.Thread(target=read)
        thread.start()
        wait_for(lambda: bool(catalog.query(FIND, (f"%run={RUN} chunk=0%",))), "the read runs")
        assert end_queries(catalog, RUN, "chunk=0") == 1
        thread.join(30)
        assert failed


def test_the_next_run_ends_what_a_dead_one_left(stack: LocalStack, ends: Ends, runs: Runs) -> None:
    run = runs.sync(point="data.after:3")
    assert run.wait() != 0
    with sleeping(stack, ends.open_run_id(), "chunk=5") as left:
        [resumed] = runs.settle()
        assert "ended 1 queries that workers of an earlier try had left" in resumed.stderr
        wait_for(lambda: bool(left), "the query ends")
    ends.assert_settled()

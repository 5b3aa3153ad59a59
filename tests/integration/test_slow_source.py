"""A source slowed on purpose: chunks become smaller, and a read that the time limit cuts off is read in pieces."""

from __future__ import annotations

import pytest

from s3rs_ray.engine import driver, sizing
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, TableResult

from .conftest import World

HASHED_BYTES = 1_000_000
"""What MySQL hashes to read a slow row: some milliseconds of its CPU."""


def create(world: World, rows: int, *, slow: int) -> None:
    """A table whose first rows are slow to read, and quick to step over by the index."""
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at, id), heavy CHAR(128) AS"
        f" (IF(id <= {slow}, SHA2(REPEAT(CHAR(65 + id % 26), {HASHED_BYTES}), 512), '')) VIRTUAL)"
    )
    world.execute(f"INSERT INTO t (id, update_at) SELECT seq, '2026-01-31' + INTERVAL seq SECOND FROM seq_1_to_{rows}")


def sync(world: World, **change: float) -> tuple[TableResult, dict[int, int], list[str]]:
    """The result, rows by chunk, and why chunks were tried again."""
    settings = world.settings.model_copy(update={"backup_max_workers": 1, **change})
    rows: dict[int, int] = {}
    retried: list[str] = []

    def report(event: Event) -> None:
        if event.kind is EventKind.CHUNK_DONE:
            rows[int(event.facts["chunk"])] = int(event.facts["rows"])
        if event.kind is EventKind.CHUNK_RETRIED:
            retried.append(str(event.facts["reason"]))

    [result] = driver.sync(settings, Request(tables=(f"{world.schema}.t",), inline=True), report=report).tables
    return result, rows, retried


def test_chunks_of_a_slow_source_become_smaller_and_grow_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "LEAST_SLOW_FILE_BYTES", 100)
    create(world, 4_000, slow=450)
    result, rows, _ = sync(world, backup_batch_size=100, backup_chunk_seconds=0.2)
    assert not result.error, result
    assert result.rows_loaded == 4_000
    in_order = [rows[number] for number in range(len(rows))]
    assert in_order[0] == 100
    slow = [size for number, size in enumerate(in_order) if sum(in_order[:number]) < 450]
    assert min(slow) < 90
    assert in_order[-2] == max(in_order) == 100
    assert world.target_rows("t", "count(DISTINCT id), min(length(heavy)), sum(id)") == [(4_000, 0, 8_002_000)]


def test_a_read_that_the_time_limit_cuts_off_is_read_in_smaller_pieces(world: World) -> None:
    create(world, 500, slow=500)
    result, rows, retried = sync(world, backup_batch_size=500, backup_timeout_seconds=1, backup_retry_attempts=6)
    assert not result.error, result
    assert retried and all("MySQL ended a read at its time limit" in reason for reason in retried)
    assert rows == {0: 500}
    assert world.target_rows("t", "count(DISTINCT id), min(length(heavy)), sum(id)") == [(500, 128, 125_250)]

"""What a reader sees who queries without pause while a table is merged into, appended to and replaced."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.local import comparison
from s3rs_ray.policies import Mode

if TYPE_CHECKING:
    from .conftest import World

ROWS = 3_000
PAST = dt.datetime(2026, 1, 1)


class Reader:
    """Counts and sums a table again and again, by a connection of its own; keeps every answer that differs."""

    def __init__(self, world: World) -> None:
        self.answers: list[tuple[Any, ...]] = []
        self.queries = 0
        self.failure: Exception | None = None
        self._ended = threading.Event()
        self._sql = f'SELECT count(*), sum(version), count(distinct id) FROM "{world.schema}".t'.encode()
        self._environment = world.environment
        self._thread = threading.Thread(target=self._read, name="reader")

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()
        assert self.failure is None, self.failure

    def _read(self) -> None:
        try:
            with comparison.connect_warehouse(self._environment) as session:
                while not self._ended.is_set():
                    found = session.execute(self._sql).fetchall()[0]
                    self.queries += 1
                    if not self.answers or self.answers[-1] != found:
                        self.answers.append(found)
        except Exception as exc:  # noqa: BLE001  told by the test
            self.failure = exc


@pytest.mark.parametrize("mode", list(Mode))
def test_a_reader_sees_the_table_before_or_after_a_load_and_nothing_between(world: World, mode: Mode) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, version INT, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, 0, %s)", [(i, PAST + dt.timedelta(seconds=i)) for i in range(ROWS)])
    settings = world.settings.model_copy(
        update={
            "backup_mode": mode,
            "backup_batch_size": ROWS // 6,
            "backup_files_per_load": 2 if mode is Mode.REPLACE else 6,
        }
    )
    world.sync_one("t", settings)
    reader = Reader(world)
    with reader.reading():
        for version in (1, 2, 3):
            later = PAST + dt.timedelta(days=version)
            world.execute(f"UPDATE t SET version = {version}, update_at = '{later}'")
            loaded = world.sync_one("t", settings)
            assert loaded.rows_loaded == ROWS
            if mode is Mode.REPLACE:
                assert loaded.files_loaded > 2  # several loads, of which the last counts
    if mode is Mode.APPEND:
        whole = [(ROWS * (n + 1), ROWS * sum(range(n + 1)), ROWS) for n in range(4)]
    else:
        whole = [(ROWS, ROWS * n, ROWS) for n in range(4)]
    assert set(reader.answers) <= set(whole), reader.answers
    assert reader.answers == sorted(reader.answers)
    assert reader.queries > 10
    assert len(reader.answers) > 1

"""``verify`` of large tables, whose segments follow from what the optimizer guesses that ranges of the key hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine import segmenting
from s3rs_ray.engine.compare import Asked
from s3rs_ray.engine.differences import TableComparison
from s3rs_ray.engine.verify import verify

if TYPE_CHECKING:
    from .conftest import World

SIZE = 250
RUNS = ((0, 1, 3000), (10**6, 7, 2000), (10**17, 10**9, 1000))
"""Where rows lie: behind the first key by so much, so far from each other, so many. Nearly all of the span is a gap."""
ROWS = sum(count for _, _, count in RUNS)


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenting, "GUESSED_ROWS", 1)


def compared(world: World) -> TableComparison:
    settings = world.settings.model_copy(update={"backup_batch_size": SIZE})
    (found,) = verify(settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    return found


@pytest.mark.parametrize(
    ("kind", "first"),
    [("BIGINT", -(2**63)), ("BIGINT", -(10**6) - 5), ("BIGINT UNSIGNED", 2**63 - 9), ("DECIMAL(20,0)", -(10**19))],
)
def test_segments_are_alike_whatever_the_gaps_and_every_row_is_in_one(world: World, kind: str, first: int) -> None:
    world.execute(f"CREATE TABLE t (id {kind} PRIMARY KEY, v INT, update_at DATETIME NOT NULL, KEY (update_at))")
    keys = [first + start + step * number for start, step, count in RUNS for number in range(count)]
    world.execute("INSERT INTO t VALUES (%s, %s, '2026-01-01')", [(key, key % 1000) for key in keys])
    world.execute("ANALYZE TABLE t")
    world.sync_one("t")
    untouched = compared(world)
    assert (untouched.equal, untouched.source_rows, untouched.target_rows) == (True, ROWS, ROWS)
    held = [result.source_rows for result in untouched.results]
    assert max(held) <= 4 * SIZE
    assert ROWS // SIZE // 2 <= len(held) <= 2 * ROWS // SIZE
    target = f'"{world.schema}"."t"'
    missing, changed, extra = keys[0], keys[4000], keys[-1]
    world.warehouse.execute(f"DELETE FROM {target} WHERE id = {missing}".encode())
    world.warehouse.execute(f"UPDATE {target} SET v = v + 1 WHERE id = {changed}".encode())
    world.execute(f"DELETE FROM t WHERE id = {extra}")
    world.execute(f"INSERT INTO t VALUES ({keys[-1] + 10**6}, 1, '2026-02-01')")  # beyond all that was known
    found = compared(world)
    assert sorted((f.kind.value, f.key) for f in found.first) == sorted(
        [("missing", (missing,)), ("changed", (changed,)), ("extra", (extra,))]
    )
    assert found.behind == 1


def test_a_table_without_rows_is_one_segment(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (1, '2026-01-01')")
    world.sync_one("t")
    world.execute("DELETE FROM t")
    world.warehouse.execute(f'DELETE FROM "{world.schema}"."t"'.encode())
    assert (compared(world).equal, compared(world).segments) == (True, 1)

"""``verify`` of tables that only the source can cut into ranges: by buckets of the key, and no row falls between."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.engine import segment_tasks, segments
from s3rs_ray.engine.compare import Asked, open_comparison
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.differences import TableComparison
from s3rs_ray.engine.driver import ignore, open_run
from s3rs_ray.engine.segmenting import Span
from s3rs_ray.engine.verify import verify
from s3rs_ray.ledger.store import utc_now

if TYPE_CHECKING:
    from .conftest import World

ROWS = 400
ODD = ["a", "B", "b ", "_", "~", "é", "É", "ß", "ss", "ñ", "Ω", "包", "🚚", "\U0001f69a!", "Z", "aa", "-", " x"]
"""Characters that collations and bytes put into different orders."""
KEYS = {
    "one text": ("k VARCHAR(40) COLLATE utf8mb4_general_ci, PRIMARY KEY (k)", False),
    "a text of bytes": ("k VARCHAR(40) COLLATE utf8mb4_bin, PRIMARY KEY (k)", False),
    "a text of another set": ("k CHAR(40) CHARACTER SET latin1, PRIMARY KEY (k)", True),
    "a text behind a number that is nearly always the same": ("k VARCHAR(40), PRIMARY KEY (tenant, k)", False),
    "a text before a number": ("k VARCHAR(40), PRIMARY KEY (k, number)", False),
}


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_tasks, "BUCKET_ROWS", 5)


def fill(world: World, columns: str, *, latin: bool) -> None:
    world.execute(
        "CREATE TABLE t (number INT, tenant INT NOT NULL, note VARCHAR(40), update_at DATETIME(6) NOT NULL,"
        f" {columns}, KEY (update_at)) CHARACTER SET utf8mb4"
    )
    odd = [o for o in ODD if o.isascii() or o in "éÉßñ"] if latin else ODD
    rows = [(i, 0 if i == 7 else 1, f"n{i}", f"{odd[i % len(odd)]}{i:03}") for i in range(ROWS)]
    world.execute("INSERT INTO t (number, tenant, note, update_at, k) VALUES (%s, %s, %s, '2026-01-01', %s)", rows)
    world.sync_one("t")


def compare(world: World, **asked: Any) -> TableComparison:
    settings = world.settings.model_copy(update={"backup_batch_size": 40})
    (found,) = verify(settings, Asked(tables=(f"{world.schema}.t",), inline=True, **asked))
    return found


@pytest.mark.parametrize("kind", KEYS)
def test_random_damage_is_found_exactly(world: World, kind: str) -> None:
    columns, latin = KEYS[kind]
    fill(world, columns, latin=latin)
    untouched = compare(world)
    assert (untouched.equal, untouched.source_rows, untouched.target_rows) == (True, ROWS, ROWS)
    assert untouched.segments >= 9
    chosen = random.Random(kind).sample(range(ROWS), 12)
    missing, twice, changed, extra = chosen[:3], chosen[3:6], chosen[6:9], chosen[9:]
    target = f'"{world.schema}"."t"'
    for number in missing:
        world.warehouse.execute(f"DELETE FROM {target} WHERE number = {number}".encode())
    for number in twice:
        world.warehouse.execute(f"INSERT INTO {target} SELECT * FROM {target} WHERE number = {number}".encode())
    for number in changed:
        world.warehouse.execute(f"UPDATE {target} SET note = note || ' ' WHERE number = {number}".encode())
    numbers = dict(world.source_rows("t", "k, number"))
    world.execute(f"DELETE FROM t WHERE number IN ({', '.join(map(str, extra))})")
    found = compare(world)
    at = next(i for i, name in enumerate(found.key) if name == "k")
    rows = [(f.kind.value, numbers[f.key[at]], f.columns) for result in found.results for f in result.rows]
    kinds = {"missing": missing, "twice": twice, "changed": changed, "extra": extra}
    expected = [(kind, n, ("note",) if kind == "changed" else ()) for kind, some in kinds.items() for n in some]
    assert sorted(rows) == sorted(expected)
    assert (found.source_rows, found.target_rows) == (ROWS - 3, ROWS)
    quick = compare(world, quick=True)  # one row too many and one too few in a bucket are as many as there should be
    assert not quick.equal
    assert all(count <= 3 for count in quick.counts.values())


def test_a_sample_is_of_whole_segments(world: World) -> None:
    fill(world, KEYS["one text"][0], latin=False)
    found = compare(world, sample=30.0)
    assert (found.equal, len(found.results)) == (True, round(found.segments * 0.3))
    assert 0 < found.source_rows == found.target_rows < ROWS


def test_the_source_is_read_by_ranges_and_the_segments_are_all_buckets(world: World) -> None:
    fill(world, KEYS["one text"][0], latin=False)
    settings = world.settings.model_copy(update={"backup_batch_size": 40})
    request = Request(tables=(f"{world.schema}.t",), inline=True)
    with open_run(settings, request, ignore, threading.Event(), utc_now()) as run:
        comparison = open_comparison(run, Asked(tables=request.tables), world.name("t"))
    of = comparison.compared
    spans = [s for s in comparison.segments if isinstance(s, Span)]
    assert len(spans) == len(comparison.segments)
    assert [bucket for s in spans for bucket in range(s.first, s.last + 1)] == list(range(of.buckets))
    assert len(of.parts) == ROWS // 40
    assert not any(of.buckets % prime == 0 for prime in (2, 3, 5, 7))


def test_whole_numbers_of_any_sign_and_width_share_buckets_on_both_sides(world: World) -> None:
    world.execute(
        "CREATE TABLE t (a TINYINT, b BIGINT UNSIGNED, c DECIMAL(30,0), note INT, update_at DATETIME NOT NULL,"
        " PRIMARY KEY (a, b, c), KEY (update_at))"
    )
    rows = [(i % 256 - 128, 2**64 - 1 - i, (-1) ** i * 10**29 - i, i) for i in range(ROWS)]
    world.execute("INSERT INTO t VALUES (%s, %s, %s, %s, '2026-01-01')", rows)
    world.sync_one("t")
    assert not any(compare(world).counts.values())
    world.warehouse.execute(f'UPDATE "{world.schema}"."t" SET note = note + 1 WHERE note IN (5, 300)'.encode())
    found = compare(world)
    assert {f.key for f in found.first} == {rows[5][:3], rows[300][:3]}
    assert all(len(result.rows) < 3 for result in found.results)


SPARSE = {
    "whole numbers": ("INT", [*range(-700, 700), *range(900_000, 900_400)]),
    "numbers with gaps": ("BIGINT", [3 * i + i // 100 * 50_021 - 2**62 for i in range(1500)]),
    "large numbers": ("BIGINT UNSIGNED", [2**64 - 1 - 7 * i for i in range(1500)]),
    "numbers far apart": ("BIGINT", [i * 2**40 - 2**50 for i in range(1500)]),
    "numbers of many digits": ("DECIMAL(38,0)", [(-1) ** i * (10**37 + 3 * i) for i in range(1500)]),
    "numbers with zeros in front": ("BIGINT UNSIGNED ZEROFILL", [5 * i for i in range(1500)]),
}


@pytest.mark.parametrize("kind", SPARSE)
def test_rows_beside_each_other_share_buckets_that_the_index_finds(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Damage inside, before and behind the keys of the source, NULL among it, is found, and few rows are read."""
    definition, keys = SPARSE[kind]
    keys = sorted(keys)
    world.execute(
        f"CREATE TABLE t (k {definition} PRIMARY KEY, note VARCHAR(9), update_at DATETIME NOT NULL, KEY (update_at))"
    )
    world.execute("INSERT INTO t VALUES (%s, 'x', '2026-01-01')", [(k,) for k in keys])
    world.sync_one("t")
    read: list[int] = []
    ask = segments.Sides.here

    def counted(sides: segments.Sides, sql: str) -> list[tuple[Any, ...]]:
        rows = ask(sides, sql)
        read.append(0 if "s3rs_md5" in sql else len(rows))
        return rows

    monkeypatch.setattr(segments.Sides, "here", counted)
    asked, settings = Asked(tables=(f"{world.schema}.t",), inline=True), world.settings
    settings = settings.model_copy(update={"backup_batch_size": 500})
    monkeypatch.setattr(segment_tasks, "BUCKET_ROWS", 40)
    (untouched,) = verify(settings, asked)
    assert (untouched.equal, untouched.source_rows, sum(read)) == (True, len(keys), 0)
    changed, missing, twice, gone = (keys[i] for i in (0, 333, 750, len(keys) - 1))
    target = f'"{world.schema}"."t"'
    beyond = (
        [keys[0] - 1, keys[-1] + 1] if kind not in ("large numbers", "numbers with zeros in front") else [keys[0] + 1]
    )
    values = ", ".join(f"({k}, 'x', TIMESTAMP '2026-01-01')" for k in ("NULL", "NULL", *beyond))
    for statement in (
        f"UPDATE {target} SET note = 'y' WHERE k = {changed}",
        f"DELETE FROM {target} WHERE k = {missing}",
        f"INSERT INTO {target} SELECT * FROM {target} WHERE k = {twice}",
        f"INSERT INTO {target} VALUES {values}",
    ):
        world.warehouse.execute(statement.encode())
    world.execute(f"DELETE FROM t WHERE k = {gone}")
    (found,) = verify(settings, asked)
    expected = [("changed", changed), ("missing", missing), ("twice", twice), ("extra", gone), ("extra", None)]
    expected += [("extra", None), *(("extra", k) for k in beyond)]
    rows = [(f.kind.value, None if f.key[0] is None else int(str(f.key[0]))) for r in found.results for f in r.rows]
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert [f.columns for f in found.first if f.kind.value == "changed"] == [("note",)]
    assert sum(read) < len(keys) / 2

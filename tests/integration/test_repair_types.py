"""``repair`` of damage in every type of the type table, drawn at random: every cell is exact afterwards."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from s3rs_ray.engine.differences import Difference
from s3rs_ray.engine.mending import Gone
from s3rs_ray.engine.repair import RepairAsked, repair
from s3rs_ray.policies import Deletes
from tests.support.exact import assert_exact

from .test_verify_types import EVERY, NAMES

if TYPE_CHECKING:
    from .conftest import World

ROWS = 240


def make(world: World) -> None:
    columns = ", ".join(f"{name} {definition}" for name, (definition, _, _) in zip(NAMES, EVERY, strict=True))
    world.execute(
        f"CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME(6) NOT NULL, {columns}, KEY (update_at))"
        " ROW_FORMAT=DYNAMIC"
    )
    values = ", ".join(f"IF(seq % 7 = 0, NULL, {value})" for _, value, _ in EVERY)
    world.execute(f"INSERT INTO t SELECT seq, '2026-01-01' + INTERVAL seq MICROSECOND, {values} FROM seq_1_to_{ROWS}")
    world.sync_one("t")


def test_random_damage_in_every_type_is_mended(world: World) -> None:
    make(world)
    chance, target = random.Random(1), f'"{world.schema}"."t"'
    expected: Counter[Difference] = Counter()
    ids = iter(chance.sample([i for i in range(1, ROWS) if i % 7], 60 + len(EVERY)))  # the last row is the watermark
    for name, (_, _, damaged) in zip(NAMES, EVERY, strict=True):
        value = chance.choice((damaged, damaged, "NULL"))
        world.warehouse.execute(f"UPDATE {target} SET {name} = {value} WHERE id = {next(ids)}".encode())
        expected[Difference.CHANGED] += 1
    for number in ids:
        kind = chance.choice((Difference.MISSING, Difference.TWICE, Difference.EXTRA, Difference.CHANGED))
        match kind:
            case Difference.MISSING:
                world.warehouse.execute(f"DELETE FROM {target} WHERE id = {number}".encode())
            case Difference.TWICE:
                world.warehouse.execute(f"INSERT INTO {target} SELECT * FROM {target} WHERE id = {number}".encode())
            case Difference.EXTRA:
                world.execute(f"DELETE FROM t WHERE id = {number}")
            case _:
                cursor = chance.choice(("'2030-01-01'", "'1999-01-01'", "NULL"))
                world.warehouse.execute(f"UPDATE {target} SET update_at = {cursor} WHERE id = {number}".encode())
        expected[kind] += 1
    settings = world.settings.model_copy(update={"backup_batch_size": 50})
    asked = RepairAsked(tables=(f"{world.schema}.t",), deletes=Deletes.HARD, inline=True)
    (done,) = repair(settings, asked)
    extra = expected[Difference.EXTRA]
    assert done.found == expected
    assert (done.status, done.gone) == ("repaired", Gone(how=Deletes.HARD, found=extra, removed=extra))
    assert assert_exact(world).rows == ROWS - extra

"""``sync --deletes``: rows gone from the source go from the target or are marked there, and no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from s3rs_ray.cli.app import cli
from s3rs_ray.engine import deletes
from s3rs_ray.engine.compare import Asked
from s3rs_ray.engine.events import Status, TableResult
from s3rs_ray.engine.mending import Gone
from s3rs_ray.engine.verify import verify
from s3rs_ray.policies import Deletes, Mode
from s3rs_ray.table_settings import TableSettings
from s3rs_ray.warehouse import removal
from tests.support.writer import writing

from .test_repair import assert_equal
from .test_verify import ROWS, START, damage, make

if TYPE_CHECKING:
    from s3rs_ray.config import Settings

    from .conftest import World


def chosen(world: World, how: Deletes = Deletes.HARD, **more: Any) -> Settings:
    return world.settings.model_copy(update={"backup_batch_size": 70, "backup_deletes": how, **more})


def sync(world: World, how: Deletes = Deletes.HARD, **more: Any) -> TableResult:
    return world.sync_one("t", chosen(world, how, **more))


def refused(world: World, settings: Settings) -> TableResult:
    (result,) = world.sync("t", settings=settings)
    assert result.status is Status.FAILED
    return result


def test_rows_gone_from_the_source_are_deleted_after_the_load(world: World) -> None:
    make(world)
    world.execute("DELETE FROM t WHERE MOD(amount * 8, 20) = 3")
    world.execute("INSERT INTO t VALUES (1, 'x', 1, 'new', '2026-02-01')")
    result = sync(world)
    assert (result.rows_loaded, result.gone) == (1, Gone(how=Deletes.HARD, found=25, removed=25))
    assert_equal(world)
    world.execute("DELETE FROM t WHERE id = 1")
    alone = sync(world)  # nothing else is to be done
    assert (alone.status, alone.rows_extracted, alone.gone) == (
        Status.SUCCESS, 0, Gone(how=Deletes.HARD, found=1, removed=1)
    )  # fmt: skip
    assert sync(world).status is Status.NOTHING
    assert_equal(world)


def test_marked_rows_count_as_gone_and_come_back(world: World) -> None:
    make(world)
    world.execute("CREATE TABLE kept AS SELECT * FROM t WHERE amount < 3")
    world.execute("DELETE FROM t WHERE amount < 3")
    result = sync(world, Deletes.SOFT)
    assert result.gone == Gone(how=Deletes.SOFT, found=24, removed=24)
    assert world.target_rows("t", "count(*)", "WHERE _s3rs_deleted_at IS NOT NULL") == [(24,)]
    first = world.target_rows("t", "max(_s3rs_deleted_at)")
    assert sync(world, Deletes.SOFT).gone == Gone(how=Deletes.SOFT)
    assert sync(world, Deletes.HARD).gone == Gone(how=Deletes.HARD)  # marked before
    assert world.target_rows("t", "max(_s3rs_deleted_at)") == first
    damage(world, "ALTER TABLE T ADD COLUMN mine INTEGER")  # the merge updates in place then
    world.execute("INSERT INTO t SELECT id, part, amount, 'back', '2026-02-01' FROM kept")
    again = sync(world, Deletes.SOFT, backup_load_columns=True)
    assert again.rows_loaded == 24
    assert world.target_rows("t", "count(*)", "WHERE _s3rs_deleted_at IS NOT NULL") == [(0,)]
    assert_equal(world)
    (found,) = verify(world.settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    assert found.equal


def test_verify_data_does_not_see_marked_rows(world: World) -> None:
    make(world)
    world.execute("DELETE FROM t WHERE amount < 3")
    sync(world, Deletes.SOFT)
    lookback = {"backup_lookback_seconds": 10**6}
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount = 50")
    (result,) = world.sync("t", settings=chosen(world, Deletes.SOFT, **lookback), verify=True)
    assert (result.status, result.error) == (Status.SUCCESS, "")


def test_a_source_that_seems_empty_or_another_table_is_not_believed(world: World) -> None:
    make(world)
    world.execute("CREATE TABLE kept AS SELECT * FROM t")
    world.execute("DELETE FROM t")
    result = refused(world, chosen(world))
    assert result.exit_code == 4
    assert f"{ROWS} of the {ROWS} rows" in result.error
    assert "(100 %)" in result.error
    assert "--max-delete-percent 100" in result.hint
    world.execute("INSERT INTO t SELECT id - 1000000, part, amount, note, update_at FROM kept")  # another table's rows
    assert f"{ROWS} of the" in refused(world, chosen(world)).error
    world.execute("DELETE FROM t")
    world.execute("INSERT INTO t SELECT * FROM kept WHERE amount >= 12.5")
    assert "(20 %) seem gone from the source, more than BACKUP_MAX_DELETE_PERCENT = 10" in (
        refused(world, chosen(world)).error
    )
    assert world.target_rows("t") == [(ROWS,)]
    own = {f"{world.schema}.t": TableSettings(max_delete_percent=20)}
    assert sync(world, tables=own).gone == Gone(how=Deletes.HARD, found=100, removed=100)
    assert_equal(world)


def test_only_a_merged_table_is_followed(world: World) -> None:
    make(world, 50)
    result = refused(world, chosen(world, backup_mode=Mode.APPEND))
    assert "its mode is append" in result.error
    own = {f"{world.schema}.*": TableSettings(deletes=Deletes.KEEP)}
    world.execute("DELETE FROM t WHERE amount = 1")
    assert sync(world, tables=own).gone is None
    assert sync(world, backup_mode=Mode.REPLACE).gone is None  # what is gone disappears with the rest
    assert_equal(world)


def test_many_rows_go_in_batches_and_a_dead_run_leaves_whole_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(world)
    monkeypatch.setattr(deletes, "BATCH_KEYS", 30)
    monkeypatch.setattr(deletes, "LOOKED_UP", 7)
    monkeypatch.setattr(removal, "INSERTED", 11)
    world.execute("DELETE FROM t WHERE MOD(amount * 8, 5) < 4")
    batches: list[int] = []

    def stopped(open_session: Any, batch: removal.Removal) -> int:
        if len(batches) == 5:
            raise KeyboardInterrupt
        batches.append(removal.remove(open_session, batch))
        return batches[-1]

    monkeypatch.setattr(deletes, "remove", stopped)
    with pytest.raises(KeyboardInterrupt):
        sync(world, backup_max_delete_percent=80)
    assert batches == [30] * 5
    assert world.target_rows("t") == [(ROWS - 150,)]
    monkeypatch.setattr(deletes, "remove", removal.remove)
    assert sync(world, backup_max_delete_percent=80).gone == Gone(how=Deletes.HARD, found=250, removed=250)
    assert_equal(world)


def test_a_row_that_is_back_before_its_delete_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One comes back before the second look, one behind it: the next sync carries that one."""
    make(world)
    world.execute("CREATE TABLE kept AS SELECT * FROM t WHERE amount IN (40, 41)")
    world.execute("DELETE FROM t WHERE amount IN (40, 41)")

    def back(amount: int) -> None:
        world.execute(f"INSERT INTO t SELECT id, part, amount, 'back', '2026-02-01' FROM kept WHERE amount = {amount}")

    looked_up, remove = deletes._Removing._absent, removal.remove

    def first(*arguments: Any) -> Any:
        back(40)
        return looked_up(*arguments)

    def second(open_session: Any, batch: removal.Removal) -> int:
        back(41)
        return remove(open_session, batch)

    monkeypatch.setattr(deletes._Removing, "_absent", first)
    monkeypatch.setattr(deletes, "remove", second)
    assert sync(world).gone == Gone(how=Deletes.HARD, found=2, removed=1, back=1)
    assert world.target_rows("t", "count(*)", "WHERE amount IN (40, 41)") == [(1,)]
    world.sync_one("t")
    assert_equal(world)


def test_a_load_of_another_run_in_between_stops_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process that was frozen, and goes on when others have taken the table over."""
    make(world)
    world.execute("DELETE FROM t WHERE amount = 40")
    believable = deletes._require_believable

    def other(*arguments: Any) -> None:
        believable(*arguments)
        ledger = f'"{world.schema}".s3rs_load_ledger'
        world.warehouse.execute(
            f"INSERT INTO {ledger} SELECT 'x', 'y', 'z', source_table, target, 1, 1, 1, '', NULL, loaded_at"
            f" FROM {ledger}".encode()
        )

    monkeypatch.setattr(deletes, "_require_believable", other)
    assert "loaded by another run since" in refused(world, chosen(world)).error
    assert world.target_rows("t") == [(ROWS,)]


def test_keys_of_text_go_as_they_are_written(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin, n VARCHAR(9) COLLATE"
        " utf8mb4_general_ci, update_at DATETIME NOT NULL, PRIMARY KEY (k, n), KEY (update_at))"
    )
    keys = [(k, n) for k in ("a", "a ", "A", "'\\ %s %", "🚚") for n in ("x", "é", "Y ")]
    world.execute("INSERT INTO t VALUES (%s, %s, %s)", [(*key, START) for key in keys])
    world.sync_one("t")
    world.execute("DELETE FROM t WHERE k IN ('a ', '''\\\\ %s %', '🚚') AND n = 'x' OR k = 'A' AND n = 'é'")
    assert sync(world, backup_max_delete_percent=50).gone == Gone(how=Deletes.HARD, found=4, removed=4)
    here = {tuple(row) for row in world.source_rows("t", "k, n")}
    assert len(here) == 11
    assert {tuple(row) for row in world.target_rows("t", "k, n")} == here


def test_writers_may_run_meanwhile(world: World) -> None:
    make(world, 400)
    world.execute("ALTER TABLE t MODIFY update_at DATETIME(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6)")
    world.sync_one("t")

    def write(number: int) -> None:
        gone, back = number * 7 % 400, number * 11 % 400
        world.execute(f"DELETE FROM t WHERE id IN ({2**63 + gone}, {number - 20})")
        world.execute(f"INSERT INTO t (id, part, note) VALUES ({number}, 'x', 'new')")
        if number % 3:
            world.execute(f"REPLACE INTO t (id, part, note) VALUES ({2**63 + back}, CHAR({back % 256}, 0), 'z')")

    with writing(write):
        for _ in range(5):
            sync(world, backup_max_delete_percent=60)
    sync(world, backup_max_delete_percent=60)
    assert_equal(world)


def test_the_command_tells_what_went(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    make(world, 100)
    metrics = tmp_path / "s3rs.prom"
    for name, value in {**world.environment, "METRICS_FILE": str(metrics)}.items():
        monkeypatch.setenv(name, value)
    world.execute("DELETE FROM t WHERE amount = 1")
    words = ["-o", "json", "sync", "-t", f"{world.schema}.t", "--inline", "--deletes"]
    shown = CliRunner().invoke(cli, [*words[2:], "hard", "--dry-run"])
    assert "rows that are gone from the source will be looked for and deleted" in " ".join(shown.stdout.split())
    done = CliRunner().invoke(cli, [*words, "hard"])
    told = json.loads(done.stdout)["table_results"][f"{world.schema}.t"]
    assert (told["deletes"], told["rows_deleted"]) == ("hard", 1)
    assert f'rows_deleted{{table="{world.schema}.t"}} 1' in metrics.read_text()
    assert CliRunner().invoke(cli, [*words, "soft", "--backup-only"]).exit_code == 2
    text = CliRunner().invoke(cli, [*words[2:], "soft"])
    assert "marked 0 rows" in text.stdout


@pytest.mark.parametrize("how", [Deletes.HARD, Deletes.SOFT])
def test_rows_whose_key_is_null_go_with_the_others(world: World, how: Deletes) -> None:
    """No row of the source has such a key, and nothing equals it: they go by a statement of their own."""
    make(world)
    sync(world, how)
    copied = (
        f'INSERT INTO T SELECT {{}} FROM "{world.schema}"."t" WHERE amount = 1 AND id IS NOT NULL AND part IS NOT NULL'
    )
    names = "{}, {}, amount, note, update_at" + (", _s3rs_deleted_at" if how is Deletes.SOFT else "")
    nulls = (names.format("NULL", "part"), names.format("NULL", "part"), names.format("id", "NULL"))
    damage(world, *(copied.format(one) for one in nulls))
    world.execute("DELETE FROM t WHERE amount = 1")
    assert sync(world, how).gone == Gone(how=how, found=4, removed=4)
    assert sync(world, how).gone in (None, Gone(how=how))
    marked = " WHERE _s3rs_deleted_at IS NULL" if how is Deletes.SOFT else ""
    assert world.target_rows("t", "count(*), count(id), count(part)", marked) == [(ROWS - 1,) * 3]

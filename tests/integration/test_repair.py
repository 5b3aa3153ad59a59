"""``repair``: what verify finds is mended and nothing else; both ends are compared by other clients afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from s3rs_ray.cli.app import cli
from s3rs_ray.engine import mending
from s3rs_ray.engine import repair as repair_module
from s3rs_ray.engine.compare import Asked, compare_table
from s3rs_ray.engine.mending import Gone, TableRepair
from s3rs_ray.engine.repair import RepairAsked, repair
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.engine.verify import verify
from s3rs_ray.errors import PlanError, TableBusy, UnsupportedTable, UsageError
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.ledger.store import Holder
from s3rs_ray.model import Watermark
from s3rs_ray.policies import Deletes, Mode
from s3rs_ray.storage.layout import format_state_key
from s3rs_ray.warehouse.sql import LEDGER_TABLE
from tests.support.writer import writing

from .test_verify import ROWS, START, damage, make

if TYPE_CHECKING:
    from s3rs_ray.config import Settings

    from .conftest import World


def mend(world: World, settings: Settings | None = None, **asked: Any) -> TableRepair:
    """Repairs the table without Ray, in segments of 70 rows."""
    chosen = (settings or world.settings).model_copy(update={"backup_batch_size": 70})
    if asked.get("deletes") is Deletes.SOFT:
        chosen = chosen.model_copy(update={"backup_deletes": Deletes.SOFT})
    (done,) = repair(chosen, RepairAsked(tables=(f"{world.schema}.t",), inline=True, **asked))
    return done


def counts(found: dict[Any, int]) -> dict[str, int]:
    return {kind.value: count for kind, count in found.items() if count}


def assert_equal(world: World) -> None:
    """Every value of the table that :func:`make` makes, by other clients than the product's."""
    here = world.source_rows("t", "id, LOWER(HEX(part)), amount, note, update_at", "ORDER BY id, part")
    there = world.target_rows("t", "id, LOWER(TO_HEX(part)), amount, note, update_at", "ORDER BY id, part")
    assert [tuple(row) for row in here] == there


def assert_verified(world: World, settings: Settings | None = None) -> None:
    (found,) = verify(settings or world.settings, Asked(tables=(f"{world.schema}.t",), inline=True))
    assert found.equal, found.first


def spoil(world: World) -> None:
    """Damage of every kind."""
    damage(
        world,
        "DELETE FROM T WHERE amount = 1",
        "UPDATE T SET amount = amount + 0.0001 WHERE amount = 10",
        "UPDATE T SET note = note || ' ' WHERE amount = 10.125",
        "UPDATE T SET note = '' WHERE amount = 12",
        "UPDATE T SET note = NULL, amount = NULL WHERE amount = 20.375",
        "UPDATE T SET update_at = '2026-03-01' WHERE amount = 21",
        "UPDATE T SET update_at = NULL WHERE amount = 22",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE amount = 30',
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE amount = 30',
    )


FOUND = {"missing": 1, "changed": 6, "twice": 1}


def test_damage_of_every_kind_is_mended_and_told(world: World) -> None:
    make(world)
    spoil(world)
    state = world.ledger().load(world.name("t"))
    done = mend(world)
    assert (done.status, counts(done.found), counts(done.left)) == ("repaired", FOUND, {})
    assert (done.rows_again, done.segments_again, done.rows_extracted, done.rows_mended) == (8, 0, 8, 8)
    assert_equal(world)
    assert world.target_rows("t") == [(ROWS,)]
    after = world.ledger().load(world.name("t"))
    assert (after.loaded, after.extracted, after.run, after.backlog) == (state.loaded, state.extracted, None, ())
    kept = open_store(world.settings).get(f"runs/{world.schema}.t/{done.run_id}/repair.json")
    assert json.loads(kept.body)["differences_found"] | FOUND == json.loads(kept.body)["differences_found"]
    assert mend(world).status == "equal"
    assert world.sync_one("t").rows_loaded == 0


def test_a_dry_run_says_the_same_and_changes_nothing(world: World) -> None:
    make(world)
    spoil(world)
    before = world.ledger().load(world.name("t"))
    held = world.target_rows("t", "*", "ORDER BY id, update_at")
    done = mend(world, dry_run=True)
    assert (done.status, counts(done.found), counts(done.left)) == ("different", FOUND, FOUND)
    assert (done.rows_again, done.rows_mended, done.gone) == (8, 0, None)
    assert world.target_rows("t", "*", "ORDER BY id, update_at") == held
    assert world.ledger().load(world.name("t")) == before


def test_a_segment_with_much_damage_is_read_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "FEW", 5)
    make(world)
    damage(world, "DELETE FROM T WHERE amount < 8", "UPDATE T SET note = 'x' WHERE amount = 50")
    done = mend(world)
    assert (done.rows_again, done.segments_again, done.rows_extracted) == (1, 1, 71)
    assert_equal(world)


def test_rows_gone_from_the_source_are_left_deleted_or_marked_as_asked(world: World) -> None:
    make(world)
    world.execute("DELETE FROM t WHERE amount IN (40, 41)")
    damage(world, f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE amount = 41')
    left = mend(world)
    assert (left.status, counts(left.left), left.gone) == ("different", {"extra": 1, "twice": 1}, None)
    assert world.target_rows("t") == [(ROWS + 1,)]
    soft = mend(world, deletes=Deletes.SOFT)
    assert (soft.status, soft.gone) == ("repaired", Gone(how=Deletes.SOFT, found=1, removed=3))
    marked = world.target_rows("t", "amount", "WHERE _s3rs_deleted_at IS NOT NULL ORDER BY 1")
    assert [float(amount) for (amount,) in marked] == [40, 41, 41]
    assert_verified(world)
    assert mend(world, deletes=Deletes.HARD).gone == Gone(how=Deletes.HARD)
    world.execute("DELETE FROM t WHERE amount = 42")
    hard = mend(world, deletes=Deletes.HARD)
    assert hard.gone == Gone(how=Deletes.HARD, found=1, removed=1)
    assert world.target_rows("t", "count(*)", "WHERE amount = 42") == [(0,)]


def test_rows_whose_key_is_null_are_removed_as_asked(world: World) -> None:
    make(world)
    spoil(world)
    unkeyed = f'INSERT INTO T SELECT NULL, part, 2, note, update_at FROM "{world.schema}"."t" WHERE amount = 2'
    damage(world, *[f"{unkeyed} AND id IS NOT NULL"] * 2)
    kept = mend(world)
    assert (counts(kept.found), counts(kept.left)) == ({**FOUND, "extra": 2}, {"extra": 2})
    assert mend(world, dry_run=True, deletes=Deletes.HARD).gone == Gone(how=Deletes.HARD, found=2)
    done = mend(world, deletes=Deletes.HARD)
    assert (done.status, done.gone) == ("repaired", Gone(how=Deletes.HARD, found=2, removed=2))
    assert_equal(world)


def test_only_the_rows_of_a_condition_are_mended_and_removed(world: World) -> None:
    make(world)
    spoil(world)
    unkeyed = f'INSERT INTO T SELECT NULL, part, {{}}, note, update_at FROM "{world.schema}"."t" WHERE amount = 2'
    damage(world, *(f"{unkeyed.format(amount)} AND id IS NOT NULL" for amount in (2, 40)))
    world.execute("DELETE FROM t WHERE amount IN (15, 50)")
    asked: dict[str, Any] = {"where": "amount < 16", "deletes": Deletes.HARD}
    tried = mend(world, dry_run=True, **asked)
    assert counts(tried.found) == {"missing": 1, "changed": 3, "extra": 2}
    done = mend(world, **asked)
    assert (counts(done.left), done.gone) == ({}, Gone(how=Deletes.HARD, found=2, removed=2))
    rest = mend(world, dry_run=True)
    assert counts(rest.found) == {"changed": 3, "twice": 1, "extra": 2}
    assert counts(mend(world, deletes=Deletes.HARD).left) == {}
    assert_equal(world)
    with pytest.raises(UsageError, match="nothing"):
        mend(world, where="nothing = 1")


def test_only_newer_rows_are_mended_and_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ranges of the cursor: a row that was moved out of its range is mended, a range with much damage read whole."""
    monkeypatch.setattr(mending, "FEW", 10)
    make(world)
    damage(
        world,
        "DELETE FROM T WHERE amount IN (1, 50)",
        "UPDATE T SET note = 'x' WHERE amount BETWEEN 34 AND 44",
        "UPDATE T SET update_at = '2025-01-01' WHERE amount = 51",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE amount = 52',
    )
    world.execute("DELETE FROM t WHERE amount IN (2, 55)")
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount = 53")
    done = mend(world, since="2026-01-01 00:00:03", deletes=Deletes.HARD)
    assert counts(done.found) == {"missing": 1, "changed": 82, "twice": 1, "extra": 1, "not_yet_synced": 1}
    assert (counts(done.left), done.gone) == ({"not_yet_synced": 1}, Gone(how=Deletes.HARD, found=1, removed=1))
    assert done.segments_again > 0
    assert counts(mend(world, dry_run=True).found) == {"missing": 1, "extra": 1, "not_yet_synced": 1}
    world.sync_one("t")
    assert counts(mend(world, deletes=Deletes.HARD).left) == {}
    assert_equal(world)


def test_segments_may_end_in_any_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world)
    world.execute("DELETE FROM t WHERE MOD(amount * 8, 50) = 3")
    backwards = lambda run, opened, listed: reversed(list(compare_table(run, opened, listed=listed)))  # noqa: E731
    monkeypatch.setattr(repair_module, "compare_table", backwards)
    assert mend(world, deletes=Deletes.HARD).gone == Gone(how=Deletes.HARD, found=10, removed=10)
    assert_equal(world)


def test_a_marked_row_that_comes_back_is_there_again(world: World) -> None:
    make(world)
    world.execute("CREATE TABLE kept AS SELECT * FROM t WHERE amount IN (40, 41)")
    world.execute("DELETE FROM t WHERE amount IN (40, 41)")
    assert mend(world, deletes=Deletes.SOFT).gone == Gone(how=Deletes.SOFT, found=2, removed=2)
    world.execute("INSERT INTO t SELECT id, part, amount, 'back', '2026-02-01' FROM kept WHERE amount = 40")
    world.sync_one("t")  # without any setting about deletes
    assert world.target_rows("t", "note", "WHERE _s3rs_deleted_at IS NULL AND amount = 40") == [("back",)]
    world.execute("INSERT INTO t SELECT * FROM kept WHERE amount = 41")  # with its old cursor: no sync sees it
    assert counts(mend(world).found) == {"missing": 1}
    assert world.target_rows("t", "count(*)", "WHERE _s3rs_deleted_at IS NULL") == [(ROWS,)]
    assert world.target_rows("t") == [(ROWS,)]


def test_columns_that_only_the_target_has_keep_their_values(world: World) -> None:
    make(world)
    damage(world, "ALTER TABLE T ADD COLUMN mine INTEGER")
    damage(world, "UPDATE T SET mine = 7")
    spoil(world)
    assert mend(world).status == "repaired"
    assert world.target_rows("t", "mine, count(*)", "GROUP BY mine ORDER BY mine") == [(7, ROWS - 1), (None, 1)]
    assert_verified(world)


def test_a_column_that_is_new_at_the_source_is_filled(world: World) -> None:
    make(world, 100)
    world.execute("ALTER TABLE t ADD later INT NOT NULL DEFAULT 7")
    done = mend(world)
    assert (counts(done.found), done.status) == ({"changed": 100}, "repaired")
    assert world.target_rows("t", "sum(later)") == [(700,)]


def test_what_is_not_synced_yet_is_left_to_the_sync(world: World) -> None:
    make(world)
    damage(world, "DELETE FROM T WHERE amount = 1", "DELETE FROM T WHERE amount = 2")
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount IN (1, 3)")
    done = mend(world)
    assert (counts(done.found), counts(done.left)) == ({"missing": 1, "not_yet_synced": 1}, {"not_yet_synced": 1})
    assert done.status == "repaired"
    world.sync_one("t")
    assert_equal(world)


def test_a_table_that_a_run_holds_is_left(world: World) -> None:
    make(world, 50)
    holder = Holder(token="other", host="elsewhere", pid=1)
    world.ledger().acquire(world.name("t"), holder)
    with pytest.raises(TableBusy):
        mend(world)


def test_a_sync_that_was_not_finished_goes_first(world: World) -> None:
    make(world, 50)
    world.execute("INSERT INTO t VALUES (1, 'x', 1, 'new', '2026-02-01')")
    world.sync_one("t", load=False)
    with pytest.raises(PlanError, match="has to be finished"):
        mend(world)
    with pytest.raises(PlanError, match="has to be finished"):
        mend(world, dry_run=True)


def test_tables_that_cannot_be_mended_are_refused(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9))")
    world.execute("INSERT INTO t VALUES (1, 'a')")
    settings = world.settings.model_copy(update={"backup_mode": Mode.REPLACE})
    world.sync_one("t", settings)
    with pytest.raises(UnsupportedTable, match="replaced by every sync"):
        mend(world, settings)
    open_store(world.settings).delete([format_state_key(world.name("t"))])
    world.execute("DROP TABLE t")
    world.execute("CREATE TABLE t (id INT, update_at DATETIME NOT NULL, KEY (update_at))")
    with pytest.raises(UnsupportedTable, match="has no key"):
        mend(world, world.settings.model_copy(update={"backup_mode": Mode.APPEND}))


def test_versions_of_a_history_are_mended(world: World) -> None:
    settings = world.settings.model_copy(update={"backup_mode": Mode.APPEND})
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, 'a', %s)", [(i, START) for i in range(200)])
    world.sync_one("t", settings)
    world.execute("UPDATE t SET note = 'b', update_at = '2026-01-02' WHERE id < 100")
    world.sync_one("t", settings)
    held = world.target_rows("t", "id, note, update_at", "ORDER BY 1, 3")
    damage(
        world,
        "UPDATE T SET note = 'c' WHERE id = 2 AND note = 'b'",
        "DELETE FROM T WHERE id = 3 AND note = 'b'",
        "DELETE FROM T WHERE id = 150",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE id = 4 AND note = \'b\'',
    )
    done = mend(world, settings)
    assert (counts(done.found), done.status) == ({"missing": 1, "changed": 2, "twice": 1}, "repaired")
    assert world.target_rows("t", "id, note, update_at", "ORDER BY 1, 3") == held
    with pytest.raises(UnsupportedTable, match="its mode is append"):
        mend(world, settings, deletes=Deletes.HARD)


def test_keys_of_text_are_matched_as_the_merge_matches_them(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, n INT, s VARCHAR(9),"
        " b VARCHAR(9) COLLATE utf8mb4_bin, update_at DATETIME(6) NOT NULL, PRIMARY KEY (k, b, n), KEY (update_at))"
    )
    rows = [(f"Key{i % 50}'\\", i, "x", "B" if i % 2 else "b", START) for i in range(200)]
    world.execute("INSERT INTO t (k, n, s, b, update_at) VALUES (%s, %s, %s, %s, %s)", rows)
    world.sync_one("t")
    damage(
        world,
        "UPDATE T SET k = 'KEY7''\\\\  ', s = 'y' WHERE n = 7",  # the same key to the source
        "UPDATE T SET s = 'X' WHERE n = 8",
        "DELETE FROM T WHERE n = 9",
        "UPDATE T SET b = 'b' WHERE n = 11",  # another key to the source
    )
    world.execute("DELETE FROM t WHERE n = 12")
    done = mend(world, deletes=Deletes.HARD)
    assert counts(done.found) == {"missing": 2, "changed": 2, "extra": 2}
    assert (done.status, done.gone) == ("repaired", Gone(how=Deletes.HARD, found=2, removed=2))
    world.assert_equal("t", "n")


def test_a_table_without_ranges_is_read_whole_where_much_differs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.execute("CREATE TABLE t (k VARCHAR(9) PRIMARY KEY, n INT, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, %s, %s)", [(f"k{i}", i, START) for i in range(300)])
    world.sync_one("t")
    damage(world, "DELETE FROM T WHERE MOD(n, 10) = 1", "UPDATE T SET n = n + 1 WHERE MOD(n, 10) = 2")
    world.execute("DELETE FROM t WHERE MOD(n, 50) = 3")
    monkeypatch.setattr(mending, "MOST_KEYS", 20)
    done = mend(world, deletes=Deletes.HARD)
    assert (done.rows_again, done.segments_again, done.rows_extracted) == (0, 1, 294)
    assert (done.status, done.gone) == ("repaired", Gone(how=Deletes.HARD, found=6, removed=6))
    world.assert_equal("t", "n")


def test_writers_may_run_meanwhile(world: World) -> None:
    make(world, 800)
    world.execute("ALTER TABLE t MODIFY update_at DATETIME(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6)")
    world.sync_one("t")

    def write(number: int) -> None:
        world.execute(f"UPDATE t SET note = 'w{number}' WHERE id = {2**63 + number * 7 % 800}")
        world.execute(f"INSERT INTO t (id, part, note) VALUES ({number}, 'x', 'new')")
        back = number * 11 % 800
        world.execute(f"DELETE FROM t WHERE id = {2**63 + back}")
        world.execute(f"INSERT INTO t (id, part, note) VALUES ({2**63 + back}, CHAR({back % 256}, 0), 'back')")

    with writing(write):
        for round_ in range(4):
            damage(
                world,
                f"DELETE FROM T WHERE MOD(amount * 8, 17) = {round_}",
                f"UPDATE T SET note = 'bad' WHERE MOD(amount * 8, 13) = {round_}",
            )
            mend(world, deletes=Deletes.HARD)
            world.sync_one("t")
    mend(world, deletes=Deletes.HARD)
    world.sync_one("t")
    mend(world, deletes=Deletes.HARD)
    assert_equal(world)


def test_a_warehouse_loaded_from_s3_alone_holds_what_was_mended(world: World) -> None:
    make(world, 100)
    world.execute("UPDATE t SET note = 'silent' WHERE amount = 1")  # no cursor grew, so no sync sees it
    assert counts(mend(world).found) == {"changed": 1}
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount = 2")
    world.sync_one("t")
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."t"'.encode())
    ledger, name = world.ledger(), world.name("t")
    ledger.commit(name, [SetWatermark(watermark=Watermark.START, generation="anew")])
    world.sync_one("t", extract=False)
    assert_equal(world)


def test_the_command_exits_4_while_something_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world, 100)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    words = ["-o", "json", "repair", "-t", f"{world.schema}.t", "--inline"]
    damage(world, "DELETE FROM T WHERE amount = 1")
    assert CliRunner().invoke(cli, [*words, "--dry-run"]).exit_code == 4
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["status"], document["tables"][f"{world.schema}.t"]["rows_mended"]) == ("repaired", 1)
    world.execute("DELETE FROM t WHERE amount = 2")
    text = CliRunner().invoke(cli, words[2:])
    assert text.exit_code == 4
    assert "extra" in text.stdout
    assert CliRunner().invoke(cli, [*words, "--delete", "--soft-delete"]).exit_code == 2
    assert CliRunner().invoke(cli, [*words[:-1], "--delete"]).exit_code == 0  # with Ray
    ledger = world.target_rows(LEDGER_TABLE, "manifest", "WHERE file_count = 0")
    assert ledger == [("deleted as gone",)]

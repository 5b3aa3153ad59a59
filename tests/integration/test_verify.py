"""``verify``: what it finds, what it explains, and that it accuses no row that is the same."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from s3rs_ray.cli.app import cli
from s3rs_ray.engine import compare as engine_compare
from s3rs_ray.engine import segment_tasks
from s3rs_ray.engine.compare import Asked, compare_table, open_comparison
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.differences import Difference, SegmentResult, TableComparison
from s3rs_ray.engine.driver import ignore, open_run
from s3rs_ray.engine.segment_tasks import Segments
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.engine.verify import verify
from s3rs_ray.errors import PlanError, UsageError
from s3rs_ray.model import TableName
from s3rs_ray.policies import Mode, NullCursors
from s3rs_ray.source import checksums as here_sql
from s3rs_ray.table_settings import TableSettings
from s3rs_ray.warehouse import checksums as there_sql
from tests.support.writer import writing

if TYPE_CHECKING:
    from s3rs_ray.config import Settings

    from .conftest import World

START = dt.datetime(2026, 1, 1)
ROWS = 500


def make(world: World, rows: int = ROWS) -> None:
    world.execute(
        "CREATE TABLE t (id BIGINT UNSIGNED, part VARBINARY(4), amount DECIMAL(12,4), note VARCHAR(40),"
        " update_at DATETIME(3) NOT NULL, PRIMARY KEY (id, part), KEY (update_at))"
    )
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s, %s, %s)",
        [
            (2**63 + i, bytes([i % 256, 0]), i / 8, f"n{i}" if i % 4 else None, START + dt.timedelta(seconds=i // 90))
            for i in range(rows)
        ],
    )
    world.sync_one("t")


def compare(world: World, settings: Settings | None = None, **asked: Any) -> TableComparison:
    """Compares the table without Ray, in segments of 70 rows."""
    chosen = (settings or world.settings).model_copy(update={"backup_batch_size": 70})
    (found,) = verify(chosen, Asked(tables=(f"{world.schema}.t",), inline=True, **asked))
    return found


def damage(world: World, *statements: str) -> None:
    """Runs statements in the warehouse; ``T`` is the table."""
    for statement in statements:
        world.warehouse.execute(re.sub(r"\bT\b", f'"{world.schema}"."t"', statement, count=1).encode())


def counts(found: TableComparison) -> dict[str, int]:
    return {kind.value: count for kind, count in found.counts.items() if count}


def named(found: TableComparison) -> set[tuple[str, str, tuple[str, ...]]]:
    """Kind, first column of the key, and the columns that differ."""
    return {(f.kind.value, f.shown[0], f.columns) for f in found.first}


def key(number: int) -> str:
    return str(2**63 + number)


def test_equal_sides_are_said_to_be_equal_and_the_report_is_kept(world: World) -> None:
    make(world)
    found = compare(world)
    assert (found.equal, counts(found), found.segments) == (True, {}, 8)
    assert (found.source_rows, found.target_rows, found.behind) == (ROWS, ROWS, 0)
    kept = open_store(world.settings).get(f"runs/{world.schema}.t/{found.run_id}/verify.json")
    assert json.loads(kept.body)["status"] == "equal"


def test_damage_of_every_kind_is_found_and_nothing_else(world: World) -> None:
    make(world)
    damage(
        world,
        "DELETE FROM T WHERE amount = 1",
        "UPDATE T SET amount = amount + 0.0001 WHERE amount = 10",
        "UPDATE T SET note = note || ' ' WHERE amount = 10.125",
        "UPDATE T SET note = '' WHERE amount = 12",
        "UPDATE T SET note = NULL, amount = NULL WHERE amount = 20.375",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE amount = 30',
    )
    world.execute("DELETE FROM t WHERE amount IN (40, 41)")
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount IN (50, 1.125)")
    world.execute("INSERT INTO t VALUES (1, 'x', 1, 'new', '2026-02-01'), (2, 'x', 1, 'new', '2026-02-01')")
    found = compare(world)
    assert not found.equal
    assert counts(found) == {"missing": 1, "changed": 4, "extra": 2, "twice": 1, "not_yet_synced": 2}
    assert found.behind == 4
    assert named(found) == {
        ("missing", key(8), ()),
        ("changed", key(80), ("amount",)),
        ("changed", key(81), ("note",)),
        ("changed", key(96), ("note",)),
        ("changed", key(163), ("amount", "note")),
        ("twice", key(240), ()),
        ("extra", key(320), ()),
        ("extra", key(328), ()),
        ("not_yet_synced", key(400), ()),
        ("not_yet_synced", key(9), ()),
    }
    world.sync_one("t")
    after = compare(world)
    assert counts(after) == {"missing": 1, "changed": 4, "extra": 2, "twice": 1}


def test_what_is_only_not_synced_yet_is_no_error(world: World) -> None:
    make(world)
    world.execute("UPDATE t SET note = 'later', update_at = '2026-02-01' WHERE amount < 10")
    found = compare(world)
    assert (found.equal, counts(found), found.behind) == (True, {"not_yet_synced": 80}, 80)
    world.sync_one("t")
    assert counts(compare(world)) == {}


def test_whoever_mends_is_told_where_the_differences_are(world: World) -> None:
    """Both predicates of the buckets are true of the rows that differ, in their range."""
    make(world)
    damage(world, "DELETE FROM T WHERE amount IN (1, 1.125)")
    world.execute("DELETE FROM t WHERE amount = 40")
    settings = world.settings.model_copy(update={"backup_batch_size": 70})
    name = TableName(world.schema, "t")
    request = Request(tables=(str(name),), inline=True)
    with open_run(settings, request, ignore, threading.Event(), START) as run:
        comparison = open_comparison(run, Asked(tables=request.tables, columns=("id", "part")), name)
        differing = [r for r in compare_table(run, comparison, listed=1000) if r.counts]
    of = comparison.compared
    rows = {f.key: f.kind for result in differing for f in result.rows}
    assert rows == {
        (2**63 + 8, b"\x08\0"): Difference.MISSING,
        (2**63 + 9, b"\x09\0"): Difference.MISSING,
        (2**63 + 320, b"\x40\0"): Difference.EXTRA,
    }
    found = []
    for result in differing:
        assert result.buckets is not None
        where = result.within, result.buckets.count, result.buckets.chosen
        found += world.source_rows("t", "id", f"WHERE {here_sql.chosen_sql(of.source, *where)}")
        found += world.target_rows("t", "id", f"WHERE {there_sql.chosen_sql(of.target, *where)}")
    assert {(key[0],) for key in rows} <= {(int(row[0]),) for row in found}


def test_the_levels_compare_what_they_say(world: World) -> None:
    make(world)
    damage(world, "DELETE FROM T WHERE amount = 1", "UPDATE T SET note = 'x' WHERE amount = 50")
    quick = compare(world, quick=True)
    assert (counts(quick), quick.columns, quick.level) == ({"missing": 1}, (), "counts")
    assert counts(compare(world, columns=("AMOUNT",))) == {"missing": 1}
    assert counts(compare(world, columns=("note",), where="amount > 40")) == {"changed": 1}
    assert counts(compare(world, where="amount < 40")) == {"missing": 1}
    assert counts(compare(world, where="amount < 40 AND note LIKE 'n1%'")) == {}
    assert counts(compare(world, where="note = 'x'")) == {"changed": 1}  # of the warehouse's rows alone
    assert counts(compare(world, since="2026-01-01 00:00:02")) == {"changed": 1}
    sampled = compare(world, sample=25.0)
    assert (len(sampled.results), sampled.segments) == (2, 8)


def test_words_that_fit_no_table_are_refused(world: World) -> None:
    make(world, 10)
    with pytest.raises(UsageError, match="carries no column nothing"):
        compare(world, columns=("nothing",))
    with pytest.raises(UsageError, match="nothing"):
        compare(world, where="nothing = 1")
    for where, why in {
        "1=1) OR (1=1": "balanced",
        "1=1 -- x": "without comments",
        "1=1; DROP TABLE t": "one condition",
    }.items():
        with pytest.raises(UsageError, match=why):
            compare(world, where=where)
    world.execute("CREATE TABLE u (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO u VALUES (1, '2026-01-01')")
    with pytest.raises(PlanError, match="nothing of it is known to be in the warehouse"):
        verify(world.settings, Asked(tables=(f"{world.schema}.u",), inline=True))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("keyed", [True, False])
def test_a_table_that_never_held_a_row_is_equal(world: World, quick: bool, keyed: bool) -> None:
    """A nightly `verify` over a glob would fail for it for ever: a sync has nothing to make the target for."""
    world.execute(f"CREATE TABLE u (id INT {'PRIMARY KEY' if keyed else ''}, update_at DATETIME NOT NULL)")
    settings = world.settings if keyed else world.settings.model_copy(update={"backup_mode": Mode.APPEND})
    world.sync_one("u", settings)
    asked = Asked(tables=(f"{world.schema}.u",), inline=True, quick=quick and keyed)
    (found,) = verify(settings, asked)
    assert (found.status, found.source_rows, found.target_rows, found.segments) == ("equal", 0, 0, 0)
    assert found.notes == ("the source holds no row, and the target is made with the first one",)
    world.execute("INSERT INTO u VALUES (1, '2026-01-01')")
    with pytest.raises(PlanError, match="nothing of it is known to be in the warehouse"):
        verify(settings, asked)
    world.sync_one("u", settings)
    (found,) = verify(settings, asked)
    assert (found.status, found.source_rows, found.target_rows) == ("equal", 1, 1)


def test_since_finds_rows_that_moved_between_its_segments(world: World) -> None:
    make(world)
    since = "2026-01-01 00:00:01"
    damage(world, "UPDATE T SET update_at = '2026-01-01 00:00:04' WHERE amount = 20")
    world.execute("UPDATE t SET update_at = '2026-02-01' WHERE amount = 30")
    world.execute("DELETE FROM t WHERE amount = 31")
    found = compare(world, since=since)
    assert named(found) == {
        ("changed", key(160), ("update_at",)),
        ("not_yet_synced", key(240), ()),
        ("extra", key(248), ()),
    }


def test_text_keys_are_matched_as_the_merge_matches_them(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, n INT, s VARCHAR(9),"
        " update_at DATETIME(6) NOT NULL, PRIMARY KEY (k, n), KEY (update_at))"
    )
    world.execute("INSERT INTO t VALUES (%s, %s, 'x', %s)", [(f"Key{i % 50}", i, START) for i in range(200)])
    world.sync_one("t")
    assert counts(compare(world)) == {}
    world.execute("UPDATE t SET k = 'KEY7 ', update_at = '2026-01-02' WHERE n = 7")
    assert counts(compare(world)) == {"not_yet_synced": 1}
    world.sync_one("t")
    assert counts(compare(world)) == {}
    damage(
        world, "UPDATE T SET k = 'key7' WHERE n = 7", "UPDATE T SET s = 'X' WHERE n = 8", "DELETE FROM T WHERE n = 9"
    )
    found = compare(world)
    assert named(found) == {("changed", "KEY7 ", ("k",)), ("changed", "Key8", ("s",)), ("missing", "Key9", ())}


def test_the_newest_version_counts_where_a_history_is_kept(world: World) -> None:
    settings = world.settings.model_copy(update={"backup_mode": Mode.APPEND})
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, 'a', %s)", [(i, START) for i in range(200)])
    world.sync_one("t", settings)
    world.execute("UPDATE t SET note = 'b', update_at = '2026-01-02' WHERE id < 100")
    assert counts(compare(world, settings)) == {"not_yet_synced": 100}
    world.sync_one("t", settings)
    assert counts(compare(world, settings)) == {}
    damage(
        world,
        "UPDATE T SET note = 'c' WHERE id = 1 AND note = 'a'",
        "UPDATE T SET note = 'c' WHERE id = 2 AND note = 'b'",
        "DELETE FROM T WHERE id = 3 AND note = 'b'",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE id = 4 AND note = \'b\'',
    )
    found = compare(world, settings)
    assert named(found) == {("changed", "2", ("note",)), ("changed", "3", ("note", "update_at")), ("twice", "4", ())}
    assert counts(compare(world, settings, since="2026-01-02 00:00:00")) == {"changed": 2, "twice": 1}


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE])
def test_rows_without_a_key_are_compared_by_all_their_values(world: World, mode: Mode) -> None:
    settings = world.settings.model_copy(update={"backup_mode": mode})
    world.execute("CREATE TABLE t (note VARCHAR(9), n INT, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES ('a', %s, %s)", [(i // 2, START) for i in range(200)])
    world.sync_one("t", settings)
    assert counts(compare(world, settings)) == {}
    damage(
        world,
        "DELETE FROM T WHERE n = 1",
        "UPDATE T SET note = 'b' WHERE n = 2",
        f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE n = 3',
    )
    extra = {} if mode is Mode.APPEND else {"extra": 2}
    assert counts(compare(world, settings)) == {"missing": 4, "twice": 2, **extra}


def test_a_table_that_is_replaced_may_have_no_cursor(world: World) -> None:
    settings = world.settings.model_copy(update={"backup_mode": Mode.REPLACE})
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9))")
    world.execute("INSERT INTO t VALUES (%s, 'a')", [(i,) for i in range(200)])
    world.sync_one("t", settings)
    found = compare(world, settings)
    assert (counts(found), found.watermark) == ({}, None)
    assert "nothing tells what changed" in found.notes[0]
    damage(world, "UPDATE T SET note = 'b' WHERE id = 2")
    assert named(compare(world, settings)) == {("changed", "2", ("note",))}
    with pytest.raises(UsageError, match="has no cursor"):
        compare(world, settings, since="2026-01-01")


def test_what_the_settings_leave_out_or_change_is_no_difference(world: World) -> None:
    world.execute("SET SESSION sql_mode='ALLOW_INVALID_DATES'")
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, secret INT, x LONGTEXT CHARACTER SET utf8mb4, y VARCHAR(20),"
        " z VARCHAR(90), d DATE, j JSON, update_at DATETIME NOT NULL, KEY (update_at))"
    )
    long = [("é" * 32767 + tail) for tail in ("a", "ab", "é", "包", "🚚", "a🚚")] + [
        "z" * 65533 + "🚚",
        "\0" * 9 + "z" * 65534,
    ]
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s, 'a\\0b', '\\0', '2024-02-31', '{\"a\": 1}', '2026-01-01')",
        [(i, i, text) for i, text in enumerate(long)],
    )
    world.execute("INSERT INTO t VALUES (99, 1, 'out', 'of', 'it', NULL, NULL, '2026-01-01')")
    given = {"exclude": ["secret"], "where": "id < 99", "long_text": "truncate", "nul_bytes": "remove"}
    tables = {f"{world.schema}.t": TableSettings.model_validate({**given, "json_form": "super"})}
    settings = world.settings.model_copy(update={"tables": tables, "backup_load_columns": True})
    world.sync_one("t", settings)
    found = compare(world, settings)
    assert (counts(found), found.source_rows) == ({}, len(long))
    assert (set(found.left_out), found.columns) == ({"j"}, ("id", "x", "y", "z", "d", "update_at"))
    damage(world, "UPDATE T SET x = left(x, 32000) WHERE id = 1")
    assert named(compare(world, settings)) == {("changed", "1", ("x",))}
    world.execute("ALTER TABLE t ADD later INT NOT NULL DEFAULT 7")
    assert compare(world, settings).left_out["later"] == "it is not in the target yet"


def test_rows_without_a_cursor_value_are_explained(world: World) -> None:
    settings = world.settings.model_copy(update={"backup_null_cursors": NullCursors.LOAD})
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(9), update_at DATETIME, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (%s, 'a', %s)", [(i, None if i % 3 else START) for i in range(100)])
    world.sync_one("t", settings)
    assert counts(compare(world, settings)) == {}
    world.execute("UPDATE t SET note = 'b' WHERE id = 1")
    found = compare(world, settings)
    assert (found.equal, counts(found)) == (True, {"not_yet_synced": 1})


def test_no_row_is_accused_while_writers_run_and_damage_is_found_all_the_same(world: World) -> None:
    make(world, 800)
    world.execute("ALTER TABLE t MODIFY update_at DATETIME(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6)")
    world.sync_one("t")

    def write(number: int) -> None:
        world.execute(f"UPDATE t SET note = 'w{number}' WHERE id = {2**63 + number * 7 % 700}")
        world.execute(f"INSERT INTO t (id, part, note) VALUES ({number}, 'x', 'new')")

    with writing(write, pause=0):
        for _ in range(3):
            found = compare(world)
            assert found.equal, found.first
        assert found.counts[Difference.NOT_YET_SYNCED]
        damage(world, f"DELETE FROM T WHERE id = {key(799)}", f"UPDATE T SET amount = 1 WHERE id = {key(720)}")
        found = compare(world)
        wanted = {f for f in named(found) if f[0] != "not_yet_synced"}
        assert wanted == {("missing", key(799), ()), ("changed", key(720), ("amount",))}
    world.sync_one("t")
    assert compare(world).counts[Difference.NOT_YET_SYNCED] == 0


def test_the_command_exits_4_and_prints_one_document(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world, 100)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    words = ["-o", "json", "verify", "-t", f"{world.schema}.t", "--inline"]
    assert CliRunner().invoke(cli, words).exit_code == 0
    damage(world, "DELETE FROM T WHERE amount = 1")
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 4
    document = json.loads(result.stdout)
    assert (document["status"], list(document["tables"])) == ("different", [f"{world.schema}.t"])
    assert document["tables"][f"{world.schema}.t"]["first_differences"] == [
        {"kind": "missing", "key": [key(8), "0800"], "columns": []}
    ]
    text = CliRunner().invoke(cli, words[2:-1])  # with Ray
    assert text.exit_code == 4
    assert "missing" in text.stdout


def test_rows_whose_key_is_null_in_the_warehouse_are_found_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_tasks, "BUCKET_ROWS", 5)
    make(world)
    damage(world, "UPDATE T SET id = NULL WHERE amount = 1", "UPDATE T SET part = NULL WHERE amount = 30")
    found = compare(world)
    missing = {("missing", key(8), ()), ("missing", key(240), ())}
    assert named(found) == missing | {("extra", "None", ()), ("extra", key(240), ())}
    assert (counts(found), found.target_rows) == ({"missing": 2, "extra": 2}, ROWS)
    damage(world, f'INSERT INTO T SELECT * FROM "{world.schema}"."t" WHERE id IS NULL OR part IS NULL')
    assert counts(compare(world)) == {"missing": 2, "extra": 4}  # each is one too many, none is there twice


def test_what_was_compared_before_a_signal_is_told_and_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make(world, 2000)
    damage(world, "DELETE FROM T WHERE amount = 1")
    settings = world.settings.model_copy(update={"backup_batch_size": 40, "backup_max_workers": 1})
    asked, stop, tasks = Asked(tables=(f"{world.schema}.t",), inline=True), threading.Event(), []

    def compare_and_stop(work: Segments, settings: Settings) -> tuple[SegmentResult, ...]:
        tasks.append(work)
        if len(tasks) == 3:
            stop.set()
        return segment_tasks.compare_segments(work, settings)

    monkeypatch.setattr(engine_compare, "MOST_SEGMENTS", 10)
    monkeypatch.setattr(engine_compare, "compare_segments", compare_and_stop)
    (found,) = verify(settings, asked, stop=stop)
    assert (found.interrupted, found.status, found.segments) == (True, "different", 50)
    assert 0 < len(found.results) < 50
    kept = open_store(world.settings).get(f"runs/{world.schema}.t/{found.run_id}/verify.json")
    assert json.loads(kept.body)["segments_compared"] == len(found.results)
    assert verify(settings, asked, stop=stop) == ()


def test_a_table_that_cannot_be_compared_does_not_keep_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(world, 100)
    for name in ("a", "z"):
        world.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
        world.execute(f"INSERT INTO {name} VALUES (1, '2026-01-01')")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    words = ["verify", "-t", f"{world.schema}.*", "--inline"]
    result = CliRunner().invoke(cli, ["-o", "json", *words])
    tables = json.loads(result.stdout)["tables"]
    assert result.exit_code == 3
    assert {name.partition(".")[2]: t["status"] for name, t in tables.items()} == {
        "t": "equal", "a": "failed", "z": "failed",
    }  # fmt: skip
    assert "nothing of it is known to be in the warehouse" in tables[f"{world.schema}.a"]["error"]["message"]
    damage(world, "DELETE FROM T WHERE amount = 1")
    text = CliRunner().invoke(cli, words)
    assert text.exit_code == 4  # that rows differ is the graver news
    assert [line.split()[:2] for line in text.stdout.splitlines() if line.startswith(f"{world.schema}.")][:3] == [
        [f"{world.schema}.t", "different"], [f"{world.schema}.a", "failed"], [f"{world.schema}.z", "failed"],
    ]  # fmt: skip
    assert text.stderr.count("error: ") == 2
    left_out = CliRunner().invoke(cli, ["-o", "json", *words, "--exclude", f"{world.schema}.a", "--exclude", "z"])
    assert (left_out.exit_code, list(json.loads(left_out.stdout)["tables"])) == (4, [f"{world.schema}.t"])
    mended = CliRunner().invoke(cli, ["-o", "json", "repair", *words[1:], "--exclude", "z"])
    document = json.loads(mended.stdout)
    assert (mended.exit_code, document["status"]) == (3, "failed")
    assert {name.partition(".")[2]: t["status"] for name, t in document["tables"].items()} == {
        "t": "repaired", "a": "failed",
    }  # fmt: skip

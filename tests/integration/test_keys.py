"""Keys that Redshift would compare otherwise than MySQL."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.rebuild import rebuild
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.ledger.changes import SetWatermark
from s3rs_ray.model import Watermark
from s3rs_ray.storage.layout import format_state_key

if TYPE_CHECKING:
    from .conftest import World


@pytest.mark.parametrize("collation", ["utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci"])
def test_keys_that_differ_in_trailing_blanks_stay_two_rows(world: World, collation: str) -> None:
    world.execute(f"CREATE TABLE t (k VARCHAR(9) COLLATE {collation} PRIMARY KEY, n INT, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES ('a', 1, '2026-01-01'), ('a ', 2, '2026-01-01'), ('b', 3, '2026-01-01')")
    world.sync_one("t")
    assert world.target_rows("t", "k, n", "ORDER BY n") == [("a", 1), ("a ", 2), ("b", 3)]
    world.execute("UPDATE t SET n = 5, update_at = '2026-01-02' WHERE k = 'a '")
    world.sync_one("t", load=False)
    world.execute("UPDATE t SET n = 6, update_at = '2026-01-03' WHERE k IN ('a ', 'b')")
    world.sync_one("t", load=False)
    world.sync_one("t", extract=False)
    assert world.target_rows("t", "k, n", "ORDER BY k, n") == [("a", 1), ("a ", 6), ("b", 6)]


@pytest.mark.parametrize(
    ("collation", "before", "after"),
    [
        ("utf8mb4_general_ci", "abc-Ä", "ABC-Ä "),
        ("utf8mb4_general_nopad_ci", "abc-Ä", "aBC-Ä"),
        ("utf8mb4_bin", "abc", "abc  "),
        ("latin1_swedish_ci", "É-z", "É-Z"),
    ],
)
def test_a_key_that_is_written_otherwise_later_is_still_one_row(
    world: World, collation: str, before: str, after: str
) -> None:
    world.execute(f"CREATE TABLE t (k VARCHAR(9) COLLATE {collation} PRIMARY KEY, n INT, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES (%s, 1, '2026-01-01'), ('other', 1, '2026-01-01')", [(before,)])
    world.sync_one("t")
    world.execute("UPDATE t SET k = %s, n = 2, update_at = '2026-01-02' WHERE k = %s", [(after, before)])
    world.sync_one("t", verify=True)
    assert world.target_rows("t", "k, n", "ORDER BY n") == [("other", 1), (after, 2)]
    for n, spelling in enumerate((before, after), 3):
        world.execute(f"UPDATE t SET k = %s, n = {n}, update_at = '2026-01-0{n}' WHERE k = %s", [(spelling, before)])
        world.sync_one("t", load=False)
    world.sync_one("t", extract=False)  # both spellings in one load
    assert world.target_rows("t", "k, n", "ORDER BY n") == [("other", 1), (after, 4)]


def test_keys_that_only_look_alike_stay_two_rows(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(9) COLLATE utf8mb4_turkish_ci, p VARCHAR(9) COLLATE utf8mb4_bin, n INT,"
        " update_at DATETIME NOT NULL, PRIMARY KEY (k, p))"
    )
    rows = [("I", "a"), ("i", "a"), ("i", "A"), ("\u0131x", "a"), ("ix", "a")]
    world.execute("INSERT INTO t VALUES (%s, %s, 1, '2026-01-01')", rows)
    world.sync_one("t")
    world.execute("UPDATE t SET n = 2, update_at = '2026-01-02'")
    world.sync_one("t", verify=True)
    assert sorted(world.target_rows("t", "k, p, n")) == sorted((k, p, 2) for k, p in rows)


def test_text_keys_that_share_a_cursor_are_ordered_by_mysql_alone(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, n INT, update_at DATETIME NOT NULL,"
        " KEY (update_at))"
    )
    small = world.settings.model_copy(update={"backup_batch_size": 2, "backup_files_per_load": 1})
    for keys in (("a", "B", "c"), ("\u00e9", "F", "z"), ("D",)):  # D lies behind the watermark, at its cursor
        world.execute("INSERT INTO t VALUES (%s, 1, '2026-01-01')", [(k,) for k in keys])
        world.sync_one("t", small)
    here = {"a", "B", "c", "\u00e9", "F", "z"}  # a row that is written late is not seen without a look-back
    assert {k for (k,) in world.target_rows("t", "k")} == here
    store, name = open_store(world.settings), world.name("t")
    store.delete([format_state_key(name)])
    state = rebuild(world.settings, name)
    assert state.extracted.cursor == dt.datetime(2026, 1, 1)
    world.sync_one("t", small)
    world.ledger().commit(name, [SetWatermark(watermark=Watermark.START, generation="again")])
    world.warehouse.execute(f'DROP TABLE "{world.schema}"."t"'.encode())
    world.sync_one("t", extract=False)
    assert {k for (k,) in world.target_rows("t", "k")} >= here
    assert world.target_rows("t", "count(*) - count(distinct k)") == [(0,)]


def test_keys_too_long_to_be_told_beside_an_object_are_told_in_it(world: World) -> None:
    world.execute(
        "CREATE TABLE t (k VARCHAR(500) COLLATE utf8mb4_bin PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))"
    )
    world.execute("INSERT INTO t VALUES (%s, '2026-01-01')", [("\u5305" * 480 + f"{n:03}",) for n in range(30)])
    small = world.settings.model_copy(update={"backup_batch_size": 10})
    world.sync_one("t", small, load=False, limit=20)
    world.sync_one("t", small, load=False)
    name = world.name("t")
    world.ledger().commit(name, [SetWatermark(watermark=Watermark.START, generation="again")])
    assert world.sync_one("t", extract=False).rows_loaded == 30
    assert world.target_rows("t", "count(distinct k)") == [(30,)]


def test_names_too_long_for_keys_in_s3_are_refused(world: World) -> None:
    (refused,) = world.sync("\u88f9" * 64, settings=world.settings.model_copy(
        update={"s3_incremental_path": "p" * 400 + "/"}), extract=False)  # fmt: skip
    assert "S3's longest has 1024" in refused.error
    assert "S3_INCREMENTAL_PATH" in refused.hint


def test_keys_of_every_character_set_are_cut_along_their_index(world: World) -> None:
    world.execute(
        "CREATE TABLE t (a VARCHAR(9) CHARACTER SET gbk, b VARCHAR(9) CHARACTER SET ucs2,"
        " c VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_bin, update_at DATETIME NOT NULL, PRIMARY KEY (a, b, c))"
    )
    world.execute(
        "INSERT INTO t VALUES (%s, %s, %s, '2026-01-01')",
        [(a, f"日{b}", f"ÿ€{c}'\\") for a in "包裹金" for b in range(6) for c in range(6)],
    )
    result = world.sync_one("t", world.settings.model_copy(update={"backup_batch_size": 10}))
    assert (result.rows_extracted, result.files_created) == (108, 11)
    assert world.target_rows("t", "count(*)") == [(108,)]
    texts = ", ".join(f"CONVERT({c} USING utf8mb4)" for c in "abc")
    assert set(world.target_rows("t", "a, b, c")) == set(world.source_rows("t", texts))

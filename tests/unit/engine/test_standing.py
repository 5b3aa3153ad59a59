"""Which files may go, from values alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from s3rs_ray.engine.standing import Ownership, Selection, Standing, choose, parse_age, recorded_standings
from s3rs_ray.errors import UsageError
from s3rs_ray.ledger.state import OpenRun, Refresh
from s3rs_ray.model import Watermark
from s3rs_ray.storage.s3 import StoredObject
from tests.support import build
from tests.support.build import NOON, mark


def run_of(run_id: str, *ends: int | None, nulls: int = 0) -> OpenRun:
    """An ended run; None where a file reaches nothing (ranges of the key)."""
    cuts = [None, *((n,) for n in range(1, len(ends) + 1))]
    chunks = build.run_chunks(run_id, cuts, of=build.window((), (99,)), columns=("c",))
    files = [
        build.data_file(c, reaches=None if e is None else Watermark(position=(e,)))
        for c, e in zip(chunks, ends, strict=True)
    ]
    first = len(files) - nulls
    files = [replace(f, null_horizon=99) if n >= first else f for n, f in enumerate(files)]
    return replace(build.open_run(run_id, build.window((), (99,))), chunks=chunks, files=tuple(files))


def standings(reached: int, *runs: OpenRun, rows_loaded: int = 1) -> list[Standing]:
    state = replace(build.fresh_state(), loaded=mark(reached), rows_loaded=rows_loaded)
    found = recorded_standings(state, runs)
    return [found[f.key] for run in runs for f in run.files]


L, W = Standing.LOADED, Standing.WAITING


def test_a_file_is_loaded_once_the_watermark_has_passed_it() -> None:
    assert standings(20, run_of("r1", 10, 20, 30)) == [L, L, W]


def test_ranges_of_the_key_are_loaded_with_the_last_of_them() -> None:
    assert standings(29, run_of("r1", None, None, 30)) == [W, W, W]
    assert standings(30, run_of("r1", None, None, 30)) == [L, L, L]


def test_ranges_of_the_key_of_a_run_that_was_dropped_can_never_be_loaded() -> None:
    assert standings(30, run_of("r1", None, None)) == [Standing.ORPHAN] * 2


def test_nothing_is_loaded_after_a_reset() -> None:
    state = build.fresh_state()
    assert set(recorded_standings(state, [run_of("r1", 10, 20)]).values()) == {W}


def test_rows_without_a_cursor_of_the_last_run_are_taken_again_by_a_table_that_starts_anew() -> None:
    assert standings(20, run_of("r1", 10, 20, 20, nulls=1), rows_loaded=0) == [L, L, W]
    assert standings(20, run_of("r1", 10, 20, 20, nulls=1)) == [L, L, L]


def test_a_run_that_followed_another_column_is_not_known_to_be_loaded() -> None:
    state = replace(build.fresh_state(), loaded=Watermark(position=(dt.datetime(2026, 1, 1),)))
    assert set(recorded_standings(state, [run_of("r1", 10)]).values()) == {W}


def test_what_is_open_waits_or_is_in_doubt_comes_before_what_is_recorded() -> None:
    owners = Ownership(
        recorded=dict.fromkeys("abcd", L), waiting=frozenset("b"), doubt=frozenset("c"), planned=frozenset("d")
    )
    assert [owners.standing(k) for k in "abcd"] == [L, W, Standing.DOUBT, Standing.OPEN]
    assert owners.standing("e") is Standing.ORPHAN
    assert owners.standing("e", own=False) is Standing.FOREIGN


KEY = "incremental/a.b/year=2026/month=01/day=31/hour=23/2026-01-31_23-59-59_batch_0001.parquet"


def item(key: str = KEY, age: dt.timedelta = dt.timedelta()) -> StoredObject:
    return StoredObject(key=key, version="", size=10, modified=NOON - age)


@pytest.mark.parametrize(
    ("pattern", "takes", "names"),
    [
        ("", True, False),
        ("batch_*", True, False),
        ("batch_0001*", True, False),
        ("batch_0002*", False, False),
        ("batch_0001.parquet", True, False),
        ("2026-01-31_*", True, False),
        ("2026-01-31_23-59-59_batch_0001.parquet", True, True),
        (KEY, True, True),
        ("incremental/a.b/*", True, False),
        ("incremental/c.d/*", False, False),
        ("*", True, False),
    ],
)
def test_a_pattern_takes_names_and_keys_and_only_a_whole_one_asks_by_name(
    pattern: str, takes: bool, names: bool
) -> None:
    selection = Selection(pattern=pattern)
    assert (selection.takes(item(), NOON), selection.names(item())) == (takes, names)


def test_age_counts_from_when_the_file_was_written() -> None:
    week = Selection(older_than=parse_age("7d"))
    assert week.takes(item(age=dt.timedelta(days=7)), NOON)
    assert not week.takes(item(age=dt.timedelta(days=7) - dt.timedelta(seconds=1)), NOON)
    assert [parse_age(t) for t in ("24h", "30m")] == [dt.timedelta(days=1), dt.timedelta(minutes=30)]


@pytest.mark.parametrize("text", ["", "7", "d", "7w", "-1d", "1d ", "9999999d", "٣d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no age"):
        parse_age(text)


def test_only_loaded_files_go_unless_one_is_asked_for_by_name() -> None:
    files = [(item(f"k/{s.name}.parquet"), s) for s in Standing]
    every = choose(files, Selection(), NOON)
    assert [o.key for o in every.doomed] == ["k/LOADED.parquet"]
    assert (every.present.files, every.present.bytes) == (6, 60)
    assert {s: a.files for s, a in every.kept.items()} == {s: 1 for s in Standing if s is not L}
    in_doubt = choose(files, Selection(pattern="k/DOUBT.parquet"), NOON)
    assert (in_doubt.doomed, in_doubt.kept[Standing.DOUBT].files) == ((), 1)
    named = choose(files, Selection(pattern="k/WAITING.parquet"), NOON)
    assert [o.key for o in named.doomed] == [o.key for o in named.unloaded] == ["k/WAITING.parquet"]


def test_nothing_counts_as_loaded_while_a_full_refresh_is_not_in_the_target() -> None:
    state = replace(build.fresh_state(), loaded=mark(30), refresh=Refresh(run_id="r2", extracted=True))
    assert set(recorded_standings(state, [run_of("r1", 10, 20)]).values()) == {W}

"""Which files on S3 carry a watermark on without a gap."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from s3rs_ray.engine.adopt import gapless, may_adopt, newest_refresh
from s3rs_ray.engine.tasks import WrittenFile
from s3rs_ray.errors import IntegrityError
from s3rs_ray.ledger.changes import Adopt
from s3rs_ray.ledger.state import MANUAL, OpenRun, TableState
from s3rs_ray.model import Watermark
from s3rs_ray.positions import Position
from tests.support import build
from tests.support.build import Applied, mark


def written(run_id: str, after: Position, *ends: Position | None) -> list[WrittenFile]:
    """The files of a run whose window starts at ``after``; None where a file reaches nothing (ranges of the key)."""
    cuts = [after[:1] or None, *((n,) for n in range(1, len(ends) + 1))]
    chunks = build.run_chunks(run_id, cuts, of=build.window(after, (99,)), columns=("c",))
    return [
        WrittenFile(
            file=build.data_file(chunk, reaches=None if end is None else Watermark(position=end)),
            range_digest="",
            window_after=after,
        )
        for chunk, end in zip(chunks, ends, strict=True)
    ]


def chosen(files: list[WrittenFile], start: Watermark = Watermark.START) -> list[str]:
    return [f"{f.run_id}/{f.ordinal}" for f in gapless(files, start)]


FIRST = written("r1", (), (10,), (20,), (30,))
SECOND = written("r2", (30,), (40,), (50,))


def test_all_files_of_runs_that_follow_each_other_are_taken_in_order() -> None:
    assert chosen(SECOND[::-1] + FIRST[::-1]) == ["r1/0", "r1/1", "r1/2", "r2/0", "r2/1"]


def test_the_newest_full_refresh_that_is_complete_is_taken_alone() -> None:
    runs = {f"r{n}": [replace(w, whole=True) for w in written(f"r{n}", (), None, None, (n,))] for n in (1, 2, 3, 4)}
    unfinished = [*runs["r3"][:2], runs["r4"][0], runs["r4"][2]]
    found = newest_refresh([*FIRST, *unfinished, *runs["r2"][::-1], *runs["r1"], *written("r9", (30,), (40,))])
    assert [f"{f.run_id}/{f.ordinal}" for f in found] == ["r2/0", "r2/1", "r2/2"]
    assert newest_refresh([*FIRST, *unfinished]) == []


def test_files_up_to_the_watermark_are_left_out() -> None:
    assert chosen(FIRST + SECOND, mark(30)) == ["r2/0", "r2/1"]
    assert chosen(FIRST + SECOND, mark(50)) == []


def test_a_watermark_inside_a_run_takes_the_file_it_stands_in_because_its_rows_are_not_all_done() -> None:
    assert chosen(FIRST + SECOND, mark(15)) == ["r1/1", "r1/2", "r2/0", "r2/1"]


def test_a_watermark_at_a_files_end_leaves_that_file_out() -> None:
    assert chosen(FIRST + SECOND, mark(20)) == ["r1/2", "r2/0", "r2/1"]


def test_a_missing_run_is_a_gap() -> None:
    third = written("r3", (50,), (60,))
    with pytest.raises(IntegrityError, match="run r3 starts behind 50") as refused:
        gapless(FIRST + third, Watermark.START)
    assert "without --redshift-only" in refused.value.hint


def test_a_missing_first_run_is_a_gap() -> None:
    with pytest.raises(IntegrityError, match="leads there from the beginning"):
        gapless(SECOND, Watermark.START)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_finished_run_that_lost_a_file_is_a_gap_when_another_run_follows(lost: int) -> None:
    files = [w for w in FIRST if w.file.ordinal != lost] + SECOND
    with pytest.raises(IntegrityError):
        gapless(files, Watermark.START)


def without_cursors(files: list[WrittenFile], ordinal: int) -> list[WrittenFile]:
    """The files of a run, of which those from ``ordinal`` on hold the rows whose cursor is NULL."""
    return [replace(w, file=replace(w.file, null_horizon=99)) if w.file.ordinal >= ordinal else w for w in files]


def test_rows_without_a_cursor_are_taken_of_every_run_that_is_not_older_than_the_watermark() -> None:
    first = without_cursors(written("r1", (), (10,), (20,), (20,)), 2)
    second = without_cursors(written("r2", (20,), (20,), (20,)), 0)
    third = without_cursors(written("r3", (20,), (30,), (30,)), 1)
    every = first + second + third
    assert chosen(every) == ["r1/0", "r1/1", "r1/2", "r2/0", "r2/1", "r3/0", "r3/1"]
    assert chosen(every, mark(20)) == ["r1/2", "r2/0", "r2/1", "r3/0", "r3/1"]
    assert chosen(every, mark(30)) == ["r3/1"]
    assert chosen(every, mark(31)) == []


def test_of_the_last_run_only_the_first_files_without_a_hole_count() -> None:
    assert chosen([FIRST[0], FIRST[2]]) == ["r1/0"]
    assert chosen(FIRST[1:]) == []


def test_a_run_by_key_counts_whole_or_not_at_all() -> None:
    by_key = written("r1", (), None, None, (30,))
    assert chosen(by_key + SECOND) == ["r1/0", "r1/1", "r1/2", "r2/0", "r2/1"]
    assert chosen(by_key[:2]) == []
    assert chosen(by_key, mark(10)) == ["r1/0", "r1/1", "r1/2"]
    assert chosen(by_key, mark(30)) == []


def test_a_run_that_started_further_back_because_the_watermark_had_been_moved_follows_as_well() -> None:
    again = written("r2", (10,), (20,), (40,))
    assert chosen(FIRST + again) == ["r1/0", "r1/1", "r1/2", "r2/1"]


def test_a_run_that_carried_all_again_with_other_columns_is_taken_from_where_it_began() -> None:
    def keyed(files: list[WrittenFile], fingerprint: str) -> list[WrittenFile]:
        return [replace(w, file=replace(w.file, fingerprint=fingerprint)) for w in files]

    first = keyed(written("r1", (), (10, 1), (20, 2), (30, 3)), "two columns")
    again = keyed(written("r2", (), (20, 2), (30, 3)), "three columns")
    third = keyed(written("r3", (30, 3), (40, 4)), "three columns")
    assert chosen(first + again + third) == ["r1/0", "r1/1", "r1/2", "r2/0", "r2/1", "r3/0"]
    assert chosen(first + again + third, mark(20, 2)) == ["r1/2", "r2/1", "r3/0"]
    without_key = keyed(FIRST, "two columns") + keyed(written("r2", (), (20,), (30,)), "three columns")
    assert chosen(without_key) == ["r1/0", "r1/1", "r1/2"]


def test_a_cursor_of_whole_days_may_stand_behind_a_watermark_set_by_hand_as_a_time() -> None:
    days = [dt.date(2026, 1, d) for d in (10, 20, 30)]
    files = written("r1", (), *((d, 1) for d in days))
    start = Watermark(position=(dt.datetime(2026, 1, 20),))
    assert chosen(files, start) == ["r1/1", "r1/2"]


def test_keys_of_text_are_not_ordered_here_so_that_no_run_is_passed_over() -> None:
    """'b' comes before 'C' where case does not count; Python says otherwise."""
    first, second = written("r1", (), (1, "a"), (1, "b")), written("r2", (1, "b"), (1, "C"))
    assert chosen(first + second) == ["r1/0", "r1/1", "r2/0"]
    assert chosen(first + second, Watermark(position=(1, "b"))) == ["r2/0"]


def test_a_run_that_does_not_certainly_begin_where_the_watermark_stands_is_a_gap() -> None:
    with pytest.raises(IntegrityError, match="leave a gap"):
        gapless(written("r2", (1, "b"), (2, "c")), Watermark(position=(1, "C")))


def test_dates_no_calendar_has_take_their_place_among_the_others() -> None:
    day = dt.datetime(2026, 1, 1)
    files = written("r1", (), ("0000-00-00 00:00:00", 5), (day, 1))
    assert chosen(files) == ["r1/0", "r1/1"]
    assert chosen(files, Watermark(position=("0000-00-00 00:00:00", 5))) == ["r1/1"]
    assert chosen(files, Watermark(position=(day, 1))) == []


def test_nothing_on_s3_is_nothing_to_take() -> None:
    assert gapless([], Watermark.START) == []


def state(**values: object) -> TableState:
    return replace(build.fresh_state(), **values)  # type: ignore[arg-type]


def test_a_table_that_starts_anew_or_was_set_by_hand_takes_its_files_from_s3() -> None:
    assert may_adopt(state())
    assert may_adopt(state(extracted=mark(5), loaded=mark(5), backup_strategy=MANUAL))


def test_a_table_with_work_of_its_own_does_not() -> None:
    waiting = Applied()
    waiting.commit(Adopt(files=(FIRST[0].file,)))
    opened = Applied()
    opened.commit(build.begin("r1", build.window((), (30,))))
    assert not may_adopt(waiting.state)
    assert not may_adopt(opened.state)
    assert not may_adopt(state(extracted=mark(5), loaded=mark(5), backup_strategy="sequential"))
    assert not may_adopt(state(extracted=mark(9), loaded=mark(5), backup_strategy=MANUAL))


def record(*runs: list[WrittenFile]) -> tuple[OpenRun, ...]:
    """What the records of ended runs name."""
    ended = build.open_run("r", build.window((), (99,)))
    return tuple(replace(ended, run_id=run[0].file.run_id, files=tuple(w.file for w in run)) for run in runs)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_file_of_the_last_run_that_was_deleted_is_named(lost: int) -> None:
    files = [w for w in FIRST if w.file.ordinal != lost]
    with pytest.raises(IntegrityError, match=f"on S3 no more are 1 of the files of run r1, .*{lost}.parquet"):
        gapless(files, Watermark.START, record(FIRST))


def test_a_run_whose_files_were_all_deleted_is_named() -> None:
    with pytest.raises(IntegrityError, match="3 of the files of run r1"):
        gapless([], Watermark.START, record(FIRST))
    with pytest.raises(IntegrityError, match=r"leave a gap: run r2 .*; .* 3 of the files of run r1"):
        gapless(SECOND, Watermark.START, record(FIRST, SECOND))


def test_deleted_files_behind_the_watermark_or_carried_by_a_later_run_are_not_missed() -> None:
    recorded = record(FIRST, SECOND)
    kept = [f"{f.run_id}/{f.ordinal}" for f in gapless(FIRST[2:] + SECOND, mark(20), recorded)]
    assert kept == ["r1/2", "r2/0", "r2/1"]
    assert [f.run_id for f in gapless(SECOND, mark(30), recorded)] == ["r2", "r2"]
    anew = written("r3", (), (60,))
    assert [f.run_id for f in gapless(anew, Watermark.START, recorded + record(anew))] == ["r3"]


def test_a_run_by_key_that_lost_a_file_is_named() -> None:
    by_key = written("r1", (), None, None, (30,))
    with pytest.raises(IntegrityError, match="1 of the files of run r1"):
        gapless(by_key[1:], Watermark.START, record(by_key))
    assert gapless([], mark(30), record(by_key)) == []


def test_records_of_a_run_that_followed_another_column_are_passed_by() -> None:
    earlier = written("r0", (), (dt.datetime(2026, 1, 1),))
    taken = gapless(FIRST, Watermark.START, record(earlier, FIRST))
    assert [f"{f.run_id}/{f.ordinal}" for f in taken] == ["r1/0", "r1/1", "r1/2"]


def test_an_older_full_refresh_does_not_take_the_place_of_one_whose_files_were_deleted() -> None:
    runs = {f"r{n}": [replace(w, whole=True) for w in written(f"r{n}", (), None, (n,))] for n in (1, 2)}
    of = replace(build.window((), (99,)), whole=True)
    recorded = [replace(r, window=of, planned=True) for r in record(runs["r1"], runs["r2"])]
    assert [f.run_id for f in newest_refresh([*runs["r1"], *runs["r2"]], recorded)] == ["r2", "r2"]
    assert [f.run_id for f in newest_refresh(runs["r2"], recorded)] == ["r2", "r2"]
    with pytest.raises(IntegrityError, match="1 of the files of run r2"):
        newest_refresh([*runs["r1"], runs["r2"][0]], recorded)

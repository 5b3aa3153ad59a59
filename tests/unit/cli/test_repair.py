"""What people read of a repair."""

from __future__ import annotations

import datetime as dt

import pytest

from s3rs_ray.cli.output import Output
from s3rs_ray.cli.repair import show_repairs
from s3rs_ray.engine.differences import Difference
from s3rs_ray.engine.mending import Gone, TableRepair
from s3rs_ray.engine.outcomes import Outcomes
from s3rs_ray.model import TableName
from s3rs_ray.policies import Deletes


def told(capsys: pytest.CaptureFixture[str], **changed: object) -> list[str]:
    fields: dict[str, object] = {
        "table": TableName("shop", "t"), "target": '"public"."t"', "run_id": "r", "dry_run": False, "key": ("id",),
        "watermark": None, "segments": 40, "found": {}, "left": {},
        "started": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "seconds": 2.0,
    }  # fmt: skip
    done = TableRepair(**(fields | changed))  # type: ignore[arg-type]
    show_repairs(Output("text"), Outcomes(done=(done,)), interrupted=False)
    return capsys.readouterr().out.splitlines()


def test_where_nothing_differs_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys) == ["shop.t: equal, there is nothing to mend (2.0 s)"]


def test_what_was_read_and_written_is_counted_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    one = told(capsys, found={Difference.CHANGED: 1}, rows_again=1, rows_mended=1)
    assert one[-1] == "shop.t: read 1 row by its key, wrote 1 row in 2.0 s"
    gone = Gone(how=Deletes.SOFT, found=2, removed=2)
    many = told(capsys, found={Difference.EXTRA: 2, Difference.MISSING: 1500}, segments_again=1, rows_again=9,
                rows_mended=1500, gone=gone)  # fmt: skip
    assert many[0] == "shop.t: repaired"
    assert many[-1] == (
        "shop.t: read 9 rows by their keys and 1 of 40 segments whole, wrote 1,500 rows, marked 2 rows in 2.0 s"
    )


def test_a_dry_run_says_what_would_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    left = told(capsys, dry_run=True, found={Difference.EXTRA: 1})
    assert left[-1] == "shop.t: a repair would read nothing, and leave 1 row that is gone from the source"
    deleted = told(capsys, dry_run=True, found={Difference.EXTRA: 3, Difference.CHANGED: 2}, rows_again=2,
                   gone=Gone(how=Deletes.HARD, found=3))  # fmt: skip
    assert deleted[-1] == (
        "shop.t: a repair would read 2 rows by their keys, and delete 3 rows that are gone from the source"
    )

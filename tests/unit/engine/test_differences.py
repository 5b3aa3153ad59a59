"""What a comparison says: the document's contract, which differences are errors, and where segments end."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from s3rs_ray.cli.verify import comparisons_document
from s3rs_ray.engine.differences import SHOWN, Difference, Finding, SegmentResult, TableComparison, exit_code
from s3rs_ray.engine.outcomes import Outcomes
from s3rs_ray.engine.segmenting import ranges_between
from s3rs_ray.model import KeyRange, TableName
from s3rs_ray.positions import Position
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden" / "verify.json"

FOUND = TableComparison(
    table=TableName("settlement", "parcels"),
    target='"public"."parcels"',
    run_id="20260131T120000Z-abc123",
    level="checksums",
    key=("ID", "part"),
    columns=("ID", "part", "amount"),
    left_out={"document": "a SUPER has no text that is alike on both sides"},
    watermark="2026-01-31 11:59:59",
    behind=3,
    segments=4,
    results=(
        SegmentResult(source_rows=100, target_rows=100),
        SegmentResult(
            source_rows=100,
            target_rows=99,
            counts={Difference.MISSING: 1, Difference.NOT_YET_SYNCED: 1},
            rows=(
                Finding(kind=Difference.NOT_YET_SYNCED, key=("9", "b")),
                Finding(kind=Difference.MISSING, key=("7", "a")),
            ),
        ),
        SegmentResult(
            source_rows=50,
            target_rows=50,
            counts={Difference.CHANGED: 1},
            rows=(Finding(kind=Difference.CHANGED, key=("8", "a"), columns=("amount",)),),
        ),
    ),
    started=dt.datetime(2026, 1, 31, 12, 0, 0, tzinfo=dt.UTC),
    seconds=1.5,
    notes=("a note",),
)


def test_the_document_is_as_promised() -> None:
    document = comparisons_document(Outcomes(done=(FOUND,)))
    assert_golden(GOLDEN, orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


@pytest.mark.parametrize("kind", list(Difference))
def test_every_difference_but_what_the_next_sync_carries_is_an_error(kind: Difference) -> None:
    one = replace(FOUND, results=(SegmentResult(source_rows=1, target_rows=1, counts={kind: 1}),))
    assert exit_code([one]) == (0 if kind is Difference.NOT_YET_SYNCED else 4)


def test_errors_are_named_before_what_the_next_sync_carries() -> None:
    many = tuple(Finding(kind=Difference.NOT_YET_SYNCED, key=(str(i),)) for i in range(SHOWN))
    first = SegmentResult(source_rows=1, target_rows=1, rows=many)
    last = SegmentResult(source_rows=1, target_rows=1, rows=(Finding(kind=Difference.EXTRA, key=("x",)),))
    shown = replace(FOUND, results=(first, last)).first
    assert (len(shown), shown[0].key) == (SHOWN, ("x",))


def test_ranges_are_open_at_both_ends_and_leave_out_cuts_that_cut_nothing() -> None:
    ends: list[Position] = [(1,), (1,), ("2025-02-31",), (3,)]
    assert ranges_between(("a", "b"), ends) == (
        KeyRange(columns=("a", "b"), upto=(1,)),
        KeyRange(columns=("a", "b"), after=(1,), upto=(3,)),
        KeyRange(columns=("a", "b"), after=(3,)),
    )
    assert ranges_between(("a",), []) == (KeyRange(columns=("a",)),)

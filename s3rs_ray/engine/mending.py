"""What a repair reads again, and what became of it: values, and the document that is shown and kept. Pure."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import KeyRange, TableName
from ..policies import Deletes
from ..positions import Position
from .differences import SHOWN, Difference, Finding, Place, SegmentResult

MENDED = (Difference.MISSING, Difference.CHANGED, Difference.TWICE)
"""The differences that reading a row again mends."""
LISTED = 2_000
"""Rows of each kind that are told of one segment; one with more is read whole."""
FEW, SHARE = 500, 20
"""A segment is read whole, too, when more rows differ than the first, and more than one in as many as the second."""
MOST_KEYS = 20_000
"""Keys in one repair, which the state on S3 names; further segments are read whole."""
CHUNK_KEYS = 500
"""Keys in one chunk: they are looked up by one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """What is read again.

    Attributes:
        keys: of single rows.
        ranges: segments that are read whole; None is the whole table.
        places: every one that differs, whatever becomes of it.
        rows: of the source that were compared.
        counts: how many rows differ, by kind.
        first: some of them.
    """

    rows: int = 0
    keys: tuple[Position, ...] = ()
    ranges: tuple[KeyRange | None, ...] = ()
    places: tuple[Place, ...] = ()
    counts: dict[Difference, int] = field(default_factory=dict)
    first: tuple[Finding, ...] = ()


def plan_mending(results: Iterable[SegmentResult]) -> Mending:
    """Single rows where few of a segment differ, else the segment; takes results as they come."""
    keys: list[Position] = []
    ranges: list[KeyRange | None] = []
    places: list[Place] = []
    counts: Counter[Difference] = Counter()
    first: list[Finding] = []
    rows = 0
    for result in results:
        rows += result.source_rows
        counts.update(result.counts)
        first += result.rows[: SHOWN - len(first)]
        if result.buckets is not None:
            places.append((result.within, result.buckets))
        wanted = sum(result.counts.get(kind, 0) for kind in MENDED)
        named = [f.position for f in result.rows if f.kind in MENDED and f.position is not None]
        dense = result.within is not None and wanted > FEW and wanted * SHARE > result.source_rows
        if len(named) < wanted or dense or len(keys) + wanted > MOST_KEYS:
            ranges.append(result.within)
        else:
            keys += named
    if None in ranges:  # a segment that is no range of the key, or the only one: the table is read whole
        keys, ranges = [], [None]
    return Mending(
        rows=rows,
        keys=tuple(keys),
        ranges=tuple(ranges),
        places=tuple(places),
        counts=dict(counts),
        first=tuple(first),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What became of rows that are gone from the source.

    Attributes:
        found: how many keys the source did not hold when they were compared.
        removed: rows that were deleted or marked.
        back: keys that the source held again just before; the next sync carries their rows.
    """

    how: Deletes
    found: int = 0
    removed: int = 0
    back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRepair:
    """What became of one table.

    Attributes:
        found: how many rows differed, by kind; ``left`` those that still do. Of a dry run all are left.
        rows_again: rows that are read again by their keys; ``segments_again`` segments that are read whole.
        rows_extracted, rows_mended: rows read, and written to the target.
        gone: of the rows that are gone from the source; None where they were left.
        first: differences that are left.
    """

    table: TableName
    target: str
    run_id: str
    dry_run: bool
    key: tuple[str, ...]
    watermark: str | None
    segments: int
    found: dict[Difference, int]
    left: dict[Difference, int]
    rows_again: int = 0
    segments_again: int = 0
    rows_extracted: int = 0
    rows_mended: int = 0
    files_created: int = 0
    gone: Gone | None = None
    first: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    started: dt.datetime
    seconds: float

    @property
    def mended(self) -> bool:
        """Nothing is left but what the next sync carries."""
        return not any(count for kind, count in self.left.items() if kind is not Difference.NOT_YET_SYNCED)

    @property
    def status(self) -> str:
        if not self.mended:
            return "different"
        return "repaired" if self.rows_mended or (self.gone and self.gone.removed) else "equal"


def repair_exit_code(tables: Sequence[TableRepair]) -> int:
    """0 where nothing is left, 4 otherwise."""
    return 0 if all(t.mended for t in tables) else 4


def repair_document(repair: TableRepair) -> dict[str, Any]:
    """The contract of ``-o json`` and of ``repair.json`` beside the run reports: the field names do not change."""
    gone = repair.gone
    return {
        "status": repair.status,
        "dry_run": repair.dry_run,
        "target": repair.target,
        "run_id": repair.run_id,
        "start_time": repair.started.isoformat(),
        "duration_seconds": round(repair.seconds, 3),
        "watermark": repair.watermark,
        "key": list(repair.key),
        "segments": repair.segments,
        "differences_found": {kind.value: repair.found.get(kind, 0) for kind in Difference},
        "differences_left": {kind.value: repair.left.get(kind, 0) for kind in Difference},
        "rows_read_by_key": repair.rows_again,
        "segments_read_whole": repair.segments_again,
        "rows_extracted": repair.rows_extracted,
        "rows_mended": repair.rows_mended,
        "files_created": repair.files_created,
        "deletes": gone.how.value if gone else None,
        "rows_gone_from_source": gone.found if gone else None,
        "rows_deleted": gone.removed if gone else None,
        "rows_back_at_source": gone.back if gone else None,
        "first_differences_left": [
            {"kind": f.kind.value, "key": list(f.shown), "columns": list(f.columns)} for f in repair.first
        ],
        "notes": list(repair.notes),
    }

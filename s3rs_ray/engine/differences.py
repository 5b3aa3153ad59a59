"""What a comparison of both sides found: values, and the document that is shown and kept. Pure."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, cast

from ..model import KeyRange, TableName
from ..positions import KeyValue, Position

SHOWN = 20
"""How many rows are named; all are counted."""


class Difference(StrEnum):
    """What a row that is not the same on both sides is.

    Attributes:
        MISSING: it was loaded, or should have been, and the warehouse does not hold it.
        CHANGED: the warehouse holds other values.
        EXTRA: the source does not hold it: it was deleted there, or left the table's filter.
        TWICE: the warehouse holds it more than once.
        NOT_YET_SYNCED: it was changed at the source since it was loaded; no error.
    """

    MISSING = "missing"
    CHANGED = "changed"
    EXTRA = "extra"
    TWICE = "twice"
    NOT_YET_SYNCED = "not_yet_synced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that differs.

    Attributes:
        key: its key as the source holds it, or the warehouse where the source does not; of a table without a key its
            cursor, which may be NULL.
        columns: those that differ, where they were looked at.
    """

    kind: Difference
    key: tuple[KeyValue | None, ...]
    columns: tuple[str, ...] = ()

    @property
    def position(self) -> Position | None:
        """The key by which both sides may be asked for the row; None where a part of it is NULL.

        At the source no part of a key is, so nothing there is asked for such a row of the warehouse.
        """
        return None if None in self.key else cast(Position, self.key)

    @property
    def shown(self) -> tuple[str, ...]:
        """The key as texts, binary values as digits."""
        return tuple(value.hex() if isinstance(value, bytes) else str(value) for value in self.key)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Some of the ``count`` buckets that rows fall into by their keys.

    ``source.checksums.chosen_sql`` and its twin in ``warehouse.checksums`` are the predicates of their rows.
    """

    count: int
    chosen: tuple[int, ...]


Place: TypeAlias = tuple[KeyRange | None, Buckets]
"""Where something differs: a segment, and its buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentResult:
    """What one segment holds.

    Attributes:
        within: the range of the key (of the update order under ``--since``) that the segment is; None for no bound.
        buckets: where in it the differences are; None where there are none.
        source_rows, target_rows: the rows compared.
        counts: how many rows differ, by kind.
        rows: those that differ, at most so many of each kind as were asked for.
    """

    source_rows: int
    target_rows: int
    within: KeyRange | None = None
    buckets: Buckets | None = None
    counts: dict[Difference, int] = field(default_factory=dict)
    rows: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableComparison:
    """What became of one table.

    Attributes:
        level: ``counts`` or ``checksums``.
        key: the columns by which rows are named.
        columns: what was compared; empty where rows were counted.
        left_out: columns that were not compared, with the reason.
        watermark: the cursor of the last row loaded.
        behind: rows of the source that are newer than the watermark: the next sync carries them.
        segments, checked: of how many the table consists, and how many were compared.
        notes: what has to be known to read the result.
        interrupted: a signal came before all segments were compared.
    """

    table: TableName
    target: str
    run_id: str
    level: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    left_out: dict[str, str]
    watermark: str | None
    behind: int
    segments: int
    results: tuple[SegmentResult, ...]
    started: dt.datetime
    seconds: float
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def status(self) -> str:
        """``equal`` is never said of a table that was not compared to the end."""
        if not self.equal:
            return "different"
        return "interrupted" if self.interrupted else "equal"

    @property
    def counts(self) -> dict[Difference, int]:
        """How many rows differ, by kind; kinds without one are there as well."""
        total: Counter[Difference] = Counter()
        for result in self.results:
            total.update(result.counts)
        return {kind: total[kind] for kind in Difference}

    @property
    def equal(self) -> bool:
        """Nothing was found to differ that the next sync does not explain."""
        return not any(count for kind, count in self.counts.items() if kind is not Difference.NOT_YET_SYNCED)

    @property
    def first(self) -> tuple[Finding, ...]:
        """The differences that are named, errors before what is only not synced yet."""
        every = [finding for result in self.results for finding in result.rows]
        return tuple(sorted(every, key=lambda f: f.kind is Difference.NOT_YET_SYNCED)[:SHOWN])

    @property
    def source_rows(self) -> int:
        return sum(result.source_rows for result in self.results)

    @property
    def target_rows(self) -> int:
        return sum(result.target_rows for result in self.results)


def exit_code(tables: Sequence[TableComparison]) -> int:
    """0 where all are equal, 4 otherwise."""
    return 0 if all(t.equal for t in tables) else 4


def table_document(found: TableComparison) -> dict[str, Any]:
    """The contract of ``-o json`` and of ``verify.json`` beside the run reports: the field names do not change."""
    return {
        "status": found.status,
        "target": found.target,
        "run_id": found.run_id,
        "start_time": found.started.isoformat(),
        "duration_seconds": round(found.seconds, 3),
        "level": found.level,
        "watermark": found.watermark,
        "key": list(found.key),
        "columns": list(found.columns),
        "columns_left_out": found.left_out,
        "segments": found.segments,
        "segments_compared": len(found.results),
        "segments_different": sum(bool(result.counts) for result in found.results),
        "rows_source": found.source_rows,
        "rows_target": found.target_rows,
        "rows_behind_watermark": found.behind,
        "differences": {kind.value: count for kind, count in found.counts.items()},
        "first_differences": [
            {"kind": f.kind.value, "key": list(f.shown), "columns": list(f.columns)} for f in found.first
        ],
        "notes": list(found.notes),
    }

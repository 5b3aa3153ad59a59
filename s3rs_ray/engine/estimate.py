"""How long a plan will take, from the measured speed of the last runs; and how that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from ..errors import ObjectNotFound
from ..model import TableName
from ..storage.layout import format_report_key
from ..storage.s3 import ObjectStore
from ..wording import counted
from .context import Request
from .events import Status
from .report import list_reports

READ_BACK = 30
"""How many reports are read at most."""
RUNS = 5
"""How many runs of a table make an estimate."""
ALIKE = 0.1
"""A run of so large a part of the planned rows is taken as a measure for them: small ones pay mostly for the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One table's part of an earlier command."""

    table: str
    run: str
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long it will take.

    Attributes:
        minutes: None when no run has been measured.
        known_from: the sentence that says how it is known, and how well.
    """

    minutes: float | None
    known_from: str


def measured_runs(store: ObjectStore, request: Request) -> list[Measured]:
    """What the last commands with the same stages moved, newest first."""
    return list(_measured(islice(reversed(list(list_reports(store))), READ_BACK), store, request))


def _measured(runs: Iterable[str], store: ObjectStore, request: Request) -> Iterator[Measured]:
    for run in runs:
        try:
            document: dict[str, Any] = orjson.loads(store.get(format_report_key(run, "json")).body)
        except (ObjectNotFound, orjson.JSONDecodeError):  # cleaned up meanwhile, or not ours
            continue
        asked = document["request"]
        if any(bool(asked[name]) != getattr(request, name) for name in ("extract", "load")):
            continue
        if request.verify and not asked["verify"]:
            continue
        for table, result in document["table_results"].items():
            rows = result["rows_extracted"]
            seconds = result["duration_seconds"] - (0.0 if request.verify else _verifying(document, table))
            if result["status"] == Status.SUCCESS and rows and seconds > 0:
                yield Measured(table=table, run=run, rows=rows, bytes=result["bytes"], seconds=seconds)


def _verifying(document: dict[str, Any], table: str) -> float:
    """Seconds of a run's verification, which one without does not take."""
    moment = document["timeline"].get(table, {}).get("verification")
    return float(moment["end"] - moment["start"]) if moment else 0.0


def estimate(name: TableName, rows: int, size: int, runs: Iterable[Measured]) -> Estimate:
    """The minutes for ``rows`` rows in files of ``size`` bytes.

    From runs of the table itself, those of a like size first; else by the bytes a second of other tables.
    """
    runs = list(runs)
    own = [m for m in runs if m.table == str(name)]
    alike = [m for m in own if m.rows >= ALIKE * rows][:RUNS]
    if alike:
        speed = sum(m.rows for m in alike) / sum(m.seconds for m in alike)
        said = f"from {counted(len(alike), 'run')} of this table, the last {alike[0].run}: {speed:,.0f} rows/s"
        return Estimate(minutes=rows / speed / 60, known_from=said)
    if own:
        most = max(own, key=lambda m: m.rows)
        speed = most.rows / most.seconds
        said = (
            f"from run {most.run} of this table: {speed:,.0f} rows/s; it had"
            f" {counted(most.rows, 'row')} only, so most of its time was its start, and this is an upper bound"
        )
        return Estimate(minutes=rows / speed / 60, known_from=said)
    others = sorted(runs, key=lambda m: m.bytes, reverse=True)[:RUNS]
    if not others:
        return Estimate(minutes=None, known_from="no run with the same stages has been measured yet")
    speed = sum(m.bytes for m in others) / sum(m.seconds for m in others)
    largest = counted(len(others), "run")
    said = f"this table was never measured; from the {largest} that moved most: {speed / 1e6:,.1f} MB/s"
    return Estimate(minutes=size / speed / 60, known_from=said)

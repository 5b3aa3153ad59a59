"""verify(): whether both sides are equal, proved in the databases; see :mod:`.segments` for how."""

from __future__ import annotations

import threading
import time

from ..config import Settings
from ..errors import Interrupted
from ..ledger.document import cursor_text
from ..ledger.store import utc_now
from ..model import TableName
from ..policies import Mode
from ..source.checksums import shown_columns
from ..storage.layout import COMPARISON
from .compare import Asked, Comparison, compare_table, open_comparison
from .context import Request, Run
from .differences import SegmentResult, TableComparison, table_document
from .driver import ignore
from .events import EventKind, Report
from .outcomes import Outcomes, each_table
from .records import keep_document


def verify(
    settings: Settings, asked: Asked, *, report: Report = ignore, stop: threading.Event | None = None
) -> tuple[TableComparison, ...]:
    """Compares tables; changes nothing but the report it leaves on S3.

    Args:
        stop: set it to end early; what was compared by then is told.

    Raises:
        PlanError: a table was never loaded, or its target is not there.
        UsageError, ConfigError: the columns, condition or time are none of the table's.
        SourceError, WarehouseError, StorageError.
    """
    return verify_each(settings, asked, report=report, stop=stop).or_raise()


def verify_each(
    settings: Settings, asked: Asked, *, report: Report = ignore, stop: threading.Event | None = None
) -> Outcomes[TableComparison]:
    """:func:`verify` with what keeps a table from being compared in the result: the others are compared all the same.

    Raises:
        ConfigError, TableNotFound, SourceUnavailable, StorageUnavailable: before the first table.
    """
    request = Request(tables=asked.tables, exclude=asked.exclude, inline=asked.inline)
    return each_table(settings, request, lambda run, name: _verify_table(run, asked, name), report, stop)


def _verify_table(run: Run, asked: Asked, name: TableName) -> TableComparison:
    started, began = utc_now(), time.monotonic()
    run.say(EventKind.VERIFY_STARTED, name)
    comparison = open_comparison(run, asked, name)
    compared = comparison.compared
    results: list[SegmentResult] = []
    interrupted = False
    try:
        results.extend(compare_table(run, comparison))
    except Interrupted:
        interrupted = True
    found = TableComparison(
        table=name,
        target=compared.target.target.qualified,
        run_id=run.execution_id,
        level="counts" if asked.quick else "checksums",
        key=shown_columns(comparison.table),
        columns=tuple(c.name for c in compared.source.columns),
        left_out=comparison.left_out,
        watermark=cursor_text(comparison.state.loaded),
        behind=comparison.behind,
        segments=len(comparison.segments),
        results=tuple(results),
        started=started,
        seconds=time.monotonic() - began,
        notes=_notes(comparison),
        interrupted=interrupted,
    )
    keep_document(run.store, name, run.execution_id, COMPARISON, table_document(found))
    run.say(EventKind.VERIFIED, name, rows=found.source_rows, differences=sum(found.counts.values()))
    return found


def _notes(comparison: Comparison) -> tuple[str, ...]:
    compared = comparison.compared
    table = compared.source.table
    if not comparison.segments:
        return ("the source holds no row, and the target is made with the first one",)
    notes = []
    if compared.source.upto is None:
        notes.append("nothing tells what changed at the source since the last sync: it is shown as a difference")
    if not table.key and compared.target.mode is Mode.APPEND:
        notes.append("rows have no key: older versions and rows that should not be there cannot be told apart")
    return tuple(notes)

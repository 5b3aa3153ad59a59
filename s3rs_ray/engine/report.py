"""The report of a run: what happened when, as one JSON document, and its HTML beside it on S3.

Times in it are seconds since the start of the command, with three decimals.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import orjson

from ..config import Settings
from ..errors import UsageError
from ..storage.layout import format_report_key, parse_report_key, report_prefix
from ..storage.s3 import ObjectStore
from ..version import __version__
from .context import Request
from .events import Event, EventKind, RunResult, TableResult
from .report_html import format_report

Document: TypeAlias = dict[str, Any]

FORMAT = 1


def result_json(result: RunResult) -> Document:
    """The contract of ``-o json``: the field names do not change."""
    return {
        "execution_id": result.execution_id,
        "start_time": result.start_time.isoformat(),
        "end_time": result.end_time.isoformat(),
        "duration_seconds": round((result.end_time - result.start_time).total_seconds(), 3),
        "status": result.status.value,
        "tables_requested": list(result.tables_requested),
        "table_results": {str(t.table): table_json(t) for t in result.tables},
        "summary": {
            "success_count": len(result.tables) - len(result.failures),
            "failure_count": len(result.failures),
            "total_rows": sum(t.rows_extracted for t in result.tables),
            "total_files": sum(t.files_created for t in result.tables),
        },
        "error": result.error and result.error.to_json(),
    }


def table_json(table: TableResult) -> Document:
    """One table's part of :func:`result_json`."""
    return {
        "status": table.status.value,
        "rows_extracted": table.rows_extracted,
        "rows_loaded": table.rows_loaded,
        "files_created": table.files_created,
        "bytes": table.bytes,
        "duration_seconds": table.duration_seconds,
        "extract_seconds": table.extract_seconds,
        "load_seconds": table.load_seconds,
        "files_loaded": table.files_loaded,
        "bytes_loaded": table.bytes_loaded,
        "load_phases": table.load_phases,
        "watermark": table.watermark,
        **asdict(table.adjusted),
        "verified_rows": table.verified_rows,
        "deletes": table.gone.how.value if table.gone else None,
        "rows_deleted": table.gone.removed if table.gone else None,
        "warnings": list(table.warnings),
        "error": table.error or None,
        "hint": table.hint or None,
        "context": table.context,
    }


@dataclass(slots=True, kw_only=True)
class _Moments:
    """What one table did when; the starts of chunks by ordinal, of the load and of the verification under way."""

    chunks: list[Document] = field(default_factory=list)
    loads: list[Document] = field(default_factory=list)
    retries: list[Document] = field(default_factory=list)
    verification: Document | None = None
    started: dict[int, float] = field(default_factory=dict)
    load_began: float = 0.0


@dataclass(slots=True)
class Recorder:
    """Takes the events of a run, from several threads, and makes its report."""

    tables: dict[str, _Moments] = field(default_factory=dict)
    _began: dt.datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Event) -> None:
        with self._lock:
            if self._began is None:
                self._began = event.at
            if event.table is not None:
                moments = self.tables.setdefault(str(event.table), _Moments())
                _record(moments, event, (event.at - self._began).total_seconds())

    def document(self, settings: Settings, request: Request, result: RunResult) -> Document:
        """The report; secrets in the settings are masked."""
        offset = (self._began - result.start_time).total_seconds() if self._began else 0.0
        document = {
            "format": FORMAT,
            "version": __version__,
            **result_json(result),
            "exit_code": result.exit_code,
            "request": {name: str(value) if name == "strategy" else value for name, value in asdict(request).items()},
            "settings": settings.shown(),
            "timeline": {
                name: {
                    "chunks": [_moved(c, offset) for c in moments.chunks],
                    "loads": [_moved(load, offset) for load in moments.loads],
                    "retries": [_moved(r, offset) for r in moments.retries],
                    "verification": moments.verification and _moved(moments.verification, offset),
                }
                for name, moments in self.tables.items()
            },
        }
        read_back: Document = orjson.loads(orjson.dumps(document, default=str))
        return read_back  # so that a report that was kept and one that was not are alike


def _moved(moment: Document, offset: float) -> Document:
    """A moment counted from the start of the command, which is a little before its first event."""
    return {k: round(v + offset, 3) if k in ("start", "end", "at") else v for k, v in moment.items()}


def _record(moments: _Moments, event: Event, now: float) -> None:
    facts = event.facts
    match event.kind:
        case EventKind.CHUNK_STARTED:
            moments.started[int(facts["chunk"])] = now
        case EventKind.CHUNK_DONE:
            began = moments.started.pop(int(facts["chunk"]), now)
            moments.chunks.append({**facts, "start": began, "end": now})
        case EventKind.CHUNK_RETRIED:
            moments.retries.append({**facts, "at": now})
        case EventKind.LOAD_STARTED:
            moments.load_began = now
        case EventKind.LOAD_DONE:
            moments.loads.append({**facts, "start": moments.load_began, "end": now})
        case EventKind.VERIFY_STARTED:
            moments.verification = {"start": now, "end": now}
        case EventKind.VERIFIED if moments.verification is not None:
            moments.verification |= {"end": now, "rows": facts["rows"]}
        case _:
            pass


def keep_report(store: ObjectStore, document: Document) -> str:
    """Writes a report's JSON and HTML; returns the ``s3://`` address of the HTML."""
    run = document["execution_id"]
    store.put_new(format_report_key(run, "json"), orjson.dumps(document, default=str))
    key = format_report_key(run, "html")
    store.put_new(key, format_report(document).encode())
    return store.url(key)


def list_reports(store: ObjectStore, run: str = "") -> Iterator[str]:
    """The execution ids that begin with ``run`` and have a report, oldest first."""
    for item in store.list(report_prefix(run)):
        found = parse_report_key(item.key)
        if found is not None and found[1] == "json":
            yield found[0]


def read_report(store: ObjectStore, run: str = "") -> Document:
    """The newest report whose execution id begins with ``run``.

    Raises:
        UsageError: there is none.
    """
    ids = list(list_reports(store, run))
    if not ids:
        what = f"no run begins with {run!r}" if run else "no run has left a report yet"
        raise UsageError(f"{what} in {store.url(report_prefix(''))}", hint="`s3rs-ray report --list` shows the runs")
    document: Document = orjson.loads(store.get(format_report_key(ids[-1], "json")).body)
    return document

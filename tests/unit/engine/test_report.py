"""The report of a run: what it records, what the page shows, and what neither may hold."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Event, EventKind, RunResult, Status, TableResult
from s3rs_ray.engine.report import Recorder, keep_report, list_reports, read_report
from s3rs_ray.engine.report_html import BINS, format_report, lanes, speed
from s3rs_ray.errors import UsageError
from s3rs_ray.model import TableName
from tests.support.build import NAME, NOON
from tests.support.memory_store import MemoryStore

SECRET = "Not-To-Be-Seen"
ODD = TableName("s", "<script>alert(1)</script>")


def event(seconds: float, kind: EventKind, table: TableName = NAME, **facts: str | int | float) -> Event:
    return Event(kind=kind, at=NOON + dt.timedelta(seconds=seconds), table=table, facts=facts)


def recorded(execution_id: str = "20260131T120000Z-abc") -> dict[str, Any]:
    recorder = Recorder()
    for each in (
        event(1, EventKind.TABLE_STARTED),
        event(2, EventKind.CHUNK_STARTED, chunk=0, rows=100, attempt=1),
        event(2, EventKind.CHUNK_STARTED, chunk=1, rows=100, attempt=1),
        event(3, EventKind.CHUNK_RETRIED, chunk=1, attempt=1, reason="a <b>reason</b>"),
        event(4, EventKind.CHUNK_DONE, chunk=0, rows=100, bytes=5000),
        event(4, EventKind.CHUNK_STARTED, chunk=1, rows=100, attempt=2),
        event(6, EventKind.CHUNK_DONE, chunk=1, rows=100, bytes=7000),
        event(6, EventKind.LOAD_STARTED, files=2, rows=200),
        event(8, EventKind.LOAD_DONE, files=2, rows=200, merged=200, bytes=12000, copy=1.5, merge=0.5),
        event(8, EventKind.VERIFY_STARTED),
        event(9, EventKind.VERIFIED, rows=200),
        event(9, EventKind.TABLE_STARTED, ODD),
    ):
        recorder(each)
    result = RunResult(
        execution_id=execution_id,
        start_time=NOON,
        end_time=NOON + dt.timedelta(seconds=10),
        tables_requested=("s.*",),
        tables=(
            TableResult(
                table=NAME,
                status=Status.SUCCESS,
                rows_extracted=200,
                rows_loaded=200,
                files_created=2,
                bytes=12000,
                duration_seconds=8.0,
                extract_seconds=4.0,
                load_seconds=2.0,
                load_phases={"copy": 1.5, "merge": 0.5},
                verified_rows=200,
            ),
            TableResult(table=ODD, status=Status.FAILED, error="no <key>", hint="add one", exit_code=1),
        ),
    )
    settings = Settings.load(environment={"DB_PASSWORD": SECRET, "S3_SECRET_KEY": SECRET, "DB_HOST": "mysql.internal"})
    return Recorder.document(recorder, settings, Request(tables=("s.*",)), result)


def test_moments_are_seconds_since_the_start_of_the_command() -> None:
    timeline = recorded()["timeline"][str(NAME)]
    assert [(c["chunk"], c["start"], c["end"]) for c in timeline["chunks"]] == [(0, 2.0, 4.0), (1, 4.0, 6.0)]
    assert [(load["start"], load["end"], load["rows"]) for load in timeline["loads"]] == [(6.0, 8.0, 200)]
    assert [r["at"] for r in timeline["retries"]] == [3.0]
    assert timeline["verification"] == {"start": 8.0, "end": 9.0, "rows": 200}


def test_the_page_is_whole_without_scripts_and_without_anything_from_elsewhere() -> None:
    page = format_report(recorded())
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(page)
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in tags)
    assert not [a for _, a in tags if {"src", "style"} & set(a)]
    places = {f"#{a['id']}" for tag, a in tags if tag == "h2" and "id" in a}
    links = [a["href"] for tag, a in tags if tag == "a"]
    assert links
    assert set(links) <= places
    assert "url(" not in page
    assert "@import" not in page
    bars = [a for tag, a in tags if tag == "rect"]
    assert [b["class"] for b in bars] == ["read", "read", "load", "check"]
    assert float(bars[0]["x"] or 0) == 200  # second 2 of 10, of 1000
    assert "prefers-color-scheme: dark" in page
    assert "no &lt;key&gt;" in page
    assert "<script>alert" not in page
    assert "a &lt;b&gt;reason" in page


def test_neither_document_nor_page_holds_a_secret() -> None:
    document = recorded()
    assert SECRET not in repr(document)
    page = format_report(document)
    assert SECRET not in page
    assert "mysql.internal" in page
    assert "********" in page


def test_a_verification_that_failed_is_not_shown_as_one_that_nobody_asked_for() -> None:
    document = recorded()
    assert "Verification: not asked for" in format_report(document)
    document["request"]["verify"] = True
    page = format_report(document)
    assert "Verification: 200 rows compared, no difference" in page
    assert "Verification: did not end well" in page


def test_moments_that_overlap_get_lanes_of_their_own() -> None:
    moments = [{"start": s, "end": e} for s, e in ((0, 4), (1, 2), (2, 5), (4, 6))]
    assert [[(m["start"], m["end"]) for m in lane] for lane in lanes(moments)] == [[(0, 4), (4, 6)], [(1, 2), (2, 5)]]


@pytest.mark.parametrize("moments", [[(0.0, 10.0)], [(0.0, 3.3), (2.0, 2.0), (9.9, 10.0)], [(4.0, 4.001)]])
def test_the_curve_holds_every_row_once(moments: list[tuple[float, float]]) -> None:
    values = speed([{"start": s, "end": e, "rows": 100} for s, e in moments], 10.0)
    assert sum(values) * 10 / BINS == pytest.approx(100 * len(moments))


def test_a_run_of_very_many_chunks_gives_a_page_of_modest_size() -> None:
    document = recorded()
    document["timeline"][str(NAME)]["chunks"] = [
        {"chunk": i, "start": i / 10_000, "end": (i + 1) / 10_000, "rows": 10, "bytes": 100} for i in range(50_000)
    ]
    page = format_report(document)
    assert len(page) < 300_000
    assert sum(int(n.replace(",", "")) for n in re.findall(r"chunks: ([\d,]+) rows", page)) == 500_000


def test_reports_are_found_again_by_the_beginning_of_their_run() -> None:
    store = MemoryStore()
    with pytest.raises(UsageError, match="no run has left a report"):
        read_report(store)
    for run in ("20260131T120000Z-abc", "20260201T120000Z-def"):
        assert keep_report(store, recorded(run)).endswith(f"runs/reports/{run}.html")
    assert list(list_reports(store)) == ["20260131T120000Z-abc", "20260201T120000Z-def"]
    assert read_report(store)["execution_id"] == "20260201T120000Z-def"
    assert read_report(store, "202601")["execution_id"] == "20260131T120000Z-abc"
    with pytest.raises(UsageError, match="no run begins with '2025'"):
        read_report(store, "2025")

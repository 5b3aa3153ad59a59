"""Which records of runs must stay, and which markers and reports: on values, and on a store in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import orjson
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.history import History, evidence, find_history, find_reports
from s3rs_ray.engine.records import write_record
from s3rs_ray.engine.standing import Selection
from s3rs_ray.engine.tasks import data_key
from s3rs_ray.ledger.state import OpenRun, Page, TableState
from s3rs_ray.model import Watermark, Window
from s3rs_ray.storage.layout import format_report_key, format_run_key
from tests.support import build
from tests.support.build import NAME, mark
from tests.support.memory_store import MemoryStore

SETTINGS = Settings.load(environment={"S3_BUCKET_NAME": "lake"})
OLD = Selection(older_than=dt.timedelta(days=30))


def later(days: int = 40) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def run_id(day: int) -> str:
    return f"202601{day:02d}T000000Z-abcdef"


def ended(day: int, *position: int, whole: bool = False, reaches: bool = True) -> OpenRun:
    """A run that is done, with one file that reaches a position."""
    of = Window(after=Watermark.START, upto=mark(*position), whole=whole)
    (chunk,) = build.run_chunks(run_id(day), (None, position), of=of)
    file = build.data_file(chunk, reaches=mark(*position) if reaches else None)
    file = replace(file, key=data_key(SETTINGS, NAME, run_id(day), 0))
    return replace(build.open_run(run_id(day), of), chunks=(chunk,), files=(file,), planned=True)


@pytest.mark.parametrize(
    ("runs", "needed"),
    [
        ([ended(1, 10), ended(2, 20), ended(3, 30)], {3}),
        ([ended(1, 10), ended(2, 30), ended(3, 20)], {2, 3}),  # the watermark was set back: the second reached further
        ([ended(1, 10), ended(2, 10)], {2}),
        ([ended(1, 10, whole=True), ended(2, 20, whole=True), ended(3, 30)], {2, 3}),  # the newest of whole tables
        ([ended(1, 10), ended(2, 20, reaches=False)], {1, 2}),
        ([ended(1, 10), ended(2, 20), ended(3, 30, reaches=False)], {2, 3}),
        ([], set()),
    ],
)
def test_the_records_that_tell_how_far_the_files_reached_are_needed(runs: list[OpenRun], needed: set[int]) -> None:
    assert evidence(runs) == {run_id(day) for day in needed}


def test_runs_that_followed_another_column_cannot_be_compared_and_stay() -> None:
    by_text = ended(1, 10)
    (file,) = by_text.files
    by_time = Watermark(position=(dt.datetime(2026, 1, 1), 5))
    assert evidence([replace(by_text, files=(replace(file, reaches=by_time),)), ended(2, 20)]) == {run_id(1), run_id(2)}


def kept(runs: list[OpenRun], **changed: object) -> tuple[MemoryStore, TableState]:
    """A store with the records and contracts of runs, and the state of their table."""
    store = MemoryStore()
    for run in runs:
        write_record(store, NAME, run)
        store.put_new(format_run_key(NAME, run.run_id, "table.json"), b"{}")
    return store, replace(build.fresh_state(), **{"last_run_id": runs[-1].run_id, **changed})  # type: ignore[arg-type]


def doomed(store: MemoryStore, state: TableState, runs: list[OpenRun], days: int = 40) -> set[str]:
    found = find_history(store, SETTINGS, state, runs, OLD, later(days))
    return {o.key.removeprefix("runs/settlement.parcels/") for o in found.doomed}


def both(*days: int) -> set[str]:
    return {f"{run_id(day)}/{name}" for day in days for name in ("files.json", "table.json")}


def test_records_and_contracts_go_when_old_and_without_files() -> None:
    runs = [ended(day, day) for day in (1, 2, 3, 4)]
    store, state = kept(runs)
    assert doomed(store, state, runs, days=29) == set()
    assert doomed(store, state, runs) == both(1, 2, 3)
    store.put_new(runs[1].files[0].key, b"rows")
    store.put_new(
        format_run_key(NAME, run_id(5), "table.json"), b"{}"
    )  # of a run that was dropped: the newest contract
    store.put_new(format_run_key(NAME, "20251231T000000Z-aaaaaa", "table.json"), b"{}")
    assert doomed(store, state, runs) == both(1, 3) | {"20251231T000000Z-aaaaaa/table.json"}
    assert doomed(store, replace(state, last_run_id=""), runs) == set()


def test_files_under_an_earlier_path_count() -> None:
    runs = [ended(day, day) for day in (1, 2)]
    elsewhere = replace(runs[0].files[0], key=runs[0].files[0].key.replace("incremental/", "earlier/"))
    runs[0] = replace(runs[0], files=(elsewhere,))
    store, state = kept(runs)
    assert doomed(store, state, runs) == both(1)
    store.put_new(elsewhere.key, b"rows")
    assert doomed(store, state, runs) == set()


def test_runs_whose_files_wait_stay_whatever_lies_on_s3() -> None:
    runs = [ended(day, day) for day in (1, 2, 3)]
    store, state = kept(runs, backlog=runs[0].files)
    assert doomed(store, state, runs) == both(2)


def test_pages_of_a_long_run_stay_and_go_with_it() -> None:
    runs = [ended(day, day) for day in (1, 2, 3)]
    store, state = kept(runs)
    pages = ("files-000000.json", "adopted-0123456789ab.json")
    for run in runs:
        for name in pages:
            store.put_new(format_run_key(NAME, run.run_id, name), b"[]")
    whole = {f"{run_id(day)}/{name}" for day in (1, 2) for name in pages} | both(1, 2)
    assert doomed(store, state, runs) == whole
    store.put_new(runs[0].files[0].key, b"rows")
    assert doomed(store, state, runs) == {key for key in whole if key.startswith(run_id(2))}


def test_a_page_that_waits_keeps_the_run_it_lies_with() -> None:
    runs = [ended(day, day) for day in (1, 2, 3)]
    key = format_run_key(NAME, run_id(1), "adopted-0123456789ab.json")
    page = Page(key=key, digest="", run_id="", skip=0, files=2, rows=2, bytes=2, reached=None)
    store, state = kept(runs, backlog=(page,))
    store.put_new(key, b"[]")
    found = find_history(store, SETTINGS, state, runs, OLD, later())
    assert {o.key.split("/")[2] for o in found.doomed} == {run_id(2)}
    assert found.needed_since == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_the_newest_markers_stay_and_all_since_the_oldest_run_that_waits() -> None:
    runs = [ended(1, 1), ended(2, 2)]
    store, state = kept(runs)
    for name, days in {"_SUCCESS": (3, 4), "_FAILED": (3, 5, 6), "verify.json": (3, 4), "repair.json": (4,)}.items():
        for day in days:
            store.put_new(format_run_key(NAME, run_id(day), name), orjson.dumps(day))
    gone = {f"{run_id(3)}/{n}" for n in ("_SUCCESS", "_FAILED", "verify.json")} | {f"{run_id(5)}/_FAILED"}
    assert doomed(store, state, runs) == gone | both(1)
    found = find_history(store, SETTINGS, state, runs, OLD, later())
    assert (found.latest, found.needed_since) == (frozenset({run_id(4), run_id(6)}), None)
    waiting = replace(state, backlog=runs[0].files)
    assert doomed(store, waiting, runs) == set()
    assert find_history(store, SETTINGS, waiting, runs, OLD, later()).needed_since == dt.datetime(
        2026, 1, 1, tzinfo=dt.UTC
    )


def test_the_newest_report_of_each_table_and_of_all_stay() -> None:
    store = MemoryStore()
    for day in (1, 2, 3, 4):
        for form in ("json", "html"):
            store.put_new(format_report_key(run_id(day), form), b"{}")

    def gone(*histories: History, selection: Selection = OLD, days: int = 40) -> list[str]:
        return [o.key.removeprefix("runs/reports/") for o in find_reports(store, histories, selection, later(days))]

    def reports(*days: int) -> list[str]:
        return [f"{run_id(day)}.{form}" for day in days for form in ("html", "json")]

    assert gone() == reports(1, 2, 3)
    assert gone(History(latest=frozenset({run_id(1)})), History(latest=frozenset({run_id(3)}))) == reports(2)
    assert gone(days=29) == []
    assert gone(History(needed_since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))) == []  # they were written since then
    assert gone(selection=replace(OLD, prefix="incremental/")) == []

"""The loop over a run's chunks: what is durable when, what is tried again, and what is kept when it stops."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine import extraction as extraction_module
from s3rs_ray.engine import records as records_module
from s3rs_ray.engine.context import Hold, Request, Run
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.engine.executor import ChunkTask
from s3rs_ray.engine.extraction import LOST_WORKERS, Extraction, run_extraction
from s3rs_ray.engine.records import read_records, waiting_files
from s3rs_ray.engine.sizing import ChunkSizer
from s3rs_ray.errors import (
    IntegrityError,
    Interrupted,
    LeaseLost,
    S3rsError,
    SourceError,
    SourceStalled,
    SourceTimeout,
    StorageError,
    StorageUnknown,
    WorkerLost,
)
from s3rs_ray.ledger.changes import AddChunks, AddFiles, Finish
from s3rs_ray.ledger.state import LEASE_SECONDS, OpenRun, TableState
from s3rs_ray.ledger.store import COMMIT_ATTEMPTS, Holder, Ledger
from s3rs_ray.model import Chunk
from s3rs_ray.policies import RangeOrder
from tests.support import build
from tests.support.build import NAME, NOON, mark
from tests.support.clock import Clock
from tests.support.memory_store import MemoryStore, raising
from tests.support.scripted import Planned, ScriptedExecutor, Time

COUNT = 20
WINDOW = build.window((), (COUNT,))
CHUNKS = build.run_chunks("r1", [None, *((n,) for n in range(1, COUNT + 1))], of=WINDOW, columns=("c",))


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Waiting for a retry takes no time."""
    made = Time()
    monkeypatch.setattr(extraction_module, "time", made)
    return made


@dataclass
class Bench:
    """A table held by this process, with an open run."""

    store: MemoryStore
    ledger: Ledger
    hold: Hold
    executor: ScriptedExecutor
    events: list[Event]
    sizer: ChunkSizer = field(
        default_factory=lambda: ChunkSizer(row_memory=1, row_file_bytes=1, window_rows=0, readers=2)
    )

    def extraction(
        self, planned: Iterator[Chunk] | None = None, budget: int | None = None, state: TableState | None = None
    ) -> Extraction:
        return Extraction(
            hold=self.hold,
            executor=self.executor,
            table=build.table(),
            state=state or self.ledger.load(NAME),
            order=RangeOrder.CURSOR,
            server="8.0",
            planner=Planned(iter(CHUNKS) if planned is None else planned),
            sizer=self.sizer,
            budget=budget,
        )

    def on_s3(self) -> TableState:
        return Ledger(self.store).load(NAME)

    def run_on_s3(self) -> OpenRun:
        run = self.on_s3().run
        assert run is not None
        return run

    def kinds(self) -> list[EventKind]:
        return [e.kind for e in self.events]


@pytest.fixture
def bench() -> Bench:
    store, events = MemoryStore(), cast("list[Event]", [])
    ledger = Ledger(store, Clock())
    run = Run(
        settings=Settings.load(environment={}),
        request=Request(tables=("t",)),
        store=cast(Any, store),
        ledger=ledger,
        workplace=cast(Any, None),
        threads=cast(Any, None),
        report=events.append,
        clock=Clock(),
        stop=threading.Event(),
        started=NOON,
    )
    hold = Hold(run=run, ledger=ledger, table=NAME)
    ledger.acquire(NAME, run.holder)
    hold.commit(build.begin("r1", WINDOW))
    return Bench(store, ledger, hold, ScriptedExecutor(), events)


def run_all(extraction: Extraction) -> TableState:
    return run_extraction(extraction, lambda state: None)


def test_every_chunk_is_read_and_the_run_closed(bench: Bench) -> None:
    state = run_all(bench.extraction())
    assert state == bench.on_s3()
    assert state.run is None
    assert [f.ordinal for f in state.loadable] == list(range(COUNT))
    assert state.extracted == WINDOW.upto
    assert sorted(bench.executor.submitted) == [(n, 1) for n in range(COUNT)]


def test_a_chunk_is_durable_before_it_is_read(bench: Bench) -> None:
    def check(task: ChunkTask) -> None:
        assert task.chunk in bench.run_on_s3().chunks

    bench.executor.on_submit = check
    run_all(bench.extraction())


def test_the_plan_is_made_only_a_little_ahead_of_the_readers(bench: Bench) -> None:
    taken = 0

    def planned() -> Iterator[Chunk]:
        nonlocal taken
        for chunk in CHUNKS:
            taken += 1
            yield chunk

    extraction = bench.extraction(planned())
    extraction.step(0.1)
    assert taken == 2 * bench.executor.places
    run_all(extraction)
    assert taken == COUNT


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_a_plan_of_any_length_is_known_to_be_complete(bench: Bench, count: int) -> None:
    state = run_all(bench.extraction(iter(CHUNKS[:count])))
    assert (state.run, len(state.backlog)) == (None, count)


def test_never_more_tasks_run_than_there_are_places(bench: Bench) -> None:
    bench.executor.places = 3
    run_all(bench.extraction())
    assert bench.executor.most == 3


def test_files_are_recorded_in_the_order_in_which_they_come_and_loadable_without_a_gap(bench: Bench) -> None:
    bench.executor.places, bench.executor.newest_first = 3, True
    seen: list[tuple[list[int], list[int]]] = []

    def between(state: TableState) -> None:
        if state.run is not None:
            seen.append(([f.ordinal for f in state.run.files], [f.ordinal for f in state.run.ready]))

    run_extraction(bench.extraction(), between)
    assert seen[0] == ([2], [])
    assert all(ready == list(range(len(ready))) for _, ready in seen)


@pytest.mark.parametrize("error", [SourceError("gone"), StorageError("gone")])
def test_a_chunk_that_failed_is_tried_again_later_and_later(bench: Bench, time: Time, error: S3rsError) -> None:
    bench.executor.outcomes = {0: [error, error, error]}
    when: dict[int, float] = {}
    bench.executor.on_submit = lambda task: (
        None if task.chunk.ordinal else when.update({len(when) + 1: time.now})  # the attempts of chunk 0
    )
    state = run_all(bench.extraction(iter(CHUNKS[:2])))
    assert len(state.backlog) == 2
    assert [a for o, a in bench.executor.submitted if o == 0] == [1, 2, 3, 4]
    waits = [when[n + 1] - when[n] for n in (1, 2, 3)]
    assert waits[0] >= 1
    assert waits == sorted(waits)
    assert bench.kinds().count(EventKind.CHUNK_RETRIED) == 3


def test_a_chunk_that_waits_for_its_next_try_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.executor.outcomes = {0: [SourceError("gone")]}
    bench.executor.places = 1
    run_all(bench.extraction(iter(CHUNKS[:5])))
    assert bench.executor.submitted == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2)]


def test_a_chunk_that_keeps_failing_stops_the_run_and_leaves_it_open(bench: Bench) -> None:
    failures: list[Exception] = [SourceError(f"failure {n}") for n in range(9)]
    bench.executor.outcomes = {1: failures}
    with pytest.raises(SourceError, match="failure 3"):
        run_all(bench.extraction(iter(CHUNKS[:4])))
    assert [a for o, a in bench.executor.submitted if o == 1] == [1, 2, 3, 4]
    assert {f.ordinal for f in bench.run_on_s3().files} == {0, 2, 3}


def test_a_chunk_may_lose_more_workers_than_it_may_fail_and_the_first_costs_no_time(bench: Bench, time: Time) -> None:
    failures: list[Exception] = [WorkerLost(f"worker {n}") for n in range(9)]
    bench.executor.outcomes = {1: failures}
    when: list[float] = []
    bench.executor.on_submit = lambda task: when.append(time.now) if task.chunk.ordinal == 1 else None
    with pytest.raises(WorkerLost, match=f"worker {3 + LOST_WORKERS}"):
        run_all(bench.extraction(iter(CHUNKS[:4])))
    assert bench.kinds().count(EventKind.CHUNK_RETRIED) == 3 + LOST_WORKERS
    waits = [later - sooner for sooner, later in pairwise(when)]
    assert waits[0] < 0.5
    assert min(waits[1:]) >= 1


def test_a_count_that_does_not_agree_is_not_tried_again(bench: Bench) -> None:
    bench.executor.outcomes = {0: [IntegrityError("counts differ")]}
    with pytest.raises(IntegrityError):
        run_all(bench.extraction(iter(CHUNKS[:4])))
    assert [a for o, a in bench.executor.submitted if o == 0] == [1]


def test_what_is_under_way_when_a_chunk_fails_is_waited_for_and_kept(bench: Bench) -> None:
    bench.executor.places = 3
    bench.executor.outcomes = {0: [IntegrityError("counts differ")]}
    with pytest.raises(IntegrityError):
        run_all(bench.extraction())
    assert {f.ordinal for f in bench.run_on_s3().files} == {1, 2}
    assert bench.executor.running == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_ended_together_with_a_failed_chunk_is_kept(bench: Bench, newest_first: bool) -> None:
    bench.executor.places = bench.executor.at_once = 3
    bench.executor.newest_first = newest_first
    bench.executor.outcomes = {1: [IntegrityError("counts differ")]}
    with pytest.raises(IntegrityError):
        run_all(bench.extraction())
    assert {f.ordinal for f in bench.run_on_s3().files} == {0, 2}


def test_a_signal_keeps_what_is_under_way_and_starts_nothing_more(bench: Bench) -> None:
    def stop_early(state: TableState) -> None:
        bench.hold.run.stop.set()

    with pytest.raises(Interrupted) as stopped:
        run_extraction(bench.extraction(), stop_early)
    assert "run the command again" in stopped.value.hint
    assert {f.ordinal for f in bench.run_on_s3().files} == {0, 1}
    assert len(bench.executor.submitted) == 2


def test_a_failure_while_the_run_stops_does_not_hide_why_it_stops(bench: Bench) -> None:
    bench.executor.outcomes = {1: [SourceError("gone")]}

    def stop_early(state: TableState) -> None:
        bench.hold.run.stop.set()

    with pytest.raises(Interrupted):
        run_extraction(bench.extraction(), stop_early)
    assert {f.ordinal for f in bench.run_on_s3().files} == {0}


def test_a_run_taken_up_again_reads_only_what_is_missing(bench: Bench) -> None:
    bench.hold.commit(
        AddChunks(run_id="r1", chunks=CHUNKS[:4], planned=False),
        AddFiles(run_id="r1", files=(build.data_file(CHUNKS[1], reaches=mark(2)),), at=NOON),
    )
    state = run_all(bench.extraction(iter(CHUNKS[4:6])))
    assert sorted(o for o, _ in bench.executor.submitted) == [0, 2, 3, 4, 5]
    assert [f.ordinal for f in state.loadable] == list(range(6))


def test_what_another_run_made_of_the_state_is_not_gone_on_with(bench: Bench) -> None:
    """It had taken the table over from one that was frozen, and carried its run on."""
    clock = Clock()
    clock.pass_seconds(LEASE_SECONDS + 1)
    Ledger(bench.store, clock).acquire(NAME, Holder(token="elsewhere/2/b", host="elsewhere", pid=2))
    with pytest.raises(LeaseLost, match="process 2 on elsewhere"):
        bench.hold.load()
    with pytest.raises(LeaseLost):
        bench.hold.check()


def test_a_lost_lease_stops_the_run_and_records_nothing_more(bench: Bench) -> None:
    def lose(state: TableState) -> None:
        bench.hold.lost = LeaseLost("taken over")

    with pytest.raises(LeaseLost):
        run_extraction(bench.extraction(), lose)
    assert {f.ordinal for f in bench.run_on_s3().files} == {0}


def test_a_state_that_cannot_be_written_is_not_tried_again_by_every_change_that_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time", Time())
    tries: deque[Callable[[], None]] = deque([raising(StorageUnknown("no reply"))] * 100)

    def fail(state: TableState) -> None:
        bench.store.before["put_if"] = tries

    with pytest.raises(StorageUnknown) as first:
        run_extraction(bench.extraction(), fail)
    assert len(tries) == 100 - COMMIT_ATTEMPTS
    with pytest.raises(StorageUnknown) as again:
        bench.hold.commit(Finish(run_id="r1"))
    assert again.value is first.value is bench.hold.lost
    assert len(tries) == 100 - COMMIT_ATTEMPTS


def test_a_budget_bounds_the_rows_that_are_started_and_leaves_the_run_open(bench: Bench) -> None:
    state = run_all(bench.extraction(budget=35))
    assert state.run is not None
    assert sum(f.rows for f in state.run.files) == 40
    assert {f.ordinal for f in bench.run_on_s3().files} == {0, 1, 2, 3}
    rest = run_all(bench.extraction(iter(CHUNKS[len(state.run.chunks) :]), budget=1000, state=state))
    assert rest.run is None


def test_a_retried_chunk_is_counted_once_against_the_budget(bench: Bench) -> None:
    bench.executor.places = 1
    bench.executor.outcomes = {0: [SourceError("gone")]}
    state = run_all(bench.extraction(budget=20))
    assert state.run is not None
    assert {f.ordinal for f in state.run.files} == {0, 1}


def test_every_recorded_chunk_is_told_once(bench: Bench) -> None:
    run_all(bench.extraction())
    told = [e.facts["chunk"] for e in bench.events if e.kind is EventKind.CHUNK_DONE]
    assert sorted(told) == list(range(COUNT))


@pytest.mark.parametrize("kind", [SourceTimeout, SourceStalled])
def test_a_chunk_cut_off_by_the_time_limit_is_read_finer_and_so_are_those_behind_it(
    bench: Bench, kind: type[SourceError]
) -> None:
    finer: list[tuple[int, int]] = []
    bench.executor.on_submit = lambda task: finer.append((task.chunk.ordinal, task.finer))
    bench.executor.places = 1
    bench.executor.outcomes = {1: [kind("too slow"), kind("still too slow")], 2: [SourceError("another thing")]}
    run_all(bench.extraction())
    assert [f for n, f in finer if n == 1] == [0, 1, 2]
    assert {f for n, f in finer if n == 0} == {0}
    assert {f for n, f in finer if n > 5} <= {1, 2}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    bench.hold.run.settings = Settings.load(environment={"BACKUP_FILES_PER_LOAD": "4"})
    for module in (extraction_module, records_module):
        monkeypatch.setattr(module, "PAGE_FILES", 4)


@pytest.mark.usefixtures("small_pages")
def test_the_state_does_not_grow_with_the_run_and_its_record_is_whole(bench: Bench) -> None:
    held: list[int] = []
    bench.executor.on_submit = lambda task: held.append(len(bench.run_on_s3().chunks))
    state = run_all(bench.extraction())
    assert max(held) <= 4 + 3 * bench.executor.places
    assert [f.ordinal for f in waiting_files(bench.store, state)] == list(range(COUNT))
    assert state.waiting_files == COUNT
    assert len(state.backlog) < COUNT
    [record] = read_records(bench.store, NAME)
    assert record.chunks == CHUNKS
    assert (sorted(f.ordinal for f in record.files), record.complete) == (list(range(COUNT)), True)


@pytest.mark.usefixtures("small_pages")
def test_a_run_that_dies_between_a_page_and_its_commit_goes_on(bench: Bench) -> None:
    def die() -> None:
        if bench.store.calls[-1][1].endswith("files-000004.json"):
            raise Died

    bench.store.after = {"put_new": deque([die] * 2)}
    with pytest.raises(Died):
        run_all(bench.extraction())
    assert bench.run_on_s3().first == 4
    state = run_all(bench.extraction(iter(CHUNKS[bench.run_on_s3().chunk_count :])))
    assert [f.ordinal for f in waiting_files(bench.store, state)] == list(range(COUNT))
    assert {a for _, a in bench.executor.submitted} == {1}


@pytest.mark.usefixtures("small_pages")
def test_a_page_that_was_changed_is_refused(bench: Bench) -> None:
    state = run_all(bench.extraction())
    page = state.next_page
    assert page is not None
    bench.store.delete([page.key])
    bench.store.put_new(page.key, b"{}")
    with pytest.raises(IntegrityError, match="is not what was written"):
        list(waiting_files(bench.store, state))


class Died(BaseException):
    """The process is gone."""

"""The ledger over a store that fails on purpose: no update is lost, none is made twice."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from s3rs_ray.errors import (
    LeaseLost,
    LedgerError,
    PreconditionFailed,
    StorageError,
    StorageUnavailable,
    StorageUnknown,
    TableBusy,
)
from s3rs_ray.ledger.changes import (
    AddChunks,
    AddFiles,
    Adopt,
    Change,
    Fail,
    Finish,
    Identify,
    Release,
    Renew,
    SetWatermark,
)
from s3rs_ray.ledger.state import LEASE_SECONDS, TableState
from s3rs_ray.ledger.store import COMMIT_ATTEMPTS, Holder, Ledger
from s3rs_ray.model import TableName
from tests.support import build
from tests.support.build import NAME, NOON, mark
from tests.support.clock import Clock
from tests.support.memory_store import MemoryStore, raising

KEY = "watermark/tables/settlement.parcels.json"
WINDOW = build.window((), (40,))
CHUNKS = build.run_chunks("r1", [None, *((n,) for n in range(1, 41))], of=WINDOW, columns=("c",))
FILES = [build.data_file(c, reaches=mark(c.ordinal + 1)) for c in CHUNKS]
A = Holder(token="elsewhere/1/a", host="elsewhere", pid=1)
B = Holder(token="elsewhere/2/b", host="elsewhere", pid=2)
LOST = StorageUnknown("the reply was lost")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow each other at once."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(store: MemoryStore, clock: Clock) -> Ledger:
    return Ledger(store, clock)


def opened(ledger: Ledger) -> TableState:
    """A run with forty planned chunks."""
    return ledger.commit(
        NAME, [build.begin("r1", WINDOW), AddChunks(run_id="r1", chunks=CHUNKS, planned=True)], holder=""
    )


def add(ledger: Ledger, ordinal: int, *, holder: str = "", change_id: str = "") -> TableState:
    files = (FILES[ordinal],)
    return ledger.commit(NAME, [AddFiles(run_id="r1", files=files, at=NOON)], holder=holder, change_id=change_id)


def on_s3(store: MemoryStore) -> TableState:
    """What another process finds."""
    return Ledger(store).load(NAME)


def files_of(state: TableState) -> set[int]:
    assert state.run is not None
    return {f.ordinal for f in state.run.files}


def writes(store: MemoryStore) -> list[str]:
    return [operation for operation, _ in store.calls if operation.startswith("put")]


# One writer


def test_a_table_without_a_state_starts_fresh_and_nothing_is_written_by_looking(
    ledger: Ledger, store: MemoryStore
) -> None:
    state = ledger.load(NAME)
    assert (state.table, state.run, state.created_at) == (NAME, None, NOON)
    assert state.generation
    assert writes(store) == []


def test_the_first_commit_creates_the_object_and_later_ones_replace_their_own_version(
    ledger: Ledger, store: MemoryStore
) -> None:
    opened(ledger)
    assert add(ledger, 0) == on_s3(store)
    assert writes(store) == ["put_new", "put_if"]


def test_what_was_read_or_written_last_is_not_read_again(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    for ordinal in range(3):
        add(ledger, ordinal)
    assert [operation for operation, _ in store.calls].count("get") == 1


def test_a_look_is_always_at_s3(ledger: Ledger, store: MemoryStore, clock: Clock) -> None:
    opened(ledger)
    add(Ledger(store, clock), 0)
    assert files_of(ledger.load(NAME)) == {0}


def test_a_refused_change_writes_nothing(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    before = store.get(KEY).version
    with pytest.raises(LedgerError, match="still missing"):
        ledger.commit(NAME, [Fail(stage="extract"), Finish(run_id="r1")])
    assert store.get(KEY).version == before
    assert on_s3(store).mysql_status == "running"


def test_tables_are_those_with_a_state_and_nothing_else(ledger: Ledger, store: MemoryStore) -> None:
    other = TableName("a.b", "包/裹")
    for name in (NAME, other):
        ledger.commit(name, [Fail(stage="load")])
    store.put_new("watermark/last_run_timestamp.txt", b"2026-01-31 00:00:00")
    store.put_new("watermark/tables/readme.txt", b"")
    assert set(ledger.tables()) == {NAME, other}


def test_tables_do_not_mix(ledger: Ledger) -> None:
    other = TableName("settlement", "parcels2")
    opened(ledger)
    assert ledger.load(other).run is None
    ledger.commit(other, [build.begin("r1", WINDOW)])
    assert ledger.load(NAME) != ledger.load(other)


@pytest.mark.parametrize("body", [b"garbage", b'{"format_version": 999}'])
def test_an_object_that_is_no_state_is_refused_and_left_as_it_is(
    ledger: Ledger, store: MemoryStore, body: bytes
) -> None:
    store.put_new(KEY, body)
    with pytest.raises(LedgerError, match=KEY):
        ledger.load(NAME)
    with pytest.raises(LedgerError, match=KEY):
        ledger.commit(NAME, [Fail(stage="load")])
    assert store.get(KEY).body == body


# Lost replies


@pytest.mark.parametrize("operation", ["put_new", "put_if"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_write_whose_reply_was_lost_happens_exactly_once(
    ledger: Ledger, store: MemoryStore, operation: str, moment: str
) -> None:
    faults = store.before if moment == "before" else store.after
    faults[operation] = deque([raising(LOST)])
    opened(ledger)
    state = add(ledger, 0)
    assert state == on_s3(store)
    assert state.rows_extracted == FILES[0].rows
    assert len(state.recent_changes) == 2
    assert not faults[operation]


def test_a_commit_finds_itself_below_the_commits_of_others(ledger: Ledger, store: MemoryStore, clock: Clock) -> None:
    opened(ledger)
    other = Ledger(store, clock)

    def another_commits_then_the_reply_is_lost() -> None:
        add(other, 1)
        raise LOST

    store.after["put_if"] = deque([another_commits_then_the_reply_is_lost])
    state = add(ledger, 0)
    assert files_of(state) == files_of(on_s3(store)) == {0, 1}
    assert state.rows_extracted == FILES[0].rows + FILES[1].rows


def test_a_change_that_is_no_longer_allowed_after_itself_still_succeeds_when_its_reply_was_lost(
    ledger: Ledger, store: MemoryStore
) -> None:
    """Begin requires that no run is open: it must not trip over its own run."""
    ledger.commit(NAME, [Identify(source="a", target="b")])
    store.after["put_if"] = deque([raising(LOST)])
    assert opened(ledger) == on_s3(store)


def test_a_commit_in_doubt_to_the_end_says_so_and_is_found_by_the_next_try(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    store.after["put_if"] = deque([raising(LOST)])
    store.before["get"] = deque([raising(StorageUnavailable("gone"))])
    with pytest.raises(StorageError):
        add(ledger, 0, change_id="mine")
    state = add(ledger, 0, change_id="mine")
    assert state == on_s3(store)
    assert list(state.recent_changes).count("mine") == 1
    assert state.rows_extracted == FILES[0].rows


def test_a_store_that_never_answers_is_given_up_after_all_attempts(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    store.before["put_if"] = deque(raising(LOST) for _ in range(COMMIT_ATTEMPTS + 5))
    with pytest.raises(StorageUnknown):
        add(ledger, 0)
    assert writes(store).count("put_if") == COMMIT_ATTEMPTS


def test_a_store_that_never_answers_is_given_up_when_the_time_is_over(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    store.before["put_if"] = deque(raising(LOST) for _ in range(COMMIT_ATTEMPTS))
    with pytest.raises(StorageUnknown):
        ledger.commit(NAME, [Renew()], seconds=0.0)
    assert writes(store).count("put_if") == 1


def test_a_failure_that_is_certain_is_not_tried_again(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    store.before["put_if"] = deque([raising(StorageUnavailable("refused"))])
    with pytest.raises(StorageUnavailable):
        add(ledger, 0)
    assert writes(store).count("put_if") == 1
    assert files_of(add(ledger, 1)) == {1}


# Other writers


def test_a_commit_that_lost_a_race_is_applied_to_the_state_that_won(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    opened(ledger)
    other = Ledger(store, clock)

    def another_commits() -> None:
        add(other, 1)

    store.before["put_if"] = deque([another_commits])
    assert files_of(add(ledger, 0)) == {0, 1}
    assert files_of(on_s3(store)) == {0, 1}


def test_two_first_commits_do_not_overwrite_each_other(store: MemoryStore, clock: Clock) -> None:
    one, other = Ledger(store, clock), Ledger(store, clock)

    def another_is_first() -> None:
        opened(other)

    store.before["put_new"] = deque([another_is_first])
    with pytest.raises(LedgerError, match="a run is open already"):
        opened(one)
    assert on_s3(store) == other.load(NAME)


def test_an_old_guess_never_refuses_a_change_the_newest_state_allows(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    ledger.load(NAME)
    opened(Ledger(store, clock))
    assert files_of(add(ledger, 0)) == {0}


def test_an_old_guess_never_lets_a_change_through_that_the_newest_state_refuses(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    ledger.load(NAME)
    opened(Ledger(store, clock))
    before = store.get(KEY).version
    with pytest.raises(LedgerError, match="a run is open already"):
        opened(ledger)
    assert store.get(KEY).version == before


def test_a_replayed_change_is_not_made_twice_not_even_by_another_ledger(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    opened(ledger)
    first = add(ledger, 0, change_id="mine")
    count = len(writes(store))
    for again in (ledger, Ledger(store, clock)):
        assert add(again, 0, change_id="mine") == first
    assert len(writes(store)) == count


def test_a_replayed_change_is_known_to_a_ledger_whose_guess_is_old(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    old = Ledger(store, clock)
    old.load(NAME)
    ledger.commit(NAME, [build.begin("r1", WINDOW)], change_id="first")
    plan = [AddChunks(run_id="r1", chunks=CHUNKS, planned=True)]
    state = ledger.commit(NAME, plan, change_id="second")
    assert old.commit(NAME, plan, change_id="second") == state
    assert old.commit(NAME, [build.begin("r1", WINDOW)], change_id="first") == state
    assert on_s3(store) == state


def test_a_state_that_was_deleted_meanwhile_is_not_written_anew(ledger: Ledger, store: MemoryStore) -> None:
    opened(ledger)
    store.delete([KEY])
    with pytest.raises((StorageError, LedgerError)):
        add(ledger, 0)
    assert list(store.list(KEY)) == []


@pytest.mark.parametrize("shared", [False, True], ids=["a ledger each", "one ledger"])
def test_no_update_is_lost_among_many_writers_at_once(store: MemoryStore, clock: Clock, shared: bool) -> None:
    one = Ledger(store, clock)
    opened(one)
    workers = 8
    barrier = threading.Barrier(workers)

    def work(worker: int) -> None:
        mine = one if shared else Ledger(store, clock)
        barrier.wait()
        for ordinal in range(worker, 40, workers):
            persistently(lambda ordinal=ordinal: add(mine, ordinal))  # type: ignore[misc]

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    state = on_s3(store)
    assert files_of(state) == set(range(40))
    assert state.rows_extracted == sum(f.rows for f in FILES)
    assert state.files_written == 40


def persistently(commit: Callable[[], object]) -> None:
    """Without pauses between attempts, a writer may lose all its attempts to faster ones."""
    for _ in range(50):
        try:
            commit()
        except PreconditionFailed:
            continue
        return
    raise AssertionError("never got through")


def test_one_of_many_runs_that_begin_at_once_wins(store: MemoryStore, clock: Clock) -> None:
    barrier = threading.Barrier(8)

    def begin(worker: int) -> str:
        mine = Ledger(store, clock)
        mine.load(NAME)
        barrier.wait()
        try:
            mine.commit(NAME, [build.begin(f"run {worker}", WINDOW)])
        except LedgerError:
            return ""
        return f"run {worker}"

    with ThreadPoolExecutor(8) as pool:
        winners = [w for w in pool.map(begin, range(8)) if w]
    assert winners == [on_s3(store).last_run_id]


# Leases


def test_a_held_table_is_busy_for_everybody_else(ledger: Ledger) -> None:
    ledger.acquire(NAME, A)
    with pytest.raises(TableBusy, match="process 1 on elsewhere"):
        ledger.acquire(NAME, B)
    with pytest.raises(TableBusy):
        ledger.commit(NAME, [SetWatermark(watermark=mark(1), generation="g1")])
    ledger.acquire(NAME, A)


def test_one_of_many_that_take_a_table_at_once_gets_it(store: MemoryStore, clock: Clock) -> None:
    barrier = threading.Barrier(8)

    def take(worker: int) -> str:
        holder = Holder(token=f"elsewhere/{worker}/x", host="elsewhere", pid=worker)
        mine = Ledger(store, clock)
        barrier.wait()
        try:
            mine.acquire(NAME, holder)
        except TableBusy:
            return ""
        return holder.token

    with ThreadPoolExecutor(8) as pool:
        got = [t for t in pool.map(take, range(8)) if t]
    lease = on_s3(store).lease
    assert lease is not None
    assert got == [lease.holder]


def test_a_table_given_back_is_free(ledger: Ledger) -> None:
    ledger.acquire(NAME, A)
    ledger.release(NAME, A)
    assert ledger.acquire(NAME, B).lease is not None


def test_a_lease_whose_heart_stopped_is_taken_over_and_its_old_owner_cannot_go_on(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    other = Ledger(store, clock)
    ledger.acquire(NAME, A)
    clock.pass_seconds(LEASE_SECONDS)
    with pytest.raises(TableBusy):
        other.acquire(NAME, B)
    clock.pass_seconds(1)
    other.acquire(NAME, B)
    with pytest.raises(LeaseLost, match="process 2 on elsewhere"):
        ledger.commit(NAME, [Adopt(files=(FILES[0],))], holder=A.token)
    with pytest.raises(LeaseLost):
        ledger.release(NAME, A)
    lease = on_s3(store).lease
    assert lease is not None
    assert lease.holder == B.token


def test_a_change_whose_reply_came_too_late_gives_no_state_of_another_run(
    ledger: Ledger, store: MemoryStore, clock: Clock
) -> None:
    """It was made; but the process stood still until another had carried the run on to its end."""
    ledger.acquire(NAME, A)
    changes: list[Change] = [build.begin("r1", WINDOW), AddChunks(run_id="r1", chunks=CHUNKS[:1], planned=True)]

    def overtaken() -> None:
        clock.pass_seconds(LEASE_SECONDS + 1)
        other = Ledger(store, clock)
        other.acquire(NAME, B)
        add(other, 0, holder=B.token)
        other.commit(NAME, [Finish(run_id="r1")], holder=B.token)
        raise LOST

    store.after["put_if"] = deque([overtaken])
    for again in (ledger, ledger, Ledger(store, clock)):
        with pytest.raises(LeaseLost, match="process 2 on elsewhere"):
            again.commit(NAME, changes, holder=A.token, change_id="mine")
    assert on_s3(store).backlog == (FILES[0],)


def test_every_commit_is_a_sign_of_life(ledger: Ledger, store: MemoryStore, clock: Clock) -> None:
    ledger.acquire(NAME, A)
    clock.pass_seconds(LEASE_SECONDS)
    ledger.commit(NAME, [Fail(stage="load")], holder=A.token)
    clock.pass_seconds(LEASE_SECONDS)
    with pytest.raises(TableBusy):
        Ledger(store, clock).acquire(NAME, B)


@pytest.fixture
def neighbour() -> Iterator[tuple[Holder, subprocess.Popen[str]]]:
    """Another process of this machine, and the holder it is."""
    program = (
        "from s3rs_ray.ledger.store import Holder; here = Holder.here();"
        " print(here.token, here.host, here.pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        token, host, pid = process.stdout.readline().split()
        yield Holder(token=token, host=host, pid=int(pid)), process
        process.kill()


def test_a_holder_on_this_machine_keeps_its_table_while_it_lives_and_loses_it_at_once_when_it_is_gone(
    ledger: Ledger, neighbour: tuple[Holder, subprocess.Popen[str]], caplog: pytest.LogCaptureFixture
) -> None:
    holder, process = neighbour
    ledger.acquire(NAME, holder)
    with pytest.raises(TableBusy):
        ledger.acquire(NAME, Holder.here())
    process.kill()
    process.wait()
    with caplog.at_level(logging.WARNING):
        state = ledger.acquire(NAME, Holder.here())
    assert state.lease is not None
    assert state.lease.pid == Holder.here().pid
    assert holder.token in caplog.text


def test_a_holder_that_ended_and_was_not_waited_for_is_gone_as_well(
    ledger: Ledger, neighbour: tuple[Holder, subprocess.Popen[str]]
) -> None:
    holder, process = neighbour
    ledger.acquire(NAME, holder)
    process.send_signal(9)
    for _ in range(1000):
        if _state_of(holder.pid) == "Z":
            break
        threading.Event().wait(0.005)
    ledger.acquire(NAME, Holder.here())


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_another_process_with_the_same_pid_is_not_the_holder(ledger: Ledger) -> None:
    here = Holder.here()
    before = Holder(token=f"{here.host}/{here.pid}/earlier", host=here.host, pid=here.pid)
    ledger.acquire(NAME, before)
    state = ledger.acquire(NAME, here)
    assert state.lease is not None
    assert state.lease.holder == here.token


def test_nothing_is_known_of_a_holder_on_another_machine(ledger: Ledger) -> None:
    here = Holder.here()
    far = Holder(token=f"elsewhere/{2**22}/x", host="elsewhere", pid=2**22)
    ledger.acquire(NAME, far)
    with pytest.raises(TableBusy):
        ledger.acquire(NAME, here)


def test_two_runs_of_one_process_are_two_holders() -> None:
    assert Holder.here() != Holder.here()


def test_releasing_under_a_lost_reply_releases_once(ledger: Ledger, store: MemoryStore) -> None:
    """The second Release would find no lease of its own: the commit must recognise the first."""
    ledger.acquire(NAME, A)
    store.after["put_if"] = deque([raising(LOST)])
    ledger.release(NAME, A)
    assert on_s3(store).lease is None
    with pytest.raises(LeaseLost):
        ledger.commit(NAME, [Release()], holder=A.token)

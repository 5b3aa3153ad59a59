"""Any order of changes, by any two holders, at any time: every file is loaded exactly once and in order.

Hypothesis plays the drivers. The machine keeps its own, much simpler account of what must be true and compares.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from s3rs_ray.errors import LeaseLost, LedgerError, TableBusy
from s3rs_ray.ledger.apply import apply_commit, next_load
from s3rs_ray.ledger.changes import (
    Abandon,
    Acquire,
    AddChunks,
    AddFiles,
    Adopt,
    Advance,
    BeginRefresh,
    Change,
    Commit,
    Fail,
    Finish,
    PageIn,
    PageOut,
    Release,
    Renew,
    Seal,
    SetWatermark,
    Unseal,
)
from s3rs_ray.ledger.document import format_state, parse_state
from s3rs_ray.ledger.state import LEASE_SECONDS, Page, Sealed
from s3rs_ray.model import Chunk, DataFile, KeyRange, Watermark
from s3rs_ray.policies import Mode, RangeOrder
from s3rs_ray.positions import Position
from tests.support import build
from tests.support.build import NOON, mark

HOLDERS = st.sampled_from(["owner"] * 12 + ["a", "b", ""])
RARELY = st.sampled_from([0] * 9 + [1])
SECONDS = st.sampled_from([1, LEASE_SECONDS // 2, LEASE_SECONDS, LEASE_SECONDS + 1])


def first_of(position: Position) -> int:
    """The first value of a position; 0 stands for the start."""
    value = position[0] if position else 0
    assert isinstance(value, int)
    return value


class Ledger(RuleBasedStateMachine):
    """One table's state, and what its changes must have made of it."""

    @initialize()
    def start(self) -> None:
        self.state = build.fresh_state()
        self.now = NOON
        self.numbers = 0
        self.chunk_of: dict[str, Chunk] = {}
        self.ends_of: dict[Chunk, int] = {}
        self.order_of: dict[str, RangeOrder] = {}
        self.clear(mark())

    def clear(self, at: Watermark) -> None:
        """A new generation: nothing was extracted or loaded yet."""
        self.loaded: list[str] = []
        self.loaded_up_to = at
        self.recorded: dict[str, DataFile] = {}
        self.on_page: dict[str, tuple[DataFile, ...]] = {}

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def attempt(self, who: str, *changes: Change, allowed: bool = True) -> bool:
        """Commits under a holder; checks that exactly the right ones are refused, and with the right error."""
        lease = self.state.lease
        holder = (lease.holder if lease else "") if who == "owner" else who
        commit = Commit(change_id=f"change {self.number()}", holder=holder, now=self.now, changes=changes)
        error: type[LedgerError] | None = None if allowed else LedgerError
        if holder and (lease is None or lease.holder != holder):
            error = LeaseLost
        elif not holder and lease is not None and not lease.expired(self.now):
            error = TableBusy
        if error is None:
            self.state = apply_commit(self.state, commit)
            return True
        with pytest.raises(error):
            apply_commit(self.state, commit)
        return False

    # Leases and time

    @rule(holder=st.sampled_from("ab"), dead=st.sampled_from(["", "", "a", "b"]), seconds=SECONDS)
    def acquire(self, holder: str, dead: str, seconds: int) -> None:
        self.now += dt.timedelta(seconds=seconds)
        lease = self.state.lease
        free = lease is None or lease.holder in (holder, dead) or (self.now - lease.renewed).seconds > LEASE_SECONDS
        change = Acquire(lease=build.lease(holder, self.now), dead=dead)
        commit = Commit(change_id=f"change {self.number()}", holder=holder, now=self.now, changes=(change,))
        if not free:
            with pytest.raises(TableBusy):
                apply_commit(self.state, commit)
            return
        self.state = apply_commit(self.state, commit)
        assert self.state.lease is not None
        assert self.state.lease.holder == holder

    @precondition(lambda self: self.state.lease is not None)
    @rule(who=HOLDERS, change=st.sampled_from([Renew(), Release(), Fail(stage="extract")]))
    def hold_on(self, who: str, change: Change) -> None:
        before = self.state
        if self.attempt(who, change):
            assert (self.state.run, self.state.backlog, self.state.sealed) == (
                before.run,
                before.backlog,
                before.sealed,
            )

    # Extraction

    @rule(who=HOLDERS, rows=st.integers(1, 9), order=st.sampled_from(RangeOrder), moved=st.booleans())
    def begin(self, who: str, rows: int, order: RangeOrder, moved: bool) -> None:
        after = self.state.extracted
        found = Watermark(position=(*after.position, 99)) if moved and not self.numbers % 4 else after
        end = first_of(after.position) + 10 * rows
        run_id = f"r{self.number():03}"
        self.order_of[run_id] = order
        opening = build.begin(run_id, build.window(after.position, (end,)), order=order, found=found)
        unread = self.state.refresh is not None and not self.state.refresh.extracted
        self.attempt(who, opening, allowed=self.state.run is None and found == after and not unread)

    @precondition(lambda self: self.numbers % 5 == 0)
    @rule(who=HOLDERS, rows=st.integers(1, 9), whole=st.sampled_from([True, True, True, False]))
    def begin_refresh(self, who: str, rows: int, whole: bool) -> None:
        """Reads everything anew; what was open and what waited is dropped."""
        run_id = f"r{self.number():03}"
        self.order_of[run_id] = RangeOrder.KEY
        of = replace(build.window((), (10 * rows,)), whole=whole)
        run = build.open_run(run_id, of, order=RangeOrder.KEY)
        change = BeginRefresh(run=run, generation=f"g{self.numbers}", source="", follows="", mode=Mode.MERGE)
        if self.attempt(who, change, allowed=whole and self.droppable):
            self.clear(mark())

    @property
    def droppable(self) -> bool:
        return self.state.sealed is None or self.state.sealed.mode is Mode.REPLACE

    @precondition(lambda self: self.state.run is not None)
    @rule(who=HOLDERS, count=st.integers(0, 3), ends=st.booleans(), says_so=st.booleans(), gap=RARELY)
    def add_chunks(self, who: str, count: int, ends: bool, says_so: bool, gap: int) -> None:
        """The last chunk ends where the window ends; that it is the last may be said later."""
        run = self.state.run
        assert run is not None
        end = first_of(run.window.upto.position)
        complete = bool(run.chunks) and self.ends_of[run.chunks[-1]] == end
        count = 0 if complete else max(count, int(ends))
        low = self.ends_of[run.chunks[-1]] if run.chunks else first_of(run.window.after.position)
        chunks = []
        for ordinal in range(run.chunk_count, run.chunk_count + count):
            high = end if ends and ordinal == run.chunk_count + count - 1 else low + (end - low) // 2
            by_key = run.order is RangeOrder.KEY
            key_range = KeyRange(
                columns=("k",) if by_key else ("c",),
                after=(low,) if ordinal else run.window.after.after,
                upto=None if by_key and high == end else (high,),
            )
            chunk = Chunk(run_id=run.run_id, ordinal=ordinal + gap, range=key_range, window=run.window, rows=5)
            self.ends_of[chunk] = high
            chunks.append(chunk)
            low = high
        planned = says_so and (ends or complete)
        change = AddChunks(run_id=run.run_id, chunks=tuple(chunks), planned=planned)
        self.attempt(who, change, allowed=not chunks or (not run.planned and not gap))

    def file_of(self, chunk: Chunk, rows: int) -> DataFile:
        reaches: Watermark | None = Watermark(position=chunk.range.upto or ())
        if self.order_of[chunk.run_id] is RangeOrder.KEY:
            reaches = None if chunk.range.upto else chunk.window.upto
        return build.data_file(chunk, reaches=reaches, rows=rows, digest=str(self.number()))

    def record(self, files: Sequence[DataFile]) -> None:
        run = self.state.run
        assert run is not None
        for file in files:
            assert file.key not in self.recorded
            self.recorded[file.key] = file
            self.chunk_of[file.key] = run.chunks[file.ordinal - run.first]

    @precondition(lambda self: self.state.run is not None and self.state.run.missing)
    @rule(who=HOLDERS, data=st.data(), rows=st.integers(0, 5))
    def extract(self, who: str, data: st.DataObject, rows: int) -> None:
        """Some of the missing files, in any order."""
        run = self.state.run
        assert run is not None
        chosen = data.draw(st.lists(st.sampled_from(run.missing), min_size=1, unique=True))
        files = tuple(self.file_of(chunk, rows) for chunk in chosen)
        if self.attempt(who, AddFiles(run_id=run.run_id, files=files, at=self.now)):
            self.record(files)

    @precondition(lambda self: self.state.run is not None and self.state.run.chunks)
    @rule(who=HOLDERS, pick=st.integers(0, 20), again=st.booleans())
    def record_again(self, who: str, pick: int, again: bool) -> None:
        """A file of any chunk: the one that is there, or another."""
        run = self.state.run
        assert run is not None
        chunk = run.chunks[pick % len(run.chunks)]
        known = next((f for f in run.files if f.ordinal == chunk.ordinal), None)
        file = known if again and known else self.file_of(chunk, 1)
        allowed = known in (None, file)
        done = self.attempt(who, AddFiles(run_id=run.run_id, files=(file, file), at=self.now), allowed=allowed)
        if done and known is None:
            self.record((file,))

    @precondition(lambda self: self.state.run is not None)
    @rule(who=HOLDERS)
    def finish(self, who: str) -> None:
        run = self.state.run
        assert run is not None
        have = {f.ordinal for f in run.files}
        complete = run.planned and have == set(range(run.first, run.chunk_count))
        if self.attempt(who, Finish(run_id=run.run_id), allowed=complete):
            assert self.state.extracted == run.window.upto

    @precondition(lambda self: self.state.run is not None and self.numbers % 3 == 0)
    @rule(who=HOLDERS)
    def abandon(self, who: str) -> None:
        run = self.state.run
        assert run is not None
        if not self.attempt(who, Abandon(run_id=run.run_id), allowed=self.state.sealed is None):
            return
        kept = {f.key for f in self.waiting} | set(self.loaded)
        for key in [k for k, c in self.chunk_of.items() if c.run_id == run.run_id and k in self.recorded]:
            if key not in kept:  # what is dropped is read again by another run, under another key
                del self.recorded[key]

    # Pages

    @property
    def waiting(self) -> list[DataFile]:
        """What waits to be loaded, in order, the files on pages among them."""
        run = self.state.run
        found: list[DataFile] = []
        for item in self.state.backlog:
            found += self.on_page[item.key][item.skip :] if isinstance(item, Page) else (item,)
        return found + sorted((f for f in run.files if f.ordinal >= run.first + run.consumed) if run else (),
                              key=lambda f: f.ordinal)  # fmt: skip

    @precondition(lambda self: self.state.run is not None and self.state.run.files)
    @rule(who=HOLDERS, count=st.integers(0, 4), keep=st.integers(0, 3))
    def page_out(self, who: str, count: int, keep: int) -> None:
        run, before = self.state.run, self.waiting
        assert run is not None
        have = {f.ordinal: f for f in run.files}
        leaving = [c.ordinal for c in run.chunks[:count]]
        change = PageOut(run_id=run.run_id, key=f"page {self.number()}", digest="d", count=count, keep=keep)
        allowed = 0 < count < len(run.chunks) and all(n in have for n in leaving)
        loadable = self.state.loadable
        if allowed:
            self.on_page[change.key] = tuple(have[n] for n in leaving)
        if self.attempt(who, change, allowed=allowed):
            assert self.waiting == before
            assert self.state.loadable[: min(keep, len(loadable))] == loadable[:keep]  # what may have been chosen

    @precondition(lambda self: self.state.next_page is not None)
    @rule(who=HOLDERS, wrong=RARELY)
    def page_in(self, who: str, wrong: int) -> None:
        page, before = self.state.next_page, self.waiting
        assert page is not None
        files = self.on_page[page.key][page.skip + wrong :]
        if self.attempt(who, PageIn(page=page, files=files), allowed=not wrong):
            assert self.waiting == before

    # Loads

    @rule(who=HOLDERS, most=st.integers(1, 4), skip=RARELY)
    def seal(self, who: str, most: int, skip: int) -> None:
        files = list(next_load(self.state, most + skip))[skip:]
        waiting = bool(self.state.loadable)
        anew = [self.state.refresh is not None and f.run_id == self.state.refresh.run_id for f in files]
        assert len(set(anew)) < 2
        sealed = Sealed(
            load_id=f"load {self.number()}",
            run_id=files[0].run_id if files else "",
            mode=Mode.REPLACE if any(anew) else Mode.MERGE,
            keys=tuple(f.key for f in files),
            rows=sum(f.rows for f in files),
            reaches=files[-1].reaches if files else None,
        )
        self.attempt(
            who, Seal(sealed=sealed), allowed=waiting and bool(files) and not skip and self.state.sealed is None
        )

    @precondition(lambda self: self.state.sealed is not None)
    @rule(who=HOLDERS, other=st.sampled_from([False, False, False, True]))
    def advance(self, who: str, other: bool) -> None:
        sealed = self.state.sealed
        assert sealed is not None
        load = build.loaded("another" if other else sealed.load_id, rows=sealed.rows, files=len(sealed.keys))
        if not self.attempt(who, Advance(load=load), allowed=not other):
            return
        for key in sealed.keys:
            self.count_as_loaded(key)
        self.loaded += sealed.keys
        if sealed.mode is Mode.REPLACE:
            assert (self.state.refresh is None) is (sealed.reaches is not None)
        if sealed.reaches is not None:
            assert self.state.loaded == sealed.reaches == self.loaded_up_to

    def count_as_loaded(self, key: str) -> None:
        """The rows of a file follow those loaded before without a gap and without an overlap."""
        chunk, file = self.chunk_of[key], self.recorded[key]
        if self.order_of[chunk.run_id] is RangeOrder.CURSOR:
            assert (chunk.range.after or ()) == self.loaded_up_to.position
            self.loaded_up_to = Watermark(position=chunk.range.upto or ())
        else:
            assert chunk.window.after == self.loaded_up_to
            if file.reaches is not None:
                self.loaded_up_to = file.reaches

    @precondition(lambda self: self.state.sealed is not None)
    @rule(who=HOLDERS)
    def give_up_the_load(self, who: str) -> None:
        assert self.state.sealed is not None
        before = self.state.loadable
        if self.attempt(who, Unseal(load_id=self.state.sealed.load_id)):
            assert self.state.loadable == before

    @rule(data=st.data(), load=st.booleans(), few=st.integers(1, 4))
    def go_on(self, data: st.DataObject, load: bool, few: int) -> None:
        """What a driver would do next."""
        run = self.state.run
        if self.state.sealed is not None:
            self.advance("owner", other=False)
        elif self.state.next_page is not None and not self.state.loadable and load:
            self.page_in("owner", wrong=0)
        elif self.state.loadable and load:
            self.seal("owner", most=few, skip=0)
        elif run is None:
            self.begin("owner", rows=few, order=data.draw(st.sampled_from(RangeOrder)), moved=False)
        elif run.missing:
            self.extract("owner", data=data, rows=few)
        elif len(run.chunks) > few:
            self.page_out("owner", count=few, keep=few)
        elif run.complete:
            self.finish("owner")
        else:
            self.add_chunks("owner", count=few, ends=data.draw(st.booleans()), says_so=True, gap=0)

    # By hand

    @precondition(lambda self: self.numbers % 11 == 0)
    @rule(who=HOLDERS, place=st.sampled_from([(), (100,)]))
    def set_the_watermark(self, who: str, place: tuple[int, ...]) -> None:
        change = SetWatermark(watermark=mark(*place), generation=f"g{self.number()}")
        if self.attempt(who, change, allowed=self.droppable):
            assert self.state.refresh is None
            self.clear(mark(*place))

    @precondition(lambda self: self.numbers % 3 == 0)
    @rule(who=HOLDERS, count=st.integers(0, 3))
    def adopt(self, who: str, count: int) -> None:
        start = self.state.extracted
        run_id = f"r{self.number():03}"
        self.order_of[run_id] = RangeOrder.CURSOR
        base = first_of(start.position)
        cuts = [start.position or None, *((base + n + 1,) for n in range(count))]
        chunks = build.run_chunks(run_id, cuts, of=build.window(start.position, (base + count,)), columns=("c",))
        files = tuple(build.data_file(c, reaches=Watermark(position=c.range.upto or ())) for c in chunks)
        busy = self.state.run or self.state.sealed or self.state.backlog or self.state.refresh
        if self.attempt(who, Adopt(files=files), allowed=not busy and bool(files)):
            self.recorded.update({f.key: f for f in files})
            self.chunk_of.update({f.key: c for f, c in zip(files, chunks, strict=True)})

    # What is always true

    @invariant()
    def every_recorded_file_is_in_exactly_one_place(self) -> None:
        places = [f.key for f in self.waiting] + self.loaded
        assert len(places) == len(set(places))
        assert set(places) == set(self.recorded)

    @invariant()
    def files_are_loaded_in_the_order_of_runs_and_chunks(self) -> None:
        order = [(self.chunk_of[k].run_id, self.chunk_of[k].ordinal) for k in self.loaded]
        assert order == sorted(order)

    @invariant()
    def a_sealed_load_is_what_may_be_loaded_next(self) -> None:
        if self.state.sealed is not None:
            keys = self.state.sealed.keys
            assert tuple(f.key for f in self.state.loadable[: len(keys)]) == keys

    @invariant()
    def the_watermark_never_stands_before_rows_that_are_not_loaded(self) -> None:
        assert self.state.loaded.position <= self.loaded_up_to.position
        on_s3 = self.state.loadable
        reached = max((f.reaches.position for f in on_s3 if f.reaches), default=())
        assert self.state.loaded.position <= max(self.state.extracted.position, self.loaded_up_to.position, reached)

    @invariant()
    def the_totals_are_those_of_the_files(self) -> None:
        assert self.state.rows_loaded == sum(self.recorded[k].rows for k in self.loaded)
        assert len(self.state.recent_changes) <= 16

    @invariant()
    def the_state_survives_its_json(self) -> None:
        assert parse_state(format_state(self.state), "key") == self.state


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=150, stateful_step_count=50, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking a long history takes minutes: add Phase.shrink to look into a failure

"""Any order of steps, crashes, lost replies, take-overs and writes: each version of a row is loaded exactly once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from s3rs_ray.errors import IntegrityError, LeaseLost, SourceError, StorageError, TableBusy, WarehouseError
from s3rs_ray.ledger.state import LEASE_SECONDS
from s3rs_ray.policies import Mode

from .gated import Died, Order
from .simulated import Place
from .simulation import DRIVERS, Driver, clean, install, reset, sync

EXPECTED = (Died, LeaseLost, TableBusy, SourceError, StorageError, WarehouseError)
KEYS = st.lists(st.integers(1, 30), min_size=1, max_size=12, unique=True)
MOST_DRIVERS = 3
GATES = (
    "commit",
    "copy",
    "look up",
    "read",
    "put_new incremental",
    "put_new manifests",
    "put_new runs",
    "put_if",
    "delete",
)
THEN: tuple[tuple[Order, ...], ...] = (
    (),
    (Order.DIE,),
    (Order.GO, Order.DIE),
    (Order.LOSE,),
    (Order.LOSE, Order.DIE),
    (Order.REFUSE,),
)


class SharedTable(RuleBasedStateMachine):
    """Up to three drivers on one table, none of which knows of the others."""

    @initialize(keys=KEYS)
    def begin(self, keys: list[int]) -> None:
        self.patch = pytest.MonkeyPatch()
        install(self.patch)
        self.place = Place()
        self.drivers: list[Driver] = []
        self.started = 0
        self.write(keys)

    def start_one(self, work: Callable[[Driver], None] = sync) -> Driver:
        self.started += 1
        driver = Driver(self.place, self.started, work)
        self.drivers.append(driver)
        return driver

    def chosen(self, which: int) -> Driver:
        return self.drivers[which % len(self.drivers)]

    def drop_finished(self) -> None:
        for driver in [d for d in self.drivers if d.finished]:
            if driver.error is not None and not isinstance(driver.error, EXPECTED):
                raise driver.error
            self.drivers.remove(driver)

    @precondition(lambda self: len(self.drivers) < MOST_DRIVERS)
    @rule()
    def start(self) -> None:
        self.start_one()

    @precondition(lambda self: len(self.drivers) < MOST_DRIVERS and self.started % 3 == 1)
    @rule(waits=st.booleans())
    def start_to_clean(self, waits: bool) -> None:
        """Somebody deletes what is loaded and what nobody owns; with a table that nobody seems to hold."""
        if waits:
            self.leases_run_out()
        self.start_one(clean)

    @precondition(lambda self: self.drivers)
    @rule(which=st.integers(0, 2), steps=st.integers(1, 40))
    def work(self, which: int, steps: int) -> None:
        driver = self.chosen(which)
        for _ in range(steps):
            driver.step()
        self.drop_finished()

    @precondition(lambda self: self.drivers)
    @rule(which=st.integers(0, 2), gate=st.sampled_from(GATES), then=st.sampled_from(THEN))
    def work_until(self, which: int, gate: str, then: tuple[Order, ...]) -> None:
        """Up to a gate that matters, and what happens there; with no order it stands there while others go on."""
        self.bring_to(gate, self.chosen(which))
        for order in then:
            self.chosen(which).step(order)
        self.drop_finished()

    @precondition(lambda self: 0 < len(self.drivers) < MOST_DRIVERS)
    @rule(which=st.integers(0, 2), gate=st.sampled_from(GATES), theirs=st.sampled_from(GATES))
    def freeze_and_overtake(self, which: int, gate: str, theirs: str) -> None:
        """One stands at a gate for longer than its lease, and another takes the table over and gets past a gate."""
        self.bring_to(gate, self.chosen(which))
        self.leases_run_out()
        other = self.start_one()
        self.bring_to(theirs, other)
        other.step()
        self.drop_finished()

    @staticmethod
    def bring_to(gate: str, driver: Driver) -> None:
        for _ in range(300):
            if driver.finished or driver.at.startswith(gate):
                return
            driver.step()

    @precondition(lambda self: self.drivers)
    @rule(which=st.integers(0, 2), order=st.sampled_from([Order.REFUSE, Order.LOSE]))
    def fail(self, which: int, order: Order) -> None:
        self.chosen(which).step(order)
        self.drop_finished()

    @precondition(lambda self: self.drivers)
    @rule(which=st.integers(0, 2))
    def crash(self, which: int) -> None:
        self.chosen(which).kill()
        self.drop_finished()

    @precondition(lambda self: self.drivers)
    @rule(which=st.integers(0, 2))
    def restart_coordinator(self, which: int) -> None:
        self.chosen(which).forget()

    @rule()
    def leases_run_out(self) -> None:
        self.place.now += dt.timedelta(seconds=LEASE_SECONDS + 1)

    @rule(keys=KEYS)
    def write(self, keys: list[int]) -> None:
        self.place.source.write(keys)
        self.place.source.tick += 1

    @invariant()
    def each_version_is_loaded_at_most_once(self) -> None:
        assert not [version for version, times in self.place.warehouse.loaded.items() if times > 1]

    @invariant()
    def the_watermark_is_never_ahead(self) -> None:
        """Every row of the source at or before it is in the warehouse as it is."""
        reached = self.place.state.loaded.position
        warehouse = self.place.warehouse.rows
        behind = {key: cursor for key, cursor in self.place.source.rows.items() if (cursor, key) <= reached}
        assert {key: warehouse.get(key) for key in behind} == behind

    def teardown(self) -> None:
        if not hasattr(self, "place"):
            return
        try:
            for driver in self.drivers:
                driver.kill()
            self.drivers.clear()
            self.leases_run_out()
            self.finish()
        finally:
            DRIVERS.clear()
            self.patch.undo()

    def finish(self) -> None:
        """Runs nobody disturbs end with both ends equal; the second of them has nothing to do."""
        loads = -1
        for _ in range(3):
            driver = self.start_one()
            for _ in range(2000):
                driver.step()
            assert driver.finished
            assert driver.error is None, repr(driver.error)
            self.drop_finished()
            if loads == len(self.place.warehouse.loads):
                break
            loads = len(self.place.warehouse.loads)
        else:
            raise AssertionError("there is always something left to do")
        state = self.place.state
        assert self.place.warehouse.rows == self.place.source.rows
        assert (state.run, state.sealed, state.backlog, state.lease) == (None, None, (), None)
        assert {load.load_id for load in state.loads} <= set(self.place.warehouse.loads)
        assert state.rows_loaded == sum(load.rows for load in self.place.warehouse.loads.values())
        self.each_version_is_loaded_at_most_once()


class ReplacedTable(SharedTable):
    """The same drivers where every sync is a full refresh; rows are deleted too, and refreshes given up."""

    @initialize(keys=KEYS)
    def begin(self, keys: list[int]) -> None:
        self.patch = pytest.MonkeyPatch()
        install(self.patch)
        self.place = Place(mode=Mode.REPLACE)
        self.drivers: list[Driver] = []
        self.started = 0
        self.write(keys)

    @rule(keys=KEYS)
    def delete(self, keys: list[int]) -> None:
        for key in keys:
            self.place.source.rows.pop(key, None)

    @precondition(lambda self: len(self.drivers) < MOST_DRIVERS and self.started % 3 == 2)
    @rule(steps=st.integers(1, 12))
    def give_up(self, steps: int) -> None:
        """Somebody resets the watermark while a driver may stand at its last load."""
        self.leases_run_out()
        driver = self.start_one(reset)
        for _ in range(steps):
            driver.step()
        self.drop_finished()

    def drop_finished(self) -> None:
        """A refresh that was overtaken is refused."""
        for driver in [d for d in self.drivers if d.finished and isinstance(d.error, IntegrityError)]:
            assert "is older than" in str(driver.error)
            self.drivers.remove(driver)
        super().drop_finished()

    def finish(self) -> None:
        """Two refreshes nobody disturbs: the first may finish one that was under way, the second is of now."""
        for _ in range(2):
            driver = self.start_one()
            for _ in range(2000):
                driver.step()
            assert driver.finished
            assert driver.error is None, repr(driver.error)
            self.drop_finished()
        state = self.place.state
        assert self.place.warehouse.rows == self.place.source.rows
        assert (state.refresh, state.run, state.sealed, state.backlog, state.lease) == (None, None, None, (), None)
        assert state.rows_loaded == state.rows_extracted == len(self.place.source.rows)


TestReplacedTable = ReplacedTable.TestCase
TestReplacedTable.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True)
TestSharedTable = SharedTable.TestCase
TestSharedTable.settings = settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)

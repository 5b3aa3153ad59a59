"""Files counted by day, run and standing."""

from __future__ import annotations

import datetime as dt

from s3rs_ray.engine.inventory import TableInventory, activity
from s3rs_ray.engine.standing import Amount, Standing
from s3rs_ray.model import TableName
from s3rs_ray.storage.s3 import StoredObject
from tests.support.build import NOON


def inventory(*files: tuple[int, dt.datetime | None]) -> TableInventory:
    found = TableInventory(table=TableName("a", "b"))
    for size, run_time in files:
        item = StoredObject(key="k", version="", size=size, modified=NOON)
        found.add(item, Standing.LOADED if run_time else Standing.FOREIGN, run_time)
    return found


def test_files_are_counted_by_run_day_and_standing() -> None:
    later = NOON + dt.timedelta(days=3)
    found = inventory((10, NOON), (30, NOON), (20, later), (5, None))
    assert (found.files, found.bytes, found.smallest, found.largest) == (4, 65, 5, 30)
    assert (found.first, found.last, len(found.runs), found.quiet_days) == (NOON, later, 2, 2)
    assert found.days == {NOON.date(): Amount(files=2, bytes=40), later.date(): Amount(files=1, bytes=20)}
    assert found.standings[Standing.FOREIGN] == Amount(files=1, bytes=5)


def test_a_table_without_files_covers_no_time() -> None:
    found = inventory()
    assert (found.first, found.last, found.quiet_days, found.smallest) == (None, None, 0, 0)


def test_activity_adds_tables_up_in_the_order_of_days() -> None:
    early = NOON - dt.timedelta(days=1)
    days = activity([inventory((1, NOON)), inventory((2, NOON), (4, early))])
    assert list(days.items()) == [
        (early.date(), Amount(files=1, bytes=4)),
        (NOON.date(), Amount(files=2, bytes=3)),
    ]

"""Deleting more objects than one request takes, under a lease that may be lost meanwhile."""

from __future__ import annotations

import datetime as dt

import pytest

from s3rs_ray.engine.cleaning import Held, delete_held
from s3rs_ray.errors import LeaseLost
from s3rs_ray.ledger.store import Holder, Ledger
from s3rs_ray.storage.s3 import DELETE_PAGE, DELETE_PAGES
from tests.support.build import NAME, NOON
from tests.support.memory_store import MemoryStore


def stored(store: MemoryStore, count: int) -> None:
    for n in range(count):
        store.put_new(f"files/{n:05d}", b"x")


def test_the_holder_shows_with_each_page_that_it_is_alive() -> None:
    store, now = MemoryStore(), [NOON]
    ledger, holder = Ledger(store, clock=lambda: now[0]), Holder(token="h", host="elsewhere", pid=1)
    count = DELETE_PAGE * DELETE_PAGES + 1
    stored(store, count)
    ledger.acquire(NAME, holder)
    now[0] = NOON + dt.timedelta(seconds=40)
    told: list[int] = []
    done = delete_held(Held(store, ledger, NAME, holder), list(store.list("files/")), told.append)
    assert (done.deleted.files, done.deleted.bytes, done.refused) == (count, count, {})
    assert (told, list(store.list("files/"))) == ([count - 1, count], [])
    lease = ledger.load(NAME).lease
    assert lease is not None
    assert lease.renewed == now[0]


def test_nothing_is_deleted_once_another_run_holds_the_table() -> None:
    store, now = MemoryStore(), [NOON]
    ledger, ours = Ledger(store, clock=lambda: now[0]), Holder(token="ours", host="elsewhere", pid=1)
    stored(store, DELETE_PAGE + 5)
    ledger.acquire(NAME, ours)
    now[0] = NOON + dt.timedelta(minutes=5)
    ledger.acquire(NAME, Holder(token="theirs", host="elsewhere", pid=2))
    with pytest.raises(LeaseLost):
        delete_held(Held(store, ledger, NAME, ours), list(store.list("files/")))
    assert len(list(store.list("files/"))) == DELETE_PAGE + 5

"""Bucket, ledger and warehouse as one simulated driver meets them: it stops at a gate before all it does there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import orjson
import pyarrow as pa

from s3rs_ray.errors import (
    IntegrityError,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
    StorageUnknown,
    WarehouseError,
    WarehouseUnavailable,
)
from s3rs_ray.ledger.state import TableState
from s3rs_ray.ledger.store import COMMIT_SECONDS, Holder, Ledger
from s3rs_ray.model import Load, Manifest, TableName
from s3rs_ray.storage.s3 import StoredObject
from s3rs_ray.warehouse.loader import CopySource
from tests.support.memory_store import MemoryStore

from .simulated import Place

Answer = TypeVar("Answer")


class Order(StrEnum):
    """What a driver at a gate is told."""

    GO = "go"
    DIE = "die"
    REFUSE = "refuse"  # nothing happens, and it is told so
    LOSE = "lose"  # it happens, and the reply is lost


class Died(BaseException):
    """The process is gone: nothing it still does reaches the world."""


class Gated(Protocol):
    """A driver of which the test is the master."""

    place: Place

    def gate(self, what: str) -> Order:
        """Waits to be told. Raises Died."""
        ...


@dataclass(slots=True)
class Restartable:
    """The ledger as a driver sees it, behind an actor that may be restarted between two calls."""

    inner: Ledger

    def load(self, table: TableName) -> TableState:
        return self.inner.load(table)

    def acquire(self, table: TableName, holder: Holder) -> TableState:
        return self.inner.acquire(table, holder)

    def release(self, table: TableName, holder: Holder) -> None:
        self.inner.release(table, holder)

    def commit(
        self,
        table: TableName,
        changes: Sequence[Any],
        *,
        holder: str = "",
        change_id: str = "",
        seconds: float = COMMIT_SECONDS,
    ) -> TableState:
        return self.inner.commit(table, changes, holder=holder, change_id=change_id, seconds=seconds)


@dataclass(slots=True)
class GatedStore:
    """The bucket. Every call is a gate, but those that only make a name."""

    driver: Gated
    bucket: str = MemoryStore.bucket

    @property
    def _store(self) -> MemoryStore:
        return self.driver.place.store

    def get(self, key: str) -> StoredObject:
        return self._read("get", key, lambda: self._store.get(key))

    def get_part(self, key: str, start: int, size: int) -> bytes:
        return self.get(key).body[start : start + size]

    def head(self, key: str) -> StoredObject:
        return self._read("head", key, lambda: self._store.head(key))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        yield from self._read("list", prefix, lambda: tuple(self._store.list(prefix)))

    def folders(self, prefix: str) -> Iterator[str]:
        yield from self._read("folders", prefix, lambda: tuple(self._store.folders(prefix)))

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        return self._write("put_new", key, lambda: self._store.put_new(key, body, metadata))

    def put_if(self, key: str, body: bytes, version: str) -> str:
        return self._write("put_if", key, lambda: self._store.put_if(key, body, version))

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        doomed = list(keys)
        return self._write("delete", " ".join(doomed), lambda: self._store.delete(doomed), lost=StorageError)

    def url(self, key: str) -> str:
        return self._store.url(key)

    def _read(self, what: str, key: str, read: Callable[[], Answer]) -> Answer:
        if self.driver.gate(f"{what} {key}") is not Order.GO:
            raise StorageUnavailable(f"{what} {key}: on purpose")
        return read()

    def _write(
        self, what: str, key: str, write: Callable[[], Answer], lost: type[StorageError] = StorageUnknown
    ) -> Answer:
        order = self.driver.gate(f"{what} {key}")
        if order is Order.REFUSE:
            raise StorageUnavailable(f"{what} {key}: on purpose")
        answer = write()
        if order is Order.LOSE:
            raise lost(f"{what} {key}: the reply is lost on purpose")
        return answer


def load(driver: Gated, manifest: Manifest, source: CopySource) -> Load:
    """What one try of ``warehouse.loader.load`` does: looks up, copies into staging, counts, and commits.

    Raises:
        WarehouseUnavailable: the connection is lost, also one that was lost behind COMMIT.
        WarehouseError: a file of the manifest is not there.
        IntegrityError: as the loader's.
    """
    warehouse, store = driver.place.warehouse, driver.place.store
    _ask(driver, "look up")
    present = warehouse.loads.get(manifest.load_id)
    if present is not None:
        return replace(present, repeated=True)
    _ask(driver, "copy")
    rows: list[tuple[int, int]] = []
    try:
        entries = orjson.loads(store.get(source.manifest_url.removeprefix(store.url(""))).body)["entries"]
        for entry in entries:
            _ask(driver, f"copy {entry['url']}")
            rows += map(tuple, orjson.loads(store.get(entry["url"].removeprefix(store.url(""))).body))
    except ObjectNotFound as exc:
        raise WarehouseError(f"COPY: {exc}") from None
    if len(rows) != manifest.rows:
        raise IntegrityError(f"staged {len(rows)} rows, the files hold {manifest.rows}")
    order = driver.gate("commit")
    if order is Order.REFUSE:
        raise WarehouseUnavailable("the connection is lost before COMMIT")
    done = warehouse.commit(manifest, rows)
    if order is Order.LOSE:
        raise WarehouseUnavailable("the connection is lost after COMMIT")
    return done


def _ask(driver: Gated, what: str) -> None:
    if driver.gate(what) is not Order.GO:
        raise WarehouseUnavailable(f"{what}: the connection is lost")

"""An ObjectStore in memory: the semantics of S3's conditional writes, and faults where a test wants them."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from s3rs_ray.errors import ObjectNotFound, PreconditionFailed
from s3rs_ray.storage.s3 import StoredObject

Hook = Callable[[], None]


class MemoryStore:
    """Thread-safe; the version is the body's MD5, as S3's ETag of a single PUT is.

    Attributes:
        before, after: what happens around the next calls of an operation (``get``, ``put_new``, …), in order. A hook
            that raises before the operation is a failure, one that raises after it is a lost reply.
        calls: the operations and keys so far.
    """

    bucket = "lake"

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}
        self._lock = threading.Lock()
        self.before: dict[str, deque[Hook]] = {}
        self.after: dict[str, deque[Hook]] = {}
        self.calls: list[tuple[str, str]] = []

    def get(self, key: str) -> StoredObject:
        self._hook(self.before, "get", key)
        found = self._find(key)
        self._hook(self.after, "get", key)
        return found

    def get_part(self, key: str, start: int, size: int) -> bytes:
        self._hook(self.before, "get_part", key)
        return self._find(key).body[start : start + size]

    def head(self, key: str) -> StoredObject:
        self._hook(self.before, "head", key)
        return replace(self._find(key), body=b"")

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        self._hook(self.before, "put_new", key)
        with self._lock:
            if key in self._objects:
                raise PreconditionFailed(f"{key} was written by somebody else first")
            version = self._write(key, bytes(body), metadata or {})
        self._hook(self.after, "put_new", key)
        return version

    def put_if(self, key: str, body: bytes, version: str) -> str:
        self._hook(self.before, "put_if", key)
        with self._lock:
            present = self._objects.get(key)
            if present is None:
                raise ObjectNotFound(f"no object {key}")
            if present.version != version:
                raise PreconditionFailed(f"{key} was written by somebody else first")
            new = self._write(key, body, {})
        self._hook(self.after, "put_if", key)
        return new

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._lock:
            found = sorted(
                (o for o in self._objects.values() if o.key.startswith(prefix)), key=lambda o: o.key.encode()
            )
        yield from (replace(o, body=b"", metadata={}) for o in found)

    def folders(self, prefix: str) -> Iterator[str]:
        found = (o.key.removeprefix(prefix).partition("/") for o in self.list(prefix))
        yield from dict.fromkeys(name for name, slash, _ in found if slash)

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        for key in keys:
            with self._lock:
                self._objects.pop(key, None)
        return {}

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def _find(self, key: str) -> StoredObject:
        with self._lock:
            if key not in self._objects:
                raise ObjectNotFound(f"no object {key}")
            return self._objects[key]

    def _write(self, key: str, body: bytes, metadata: Mapping[str, str]) -> str:
        version = hashlib.md5(body).hexdigest()
        self._objects[key] = StoredObject(
            key=key,
            version=version,
            size=len(body),
            modified=dt.datetime.now(dt.UTC),
            metadata=dict(metadata),
            body=body,
        )
        return version

    def _hook(self, hooks: dict[str, deque[Hook]], operation: str, key: str) -> None:
        if hooks is self.before:
            self.calls.append((operation, key))
        if hooks.get(operation):
            hooks[operation].popleft()()


def raising(error: Exception) -> Hook:
    """A hook that raises."""

    def hook() -> None:
        raise error

    return hook

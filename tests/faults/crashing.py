"""The program in a process that dies, or waits, at one exact point.

Nothing of this is in production code: the product's functions are wrapped in the child process alone. A point is a
name of the table below, ``.before`` or ``.after``, and a count::

    python -m tests.faults.crashing AddFiles.after:2 sync -t settlement.t --inline

==================  ==========================================================================
name                what is wrapped
==================  ==========================================================================
``Begin``, …        the write of a state that holds this change (any class of ``ledger.changes``)
``discover``        the discovery of the table
``step``            the step along the index to the end of the next slice
``read``            the reading of one chunk
``data``            the write of a Parquet file
``contract``        the write of the run's ``table.json``
``manifest``        the write of a COPY manifest
``stage``           ``CREATE TEMP TABLE``, for staged rows or for keys gone from the source
``shadow``          the ``CREATE TABLE`` in which a full refresh is gathered
``copy``            ``COPY``
``lock``            ``LOCK`` of the load ledger
``delete``          the DELETE of a merge, a replacement, or of rows gone from the source
``update``          the UPDATE that marks these, or of a merge in place
``insert``          every INSERT but the next
``record``          the INSERT into the load ledger
``commit``          ``COMMIT``
==================  ==========================================================================
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3rs_ray.cli import app
from s3rs_ray.engine import tasks
from s3rs_ray.ledger import store as ledger_store
from s3rs_ray.ledger.changes import Commit
from s3rs_ray.source.catalog import Catalog
from s3rs_ray.storage.layout import MANIFEST_PREFIX, RUN_PREFIX, STATE_PREFIX
from s3rs_ray.storage.s3 import S3Store
from s3rs_ray.warehouse.redshift import Warehouse
from s3rs_ray.warehouse.sql import LEDGER_TABLE, SHADOW_PREFIX

PAUSE_SECONDS = 60
_PR_SET_PDEATHSIG = 1

STATEMENTS = {
    "CREATE TEMP TABLE": "stage",
    "COPY ": "copy",
    "LOCK ": "lock",
    "DELETE FROM": "delete",
    "UPDATE ": "update",
    "COMMIT": "commit",
}


@dataclass(frozen=True, slots=True)
class Point:
    """Where, at which pass, and what then: ``kill`` (SIGKILL to this process) or ``pause`` (until told to go on)."""

    name: str
    nth: int = 1
    action: str = "kill"

    @classmethod
    def parse(cls, text: str) -> Point:
        name, _, nth = text.partition(":")
        return cls(name, int(nth or 1))


class Hooks:
    """What happens at the points, and a trace of what was read.

    Args:
        directory: where the trace is written, and where a paused process says so and is told to go on.
    """

    def __init__(self, point: Point | None, directory: Path) -> None:
        self.point = point
        self.directory = directory
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._changes = threading.local()

    def reach(self, name: str) -> None:
        """Counts a pass through a point and does what is asked for there."""
        point = self.point
        if point is None or point.name != name:
            return
        with self._lock:
            self._passed[name] += 1
            if self._passed[name] != point.nth:
                return
        if point.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self._pause(name)

    def _pause(self, name: str) -> None:
        (self.directory / "paused").write_text(name)
        deadline = time.monotonic() + PAUSE_SECONDS
        while not (self.directory / "go").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody let the process go on from {name}")
            time.sleep(0.005)

    @contextmanager
    def around(self, *names: str) -> Iterator[None]:
        for name in names:
            self.reach(f"{name}.before")
        yield
        for name in names:
            self.reach(f"{name}.after")

    def trace(self, line: str) -> None:
        with (self.directory / "trace").open("a") as file:
            file.write(line + "\n")

    def install(self) -> None:
        """Wraps the product's functions in this process."""
        self._wrap(Catalog, "discover", lambda *_: ("discover",))
        self._wrap(Catalog, "step", lambda *_: ("step",))
        self._wrap(S3Store, "put_new", lambda _, key, *__: self._object(key))
        self._wrap(S3Store, "put_if", lambda _, key, *__: self._object(key))
        self._wrap(Warehouse, "execute", lambda _, sql, *__: _statement(sql))
        self._wrap(tasks, "read_chunk", self._reading)
        self._wrap(ledger_store, "apply_commit", self._remember)

    def _wrap(self, owner: Any, attribute: str, named: Callable[..., tuple[str, ...]]) -> None:
        original = getattr(owner, attribute)

        @functools.wraps(original)
        def wrapped(*arguments: Any, **more: Any) -> Any:
            with self.around(*named(*arguments)):
                return original(*arguments, **more)

        setattr(owner, attribute, wrapped)

    def _remember(self, _: object, commit: Commit) -> tuple[str, ...]:
        self._changes.names = tuple(type(change).__name__ for change in commit.changes)
        return ()

    def _object(self, key: str) -> tuple[str, ...]:
        if key.startswith(STATE_PREFIX):
            names: tuple[str, ...] = self._changes.names
            return names
        if key.startswith(MANIFEST_PREFIX):
            return ("manifest",)
        if key.startswith(RUN_PREFIX):
            return ("contract",) if key.endswith("table.json") else ()
        return ("data",)

    def _reading(self, _: object, chunk: Any, *__: object) -> tuple[str, ...]:
        self.trace(f"{chunk.run_id} {chunk.ordinal}")
        return ("read",)


def _statement(sql: str) -> tuple[str, ...]:
    if sql.startswith("CREATE TABLE") and SHADOW_PREFIX in sql:
        return ("shadow",)
    if sql.startswith("INSERT INTO"):
        return ("record",) if LEDGER_TABLE in sql.partition("(")[0] else ("insert",)
    return tuple(name for start, name in STATEMENTS.items() if sql.startswith(start))


def run(arguments: list[str], environment: Mapping[str, str], point: Point | None, directory: Path) -> None:
    """One command in this process, which leads a session of its own; the target of a forked process."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    Hooks(point, directory).install()
    sys.exit(app.run(arguments))


def main() -> None:
    """``python -m tests.faults.crashing POINT COMMAND…``, with the environment it is given."""
    point, *arguments = sys.argv[1:]
    Hooks(Point.parse(point), Path.cwd()).install()
    sys.exit(app.run(arguments))


if __name__ == "__main__":
    main()

"""Faults on demand, for tests of what a client does when the warehouse misbehaves.

The server watches a JSON file, so that a test in another process can set and clear faults at any time::

    {"faults": [{"point": "after_commit", "action": "drop"}]}

A fault has these keys; only the first two are required:

``point``    ``accept`` (a client connected), ``statement`` (before one runs), ``before_commit``, ``after_commit``,
             ``copy`` (before the first row of a load), ``copy_end`` (after the last row, before the answer)
``action``   ``drop`` (close the connection), ``delay`` (sleep), ``conflict`` (error 1023), ``error``
``match``    a regular expression that the text of the statement must contain, ignoring case
``skip``     how many times it lets pass before it strikes (0)
``times``    how often it strikes (1; 0 = always)
``seconds``  the length of a delay (1.0)
``sqlstate``, ``message``, ``detail``   of an ``error``

Counting starts again whenever the content of the file changes.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.translation import conflict
from s3rs_ray.local.redshift.wire import ConnectionLost

__all__ = ["POINTS", "Fault", "Faults", "clear_faults", "set_faults"]

POINTS = frozenset({"accept", "statement", "before_commit", "after_commit", "copy", "copy_end"})
_ACTIONS = frozenset({"drop", "delay", "conflict", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; see the module for the meaning of its fields.

    Raises:
        ValueError: an unknown point or action.
    """

    point: str
    action: str
    match: str = ""
    skip: int = 0
    times: int = 1
    seconds: float = 1.0
    sqlstate: str = "XX000"
    message: str = "injected fault"
    detail: str = ""

    def __post_init__(self) -> None:
        if self.point not in POINTS or self.action not in _ACTIONS:
            raise ValueError(f"no fault {self.action!r} at {self.point!r}")


def set_faults(path: Path, faults: Sequence[Fault]) -> None:
    """Replaces the faults in the control file ``path``; they hold from the next point a session reaches."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(json.dumps({"faults": [asdict(fault) for fault in faults], "set_at": time.time_ns()}))
    scratch.replace(path)


def clear_faults(path: Path) -> None:
    """Leaves no fault in the control file ``path``."""
    set_faults(path, [])


class Faults:
    """The faults of a running server; safe to use from many sessions at once.

    Args:
        path: the control file, or None when no fault can be set.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._text = ""
        self._faults: list[Fault] = []
        self._seen: list[int] = []

    def strike(self, point: str, *, sql: str = "", pid: int = 0) -> None:
        """Does what the first fault for this point asks for, if there is one.

        Raises:
            ConnectionLost: the connection is to be dropped without a word.
            SqlError: the error the client is to see.
        """
        fault = self._due(point, sql)
        if fault is None:
            return
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action == "drop":
            raise ConnectionLost(f"dropped on purpose at {point}")
        elif fault.action == "conflict":
            raise conflict(pid)
        else:
            raise SqlError(fault.sqlstate, fault.message, detail=fault.detail)

    def _due(self, point: str, sql: str) -> Fault | None:
        if self._path is None:
            return None
        with self._lock:
            self._reload(self._path)
            for index, fault in enumerate(self._faults):
                if fault.point != point or (fault.match and not re.search(fault.match, sql, re.IGNORECASE)):
                    continue
                self._seen[index] += 1
                struck = self._seen[index] - fault.skip
                if struck >= 1 and (fault.times == 0 or struck <= fault.times):
                    return fault
        return None

    def _reload(self, path: Path) -> None:
        try:
            text = path.read_text()
        except FileNotFoundError:
            text = ""
        if text == self._text:
            return
        entries = json.loads(text)["faults"] if text.strip() else []
        known = Fault.__dataclass_fields__
        self._faults = [Fault(**{k: v for k, v in entry.items() if k in known}) for entry in entries]
        self._seen = [0] * len(self._faults)
        self._text = text

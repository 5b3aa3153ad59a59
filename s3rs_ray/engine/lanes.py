"""Tables of very different size worked on at once: small ones get through, and the largest does not begin last."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..model import TableName

Result = TypeVar("Result")


class Lanes:
    """Hands tables out: to one lane the largest that is left, to all others the smallest. Thread-safe.

    So the lanes are never all taken by large tables while a small one waits, unless no small one is left; and the
    largest, which decides when the run ends, begins at once.
    """

    def __init__(self, names: Sequence[TableName], sizes: Mapping[TableName, int]) -> None:
        self._left = deque(sorted(names, key=lambda name: sizes.get(name, 0)))
        self._lock = threading.Lock()

    def take(self, lane: int) -> TableName | None:
        """The next table of a lane; None when none is left."""
        with self._lock:
            if not self._left:
                return None
            return self._left.popleft() if lane else self._left.pop()


def work_in_lanes(
    work: Callable[[TableName], Result], names: Sequence[TableName], sizes: Mapping[TableName, int], lanes: int
) -> list[Result]:
    """Works on tables, as many at once as there are lanes.

    Args:
        sizes: estimates, in any unit.

    Returns:
        The results in the order of ``names``.

    Raises:
        What ``work`` raised first, once the other lanes have ended.
    """
    left, done = Lanes(names, sizes), dict[TableName, Result]()

    def go(lane: int) -> None:
        while (name := left.take(lane)) is not None:
            done[name] = work(name)

    with ThreadPoolExecutor(lanes, thread_name_prefix="table") as pool:
        for future in [pool.submit(go, lane) for lane in range(lanes)]:
            future.result()
    return [done[name] for name in names]

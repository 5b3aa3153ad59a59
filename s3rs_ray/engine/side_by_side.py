"""Many small requests to S3 or MySQL at once: what would take a round trip each, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

THREADS = 12
"""Fewer than the connections a store keeps open (``max_pool_connections``)."""
AHEAD = 4 * THREADS
"""Answers that are asked for before the first of them is used: what bounds memory."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_here = threading.local()


def _enter() -> None:
    _here.inside = True


def side_by_side(ask: Callable[[Asked], Answer], things: Iterable[Asked]) -> Iterator[Answer]:
    """The answers in the order of the things, some of them asked at once, a bounded number ahead of their use.

    The first error is raised in its place; what was not begun by then is not asked any more. Within a question that
    is itself one of many, the things are asked one after the other: there are threads enough.
    """
    if getattr(_here, "inside", False):
        yield from map(ask, things)
        return
    rest = iter(things)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="beside", initializer=_enter) as pool:
        under_way = [pool.submit(ask, thing) for thing in islice(rest, AHEAD)]
        try:
            while under_way:
                yield under_way.pop(0).result()
                under_way += [pool.submit(ask, thing) for thing in islice(rest, 1)]
        finally:
            for future in under_way:
                future.cancel()

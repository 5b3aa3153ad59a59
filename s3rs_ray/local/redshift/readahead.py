"""Runs an iterator in a thread of its own, a bounded number of items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")


class _End:
    """The item after the last one."""


_END: Final = _End()
_POLL_SECONDS = 0.05


def read_ahead(items: Generator[T, None, None], depth: int) -> Iterator[T]:
    """The items of ``items``, made while earlier ones are consumed; at most ``depth`` wait.

    Args:
        items: closed when the consumer stops early.
        depth: how many items may wait.

    Raises:
        Whatever ``items`` raises, after the items before it.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(item: T | _End) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
        finally:
            items.close()
            offer(_END)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as pool:
        done = pool.submit(work)
        try:
            while not isinstance(item := waiting.get(), _End):
                yield item
            done.result()
        finally:
            stopped.set()

"""A writer beside what is tested."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def writing(write: Callable[[int], None], pause: float = 0.01) -> Iterator[None]:
    """Calls ``write`` with 1, 2, 3, … in a thread of its own while the block runs, and raises what it raised.

    Args:
        pause: seconds before each call.
    """
    ended, failures = threading.Event(), list[Exception]()

    def work() -> None:
        number = 0
        try:
            while not ended.wait(pause):
                number += 1
                write(number)
        except Exception as exc:  # noqa: BLE001  raised again in the test's own thread
            failures.append(exc)

    writer = threading.Thread(target=work, name="writer")
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        if failures:
            raise failures[0]

"""Chunks planned beside the readers: stepping along an index takes the source seconds for each of a large table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from ..model import Chunk


class Planner(Protocol):
    """Gives the chunks of a run that are not in the ledger yet, in order."""

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        """What is planned by now, and whether the plan ends with it.

        Args:
            least: fewer are not given, unless the plan ends with them.
            seconds: how long to wait for so many.

        Raises:
            What planning raised, once what was planned before is taken.
        """
        ...


class PlanAhead:
    """Plans in a thread of its own, no more than ``most`` chunks ahead, so that nothing waits for the next step.

    The thread is a daemon: a step that the source never answers keeps no process from exiting.
    """

    def __init__(self, chunks: Iterator[Chunk], most: int) -> None:
        self._chunks = chunks
        self._most = most
        self._made: list[Chunk] = []
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._plan, name="plan", daemon=True)
        self._thread.start()

    def take(self, least: int, seconds: float) -> tuple[tuple[Chunk, ...], bool]:
        with self._changed:
            self._changed.wait_for(lambda: self._over or len(self._made) >= least, seconds)
            if self._error is not None and not self._made:
                raise self._error
            if len(self._made) < least and not self._over:
                return (), False
            made, self._made = tuple(self._made), []
            self._changed.notify_all()
            return made, self._ended

    def close(self) -> None:
        """Plans no more. A step under way may take as long as the source lets it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Plans no more, and waits for the step under way: its connection is somebody else's afterwards."""
        self.close()
        self._thread.join()

    @property
    def _over(self) -> bool:
        return self._ended or self._error is not None

    def _plan(self) -> None:
        try:
            for chunk in self._chunks:
                with self._changed:
                    self._made.append(chunk)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or len(self._made) < self._most)
                if self._closed:
                    return
        except BaseException as exc:  # noqa: BLE001  raised again by whoever takes
            with self._changed:
                self._error = exc
                self._changed.notify_all()
        else:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

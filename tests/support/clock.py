"""A clock that moves when it is told to."""

from __future__ import annotations

import datetime as dt

from tests.support.build import NOON


class Clock:
    def __init__(self, now: dt.datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

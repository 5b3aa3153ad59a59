"""A place that somebody writes: none that no row of today can have."""

from __future__ import annotations

import datetime as dt

import pytest

from s3rs_ray.engine.by_hand import require_no_future
from s3rs_ray.errors import UsageError
from s3rs_ray.model import Watermark
from s3rs_ray.positions import KeyValue

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
EVENING = dt.datetime(2026, 2, 1, 2)
"""What the clocks show then where the day begins first."""
SECONDS = int((EVENING - dt.datetime(1970, 1, 1)).total_seconds())


@pytest.mark.parametrize(
    ("latest", "too_late", "unit"),
    [
        (EVENING, EVENING + dt.timedelta(microseconds=1), ""),
        (dt.date(2026, 2, 1), dt.date(2026, 2, 2), ""),
        (SECONDS, SECONDS + 1, "seconds"),
        (SECONDS * 1000, SECONDS * 1000 + 1, "milliseconds"),
    ],
)
def test_a_time_that_no_clock_shows_yet_is_refused(latest: KeyValue, too_late: KeyValue, unit: str) -> None:
    require_no_future(Watermark(position=(latest, 7)), unit, NOW)
    with pytest.raises(UsageError, match="lies in the future"):
        require_no_future(Watermark(position=(too_late,)), unit, NOW)


def test_of_a_number_that_counts_nothing_known_nothing_is_said() -> None:
    require_no_future(Watermark(position=(10**18,)), "", NOW)

"""How many chunks are read at the same time, and when one that failed is read again."""

from __future__ import annotations

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.executor import own_cpus, reader_count, retry_pause


@pytest.mark.parametrize(
    ("wanted", "cpus", "readers"),
    [("", 1, 2), ("", 2, 2), ("", 6, 6), ("", 640, 8), ("1", 6, 1), ("3", 2, 3), ("40", 2, 40)],
)
def test_one_reader_for_each_cpu_within_bounds_unless_the_setting_says_how_many(
    wanted: str, cpus: int, readers: int
) -> None:
    assert reader_count(Settings.load(environment={"BACKUP_MAX_WORKERS": wanted}), cpus) == readers


def test_this_process_has_a_cpu() -> None:
    assert own_cpus() >= 1


def test_pauses_double_and_end_at_half_a_minute() -> None:
    assert [retry_pause(failed) for failed in (1, 2, 3, 5, 6, 100)] == [1.0, 2.0, 4.0, 16.0, 30.0, 30.0]

"""Numbers as people read them."""

from __future__ import annotations

import pytest

from s3rs_ray.wording import Size, counted, duration_text, size_text


def test_a_noun_follows_its_number() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert [counted(n, "row has", "rows have") for n in (1, 2)] == ["1 row has", "2 rows have"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5e15, "5,000.0 TB")],
)
def test_sizes_are_short(size: float, text: str) -> None:
    assert size_text(size) == text


def test_a_size_is_a_number_that_shows_its_unit() -> None:
    assert f"{Size(2_500_000)}" == "2.5 MB"
    assert Size(sum([Size(700), Size(800)])) == 1500


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.02, "1 second"),
        (99.4, "99 seconds"),
        (99.6, "1.7 minutes"),
        (7199, "120.0 minutes"),
        (7200, "2.0 hours"),
        (1e7, "2,777.8 hours"),
    ],
)
def test_a_guess_is_told_as_finely_as_it_deserves(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text

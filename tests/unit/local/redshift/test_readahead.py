"""Items made ahead of their consumer."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from s3rs_ray.local.redshift.readahead import read_ahead


def test_all_items_come_in_order() -> None:
    assert list(read_ahead((n for n in range(1000)), 4)) == list(range(1000))


def test_an_error_comes_after_the_items_before_it() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise KeyError("x")

    items = read_ahead(broken(), 4)
    assert next(items) == 1
    with pytest.raises(KeyError):
        next(items)


def test_a_consumer_that_stops_closes_the_source_and_bounds_it() -> None:
    made: list[int] = []

    def source() -> Generator[int, None, None]:
        try:
            for n in range(1_000_000):
                made.append(n)
                yield n
        finally:
            made.append(-1)

    items = read_ahead(source(), 2)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert made[-1] == -1
    assert len(made) < 10

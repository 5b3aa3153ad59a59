"""What the benchmark of the load alone makes of its rounds."""

from __future__ import annotations

from benchmarks.loading import BASELINE, Loaded, as_markdown, medians


def loaded(title: str, seconds: float) -> Loaded:
    return Loaded(title=title, rows=1000, seconds=seconds, phases={"copy": seconds / 2} if title != BASELINE else {})


def test_each_load_is_one_line_of_its_median_beside_the_baseline() -> None:
    rounds = [
        load
        for merge, copy in ((4.0, 1.0), (8.0, 2.0), (6.0, 3.0))
        for load in (loaded("merge", merge), loaded(BASELINE, copy))
    ]
    lines = medians(rounds)
    assert [(x.title, x.seconds, dict(x.phases)) for x in lines] == [("merge", 6.0, {"copy": 3.0}), (BASELINE, 2.0, {})]
    text = as_markdown(lines, {"cores": 2}, 3)
    assert "| merge | 167 | 6.00 | 33% | copy 3.00 |" in text
    assert f"| {BASELINE} | 500 | 2.00 | 100% |  |" in text

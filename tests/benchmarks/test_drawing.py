"""What results are made of: marks, thinned curves, plots."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.marks import Mark, missed
from benchmarks.output import mark_rows, table
from benchmarks.svg import LEFT, PANEL_HEIGHT, WIDTH, Line, Panel, draw, tick_step
from benchmarks.svg import Mark as Height
from benchmarks.watch import MemoryCurve

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "least", "most", "verdict"),
    [
        (5.0, None, None, ""),
        (None, None, None, ""),
        (5.0, None, 5.0, "reached"),
        (5.1, None, 5.0, "missed"),
        (4.9, 5.0, None, "missed"),
        (5.0, 5.0, 6.0, "reached"),
        (None, None, 5.0, "missed"),
    ],
)
def test_a_mark_is_reached_at_its_bound_and_missed_where_nothing_was_measured(
    value: float | None, least: float | None, most: float | None, verdict: str
) -> None:
    mark = Mark(title="m", value=value, least=least, most=most)
    assert mark.verdict == verdict
    assert missed([mark]) == ([mark] if verdict == "missed" else [])


def test_marks_are_written_with_their_units() -> None:
    marks = [
        Mark(title="a", value=1.5e6, least=1e6, most=2e6, unit="bytes"),
        Mark(title="b", value=1.23456, most=1.0, unit="s"),
    ]
    assert mark_rows(marks) == [
        ["a", "1.5 MB", ">= 1.0 MB and <= 2.0 MB", "reached"],
        ["b", "1.23 s", "<= 1 s", "missed"],
    ]
    assert table(("x", "y"), [["1", "2"]]) == "| x | y |\n| --- | ---: |\n| 1 | 2 |"


def test_a_thinned_curve_keeps_every_peak() -> None:
    driver = [10] * 1000
    driver[777] = 99
    curve = MemoryCurve(seconds=tuple(map(float, range(1000))), driver=tuple(driver), worker=tuple(range(1000)))
    thin = curve.thinned(100)
    assert len(thin.seconds) == len(thin.driver) == len(thin.worker) == 100
    assert max(thin.driver) == 99
    assert thin.worker[-1] == 999
    assert MemoryCurve().thinned(100) == MemoryCurve()
    assert curve.thinned(1000).driver == curve.driver


@pytest.mark.parametrize(("most", "step"), [(0.0, 1.0), (4.0, 1.0), (5.0, 1.0), (6.0, 2.0), (768.0, 200.0), (0.3, 0.1)])
def test_ticks_are_round_numbers(most: float, step: float) -> None:
    assert tick_step(most) == pytest.approx(step)


def test_a_line_is_drawn_to_scale_and_a_mark_above_it_stays_in_the_picture() -> None:
    panel = Panel(
        title="a < b",
        x_title="s",
        y_title="MB",
        lines=[Line(title="one", color="#000", points=[(0, 0), (10, 50)])],
        marks=[Height(title="at most", color="#111", value=100)],
    )
    root = ElementTree.fromstring(draw([panel, panel]))
    assert root.get("height") == str(2 * PANEL_HEIGHT)
    lines = [e.get("points", "").split() for e in root.iter(f"{SVG}polyline")]
    (x0, y0), (x1, y1) = (tuple(map(float, point.split(","))) for point in lines[0])
    dashed = [float(e.get("y1", "")) for e in root.iter(f"{SVG}line") if e.get("stroke-dasharray")]
    assert x0 == LEFT
    assert x1 == pytest.approx(WIDTH - 16)
    assert y1 == pytest.approx((y0 + dashed[0]) / 2), "50 is half of 100"
    assert 0 < dashed[0] < y1 < y0 < PANEL_HEIGHT < dashed[1]
    assert [e.text for e in root.iter(f"{SVG}text")].count("a < b") == 2

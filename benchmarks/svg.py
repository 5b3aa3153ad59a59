"""Line plots as SVG text; pure. Small enough that no plotting library is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, PANEL_HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 56
TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points ``(x, y)`` in the order of x."""

    title: str
    color: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A height that should not be passed."""

    title: str
    color: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One plot; several stand below one another."""

    title: str
    x_title: str
    y_title: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()


def draw(panels: Sequence[Panel]) -> str:
    """An SVG document."""
    height = PANEL_HEIGHT * len(panels)
    body = [text for number, panel in enumerate(panels) for text in _panel(panel, number * PANEL_HEIGHT)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *body, "</svg>"]) + "\n"


def tick_step(most: float, ticks: int = TICKS) -> float:
    """The distance of round numbers (1, 2 or 5 times a power of ten) that cut 0 to ``most`` into about ``ticks``."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / ticks))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * ticks >= most)


def _panel(panel: Panel, top: float) -> Iterator[str]:
    x_most = max((x for line in panel.lines for x, _ in line.points), default=0.0) or 1.0
    heights = [*(y for line in panel.lines for _, y in line.points), *(m.value for m in panel.marks)]
    y_step = tick_step(max(heights, default=0.0))
    y_most = y_step * max(1, math.ceil(max(heights, default=0.0) / y_step))
    low, high, right = top + PANEL_HEIGHT - BOTTOM, top + TOP, WIDTH - RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (right - LEFT) * x / x_most, low - (low - high) * y / y_most

    yield _text(LEFT, top + 20, panel.title, weight="bold")
    for number in range(round(y_most / y_step) + 1):
        _, y = place(0, number * y_step)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        yield _text(LEFT - 6, y + 4, f"{number * y_step:g}", anchor="end")
    x_step = tick_step(x_most)
    for number in range(int(x_most / x_step) + 1):
        x, _ = place(number * x_step, 0)
        yield f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{low + 4:.1f}" stroke="#666666"/>'
        yield _text(x, low + 17, f"{number * x_step:g}", anchor="middle")
    yield f'<line x1="{LEFT}" y1="{low:.1f}" x2="{right}" y2="{low:.1f}" stroke="#666666"/>'
    yield _text(right, low + 32, panel.x_title, anchor="end")
    yield _text(right, top + 20, panel.y_title, anchor="end")
    for mark in panel.marks:
        _, y = place(0, mark.value)
        yield (
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{mark.color}" stroke-dasharray="6 4"/>'
        )
        yield _text(LEFT + 6, y - 4, mark.title, color=mark.color)
    for line in panel.lines:
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        yield f'<polyline points="{points}" fill="none" stroke="{line.color}" stroke-width="1.6"/>'
    for number, line in enumerate(panel.lines):
        x = LEFT + 190 * number
        yield f'<rect x="{x}" y="{low + 26:.1f}" width="14" height="4" fill="{line.color}"/>'
        yield _text(x + 20, low + 32, line.title)


def _text(x: float, y: float, text: str, *, anchor: str = "start", color: str = "#222222", weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"{bold}>{escape(text)}</text>'

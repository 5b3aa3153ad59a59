"""The files of a result: a JSON document, Markdown tables for people, plots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from .marks import Mark
from .svg import Line, Panel, draw
from .svg import Mark as Height
from .watch import MemoryCurve

RESULTS = Path(__file__).with_name("results")

MARK_HEAD = ("what", "measured", "mark", "")


def write(directory: Path, name: str, document: Mapping[str, Any], text: str, plots: Mapping[str, str]) -> str:
    """Writes ``NAME.json``, ``NAME.md`` and ``NAME-PLOT.svg``; returns their paths, for people."""
    directory.mkdir(parents=True, exist_ok=True)
    contents = {f"{name}.json": orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n", f"{name}.md": text}
    contents |= {f"{name}-{plot}.svg": drawing for plot, drawing in plots.items()}
    for file, content in contents.items():
        (directory / file).write_text(content, encoding="utf-8")
    return ", ".join(os.path.relpath(directory / file) for file in contents)


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)]), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def mega(value: float | None) -> str:
    """Bytes as MB, 10^6."""
    return "" if value is None else f"{value / 1e6:,.0f}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def about(machine: Mapping[str, object], overrides: Mapping[str, str]) -> str:
    """Machine, versions and settings on one line."""
    facts = [f"{k.replace('_', ' ')} {v}" for k, v in machine.items()]
    return " · ".join([*facts, *(f"{k}={v}" for k, v in overrides.items())])


def mark_rows(marks: Iterable[Mark]) -> list[list[str]]:
    """For a table under ``MARK_HEAD``."""
    return [[m.title, _amount(m.value, m.unit), _bounds(m), m.verdict] for m in marks]


def mark_json(mark: Mark) -> dict[str, Any]:
    return {
        "title": mark.title, "value": mark.value, "least": mark.least, "most": mark.most, "unit": mark.unit,
        "verdict": mark.verdict,
    }  # fmt: skip


def memory_plot(curves: Mapping[str, MemoryCurve], *, worker_bytes: float, driver_bytes: float) -> str:
    """A panel for each command: driver and largest worker over time, with the most each may hold."""
    return draw(
        [
            Panel(
                title=title,
                x_title="seconds",
                y_title="resident memory, MB",
                lines=[
                    Line(title="largest worker", color="#c2410c", points=_points(curve.seconds, curve.worker)),
                    Line(title="driver", color="#1d4ed8", points=_points(curve.seconds, curve.driver)),
                ],
                marks=[
                    Height(title=f"worker at most {mega(worker_bytes)} MB", color="#c2410c", value=worker_bytes / 1e6),
                    Height(title=f"driver at most {mega(driver_bytes)} MB", color="#1d4ed8", value=driver_bytes / 1e6),
                ],
            )
            for title, curve in curves.items()
        ]
    )


def _points(seconds: Sequence[float], values: Sequence[int]) -> list[tuple[float, float]]:
    return [(second, value / 1e6) for second, value in zip(seconds, values, strict=True)]


def _bounds(mark: Mark) -> str:
    least = "" if mark.least is None else f">= {_amount(mark.least, mark.unit)}"
    most = "" if mark.most is None else f"<= {_amount(mark.most, mark.unit)}"
    return " and ".join(text for text in (least, most) if text)


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    if unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()

"""Tables as they are drawn on terminals of several widths, and in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from s3rs_ray.cli.output import Output, size_text

NAME = "settlement.settlement_normal_delivery_detail"
DRAW = f"""
from s3rs_ray.cli.output import Output
rows = [({NAME!r}, 1234567, 12.5, "2026-01-31 23:59:59", None, "a[1] [red]x")]
Output("text").table("t [x]", ("table", "rows", "MB", "loaded up to", "error", "note"), rows)
"""


def drawn(width: int) -> list[str]:
    """The lines a terminal of that width is sent."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "dumb"}
    done = subprocess.Popen([sys.executable, "-c", DRAW], stdout=theirs, env=environment)
    os.close(theirs)
    assert done.wait(60) == 0
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    return text.replace("\r", "").splitlines()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_no_name_is_broken(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    assert any(NAME in line for line in lines)
    assert "a[1]" in "".join(lines)
    assert "[red]x" in "".join(lines)


def test_a_table_that_does_not_fit_becomes_paragraphs() -> None:
    title, name, facts, *_ = (line.rstrip() for line in drawn(80))
    assert (title, name) == ("t [x]", NAME)
    assert facts == "    rows 1,234,567 · MB 12.5 · loaded up to 2026-01-31 23:59:59 · note a[1]"


def test_in_a_pipe_a_table_is_as_wide_as_its_content(capsys: pytest.CaptureFixture[str]) -> None:
    Output("text").table("t", ("key", "what"), [("k" * 150, "x " * 60)])
    out = capsys.readouterr().out
    assert "k" * 150 in out
    assert "x " * 59 in out


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5e15, "5,000.0 TB")],
)
def test_sizes_are_short(size: float, text: str) -> None:
    assert size_text(size) == text

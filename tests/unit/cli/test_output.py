"""Tables as they are drawn on terminals of several widths, and in a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from s3rs_ray.cli.output import Output, wrapped

PROGRAM = [sys.executable, "-m", "s3rs_ray"]
FULL = Path("/dev/full")
NAME = "settlement.settlement_normal_delivery_detail"
ROWS = [(NAME, 1234567, 12.5, "2026-01-31 23:59:59", None, "a[1] [red]x")]
COLUMNS = ("table", "rows", "MB", "loaded up to", "error", "note")


def drawn(
    width: int, columns: Sequence[str] = COLUMNS, rows: Sequence[Sequence[object]] = ROWS, fold: int = 0
) -> list[str]:
    """The lines a terminal of that width is sent."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        Output("text").table("t [x]", columns, rows, fold=fold)
    text = b""
    with contextlib.suppress(OSError):  # the end of a terminal nobody writes to any more
        while part := os.read(ours, 65_536):
            text += part
    os.close(ours)
    return re.sub(r"\r|\x1b\[[0-9;]*m", "", text.decode()).splitlines()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_no_name_is_broken(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    assert any(NAME in line for line in lines)
    assert "a[1]" in "".join(lines)
    assert "[red]x" in "".join(lines)


def test_a_table_that_does_not_fit_becomes_paragraphs() -> None:
    assert drawn(80) == [
        "t [x]",
        NAME,
        "    rows 1,234,567 · MB 12.5 · loaded up to 2026-01-31 23:59:59",
        "    note a[1] [red]x",
    ]


def test_short_cells_are_never_broken_and_prose_is_not_squeezed() -> None:
    rows = [("t", "2026-01-31 23:59:59", "a sentence of some length that goes on and on and on")]
    for width in (40, 60, 80, 100):
        lines = drawn(width, ("table", "up to", "note"), rows)
        assert max(map(len, lines)) <= width
        assert any("2026-01-31 23:59:59" in line for line in lines)
        assert len(lines) <= 5


def test_a_column_that_may_be_folded_keeps_a_table_a_table() -> None:
    host = "warehouse.abc.eu-central-1.redshift.amazonaws.com"
    rows = [("REDSHIFT_STATEMENT_TIMEOUT_SECONDS", 7200, "default"), ("REDSHIFT_HOST", host, "environment")]
    lines = drawn(80, ("setting", "value", "from"), rows, fold=1)
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:5]] == ["REDSHIFT_STATEMENT_TIMEOUT_SECONDS", "REDSHIFT_HOST"]
    assert "".join(line[36:].partition("  ")[0] for line in lines[4:]) == host


COMPARED = (
    ("table", "rows", "aggregates over all rows", "rows cell by cell", "cells", "result"),
    [("settlement_normal_delivery_detail", 21000, 197, 21000, 1071000, "equal"), ("x", 1, 2, 3, 4, "DIFFERENT")],
)
NUMBERS = (("a", "two words", "some more words here", "d"), [("n" * 20, 10**9, 5, "up"), ("n", 7, 10**12, "DOWN")])


@pytest.mark.parametrize("width", range(50, 130, 3))
@pytest.mark.parametrize(("columns", "rows"), [COMPARED, NUMBERS], ids=["compared", "numbers"])
def test_no_cell_is_cut_at_any_width(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> None:
    lines = drawn(width, columns, rows)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for cell in (c for row in rows for c in row):
        assert (f"{cell:,}" if isinstance(cell, int) else str(cell)) in words, (cell, lines)


def test_a_name_alone_is_one_line() -> None:
    assert drawn(30, ("key",), [("k" * 28,), ("k" * 40,)]) == ["t [x]", "k" * 28, "k" * 40]  # a terminal wraps it


def test_no_rows_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output("text").table("watermarks", ("table", "up to"), [])
    assert capsys.readouterr().out == "watermarks: none\n"


def test_prose_is_broken_between_words_on_a_terminal_and_not_at_all_elsewhere() -> None:
    text = "  see s3://bucket/" + "k" * 40 + " and-so-on, or look at what is there"
    assert wrapped(text, io.StringIO()) == text
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "40")
        lines = wrapped(text, terminal).splitlines()
    os.close(ours)
    assert [line for line in lines if len(line) > 40] == ["  s3://bucket/" + "k" * 40]
    assert all(line.startswith("  ") for line in lines)
    assert " ".join(line.strip() for line in lines) == text.strip()


def test_in_a_pipe_a_table_is_as_wide_as_its_content(capsys: pytest.CaptureFixture[str]) -> None:
    Output("text").table("t", ("key", "what"), [("k" * 150, "x " * 60)])
    out = capsys.readouterr().out
    assert "k" * 150 in out
    assert "x " * 59 in out


@pytest.mark.skipif(not FULL.exists(), reason="no device here that is always full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stdout_that_takes_no_more_is_one_clear_error(form: str) -> None:
    with FULL.open("w") as full:
        done = subprocess.run([*PROGRAM, "info", "-o", form], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            "error: the result could not be written to stdout: No space left on device",
            "hint: send it elsewhere; what the command had to do is done",
        ],
    )


def test_who_has_gone_from_the_other_end_of_a_pipe_hears_nothing() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe:
        done = subprocess.run([*PROGRAM, "info"], stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")

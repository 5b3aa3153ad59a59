"""A value as text or JSON: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click
import orjson
from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

from ..engine.standing import Amount, Standing
from ..errors import S3rsError
from ..wording import Size, counted, size_text

FORMATS = ("text", "json")
GAP, INDENT = "  ", "    "
PROSE = 30
"""Cells up to this width are never broken: times, sizes, states."""
STYLES = dict.fromkeys(("failed", "interrupted", "DOWN", "different", "refused"), "red")
"""Cells that should catch the eye."""
HEAD = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
"""Columns apart by blanks under a rule: narrower than a frame, and what is copied from it is free of lines."""


class NobodyReads(Exception):
    """Whoever read stdout has gone, as `head` does."""


@contextmanager
def _to_stdout() -> Iterator[None]:
    """What the block writes is sent; the command ends where that fails.

    Raises:
        NobodyReads: the other end of the pipe is closed.
        S3rsError: stdout takes no more, as a file on a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as exc:
        with suppress(OSError):  # the interpreter would write the rest at its end, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(exc, BrokenPipeError):
            raise NobodyReads from exc
        raise S3rsError(
            f"the result could not be written to stdout: {exc.strerror}",
            hint="send it elsewhere; what the command had to do is done",
        ) from exc


class Output:
    """Writes results in the form the user chose."""

    def __init__(self, form: str) -> None:
        self.json = form == "json"
        self.errors = Console(stderr=True)
        self._begun = False

    def document(self, value: Mapping[str, Any]) -> None:
        """One JSON document."""
        with _to_stdout():
            sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str) + b"\n")

    def line(self, text: str) -> None:
        """A line as it is: SQL, scripts, keys."""
        self._begun = True
        with _to_stdout():
            sys.stdout.write(text + "\n")

    def sentence(self, text: str) -> None:
        """Prose: on a terminal broken between words, behind its own indent."""
        self.line(wrapped(text, sys.stdout))

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "none", fold: int = 0
    ) -> None:
        """A table, as wide as the terminal and as its content in a pipe.

        On a terminal too narrow for it, long texts break between words, names and short cells never; where even that
        does not fit, each row is a paragraph under its first cell.

        Args:
            empty: what is said behind the title where there is no row.
            fold: the column behind the first whose long values may be broken anywhere; 0 for none.
        """
        if not rows:
            self.sentence(f"{title}: {empty}")
            return
        if self._begun:
            self.line("")
        self._begun = True
        cells = [[_cell(value) for value in row] for row in rows]
        numeric = [
            all(isinstance(value, (int, float, type(None))) for value in column) for column in zip(*rows, strict=True)
        ]
        least = _least_widths(columns, cells)
        if fold:
            least[fold] = min(least[fold], PROSE)
        if not sys.stdout.isatty():
            console = Console(file=io.StringIO(), width=10_000, color_system=None)
            whole = _fitted(columns, cells, least, console.width)
            console.print(title, _grid(columns, cells, numeric, whole), sep="\n", markup=False, highlight=False)
            self.line("\n".join(line.rstrip() for line in console.file.getvalue().splitlines()))  # type: ignore[attr-defined]
            return
        console = Console(file=sys.stdout, highlight=False)
        console.print(Text(title, style="bold", overflow="fold"))
        if sum(least) + len(GAP) * (len(columns) - 1) > console.width:
            for name, *rest in cells:
                console.print(Text(name, style="bold"), soft_wrap=True)  # a key is copied whole
                if any(rest):
                    self.line(_paragraph(columns[1:], rest, console.width))
        else:
            console.print(_grid(columns, cells, numeric, _fitted(columns, cells, least, console.width)))

    def error(self, exc: S3rsError, document: Mapping[str, Any] | None = None) -> None:
        """An error and its remedy; with JSON, a document on stdout as well: by default one that holds no more."""
        complain(exc.message, exc.hint)
        if self.json:
            self.document(document or {"status": "failed", "error": exc.to_json()})


def complain(message: str, hint: str = "", *, word: str = "error") -> None:
    """What is wrong and what to do about it, on stderr."""
    click.echo(wrapped(f"{word}: {message}", sys.stderr), err=True)
    if hint:
        click.echo(wrapped(f"hint: {hint}", sys.stderr), err=True)


def wrapped(text: str, stream: TextIO) -> str:
    """Text for a stream: on a terminal its lines break between words, never inside one."""
    if not stream.isatty():
        return text
    width = max(20, shutil.get_terminal_size().columns)
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return "\n".join(
        textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            replace_whitespace=False,
        )
    )  # fmt: skip


def _grid(
    columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], widths: Sequence[int]
) -> RichTable:
    table = RichTable(box=HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="")
    for place, column in enumerate(columns):
        justify: JustifyMethod = "right" if numeric[place] else "left"
        table.add_column(column, justify=justify, overflow="fold", width=widths[place], no_wrap=not place)
    for row in cells:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return table


def _fitted(columns: Sequence[str], cells: Sequence[Sequence[str]], least: Sequence[int], width: int) -> list[int]:
    """The columns' widths on a line of ``width``, which has room for the ``least`` ones: the widest give way first.

    Rich squeezes columns without regard to the least they need, and then cuts the table at the right.
    """
    whole = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    fitted = [max(pair) for pair in zip(whole, least, strict=True)]
    while sum(fitted) + len(GAP) * (len(columns) - 1) > width:
        widest = max(range(len(fitted)), key=lambda place: (fitted[place] > least[place], fitted[place]))
        fitted[widest] -= 1
    return fitted


def _least_widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """What a column must have: all of a short cell, of a long text its longest word, of the first column everything."""
    widths = [max((cell_len(word) for word in column.split()), default=1) for column in columns]
    for row in cells:
        for place, cell in enumerate(row):
            whole = cell_len(cell)
            words = max((cell_len(word) for word in cell.split()), default=1)
            widths[place] = max(widths[place], min(whole, max(words, PROSE)) if place else whole, 1)
    return widths


def _paragraph(names: Sequence[str], cells: Sequence[str], width: int) -> str:
    """``name cell · name cell``, indented; broken between them, and inside only those longer than a line."""
    said = [f"{name} {cell}".strip() for name, cell in zip(names, cells, strict=True) if cell]
    lines: list[str] = []
    for part in said:
        if lines and cell_len(f"{lines[-1]} · {part}") <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(INDENT + part)
    return "\n".join(_folded(line, width) for line in lines)


def status_text(status: str) -> str:
    """The word for a status in a table."""
    return status.removesuffix("_to_do").replace("_", " ")


def amount_text(amount: Amount) -> str:
    """``1 file, 2.0 kB``."""
    return f"{counted(amount.files, 'file')}, {size_text(amount.bytes)}"


SEVERAL = {Standing.OPEN: "of an open run", Standing.DOUBT: "of a load in doubt", Standing.ORPHAN: "orphaned"}
"""Standings that read otherwise behind a number."""


def standings_text(amounts: Mapping[Standing, Amount]) -> str:
    """``3 loaded, 1 orphaned``."""
    return ", ".join(f"{a.files:,} {SEVERAL.get(s, s.value)}" for s, a in amounts.items())


def amount_json(amount: Amount) -> dict[str, int]:
    """How many files and bytes, in every document alike."""
    return {"files": amount.files, "bytes": amount.bytes}


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, int) and not isinstance(value, Size):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)

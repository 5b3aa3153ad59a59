"""A value as text or JSON: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ..engine.report import error_json
from ..engine.standing import Amount
from ..errors import S3rsError

FORMATS = ("text", "json")


class Output:
    """Writes results in the form the user chose."""

    def __init__(self, form: str) -> None:
        self.json = form == "json"
        self.errors = Console(stderr=True)

    def document(self, value: Mapping[str, Any]) -> None:
        """One JSON document."""
        sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str) + b"\n")
        sys.stdout.flush()

    def line(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table, as wide as the terminal and as its content in a pipe.

        On a terminal too narrow for it, cells break between words, never inside a name in the first column; where
        even that does not fit, each row is a paragraph under its first cell.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        console, least = Console(file=sys.stdout), _least_widths(columns, cells)
        if not sys.stdout.isatty():
            console = Console(file=sys.stdout, width=10_000)
        elif sum(least) + 3 * len(columns) + 1 > console.width:
            _print_paragraphs(console, title, columns, cells)
            return
        table = RichTable(title=escape(title), title_justify="left")
        for place, column in enumerate(columns):
            numeric = all(isinstance(row[place], (int, float)) for row in rows)
            justify: JustifyMethod = "right" if numeric and rows else "left"
            table.add_column(column, justify=justify, overflow="fold", min_width=least[place], no_wrap=not place)
        for row in cells:
            table.add_row(*map(escape, row))
        if not sys.stdout.isatty():
            console = Console(file=sys.stdout, width=max(console.measure(table).maximum, 80))
        console.print(table)

    def error(self, exc: S3rsError, document: Mapping[str, Any] | None = None) -> None:
        """An error and its remedy; with JSON, a document on stdout as well: by default one that holds no more."""
        sys.stderr.write(f"error: {exc.message}\n")
        if exc.hint:
            sys.stderr.write(f"hint: {exc.hint}\n")
        if self.json:
            self.document(document or {"status": "failed", "error": error_json(exc)})


def _least_widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """The longest word of each column, of the first one its longest cell."""
    widths = [max((cell_len(word) for word in column.split()), default=1) for column in columns]
    for row in cells:
        for place, cell in enumerate(row):
            parts = cell.split() if place else [cell]
            widths[place] = max(widths[place], *(cell_len(part) for part in parts), 1)
    return widths


def _print_paragraphs(console: Console, title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    console.print(Text(title, style="italic"))
    for first, *rest in cells:
        console.print(Text(first, style="bold", overflow="fold"))
        said = [f"{name} {cell}".strip() for name, cell in zip(columns[1:], rest, strict=True) if cell]
        if said:
            console.print(Padding(Text(" · ".join(said), overflow="fold"), (0, 0, 0, 4)))


def size_text(size: float) -> str:
    """Bytes for people, in powers of 1000: ``0 B``, ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.95:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def amount_text(amount: Amount) -> str:
    """``1 file, 2.0 kB``."""
    return f"{amount.files:,} {'file' if amount.files == 1 else 'files'}, {size_text(amount.bytes)}"


def amount_json(amount: Amount) -> dict[str, int]:
    """How many files and bytes, in every document alike."""
    return {"files": amount.files, "bytes": amount.bytes}


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)


@contextmanager
def guarded_stdout() -> Iterator[None]:
    """Sends what other code writes to stdout (Ray's processes do) to stderr while the block runs."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)

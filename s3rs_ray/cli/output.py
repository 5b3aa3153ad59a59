"""A value as text or JSON: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table as RichTable

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
        """A table, as wide as the terminal and as its content in a pipe."""
        table = RichTable(title=title, title_justify="left")
        for column in columns:
            numeric = all(isinstance(row[list(columns).index(column)], (int, float)) for row in rows)
            table.add_column(column, justify="right" if numeric and rows else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        console = Console(file=sys.stdout)
        if not sys.stdout.isatty():
            wide = Console(file=sys.stdout, width=10_000)
            console = Console(file=sys.stdout, width=max(wide.measure(table).maximum, 80))
        console.print(table)

    def error(self, exc: S3rsError) -> None:
        """An error and its remedy; with JSON, a document on stdout as well."""
        sys.stderr.write(f"error: {exc.message}\n")
        if exc.hint:
            sys.stderr.write(f"hint: {exc.hint}\n")
        if self.json:
            error = {"type": type(exc).__name__, "message": exc.message, "hint": exc.hint, "context": exc.context}
            self.document({"status": "failed", "error": error})


def size_text(size: float) -> str:
    """Bytes for people, in powers of 1000: ``0 B``, ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.95:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


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

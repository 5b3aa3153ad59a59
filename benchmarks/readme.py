"""The table of results in the project's README, made of the committed results: ``python -m benchmarks.readme``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .case import ROOT
from .marks import Mark
from .output import RESULTS, mark_rows, table

README = ROOT / "README.md"
BEGIN, END = "<!-- made by python -m benchmarks.readme -->", "<!-- end of what was made -->"
LOCAL = "local-"
PEAKS = ("largest worker", "driver")
"""Of the marks of memory and files the README has these, and what is missed; the result has all."""
HEAD = ("what was measured", "", "mark", "", "in")


def committed(results: Path) -> dict[str, Mapping[str, Any]]:
    """The documents by name, those of one machine's own left out."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(results.glob("*.json"))
        if not path.name.startswith(LOCAL)
    }


def rows(document: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """What a document says of its marks. Each kind of document has some of these parts."""
    where = f"{document['rows']:,} rows" + (f", {document['table']}" if "table" in document else "")
    if link := document.get("link_bytes_per_second"):
        where += f", the source behind {link / 1e6:g} MB/s"
    marks = [
        Mark(title=ratio["title"], value=ratio["value"], least=ratio["goal"])
        for ratio in document.get("ratios", ())
        if ratio["goal"] is not None
    ]
    told = [*document.get("fixed", ()), *document.get("marks", ())]
    marks += [Mark(title=m["title"], value=m["value"], least=m["least"], most=m["most"], unit=m["unit"]) for m in told]
    if "table" in document:
        marks = [mark for mark in marks if mark.title in PEAKS or mark.missed]
    for title, value, bounds, verdict in mark_rows(mark for mark in marks if mark.bounded):
        yield f"{title} ({where})", value, bounds, verdict
    for point in document.get("points", ()):
        yield (
            f"`backup --max-workers {point['readers']}` ({where}); the model was {point['error']:+.0%} off",
            f"{point['measured']:,.0f} rows/s",
            "",
            "",
        )


def section(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The README's section between its marks."""
    found = [
        [*row, f"[{name}](benchmarks/results/{name}.md)"]
        for name, document in documents.items()
        for row in rows(document)
    ]
    return f"{BEGIN}\n{table(HEAD, found)}\n{END}"


def put_in(text: str, new: str) -> str:
    """A README with another section.

    Raises:
        ValueError: it has none.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks {BEGIN} and {END}")
    return before + new + after


if __name__ == "__main__":
    README.write_text(put_in(README.read_text(encoding="utf-8"), section(committed(RESULTS))), encoding="utf-8")

"""What the lines of progress on a terminal say: one for each table and a total, laid out for any width; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..engine.events import Event, EventKind
from ..wording import counted, size_text

WIDE = 120
"""Columns from which numbers are written out and a bar is drawn."""
BAR = 16
SPARED = "the source is spared"
WAITING = "waiting for nodes"
_LEAST = {"stage": 8, "chunks": 5, "rows": 6, "rows/s": 6, "size": 5, "loaded": 6, "ETA": 7}
"""Widths of columns before there is anything in them, so that the lines do not jump as the numbers grow."""


@dataclass(slots=True)
class TableLine:
    """The counts of one table, from its events.

    Attributes:
        planned_rows: rows that will be read; the optimizer's estimate until the plan is complete.
        extract_began, load_began, ended: seconds of the board's clock.
    """

    name: str
    stage: str = "planning"
    chunks: int = 0
    chunks_done: int = 0
    planned_rows: int = 0
    rows: int = 0
    bytes: int = 0
    loading: int = 0
    loaded: int = 0
    retries: int = 0
    extract_began: float | None = None
    load_began: float | None = None
    extract_ended: float | None = None
    ended: float | None = None

    def take(self, event: Event, now: float) -> None:
        """Counts an event of this table."""
        facts = event.facts
        match event.kind:
            case EventKind.PLANNED:
                self.stage = "extract"
                self.chunks = int(facts["chunks"])
                rows, guess = int(facts["rows"]), int(facts["estimated_rows"])
                self.planned_rows = rows if facts["complete"] else max(rows, guess)
            case EventKind.CHUNK_STARTED:
                self.extract_began = now if self.extract_began is None else self.extract_began
            case EventKind.CHUNK_DONE:
                self.chunks_done += 1
                self.rows += int(facts["rows"])
                self.bytes += int(facts["bytes"])
            case EventKind.CHUNK_RETRIED:
                self.retries += 1
            case EventKind.BACKUP_DONE:
                self.extract_ended = now
            case EventKind.LOAD_STARTED:
                self.load_began = now if self.load_began is None else self.load_began
                self.loading += int(facts["rows"])
                self.stage = "load" if self.stage == "planning" or self.extract_ended is not None else self.stage
            case EventKind.LOAD_DONE:
                self.loaded += int(facts["rows"])
            case EventKind.VERIFY_STARTED:
                self.stage = "verify"
            case EventKind.VERIFIED:  # the last word of `verify`; a sync says that the table is done
                self.stage, self.ended = "verified", now
            case EventKind.TABLE_DONE:
                self.stage, self.ended = ("nothing" if facts["status"] == "nothing_to_do" else "done"), now
            case EventKind.TABLE_FAILED:
                self.stage, self.ended = ("stopped" if facts.get("type") == "Interrupted" else "failed"), now
            case _:
                pass

    def rate(self, now: float) -> float:
        """Rows a second: read, or loaded where nothing is read; 0 when unknown."""
        began, ended, rows = self.extract_began, self.extract_ended, self.rows
        if began is None:
            began, ended, rows = self.load_began, None, self.loaded
        if began is None:
            return 0.0
        seconds = (ended or self.ended or now) - began
        return rows / seconds if seconds > 0 else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Of the slower of both stages, at their speed so far; None when nothing is known."""
        total = max(self.planned_rows, self.loading)
        left = [
            (total - done) * (now - began) / done
            for done, began in ((self.rows, self.extract_began), (self.loaded, self.load_began))
            if began is not None and done and total > done
        ]
        return max(left) if left and self.ended is None else None

    def share(self) -> float:
        """How much is done, 0 to 1."""
        if self.stage in ("done", "nothing", "verified"):
            return 1.0
        total = max(self.planned_rows, self.loading)
        stages = [done for done, began in ((self.rows, self.extract_began), (self.loaded, self.load_began)) if began]
        return min(1.0, sum(stages) / (total * len(stages))) if total and stages else 0.0


@dataclass(slots=True)
class Board:
    """All tables of a command.

    Attributes:
        wanted: how many tables there will be; 0 while unknown.
        spared: why the source is given fewer readers, and how many; empty while it is well.
        waiting: why no node takes tasks; empty while one does.
    """

    wanted: int = 0
    tables: dict[str, TableLine] = field(default_factory=dict)
    spared: str = ""
    waiting: str = ""

    def take(self, event: Event, now: float) -> None:
        """Counts an event; ``now`` is in seconds of any steady clock."""
        if event.kind is EventKind.RUN_STARTED:
            self.wanted = int(event.facts["tables"])
        if event.kind is EventKind.PACED:
            self.spared = _spared(event.facts) if event.facts["spared"] else ""
        if event.kind is EventKind.WAITING:
            self.waiting = f"{WAITING}: {event.facts['reason']}" if event.facts["waits"] else ""
        if event.table is not None:
            self.tables.setdefault(str(event.table), TableLine(str(event.table))).take(event, now)

    def lines(self, now: float, *, width: int, height: int = 40) -> list[str]:
        """The lines to show, none longer than ``width``; those of ended tables go first where ``height`` is short."""
        if not self.tables:
            return []
        wide = width >= WIDE
        retries = any(t.retries for t in self.tables.values())
        notes = [note[:width] for note in (self.spared, self.waiting) if note]
        shown = self._chosen(max(1, height - 3 - len(notes)))
        rows = self._rows(shown, now, wide=wide, bar=wide, retries=retries)
        if wide and _natural_width(rows) > width:  # a name is worth more than a bar
            rows = self._rows(shown, now, wide=wide, bar=False, retries=retries)
        hidden = len(self.tables) - len(shown)
        return _laid_out(rows, width) + ([f"… and {counted(hidden, 'more table')}"] if hidden else []) + notes

    def _rows(self, shown: Sequence[TableLine], now: float, *, wide: bool, bar: bool, retries: bool) -> list[list[str]]:
        cells = [_cells(line, now, wide=wide, bar=bar, retries=retries) for line in shown]
        return [_heads(bar=bar, retries=retries), *cells, self._total(now, wide=wide, bar=bar, retries=retries)]

    def _chosen(self, most: int) -> list[TableLine]:
        tables = list(self.tables.values())
        if len(tables) <= most:
            return tables
        open_first = sorted(tables, key=lambda t: (t.ended is not None, t.stage != "failed"))
        chosen = {t.name for t in open_first[:most]}
        return [t for t in tables if t.name in chosen]

    def _total(self, now: float, *, wide: bool, bar: bool, retries: bool) -> list[str]:
        tables = list(self.tables.values())
        ended = sum(t.ended is not None for t in tables)
        total = TableLine(f"total: {ended} of {counted(max(self.wanted, len(tables)), 'table')}", stage="")
        for name in ("chunks", "chunks_done", "rows", "bytes", "loaded", "retries"):
            setattr(total, name, sum(getattr(t, name) for t in tables))
        cells = _cells(total, now, wide=wide, bar=bar, retries=retries)
        left = [s for s in (t.seconds_left(now) for t in tables) if s is not None]
        waits = len(tables) < self.wanted  # of tables that have not begun nothing is known
        cells[-1] = _duration(max(left)) if left and not waits else ""
        place = _heads(bar=bar, retries=retries).index("rows/s")
        cells[place] = _number(sum(t.rate(now) for t in tables if t.ended is None), wide)
        if bar:
            cells[2] = ""
        return cells


def _spared(facts: Mapping[str, str | int | float]) -> str:
    readers = int(facts["readers"])
    left = counted(readers, "reader") if readers else "paused"
    return f"{SPARED}: {left}; {facts['reason']}"


def _heads(*, bar: bool, retries: bool) -> list[str]:
    return [
        "table",
        "stage",
        *([""] if bar else []),
        "chunks",
        "rows",
        "rows/s",
        "size",
        "loaded",
        *(["retries"] if retries else []),
        "ETA",
    ]


def _cells(line: TableLine, now: float, *, wide: bool, bar: bool, retries: bool) -> list[str]:
    left = line.seconds_left(now)
    filled = round(line.share() * BAR)
    return [
        line.name,
        line.stage,
        *(["━" * filled + "╌" * (BAR - filled)] if bar else []),
        f"{line.chunks_done}/{line.chunks}" if line.chunks else "",
        _number(line.rows, wide),
        _number(line.rate(now), wide),
        _size(line.bytes, wide),
        _number(line.loaded, wide),
        *([str(line.retries or "")] if retries else []),
        "" if left is None else _duration(left),
    ]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(_LEAST.get(column[0], 0), *map(len, column)) for column in zip(*rows, strict=True)]


def _natural_width(rows: Sequence[Sequence[str]]) -> int:
    widths = _widths(rows)
    return sum(widths) + 2 * (len(widths) - 1)


def _laid_out(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Columns as wide as their content, the first one cut in its middle until all fit."""
    widths = _widths(rows)
    rest = sum(widths[1:]) + 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(8, width - rest))
    left = {0, 1, *([2] if rows[0][2] == "" else [])}
    lines = []
    for row in rows:
        cells = [_elided(row[0], widths[0]), *row[1:]]
        line = "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append(line.rstrip()[:width])
    return lines


def _elided(text: str, width: int) -> str:
    """A long name without its middle: schemas begin alike, tables end differently."""
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _number(value: float, wide: bool) -> str:
    if wide or value < 10_000:
        return f"{value:,.0f}" if value else ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value / size < 1000 else f"{value / size:.0f}{unit}"
    raise AssertionError(value)


def _size(size: int, wide: bool) -> str:
    return size_text(size) if wide and size else _number(size, wide)


def _duration(seconds: float) -> str:
    return str(dt.timedelta(seconds=round(seconds)))

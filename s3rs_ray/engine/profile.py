"""What the values of a column are like, gathered batch by batch: nulls, extremes, distinct values, oddities."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from ..wording import counted

DISTINCT_LIMIT = 100_000
"""How many distinct values of a column are told apart; beyond, ``distinct`` is a lower bound. Bounds the memory."""
EARLIEST = dt.date(1971, 1, 1)
"""A date before is looked at: the epoch and what lies before it is mostly a value that was never set."""
SHOWN_BYTES = 32
MANY_NULLS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something about a column that may be a mistake of the source.

    Attributes:
        kind: a stable name for programs: ``all_null``, ``mostly_null``, ``constant``, ``blank``, ``early_date``,
            ``future_date``, ``not_a_number``, ``replacement_character``, and the policies' counts.
        count: how many values.
    """

    column: str
    kind: str
    count: int
    message: str


@dataclass(slots=True, kw_only=True)
class ColumnProfile:
    """One column over all batches looked at.

    Attributes:
        least, greatest: None where the type has no order that means something, or every value is NULL.
        distinct: of the values that are not NULL; a lower bound where ``exact`` is False.
    """

    name: str
    rows: int = 0
    nulls: int = 0
    least: Any = None
    greatest: Any = None
    exact: bool = True
    odd: dict[str, int] = field(default_factory=dict)
    _hashes: pl.Series | None = None

    @property
    def distinct(self) -> int:
        return 0 if self._hashes is None else min(len(self._hashes), DISTINCT_LIMIT)

    @property
    def null_rate(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0

    def add(self, values: pl.Series, now: dt.datetime) -> None:
        """Counts a batch.

        Args:
            now: UTC; a day and more behind it is the future.
        """
        self.rows += len(values)
        self.nulls += values.null_count()
        present = values.drop_nulls()
        if not len(present):
            return
        self._add_distinct(present)
        if not isinstance(present.dtype, (pl.List, pl.Struct)):
            self._add_extremes(present)
        for kind, count in _odd_values(present, now):
            if count:
                self.odd[kind] = self.odd.get(kind, 0) + count

    def _add_distinct(self, present: pl.Series) -> None:
        if not self.exact:
            return
        hashes = _comparable(present).hash().unique()  # 64 bits: among 100,000 values two rarely share one
        self._hashes = hashes if self._hashes is None else pl.concat([self._hashes, hashes]).unique()
        self.exact = len(self._hashes) <= DISTINCT_LIMIT

    def _add_extremes(self, present: pl.Series) -> None:
        if present.dtype.is_float():
            present = present.drop_nans()
        least, greatest = present.min(), present.max()
        if least is None:
            return
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)

    def oddities(self) -> Iterator[Oddity]:
        """What to look at in this column."""
        present = self.rows - self.nulls
        if self.rows and not present:
            yield self._oddity("all_null", self.nulls, "every value is NULL")
        elif self.null_rate > MANY_NULLS:
            yield self._oddity("mostly_null", self.nulls, f"{self.null_rate:.0%} of the values are NULL")
        if present > 1 and self.exact and self.distinct == 1 and not self.nulls:
            yield self._oddity("constant", present, f"every value is {shown(self.least)}")
        for kind, count in self.odd.items():
            yield self._oddity(kind, count, counted(count, *TEXTS[kind]))

    def _oddity(self, kind: str, count: int, message: str) -> Oddity:
        return Oddity(column=self.name, kind=kind, count=count, message=message)


_WRONGLY_DECODED = "U+FFFD, left by a wrong decoding before it came to the source"
TEXTS: Mapping[str, tuple[str, str]] = {
    "blank": ("text is empty or blank", "texts are empty or blank"),
    "replacement_character": (f"text holds {_WRONGLY_DECODED}", f"texts hold {_WRONGLY_DECODED}"),
    "early_date": (f"date lies before {EARLIEST}", f"dates lie before {EARLIEST}"),
    "future_date": ("date lies in the future", "dates lie in the future"),
    "not_a_number": ("value is NaN or infinite", "values are NaN or infinite"),
}
"""What an odd value is, and several of them."""


def _comparable(present: pl.Series) -> pl.Series:
    """Values in a form that polars hashes in every version."""
    return present.cast(pl.String) if isinstance(present.dtype, pl.Decimal) else present


def _odd_values(present: pl.Series, now: dt.datetime) -> Iterator[tuple[str, int]]:
    kind = present.dtype
    if kind == pl.String:
        yield "blank", int((present.str.strip_chars().str.len_bytes() == 0).sum())
        yield "replacement_character", int(present.str.contains("\ufffd", literal=True).sum())
    elif kind == pl.Date or isinstance(kind, pl.Datetime):
        days = present.cast(pl.Date)
        yield "early_date", int((days < EARLIEST).sum())
        yield "future_date", int((days > now.date() + dt.timedelta(days=1)).sum())
    elif kind.is_float():
        yield "not_a_number", int((present.is_nan() | present.is_infinite()).sum())


def shown(value: object) -> str:
    """A value as people read it, cut where it is long."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value[:SHOWN_BYTES].hex() + ("…" if len(value) > SHOWN_BYTES else "")
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 100 else text[:99] + "…"


def plain(value: object) -> object:
    """A value as JSON has it: numbers and texts as they are, decimals and times as text, bytes in hex."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)

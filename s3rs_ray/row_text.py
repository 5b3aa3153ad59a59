"""How a row is written as one text for checksums, as far as both sides must agree on it. Pure.

Fields are joined by commas; NULL is an empty field, which no value is. Numbers, days, microseconds and digits hold no
comma. A text stands behind its length in bytes, or only its MD5 does, so no value can be taken for two others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .model import Column
from .policies import LongText, TextForm, Treatment

MAX_TEXT = 65_535
"""Most bytes of a VARCHAR, and so of a text that is made in Redshift."""
INLINE_TEXT = 1_000
"""Bytes up to which a row's text holds a value itself: MD5 of each costs more than MD5 of all of them together."""
INLINE_BINARY = 200
"""The same of binary values, in bytes that become two digits each."""
HEX_PIECE = 32_000
"""Bytes of a binary value written out at a time: a VARCHAR holds 65,535 digits."""
DIGEST_SIZE = 32
NUMBER_SIZE = 48
"""Most bytes of any other field with its comma; a DOUBLE is the longest."""

CENTRE = 62
"""Binary numbers below 2^62 and of no digit behind 2^-62 are the most common."""

CELL = 200
"""Keys of one whole number share a bucket with those beside them: all between two multiples of this."""
MOST_CELLS, MOST_PLACES = 50_000, 1_000
"""In more cells the buckets are not looked for one by one, and no more ranges of them are named in a query."""


class Held(StrEnum):
    """What of a text column's value a row's text holds.

    Attributes:
        ALL: its length and the value.
        SHORT: its length and, unless that is over :data:`INLINE_TEXT`, the value, else its MD5.
        DIGEST: the MD5; where a value is the result of an expression that had better be computed once.
    """

    ALL = "all"
    SHORT = "short"
    DIGEST = "digest"


def held(column: Column) -> Held:
    """How a text column is written."""
    if column.size <= INLINE_TEXT:
        return Held.ALL
    expression = column.treatment is not Treatment.EXACT and "(" in column.compared
    computed = expression or column.long_text is LongText.TRUNCATE
    return Held.DIGEST if computed else Held.SHORT


def digest_groups(columns: Sequence[Column]) -> list[tuple[Column, ...]]:
    """The columns in groups of which one text is made each, whatever their values: it fits a VARCHAR."""
    groups: list[tuple[Column, ...]] = []
    size = MAX_TEXT
    for column in columns:
        field = _field_size(column)
        size += field
        if size > MAX_TEXT:
            groups.append(())
            size = field
        groups[-1] = (*groups[-1], column)
    return groups


def row_size(columns: Sequence[Column]) -> int:
    """Most bytes that the columns' parts of a row's text have together."""
    return sum(map(_field_size, columns))


def _field_size(column: Column) -> int:
    match column.text_form:
        case TextForm.TEXT if held(column) is not Held.DIGEST:
            return min(column.size, INLINE_TEXT) + len("65535,,")
        case TextForm.BINARY if column.size <= INLINE_BINARY:
            return 2 * column.size + len("x,")
    return NUMBER_SIZE


def is_whole(column: Column) -> bool:
    """Whether a column holds whole numbers that both servers divide alike."""
    return column.text_form is TextForm.NUMBER and (
        column.arrow_type.startswith("int") or column.arrow_type.endswith(", 0)")
    )


def has_cells(key: Sequence[Column]) -> bool:
    """Whether rows fall into buckets by the cell that their key is in; keys of other kinds do by themselves."""
    return len(key) == 1 and is_whole(key[0])


def cell_ranges(first: int, last: int, buckets: int, chosen: Collection[int]) -> list[tuple[int, int]] | None:
    """The keys from ``first`` to ``last`` that are in some buckets, as ranges in order, both ends included.

    A key's cell is the key without its remainder by :data:`CELL`, which has its sign; its bucket is the cell's
    remainder by ``buckets``, without sign.

    Returns:
        None where they would be too many.
    """
    begin, end = _cell(first), _cell(last)
    if end - begin > CELL * MOST_CELLS:
        return None
    wanted, found = frozenset(chosen), list[tuple[int, int]]()
    for cell in range(begin, end + 1, CELL):
        if abs(cell) % buckets not in wanted:
            continue
        low = max(first, cell if cell > 0 else cell - CELL + 1)
        high = min(last, cell if cell < 0 else cell + CELL - 1)
        if found and found[-1][1] + 1 == low:
            found[-1] = found[-1][0], high
        else:
            found.append((low, high))
    return found if len(found) <= MOST_PLACES else None


def _cell(key: int) -> int:
    size = abs(key) - abs(key) % CELL
    return size if key >= 0 else -size


@dataclass(frozen=True, slots=True)
class Bin:
    """The binary numbers of ``at_least <= |x| < 2^72 * at_least`` or so, and what makes two whole numbers of each.

    Attributes:
        at_least: a power of two; 0 for the last bin.
        factors: powers of two; |x| times all of them is below 2^62 and has no digit behind 2^-62. Every step is
            exact, and so are its whole part and, times 2^62, the rest.
    """

    at_least: float
    factors: tuple[float, ...]


def float_bins(form: TextForm) -> tuple[Bin, ...]:
    """Bins of all finite numbers of a binary format, the largest first (IEEE 754: binary32, binary64).

    One of them needs no factor: :func:`central_bin`.
    """
    width, least, most = (101, -149, 128) if form is TextForm.SINGLE else (72, -1074, 1024)
    bins = []
    for low in range(CENTRE + width * ((most - CENTRE) // width), least - width, -width):
        factor = CENTRE - width - low
        parts = (factor,) if abs(factor) <= 1000 else (factor // 2, factor - factor // 2)
        factors = tuple(2.0**part for part in parts if part)
        bins.append(Bin(2.0**low if low > least else 0.0, factors))
    return tuple(bins)


def central_bin(form: TextForm) -> Bin:
    """The bin of 1, up to 2^62: nearly all numbers are in it, so it is tried first."""
    return next(b for b in float_bins(form) if not b.factors)

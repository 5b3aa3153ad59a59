"""What there is to choose, and when to choose it: the texts of ``info``.

What a choice does is said once, in the ``Attributes`` of its enumeration's docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..policies import (
    Deletes,
    GeometryForm,
    JsonForm,
    LongText,
    Mode,
    NulBytes,
    NullCursors,
    RangeOrder,
    Strategy,
    ZeroDates,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a setting or option: what it does, and when to take it."""

    name: str
    what: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A question the settings answer, its possible answers, and where the answer is given."""

    name: str
    question: str
    given: str
    choices: tuple[Choice, ...]


STRATEGIES: Mapping[StrEnum, str] = {
    Strategy.SEQUENTIAL: "by default, and for large tables: each is done as fast as the source can be read",
    Strategy.INTER_TABLE: "for many small tables, where reading waits on loading; --max-workers bounds all readers",
}
MODES: Mapping[StrEnum, str] = {
    Mode.MERGE: "tables whose rows change: the target is a copy of the source (the default; needs a key)",
    Mode.APPEND: "histories: every status a parcel had; and tables without a key, of which rows are only inserted",
    Mode.REPLACE: "small tables, and tables without a cursor; rows deleted at the source disappear",
}
ORDERS: Mapping[StrEnum, str] = {
    RangeOrder.CURSOR: "every catch-up, and whatever is bounded by --limit (the default for them)",
    RangeOrder.KEY: "the first load of a large table (the default for it), and a cursor without an index",
}

DELETES: Mapping[StrEnum, str] = {
    Deletes.KEEP: "sources that delete no rows, or whose deleted rows are still wanted (the default)",
    Deletes.HARD: "tables of the mode merge whose target has to hold the source's rows and no others",
    Deletes.SOFT: "the same, where analysts want to see what is gone, and since when",
}


def topics() -> tuple[Topic, ...]:
    """Everything that ``info`` explains."""
    return (
        _topic("strategies", "How many tables at once?", "-s/--strategy", Strategy, STRATEGIES),
        _topic("modes", "How do rows meet those already in the target?", "BACKUP_MODE, `mode`, --mode", Mode, MODES),
        _topic("chunk orders", "Which columns are chunks ranges of?", "BACKUP_CHUNK_ORDER", RangeOrder, ORDERS),
        _topic(
            "deletes",
            "What becomes of rows gone from the source?",
            "BACKUP_DELETES, `deletes`, --deletes",
            Deletes,
            DELETES,
        ),
    )


def policies() -> dict[str, tuple[str, tuple[str, ...]]]:
    """By setting, what it decides and the values it takes, for values Redshift has no form for."""
    kinds: dict[str, type[StrEnum]] = {
        "BACKUP_ZERO_DATES": ZeroDates,
        "BACKUP_LONG_TEXT": LongText,
        "BACKUP_NUL_BYTES": NulBytes,
        "BACKUP_GEOMETRY": GeometryForm,
        "BACKUP_JSON_FORM": JsonForm,
        "BACKUP_NULL_CURSORS": NullCursors,
    }
    return {name: (summary(kind), tuple(kind)) for name, kind in kinds.items()}


def _topic(name: str, question: str, given: str, kind: type[StrEnum], when: Mapping[StrEnum, str]) -> Topic:
    what = members(kind)
    choices = tuple(Choice(name=m.value, what=what[m.name], when=when[m]) for m in kind)
    return Topic(name=name, question=question, given=given, choices=choices)


def summary(kind: type[StrEnum]) -> str:
    """The first sentence of an enumeration's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "").rstrip(".")


def members(kind: type[StrEnum]) -> dict[str, str]:
    """What the docstring of an enumeration says of each member, by name."""
    _, _, attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in attributes.splitlines():
        head = re.match(r" {4}([A-Z_]+): (.*)", line)
        if head:
            name, found[head[1]] = head[1], head[2]
        elif name:
            found[name] += " " + line.strip()
    return {name: text.strip().rstrip(".") for name, text in found.items()}

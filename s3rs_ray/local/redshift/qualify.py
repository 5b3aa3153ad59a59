"""QUALIFY, which PostgreSQL lacks: the query becomes a sub-query with the condition as one more column.

Source: AWS documentation, "QUALIFY clause".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from s3rs_ray.local.redshift.sqlerror import not_supported

__all__ = ["Item", "Source", "qualified"]

_COLUMN = re.compile(r'(?:"(?:[^"]|"")+"\.)*("(?:[^"]|"")+")')


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a select list: an expression with its quoted alias, or a star (``*`` or the quoted table)."""

    expression: str
    alias: str = ""
    star: str = ""

    @property
    def text(self) -> str:
        """The entry as PostgreSQL reads it."""
        return f"{self.expression} AS {self.alias}" if self.alias else self.expression

    @property
    def name(self) -> str:
        """The quoted name of the result column.

        Raises:
            SqlError: the expression has none of its own.
        """
        column = _COLUMN.fullmatch(self.expression)
        if not self.alias and column is None:
            raise not_supported("with QUALIFY every expression of the select list needs an alias")
        return self.alias or (column[1] if column else "")


@dataclass(frozen=True, slots=True)
class Source:
    """One relation of a FROM clause: its quoted name there, whether that is an alias, whether USING joined it.

    Attributes:
        hashes: the quoted names of its columns that are MD5s.
    """

    name: str
    aliased: bool = False
    merged: bool = False
    hashes: frozenset[str] = frozenset()


def qualified(items: Sequence[Item], sources: Sequence[Source], tail: str, condition: str) -> str:
    """The SELECT without QUALIFY that yields the same rows and columns.

    A star is carried as a whole row, which PostgreSQL takes apart again with the names of its columns.

    Raises:
        SqlError: no window function in the condition, or a star that is not modelled.
    """
    if " OVER (" not in condition:
        raise not_supported("QUALIFY is modelled with a window function in its condition only")
    inner: list[str] = []
    outer: list[str] = []
    for item in items:
        stars = [item.star] if item.star != "*" else [source.name for source in sources]
        if item.star == "*" and any(source.merged for source in sources):
            raise not_supported("SELECT * with USING and QUALIFY is not modelled")
        for expression in stars if item.star else [item.expression]:
            label = f"c{len(inner)}"
            inner.append(f"{expression} AS {label}")
            outer.append(f"(q.{label}).*" if item.star else f"q.{label} AS {item.name}")
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)}, ({condition}) AS q{tail}) AS q WHERE q.q"

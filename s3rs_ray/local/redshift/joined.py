"""Long chains of ``||`` as one call of ``concat_ws``: a chain copies at every step what is before it.

NULL makes a chain NULL, and ``concat_ws`` leaves it out; so only texts that are never NULL are joined by it.
"""

from __future__ import annotations

import re
from typing import Self

from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA

__all__ = ["Text", "cast_to_text", "chained", "filled", "in_parentheses", "joined", "literal"]

_FEWEST = 8
_MOST = 99  # besides the separator: FUNC_MAX_ARGS of PostgreSQL is 100
_VARCHAR = f"{INTERNAL_SCHEMA}.varchar"
# A column or a call, however many parentheses are around it: a bare literal or NULL has no type of its own.
_TYPED = re.compile(r'\(*(?:"|[a-z_][\w.]*\()')


class Text(str):
    """An expression of a text that is never NULL.

    Attributes:
        parts: expressions that are the text when joined; none is ever NULL.
    """

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, expression: str, parts: tuple[str, ...]) -> Self:
        made = super().__new__(cls, expression)
        made.parts = parts
        return made


class _Cast(str):
    """A cast to VARCHAR.

    Attributes:
        digits: the same without a text in between, where the value is a number (see ``catalog_functions``).
    """

    __slots__ = ("digits",)
    digits: str


def literal(quoted: str) -> Text:
    """A string literal."""
    return Text(quoted, (quoted,))


def cast_to_text(value: str, kind: str) -> str:
    """``CAST(value AS kind)``."""
    text = f"CAST({value} AS {kind})"
    if kind != _VARCHAR or not _TYPED.match(value):
        return text
    cast = _Cast(text)
    cast.digits = f"{INTERNAL_SCHEMA}.digits({value})"
    return cast


def filled(call: str, arguments: list[str]) -> str:
    """A COALESCE, which is never NULL where a literal comes last."""
    *values, last = arguments
    if len(values) != 1 or not isinstance(last, Text) or last.parts != (last,):
        return call
    value = values[0]
    part = f"coalesce({value.digits}, {last})" if isinstance(value, _Cast) else f"{INTERNAL_SCHEMA}.plain({call})"
    return Text(call, (part,))


def chained(left: str, right: str) -> str:
    """``left || right``."""
    text = f"{left} || {right}"
    return Text(text, left.parts + right.parts) if isinstance(left, Text) and isinstance(right, Text) else text


def in_parentheses(inner: str) -> str:
    """``(inner)``."""
    return Text(f"({inner})", inner.parts) if isinstance(inner, Text) else f"({inner})"


def joined(expression: str) -> str:
    """An expression, or the same text by one call where it is a long chain with one separator all through."""
    if not isinstance(expression, Text) or len(expression.parts) < 2 * _FEWEST:
        return expression
    separators, fields = set(expression.parts[1::2]), list(expression.parts[::2])
    if len(separators) != 1 or len(expression.parts) % 2 == 0:
        return expression
    (separator,) = separators
    while len(fields) > 1:
        groups = [fields[i : i + _MOST] for i in range(0, len(fields), _MOST)]
        fields = [f"concat_ws({separator}, {', '.join(group)})" for group in groups]
    return f"{fields[0]}::{_VARCHAR}"

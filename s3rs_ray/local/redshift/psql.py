"""The questions psql asks for ``\\d``, ``\\dt``, ``\\dv`` and ``\\dn``: SELECTs on ``pg_catalog`` alone.

psql writes them in PostgreSQL's words, by the version the server tells. They have an allow-list of their own: relations
(answered by views that show user tables the way Redshift does), functions and types, each with ``pg_catalog.`` in
front. Anything else is left to the gate. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.tokens import Kind, Token, quote_literal, quote_name

__all__ = ["catalog_query"]

_RELATIONS = frozenset(
    {
        "pg_class",
        "pg_namespace",
        "pg_attribute",
        "pg_attrdef",
        "pg_type",
        "pg_collation",
        "pg_constraint",
        "pg_inherits",
    }
)
# Function -> the one that answers.
_FUNCTIONS = {
    "format_type": f"{INTERNAL_SCHEMA}.full_type",
    "pg_get_expr": f"{INTERNAL_SCHEMA}.psql_expression",
    "pg_get_userbyid": "pg_catalog.pg_get_userbyid",
    "pg_table_is_visible": "pg_catalog.pg_table_is_visible",
    "pg_get_constraintdef": "pg_catalog.pg_get_constraintdef",
    "col_description": "pg_catalog.col_description",
    "array_to_string": "pg_catalog.array_to_string",
    "unnest": "pg_catalog.unnest",
}
_TYPES = frozenset({"regclass", "regtype", "text", "char", "oid"})
# Words that may stand before a parenthesis.
_BEFORE_PARENTHESIS = frozenset(
    {"in", "on", "and", "or", "not", "where", "select", "operator", "array", "when", "then"}
)
_REFUSED = frozenset({"into", "for", "with", "union", "lateral", "values", "limit"})
_END_OF_FROM = frozenset({"where", "group", "order", "having"})


def catalog_query(tokens: Sequence[Token]) -> str | None:
    """The statement for PostgreSQL, or None when it is not one of psql's."""
    if tokens[0].value != "select" or not any(token.value == "pg_catalog" for token in tokens):
        return None
    parts: list[str] = []
    # For each open parenthesis: whether a FROM clause is being read in it.
    reading = [False]
    at = 0
    while tokens[at].kind is not Kind.END:
        token, before = tokens[at], tokens[at - 1] if at else tokens[0]
        named = token.kind is Kind.WORD and token.value == "pg_catalog"
        if _relation_is_due(before, reading[-1]) and not named:
            return None
        if named:
            qualified = (
                _qualified(before, tokens[at + 1], tokens[at + 2], tokens[at + 3]) if at + 3 < len(tokens) else None
            )
            if qualified is None:
                return None
            parts.append(qualified)
            at += 3
            continue
        if token.kind is Kind.WORD:
            if token.value in _REFUSED or not _may_stand(token, tokens[at + 1]):
                return None
            if token.value == "from":
                reading[-1] = True
            elif token.value in _END_OF_FROM:
                reading[-1] = False
        elif token.value == "(" and token.kind is Kind.OPERATOR:
            reading.append(False)
        elif token.value == ")" and token.kind is Kind.OPERATOR:
            if len(reading) == 1:
                return None
            reading.pop()
        parts.append(_text(token))
        at += 1
    return " ".join(parts)


def _relation_is_due(before: Token, reading: bool) -> bool:
    if before.kind is Kind.WORD and before.value in {"from", "join"}:
        return True
    return reading and before.kind is Kind.OPERATOR and before.value == ","


def _may_stand(word: Token, follows: Token) -> bool:
    called = follows.kind is Kind.OPERATOR and follows.value == "("
    return not called or word.value in _BEFORE_PARENTHESIS


def _qualified(before: Token, dot: Token, name: Token, follows: Token) -> str | None:
    """What stands for ``pg_catalog.name``."""
    if dot.value != ".":
        return None
    if before.value == "(" and name.value == "~":
        return "pg_catalog.~"
    if name.kind is not Kind.WORD:
        return None
    if before.value == "::":
        return f"pg_catalog.{name.value}" if name.value in _TYPES else None
    if follows.kind is Kind.OPERATOR and follows.value == "(":
        return _FUNCTIONS.get(name.value)
    return f"{INTERNAL_SCHEMA}.psql_{name.value}" if name.value in _RELATIONS else None


def _text(token: Token) -> str:
    if token.kind is Kind.STRING:
        return quote_literal(token.value)
    return quote_name(token.value) if token.kind is Kind.NAME else token.value

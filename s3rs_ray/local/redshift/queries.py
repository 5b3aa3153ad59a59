"""The grammar of SELECT.

Source: AWS documentation, "SELECT". Redshift has no DISTINCT ON, no LATERAL, no VALUES outside INSERT, no table
functions and no row locks; SELECT INTO, PIVOT, GROUPING SETS and CONNECT BY exist there but are not modelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from s3rs_ray.local.redshift.expressions import Expressions
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA, RESERVED
from s3rs_ray.local.redshift.qualify import Item, Source, qualified
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported, syntax_error
from s3rs_ray.local.redshift.tokens import Kind, quote_name

__all__ = ["Queries"]

# Words that end a FROM item, so that they are not read as its alias.
_CLAUSE_WORDS = frozenset({"set", "qualify", "fetch", "values", "start", "connect", "lateral", "tablesample", "remove"})
_SET_OPERATORS = {"union": "UNION", "intersect": "INTERSECT", "except": "EXCEPT", "minus": "EXCEPT"}


_HASH = f"{INTERNAL_SCHEMA}.md5("
_HASH_DIGITS = 32
_OF_DIGITS = re.compile(
    rf"{INTERNAL_SCHEMA}\.strtol\(({INTERNAL_SCHEMA}\.(?:left|substring)\((\"\w+\"),(?: (\d+),)? (\d+)\)), 16\)"
)
_SUM_OF_DIGITS = re.compile(
    rf"{INTERNAL_SCHEMA}\.sum\(CAST\((\('0x' \|\| [^()]*\([^()]*\)\)::bigint) AS numeric\(38,0\)\)\)"
)


def _computed_once(query: str) -> str:
    """A query in FROM that PostgreSQL does not merge into the outer one, where each use would hash again."""
    return f"{query} OFFSET 0" if _HASH in query and " OFFSET " not in query else query


def _known_digits(expression: str, hashes: frozenset[str]) -> str:
    """An expression in which STRTOL does not look whether digits of an MD5 are hexadecimal, which costs most of it.

    Args:
        hashes: the columns that are MD5s.
    """

    def quick(found: re.Match[str]) -> str:
        part, name, start, size = found[1], found[2], int(found[3] or 1), int(found[4])
        fits = 1 <= start <= _HASH_DIGITS - size + 1 and 1 <= size <= 15
        return f"('0x' || {part})::bigint" if name in hashes and fits else found[0]

    if "SELECT " in expression:
        return expression
    # PostgreSQL adds up BIGINT without overflow as well, and quicker than DECIMAL.
    return _SUM_OF_DIGITS.sub(r"pg_catalog.sum(\1)", _OF_DIGITS.sub(quick, expression))


@dataclass
class Queries(Expressions):
    """SELECT statements and everything that may hold one.

    Attributes:
        sources: of the FROM clause that is read.
        digests: what MD5s are translated to.
        hashes: the quoted names of the columns of the last SELECT that are MD5s.
    """

    sources: list[Source] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    hashes: frozenset[str] = frozenset()

    def _call(self, name: str) -> str:
        text = super()._call(name)
        if name == "md5":
            self.digests.add(text)
        return text

    def subquery(self) -> str:
        """Consumes a query inside parentheses that are already open."""
        return self.query()

    def query(self) -> str:
        """Consumes ``[WITH ...] SELECT ... [ORDER BY] [LIMIT] [OFFSET]``."""
        outer = set(self.common_tables)
        text = self.with_clause() + self._set_expression()
        if self.accept("order", "by"):
            text += " ORDER BY " + self.sort_keys()
        text += self._limits()
        self.common_tables = outer
        return text

    def with_clause(self) -> str:
        """Consumes ``WITH name [(columns)] AS (query), ...`` if it comes next; else the empty text."""
        if not self.accept("with"):
            return ""
        if self.peek_word("recursive"):
            raise not_supported("WITH RECURSIVE is not modelled")
        parts: list[str] = []
        while True:
            name = self.name()
            columns = ""
            if self.peek_operator("("):
                columns = f" ({', '.join(quote_name(c) for c in self.names())})"
            self.expect("as")
            self.expect_operator("(")
            parts.append(f"{quote_name(name)}{columns} AS ({self.query()})")
            self.expect_operator(")")
            self.common_tables.add(name)
            if not self.accept_operator(","):
                return f"WITH {', '.join(parts)} "

    def _set_expression(self) -> str:
        text = self._set_operand()
        while self.peek_word(*_SET_OPERATORS):
            word = self.take().value
            every = ""
            if self.accept("all"):
                if word != "union":
                    raise not_supported(f"{word.upper()} ALL is not supported")
                every = " ALL"
            else:
                self.accept("distinct")
            text = f"{text} {_SET_OPERATORS[word]}{every} {self._set_operand()}"
            self.hashes = frozenset()
        return text

    def _set_operand(self) -> str:
        if self.accept_operator("("):
            inner = self.query()
            self.expect_operator(")")
            return f"({inner})"
        return self._select()

    def _select(self) -> str:
        self.expect("select")
        limit = f" LIMIT {self.integer()}" if self.accept("top") else ""
        if limit:
            raise not_supported("TOP is not modelled, use LIMIT")
        distinct = ""
        if self.accept("distinct"):
            if self.peek_word("on"):
                raise not_supported("SELECT DISTINCT ON is not supported")
            distinct = "DISTINCT "
        else:
            self.accept("all")
        items = self._items()
        if self.peek_word("into"):
            raise not_supported("SELECT INTO is not modelled")
        outer, self.sources = self.sources, []
        tail = self._select_tail()
        sources, self.sources = self.sources, outer
        if len(sources) == 1 and sources[0].hashes:
            items = [replace(item, expression=_known_digits(item.expression, sources[0].hashes)) for item in items]
        self.hashes = frozenset(item.alias for item in items if item.alias and item.expression in self.digests)
        if not self.accept("qualify"):
            return f"SELECT {distinct}{', '.join(item.text for item in items)}{tail}"
        if distinct:
            raise not_supported("SELECT DISTINCT with QUALIFY is not modelled")
        return qualified(items, sources, tail, self.expression())

    def _select_tail(self) -> str:
        """Consumes FROM, WHERE, GROUP BY and HAVING."""
        text = ""
        if self.accept("from"):
            text += " FROM " + self.from_items()
            if self.peek_word("qualify") and not self.sources[-1].aliased:
                # AWS documentation, QUALIFY: directly after FROM the relation must have an alias.
                raise syntax_error(self.tokens[self.at + 1].value)
        if self.accept("where"):
            text += " WHERE " + self.expression()
        if self.accept("group", "by"):
            if self.accept("all"):
                raise not_supported("GROUP BY ALL is not modelled")
            text += " GROUP BY " + self.expressions()
        if self.accept("having"):
            text += " HAVING " + self.expression()
        return text

    def _items(self) -> list[Item]:
        items = [self._item()]
        while self.accept_operator(","):
            items.append(self._item())
        return items

    def _item(self) -> Item:
        if self.accept_operator("*"):
            return Item("*", star="*")
        if self.peek_operator(".", ahead=1) and self.peek_operator("*", ahead=2):
            table = quote_name(self.name())
            self.at += 2
            return Item(f"{table}.*", star=table)
        item = self.expression()
        alias = self._alias()
        return Item(item, alias=quote_name(alias)) if alias else Item(item)

    def _alias(self) -> str | None:
        if self.accept("as"):
            # After AS any word is a name, reserved or not.
            if self.token.kind not in {Kind.WORD, Kind.NAME}:
                raise self.unexpected()
            return self.take().value
        token = self.token
        if token.kind is Kind.NAME:
            return self.take().value
        if token.kind is Kind.WORD and token.value not in RESERVED and token.value not in _CLAUSE_WORDS:
            return self.take().value
        return None

    def from_items(self) -> str:
        """Consumes the list of a FROM or USING clause."""
        items = [self._joined()]
        while self.accept_operator(","):
            items.append(self._joined())
        return ", ".join(items)

    def _joined(self) -> str:
        text = self._from_item()
        while True:
            if self.accept("cross", "join"):
                text += f" CROSS JOIN {self._from_item()}"
                continue
            join = self._join_words()
            if not join:
                return text
            text += f" {join} {self._from_item()}"
            if self.accept("on"):
                text += " ON " + self.expression()
            else:
                self.expect("using")
                self.sources[-1] = replace(self.sources[-1], merged=True)
                text += f" USING ({', '.join(quote_name(c) for c in self.names())})"

    def _join_words(self) -> str:
        if self.peek_word("natural"):
            raise not_supported("NATURAL JOIN is not modelled")
        if self.accept("join") or self.accept("inner", "join"):
            return "JOIN"
        for side in ("left", "right", "full"):
            if self.accept(side):
                self.accept("outer")
                self.expect("join")
                return f"{side.upper()} JOIN"
        return ""

    def _from_item(self) -> str:
        if self.accept_operator("("):
            if not self.peek_word("select", "with"):
                raise not_supported("parentheses around joins and VALUES lists are not supported in FROM")
            inner = f"({_computed_once(self.query())})"
            hashes = self.hashes
            self.expect_operator(")")
            alias = self._alias()
            if alias is None:
                raise SqlError("42601", "subquery in FROM must have an alias")
        else:
            if self.peek_word("lateral", "only", "unnest"):
                raise not_supported(f"{self.token.value.upper()} is not supported in FROM")
            inner, hashes = self.relation(), frozenset[str]()
            if self.peek_operator("("):
                raise not_supported("table functions are not supported in FROM")
            alias = self._alias()
        if alias is None:
            self.sources.append(Source(inner.rpartition(".")[2]))
            return inner
        columns = ""
        if self.peek_operator("("):
            columns, hashes = f" ({', '.join(quote_name(c) for c in self.names())})", frozenset()
        self.sources.append(Source(quote_name(alias), aliased=True, hashes=hashes))
        return f"{inner} AS {quote_name(alias)}{columns}"

    def _limits(self) -> str:
        text = ""
        for _ in range(2):
            if self.accept("limit"):
                text += " LIMIT " + ("ALL" if self.accept("all") else self._count())
            elif self.accept("offset"):
                text += " OFFSET " + self._count()
        if self.peek_word("for", "fetch"):
            raise not_supported(f"{self.token.value.upper()} is not supported in SELECT")
        return text

    def _count(self) -> str:
        if self.token.kind is Kind.PARAMETER:
            return self.take().value
        return str(self.integer())

    def check_relations(self) -> None:
        """Refuses a statement that mixes system relations with user tables.

        Raises:
            SqlError: 0A000 with Redshift's text.
        """
        if self.system_relations and self.user_relations:
            raise SqlError(
                "0A000",
                "Specified types or functions (one per INFO message) not supported on Redshift tables.",
                detail=f"{', '.join(sorted(self.system_relations))} cannot be used together with user tables.",
            )

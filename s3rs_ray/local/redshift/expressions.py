"""The grammar of expressions. What it does not name, it refuses.

Source: AWS documentation, "Expressions", "Conditions", "CASE", "CAST", "Window functions".
"""

from __future__ import annotations

from s3rs_ray.local.redshift.functions import (
    AGGREGATES,
    BIT_AGGREGATES,
    FRAMED_WINDOW_FUNCTIONS,
    RANK_FUNCTIONS,
    find_function,
)
from s3rs_ray.local.redshift.joined import chained, filled, in_parentheses, joined, literal
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA, RESERVED
from s3rs_ray.local.redshift.special_calls import SpecialCalls
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import Kind, quote_literal, quote_name

__all__ = ["Expressions"]

_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=")
_BINARY = ("+", "-", "*", "/", "%", "||")
_TYPED_LITERALS = ("date", "timestamp", "timestamptz", "time", "interval")
_BARE_WORDS = {
    "current_date": "current_date",
    "sysdate": f"{INTERNAL_SCHEMA}.sysdate()",
    "current_user": "current_user",
    "session_user": "session_user",
    "user": "current_user",
    "true": "true",
    "false": "false",
    "null": "null",
}


class Expressions(SpecialCalls):
    """Expressions; sub-queries are left to the subclass that knows queries."""

    def expression(self) -> str:
        """Consumes an expression of any type."""
        left = self._conjunction()
        while self.accept("or"):
            left = f"{left} OR {self._conjunction()}"
        return left

    def expressions(self) -> str:
        """Consumes ``expression, expression...``."""
        parts = [self.expression()]
        while self.accept_operator(","):
            parts.append(self.expression())
        return ", ".join(parts)

    def _conjunction(self) -> str:
        left = self._negation()
        while self.accept("and"):
            left = f"{left} AND {self._negation()}"
        return left

    def _negation(self) -> str:
        if self.accept("not"):
            return f"NOT {self._negation()}"
        return self._predicate()

    def _predicate(self) -> str:
        left = self._operation()
        while True:
            if self.peek_operator(*_COMPARISONS):
                operator = self.take().value
                if self.peek_word("any", "all", "some"):
                    raise not_supported("ANY, ALL and SOME are not supported")
                left = f"{left} {operator} {self._operation()}"
            elif self.accept("is"):
                left = f"{left} IS {self._truth()}"
            elif self.accept("isnull"):
                left = f"{left} IS NULL"
            elif self.accept("notnull"):
                left = f"{left} IS NOT NULL"
            elif self.peek_word("between", "in", "like", "ilike") or (
                self.peek_word("not") and self.peek_word("between", "in", "like", "ilike", ahead=1)
            ):
                left = self._membership(left)
            else:
                return left

    def _truth(self) -> str:
        negated = "NOT " if self.accept("not") else ""
        for word in ("null", "true", "false", "unknown"):
            if self.accept(word):
                return negated + word.upper()
        raise self.unexpected()

    def _membership(self, left: str) -> str:
        negated = "NOT " if self.accept("not") else ""
        word = self.take().value
        if word == "between":
            low = self._operation()
            self.expect("and")
            return f"{left} {negated}BETWEEN {low} AND {self._operation()}"
        if word == "in":
            self.expect_operator("(")
            inner = self.subquery() if self.peek_word("select", "with") else self.expressions()
            self.expect_operator(")")
            return f"{left} {negated}IN ({inner})"
        pattern = self._operation()
        escape = ""
        if self.accept("escape"):
            escape = f" ESCAPE {quote_literal(self.string())}"
        return f"{left} {negated}{word.upper()} {pattern}{escape}"

    def _operation(self) -> str:
        left = self._operand()
        while self.peek_operator(*_BINARY):
            operator, right = self.take().value, self._operand()
            left = chained(left, right) if operator == "||" else f"{left} {operator} {right}"
        return left

    def _operand(self) -> str:
        if self.peek_operator("-", "+"):
            # The blank keeps two signs from becoming the start of a comment.
            return f"{self.take().value} {self._operand()}"
        value = self._primary()
        while True:
            if self.accept_operator("::"):
                value = f"{value}::{self.type_name().postgres}"
            elif self.accept("at", "time", "zone"):
                value = f"{value} AT TIME ZONE {quote_literal(self.string())}"
            elif self.peek_operator("[", "."):
                raise not_supported("navigation into SUPER values and arrays is not supported")
            else:
                return value

    def _primary(self) -> str:
        token = self.token
        if token.kind is Kind.NUMBER or token.kind is Kind.PARAMETER:
            return self.take().value
        if token.kind is Kind.STRING:
            return literal(quote_literal(self.take().value))
        if token.kind is Kind.OPERATOR and token.value == "(":
            return self._parenthesis()
        if token.kind is Kind.WORD:
            word = self._keyword(token.value)
            if word is not None:
                return word
        return self._reference_or_call()

    def _parenthesis(self) -> str:
        self.expect_operator("(")
        if self.peek_word("select", "with"):
            inner = self.subquery()
        else:
            inner = self.expression()
            if self.peek_operator(","):
                self.take()
                inner += ", " + self.expressions()
                return self._row_in(inner)
        self.expect_operator(")")
        return in_parentheses(inner)

    def _row_in(self, inner: str) -> str:
        self.expect_operator(")")
        if not (self.peek_word("in") or (self.peek_word("not") and self.peek_word("in", ahead=1))):
            # PostgreSQL compares rows with every operator; that Redshift does is confirmed for IN only.
            raise not_supported("a list in parentheses is supported before IN only")
        return f"({inner})"

    def _keyword(self, word: str) -> str | None:
        if word in _TYPED_LITERALS and self.tokens[self.at + 1].kind is Kind.STRING:
            self.take()
            return f"{word} {quote_literal(self.string())}"
        if self.peek_operator("(", ahead=1):
            return self.special_call(word)
        if word == "case":
            return self.case()
        if word in _BARE_WORDS:
            self.take()
            return _BARE_WORDS[word]
        if word == "array":
            raise not_supported("arrays are not supported")
        return None

    def _reference_or_call(self) -> str:
        token = self.token
        called = self.peek_operator("(", ahead=1)
        if token.kind is Kind.WORD and called and (token.value not in RESERVED or token.value in {"left", "right"}):
            self.at += 2
            return self._call(token.value)
        parts = [self.name()]
        while self.peek_operator(".") and not self.peek_operator("*", ahead=1) and len(parts) < 3:
            self.take()
            parts.append(self.name())
        if self.peek_operator("("):
            raise not_supported(f"function {'.'.join(parts)} is not supported")
        return ".".join(quote_name(part) for part in parts)

    def _call(self, name: str) -> str:
        distinct = ""
        arguments: list[str] = []
        if name == "count" and self.accept_operator("*"):
            arguments = ["*"]
        elif not self.peek_operator(")"):
            if name in AGGREGATES | BIT_AGGREGATES and self.accept("distinct"):
                distinct = "DISTINCT "
            arguments.append(self.expression())
            while self.accept_operator(","):
                arguments.append(self.expression())
        nulls = self._nulls(name)
        if self.peek_word("order"):
            raise not_supported("ORDER BY inside the arguments of a function is not supported")
        self.expect_operator(")")
        nulls = nulls or self._nulls(name)
        target = find_function(name, len(arguments)).target
        if nulls == "ignore":
            target = f"{INTERNAL_SCHEMA}.{name}_known"
        text = f"{target}({distinct}{', '.join(map(joined, arguments))})"
        if self.peek_word("filter") and self.peek_operator("(", ahead=1):
            raise not_supported("the FILTER clause is not supported")
        if self.accept("over"):
            return text + " OVER " + self._window(name, distinct)
        if name in RANK_FUNCTIONS or name in {"first_value", "last_value"}:
            raise SqlError("42809", f"window function {name} requires an OVER clause")
        return filled(text, arguments) if target == "coalesce" else text

    def _nulls(self, name: str) -> str:
        """IGNORE NULLS or RESPECT NULLS, which stand before or behind the closing parenthesis."""
        for word in ("ignore", "respect"):
            if self.accept(word, "nulls"):
                if word == "ignore" and name not in {"first_value", "last_value"}:
                    raise not_supported(f"IGNORE NULLS is modelled for FIRST_VALUE and LAST_VALUE only, not {name}")
                return word
        return ""

    def _window(self, name: str, distinct: str) -> str:
        if distinct:
            raise not_supported("DISTINCT in a window function is not supported")
        if name not in FRAMED_WINDOW_FUNCTIONS | RANK_FUNCTIONS:
            raise SqlError("42809", f"{name} is not a window function")
        self.expect_operator("(")
        parts: list[str] = []
        if self.accept("partition", "by"):
            parts.append("PARTITION BY " + self.expressions())
        ordered = self.accept("order", "by")
        if ordered:
            parts.append("ORDER BY " + self.sort_keys())
        if self.peek_word("rows"):
            if name in RANK_FUNCTIONS:
                raise not_supported(f"a frame clause is not supported by {name}")
            parts.append(self._frame())
        elif ordered and name in FRAMED_WINDOW_FUNCTIONS:
            # Redshift's own text, told where PostgreSQL would assume a frame.
            raise not_supported("Aggregate window functions with an ORDER BY clause require a frame clause")
        self.expect_operator(")")
        return f"({' '.join(parts)})"

    def _frame(self) -> str:
        self.expect("rows")
        if not self.accept("between"):
            return "ROWS " + self._bound()
        low = self._bound()
        self.expect("and")
        return f"ROWS BETWEEN {low} AND {self._bound()}"

    def _bound(self) -> str:
        if self.accept("current", "row"):
            return "CURRENT ROW"
        count = "UNBOUNDED" if self.accept("unbounded") else str(self.integer())
        for side in ("preceding", "following"):
            if self.accept(side):
                return f"{count} {side.upper()}"
        raise self.unexpected()

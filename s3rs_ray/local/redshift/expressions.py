"""The grammar of expressions. What it does not name, it refuses.

Source: AWS documentation, "Expressions", "Conditions", "CASE", "CAST", "Window functions".
"""

from __future__ import annotations

from s3rs_ray.local.redshift.functions import (
    AGGREGATES,
    DATE_PARTS,
    FRAMED_WINDOW_FUNCTIONS,
    RANK_FUNCTIONS,
    find_function,
)
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA, RESERVED
from s3rs_ray.local.redshift.parser import Parser
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


class Expressions(Parser):
    """Expressions; sub-queries are left to the subclass that knows queries."""

    def subquery(self) -> str:
        """Consumes a query inside parentheses that are already open."""
        raise NotImplementedError

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
            left = f"{left} {self.take().value} {self._operand()}"
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
            return quote_literal(self.take().value)
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
        return f"({inner})"

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
            return self._special_call(word)
        if word == "case":
            return self._case()
        if word in _BARE_WORDS:
            self.take()
            return _BARE_WORDS[word]
        if word == "array":
            raise not_supported("arrays are not supported")
        return None

    def _special_call(self, word: str) -> str | None:
        forms = {
            "cast": self._cast,
            "convert": self._convert,
            "extract": self._extract,
            "exists": self._exists,
            "trim": self._trim,
            "dateadd": self._date_arithmetic,
            "date_add": self._date_arithmetic,
            "datediff": self._date_arithmetic,
            "date_diff": self._date_arithmetic,
            "date_part": self._date_part,
            "listagg": self._listagg,
        }
        form = forms.get(word)
        if form is None:
            return None
        self.at += 2
        return form(word)

    def _case(self) -> str:
        self.expect("case")
        parts = ["CASE"]
        if not self.peek_word("when"):
            parts.append(self.expression())
        while self.accept("when"):
            condition = self.expression()
            self.expect("then")
            parts.append(f"WHEN {condition} THEN {self.expression()}")
        if self.accept("else"):
            parts.append(f"ELSE {self.expression()}")
        self.expect("end")
        return " ".join([*parts, "END"])

    def _cast(self, _word: str) -> str:
        value = self.expression()
        self.expect("as")
        kind = self.type_name().postgres
        self.expect_operator(")")
        return f"CAST({value} AS {kind})"

    def _convert(self, _word: str) -> str:
        kind = self.type_name().postgres
        self.expect_operator(",")
        value = self.expression()
        self.expect_operator(")")
        return f"CAST({value} AS {kind})"

    def _exists(self, _word: str) -> str:
        inner = self.subquery()
        self.expect_operator(")")
        return f"EXISTS ({inner})"

    def _part(self) -> str:
        token = self.take()
        if token.kind not in {Kind.WORD, Kind.STRING, Kind.NAME} or token.value.lower() not in DATE_PARTS:
            raise not_supported(f'date part "{token.value}" is not supported')
        return DATE_PARTS[token.value.lower()]

    def _extract(self, _word: str) -> str:
        part = self._part()
        self.expect("from")
        value = self.expression()
        self.expect_operator(")")
        return self._part_of(part, value)

    def _date_part(self, _word: str) -> str:
        part = self._part()
        self.expect_operator(",")
        value = self.expression()
        self.expect_operator(")")
        return self._part_of(part, value)

    def _part_of(self, part: str, value: str) -> str:
        if part in {"millisecond", "microsecond", "second"}:
            # Redshift gives the field alone, PostgreSQL adds the seconds or a fraction to it.
            raise not_supported(f"EXTRACT of {part} is not supported")
        # AWS documentation, EXTRACT: the result is an INTEGER; an epoch needs more room.
        return f"floor(extract({part} from {value}))::{'bigint' if part == 'epoch' else 'integer'}"

    def _trim(self, _word: str) -> str:
        side = self.take().value if self.peek_word("both", "leading", "trailing") else ""
        first = "" if side and self.accept("from") else self.expression()
        characters = ""
        if first and self.accept("from"):
            characters, first = first, self.expression()
        elif not first:
            first = self.expression()
        self.expect_operator(")")
        target = {"leading": "ltrim", "trailing": "rtrim"}.get(side, "btrim")
        arguments = f"{first}, {characters}" if characters else first
        return f"{INTERNAL_SCHEMA}.{target}({arguments})"

    def _date_arithmetic(self, word: str) -> str:
        part = self._part()
        if part in {"epoch", "dow", "doy"}:
            raise not_supported(f'date part "{part}" is not supported by {word}')
        self.expect_operator(",")
        first = self.expression()
        self.expect_operator(",")
        second = self.expression()
        self.expect_operator(")")
        target = word.replace("_", "")
        second = f"({second})::timestamp"
        first = f"({first})::timestamp" if target == "datediff" else first
        return f"{INTERNAL_SCHEMA}.{target}({quote_literal(part)}, {first}, {second})"

    def _listagg(self, _word: str) -> str:
        distinct = "DISTINCT " if self.accept("distinct") else ""
        value = self.expression()
        delimiter = quote_literal(self.string()) if self.accept_operator(",") else "''"
        self.expect_operator(")")
        order = ""
        if self.accept("within", "group"):
            self.expect_operator("(")
            self.expect("order", "by")
            order = " ORDER BY " + self.sort_keys()
            self.expect_operator(")")
        return f"string_agg({distinct}({value})::text, {delimiter}{order})::{INTERNAL_SCHEMA}.varchar"

    def sort_keys(self) -> str:
        """Consumes ``expression [ASC|DESC] [NULLS FIRST|LAST], ...``."""
        keys = [self._sort_key()]
        while self.accept_operator(","):
            keys.append(self._sort_key())
        return ", ".join(keys)

    def _sort_key(self) -> str:
        key = self.expression()
        for word in ("asc", "desc"):
            if self.accept(word):
                key += f" {word.upper()}"
        if self.accept("nulls"):
            side = "FIRST" if self.accept("first") else "LAST"
            if side == "LAST":
                self.expect("last")
            key += f" NULLS {side}"
        return key

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
            if name in AGGREGATES and self.accept("distinct"):
                distinct = "DISTINCT "
            arguments.append(self.expression())
            while self.accept_operator(","):
                arguments.append(self.expression())
        if self.peek_word("order"):
            raise not_supported("ORDER BY inside the arguments of a function is not supported")
        self.expect_operator(")")
        target = find_function(name, len(arguments)).target
        text = f"{target}({distinct}{', '.join(arguments)})"
        if self.peek_word("filter") and self.peek_operator("(", ahead=1):
            raise not_supported("the FILTER clause is not supported")
        if self.accept("over"):
            return text + " OVER " + self._window(name, distinct)
        if name in RANK_FUNCTIONS or name in {"first_value", "last_value"}:
            raise SqlError("42809", f"window function {name} requires an OVER clause")
        return text

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

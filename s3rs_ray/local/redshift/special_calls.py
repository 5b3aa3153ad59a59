"""Calls with a grammar of their own: CASE, CAST, EXTRACT, TRIM, dates, LISTAGG, DECODE, TO_CHAR.

Source: AWS documentation, the page of each function.
"""

from __future__ import annotations

import re

from s3rs_ray.local.redshift.functions import DATE_PARTS
from s3rs_ray.local.redshift.joined import cast_to_text
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.parser import Parser
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import Kind, quote_literal

__all__ = ["SpecialCalls"]

# What TO_CHAR may be told (AWS documentation, "Datetime format strings", "Numeric format strings"); PostgreSQL knows
# more. Longer words come first, so that DDD is not read as DD and D.
_FORMAT_WORDS = (
    "HH24 HH12 YYYY MONTH IYYY IDDD YYY IYY DDD DAY MON A.D. B.C. A.M. P.M. HH YY IY IW WW DD DY ID MM MI SS MS US RM "
    "CC AD BC AM PM TZ FM PR PL SG TH Y I W D J Q S G 9 0"
)
_FORMAT = re.compile(
    r"(?:" + "|".join(re.escape(word) for word in _FORMAT_WORDS.split()) + r"|\"[^\"]*\"|[^A-Za-z0-9\"])*",
    re.IGNORECASE,
)


class SpecialCalls(Parser):
    """The forms; expressions and sub-queries are left to the subclasses."""

    def expression(self) -> str:
        """Consumes an expression of any type."""
        raise NotImplementedError

    def subquery(self) -> str:
        """Consumes a query inside parentheses that are already open."""
        raise NotImplementedError

    def special_call(self, word: str) -> str | None:
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
            "decode": self._decode,
            "to_char": self._to_char,
        }
        form = forms.get(word)
        if form is None:
            return None
        self.at += 2
        return form(word)

    def case(self) -> str:
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
        return cast_to_text(value, kind)

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
        if target == "datediff" and part in {"day", "microsecond"}:
            return self._plain_difference(part, first, second)
        return f"{INTERNAL_SCHEMA}.{target}({quote_literal(part)}, {first}, {second})"

    @staticmethod
    def _plain_difference(part: str, first: str, second: str) -> str:
        """The difference in a unit that PostgreSQL subtracts in."""
        if part == "day":
            return f"({second}::date - {first}::date)::bigint"
        return f"{INTERNAL_SCHEMA}.microseconds_since({second}, {first})"

    def _listagg(self, _word: str) -> str:
        """NULL and empty texts are left out, DISTINCT ignores trailing blanks, the result has at most 65535 bytes."""
        distinct = "DISTINCT " if self.accept("distinct") else ""
        value = self.expression()
        delimiter = quote_literal(self.string()) if self.accept_operator(",") else "''"
        self.expect_operator(")")
        listed = f"{INTERNAL_SCHEMA}.listed(({value})::{INTERNAL_SCHEMA}.varchar)"
        order = ""
        if self.accept("within", "group"):
            self.expect_operator("(")
            self.expect("order", "by")
            start = self.at
            keys = self.sort_keys()
            if distinct:
                # PostgreSQL sorts distinct values by themselves only.
                self.at = start
                if self.expression() != value:
                    raise not_supported("LISTAGG(DISTINCT x) is modelled with WITHIN GROUP (ORDER BY x) only")
                keys = listed + (" DESC" if self.accept("desc") else "")
                self.accept("asc")
            order = f" ORDER BY {keys}"
            self.expect_operator(")")
        if self.peek_word("over"):
            raise not_supported("the window function LISTAGG is not modelled")
        return f"{INTERNAL_SCHEMA}.fits_listagg({INTERNAL_SCHEMA}.listagg({distinct}{listed}, {delimiter}{order}))"

    def _decode(self, _word: str) -> str:
        """A simple CASE in which NULL equals NULL."""
        arguments = [self.expression()]
        while self.accept_operator(","):
            arguments.append(self.expression())
        self.expect_operator(")")
        value, pairs = arguments[0], arguments[1:]
        if len(pairs) < 2:
            raise SqlError("42883", f"function decode does not take {len(arguments)} arguments")
        default = pairs.pop() if len(pairs) % 2 else "NULL"
        whens = [
            f"WHEN ({value}) = ({search}) OR (({value}) IS NULL AND ({search}) IS NULL) THEN {result}"
            for search, result in zip(pairs[::2], pairs[1::2], strict=True)
        ]
        return f"CASE {' '.join(whens)} ELSE {default} END"

    def _to_char(self, _word: str) -> str:
        value = self.expression()
        self.expect_operator(",")
        if self.token.kind is not Kind.STRING:
            raise not_supported("the format of TO_CHAR must be a literal")
        pattern = self.string()
        self.expect_operator(")")
        if not _FORMAT.fullmatch(pattern):
            raise not_supported(f"the format '{pattern}' of TO_CHAR is not documented")
        return f"{INTERNAL_SCHEMA}.to_char({value}, {quote_literal(pattern)})"

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

"""Cuts SQL text into tokens, by Redshift's lexical rules.

What differs from PostgreSQL (AWS documentation, "Names and identifiers", "Literals"; redshift.md):
quoted names fold to lower case too, a name has at most 127 bytes, and a backslash is an escape inside ``'...'``.
Dollar quotes, ``E''``, ``U&''``, ``B''`` and ``X''`` literals are not on the allow-list.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported, syntax_error

__all__ = [
    "MAX_NAME_BYTES",
    "Kind",
    "Token",
    "name_literal",
    "quote_literal",
    "quote_name",
    "split_statements",
    "stored_name",
    "tokenize",
]

MAX_NAME_BYTES = 127
# What PostgreSQL keeps of a name.
_STORED_BYTES = 63
_MAX_STATEMENT_BYTES = 16 * 1024 * 1024
_OPERATORS = ("::", "<=", ">=", "<>", "!=", "||", "!~", "~*")
_SINGLES = frozenset("+-*/%^<>=(),.;~|&#@[]{}:?!")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORD_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_WORD_PART = _WORD_START | frozenset("0123456789$#")
_DIGITS = frozenset("0123456789")


class Kind(enum.Enum):
    """What a token is."""

    WORD = "word"
    NAME = "quoted name"
    STRING = "string"
    NUMBER = "number"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its value (folded, unescaped), and where it stood in the text (characters)."""

    kind: Kind
    value: str
    start: int
    end: int


def stored_name(name: str) -> str:
    """The name under which PostgreSQL keeps an object: itself, or its start and a digest when it is too long."""
    data = name.encode()
    if len(data) <= _STORED_BYTES:
        return name
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()[:16]
    return data[: _STORED_BYTES - 17].decode("utf-8", "ignore") + "~" + digest


def quote_name(name: str) -> str:
    """A name for PostgreSQL, quoted."""
    return '"' + stored_name(name).replace('"', '""') + '"'


def name_literal(name: str) -> str:
    """A string literal for PostgreSQL that holds the stored form of a name."""
    return quote_literal(stored_name(name))


def quote_literal(text: str) -> str:
    """A string literal for PostgreSQL with ``standard_conforming_strings`` on: only quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"


def tokenize(sql: str) -> list[Token]:
    """All tokens of ``sql``, comments left out, ending with one ``END`` token.

    Raises:
        SqlError: 42601 for text that is no token, 42622 for a name over 127 bytes, 54000 for a text over 16 MB.
    """
    size = len(sql.encode())
    if size > _MAX_STATEMENT_BYTES:
        # AWS documentation, "Amazon Redshift SQL": the maximum size of a statement is 16 MB.
        raise SqlError(
            "54000",
            f"Statement is too large. Statement Size: {size} bytes. Maximum Allowed: {_MAX_STATEMENT_BYTES} bytes",
        )
    tokens: list[Token] = []
    at = 0
    while True:
        at = _skip_blanks(sql, at)
        if at >= len(sql):
            tokens.append(Token(Kind.END, "", at, at))
            return tokens
        token = _next_token(sql, at)
        tokens.append(token)
        at = token.end


def split_statements(tokens: list[Token]) -> list[list[Token]]:
    """The statements of a text, cut at ``;``. Each list ends with an ``END`` token; empty statements are left out."""
    statements: list[list[Token]] = []
    current: list[Token] = []
    for token in tokens:
        if token.kind is Kind.END or (token.kind is Kind.OPERATOR and token.value == ";"):
            if current:
                statements.append([*current, Token(Kind.END, "", token.start, token.start)])
            current = []
        else:
            current.append(token)
    return statements


def _skip_blanks(sql: str, at: int) -> int:
    while at < len(sql):
        if sql[at].isspace():
            at += 1
        elif sql.startswith("--", at):
            end = sql.find("\n", at)
            at = len(sql) if end < 0 else end + 1
        elif sql.startswith("/*", at):
            at = _skip_comment(sql, at)
        else:
            break
    return at


def _skip_comment(sql: str, at: int) -> int:
    depth = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif sql.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    raise SqlError("42601", "unterminated /* comment")


def _next_token(sql: str, at: int) -> Token:
    char = sql[at]
    if char == "'":
        return _string(sql, at)
    if char == '"':
        return _quoted_name(sql, at)
    if char in _WORD_START or ord(char) > 127:
        return _word(sql, at)
    if char in _DIGITS or (char == "." and at + 1 < len(sql) and sql[at + 1] in _DIGITS):
        return _number(sql, at)
    if char == "$":
        return _parameter(sql, at)
    for operator in _OPERATORS:
        if sql.startswith(operator, at):
            return Token(Kind.OPERATOR, operator, at, at + len(operator))
    if char in _SINGLES:
        return Token(Kind.OPERATOR, char, at, at + 1)
    raise syntax_error(char)


def _string(sql: str, at: int) -> Token:
    parts: list[str] = []
    i = at + 1
    while i < len(sql):
        char = sql[i]
        if char == "\\":
            text, i = _escape(sql, i + 1)
            parts.append(text)
        elif char != "'":
            parts.append(char)
            i += 1
        elif sql.startswith("''", i):
            parts.append("'")
            i += 2
        else:
            text = "".join(parts)
            if "\0" in text:
                raise SqlError("22021", 'invalid byte sequence for encoding "UNICODE": 0x00')
            return Token(Kind.STRING, text, at, i + 1)
    raise SqlError("42601", "unterminated quoted string")


def _escape(sql: str, at: int) -> tuple[str, int]:
    if at >= len(sql):
        raise SqlError("42601", "unterminated quoted string")
    octal = at
    while octal < len(sql) and octal < at + 3 and sql[octal] in "01234567":
        octal += 1
    if octal > at:
        return chr(int(sql[at:octal], 8)), octal
    return _ESCAPES.get(sql[at], sql[at]), at + 1


def _quoted_name(sql: str, at: int) -> Token:
    parts: list[str] = []
    i = at + 1
    while i < len(sql):
        if sql.startswith('""', i):
            parts.append('"')
            i += 2
        elif sql[i] == '"':
            return Token(Kind.NAME, _checked_name("".join(parts)), at, i + 1)
        else:
            parts.append(sql[i])
            i += 1
    raise SqlError("42601", "unterminated quoted identifier")


def _checked_name(name: str) -> str:
    if not name:
        raise SqlError("42601", 'zero-length delimited identifier at or near """"')
    if len(name.encode()) > MAX_NAME_BYTES:
        # AWS documentation, "Names and identifiers": between 1 and 127 bytes.
        raise SqlError("42622", f'identifier "{name}" is longer than {MAX_NAME_BYTES} bytes')
    return name.lower()


def _word(sql: str, at: int) -> Token:
    end = at
    while end < len(sql) and (sql[end] in _WORD_PART or ord(sql[end]) > 127):
        end += 1
    if end < len(sql) and sql[end] == "'" and sql[at:end].lower() in {"e", "b", "x", "n"}:
        raise not_supported(f"{sql[at:end]}'...' literals are not supported")
    return Token(Kind.WORD, _checked_name(sql[at:end]), at, end)


def _number(sql: str, at: int) -> Token:
    end = at
    while end < len(sql) and sql[end] in _DIGITS:
        end += 1
    if end < len(sql) and sql[end] == ".":
        end += 1
        while end < len(sql) and sql[end] in _DIGITS:
            end += 1
    if end < len(sql) and sql[end] in "eE":
        exponent = end + 2 if end + 1 < len(sql) and sql[end + 1] in "+-" else end + 1
        if exponent < len(sql) and sql[exponent] in _DIGITS:
            end = exponent
            while end < len(sql) and sql[end] in _DIGITS:
                end += 1
    if end < len(sql) and (sql[end] in _WORD_START or ord(sql[end]) > 127):
        # A name that starts with a digit must be quoted.
        raise syntax_error(sql[at : end + 1])
    return Token(Kind.NUMBER, sql[at:end], at, end)


def _parameter(sql: str, at: int) -> Token:
    end = at + 1
    while end < len(sql) and sql[end] in _DIGITS:
        end += 1
    if end == at + 1:
        raise not_supported("dollar-quoted literals are not supported outside of a function body")
    return Token(Kind.PARAMETER, sql[at:end], at, end)

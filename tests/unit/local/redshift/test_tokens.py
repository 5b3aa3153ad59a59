"""The lexical rules. Source: AWS documentation, "Names and identifiers", "Literals"; redshift.md, "Types and names"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.tokens import (
    Kind,
    quote_literal,
    quote_name,
    split_statements,
    stored_name,
    tokenize,
)


def values(sql: str) -> list[str]:
    return [token.value for token in tokenize(sql)][:-1]


def test_words_and_quoted_names_fold() -> None:
    assert values('Abc "DeF" "a""B" Ünï') == ["abc", "def", 'a"b', "ünï"]


def test_operators_numbers_and_parameters() -> None:
    assert values("a::b<=1.5e-3 || $12 <> .5") == ["a", "::", "b", "<=", "1.5e-3", "||", "$12", "<>", ".5"]


def test_comments_are_left_out() -> None:
    assert values("a -- b\n/* c /* d */ */ e") == ["a", "e"]


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (r"'a\'b'", "a'b"),
        (r"'a\\'", "a\\"),
        (r"'\n\t\r\b\f'", "\n\t\r\b\f"),
        (r"'\101\x'", "Ax"),
        ("'it''s'", "it's"),
        ("'a;b--c'", "a;b--c"),
    ],
)
def test_backslashes_in_literals(literal: str, text: str) -> None:
    assert values(literal) == [text]


@pytest.mark.parametrize("sql", ["'a", r"'a\'", '"a', "/* a", '""', "1a", "`a`", "\\"])
def test_what_is_no_token(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        tokenize(sql)
    assert caught.value.sqlstate == "42601"


def test_names_have_at_most_127_bytes() -> None:
    assert values("n" * 127) == ["n" * 127]
    for name in ("n" * 128, '"' + "é" * 64 + '"'):
        with pytest.raises(SqlError) as caught:
            tokenize(name)
        assert caught.value.sqlstate == "42622"


def test_statements_are_cut_at_semicolons() -> None:
    statements = split_statements(tokenize("; a 'x;y'; ;b ;"))
    assert [[t.value for t in s[:-1]] for s in statements] == [["a", "x;y"], ["b"]]
    assert all(s[-1].kind is Kind.END for s in statements)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_literal_comes_back(text: str) -> None:
    escaped = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    assert values(escaped) == [text]
    assert quote_literal(text) == "'" + text.replace("'", "''") + "'"


@given(st.text(min_size=1, max_size=200))
def test_every_stored_name_fits_postgresql(name: str) -> None:
    if "\ud800" <= max(name) <= "\udfff":
        return
    assert len(stored_name(name).encode()) <= 63
    assert quote_name(name).startswith('"')


def test_long_names_stay_apart() -> None:
    assert stored_name("n" * 63) == "n" * 63
    assert stored_name("n" * 100 + "a") != stored_name("n" * 100 + "b")

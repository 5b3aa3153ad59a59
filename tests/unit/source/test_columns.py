"""What becomes of each column: carried, excluded, refused; and which settings are mistakes."""

from __future__ import annotations

import pytest

from s3rs_ray.errors import ConfigError, UnsupportedType
from s3rs_ray.model import TableName
from s3rs_ray.policies import LongText, NulBytes, Policy, Treatment, ZeroDates
from s3rs_ray.source.columns import (
    SYSTEM_COLUMNS,
    ColumnContract,
    carried_columns,
    describe_columns,
    keep_keys,
    require_carried,
    require_known,
)
from s3rs_ray.source.types import SourceColumn
from s3rs_ray.table_settings import TableSettings
from tests.support.build import source_column

NAME = TableName("settlement", "parcels")
LONG_TEXT = source_column("Note", "longtext", octets=2**32 - 1, character_set="utf8mb4")


def named(*names: str) -> list[SourceColumn]:
    return [source_column(name, "int(11)") for name in names]


def describe(columns: list[SourceColumn], /, **settings: object) -> tuple[ColumnContract, ...]:
    return describe_columns(columns, TableSettings.model_validate(settings), Policy())


def treatments(made: tuple[ColumnContract, ...]) -> list[Treatment]:
    return [c.treatment for c in made]


@pytest.mark.parametrize("name", [*sorted(SYSTEM_COLUMNS), "XMIN", "s3rs_rank", "包" * 43, "x" * 128])
def test_a_name_redshift_cannot_have_is_refused_and_can_be_excluded(name: str) -> None:
    (made,) = describe(named(name))
    assert (made.treatment, made.redshift_type) == (Treatment.REFUSED, "")
    with pytest.raises(UnsupportedType) as refused:
        carried_columns(NAME, [made])
    assert f"settlement.parcels cannot be carried: column {name} (int(11)): " in refused.value.message
    assert f"exclude: [{name}]" in refused.value.hint
    assert treatments(describe(named(name), exclude=[name.lower()])) == [Treatment.EXCLUDED]


@pytest.mark.parametrize("name", ["x" * 127, "包" * 42 + "x", "1st", "select", "oid2", "a`b", 'a"b', "Ünï"])
def test_any_other_name_is_carried_as_it_is(name: str) -> None:
    assert [c.name for c in carried_columns(NAME, describe(named(name)))] == [name]


def test_names_that_are_one_in_redshift_are_all_refused_until_all_but_one_are_excluded() -> None:
    made = describe(named("É", "é", "other"))
    assert treatments(made) == [Treatment.REFUSED, Treatment.REFUSED, Treatment.EXACT]
    assert "é in Redshift" in made[0].note
    assert treatments(describe(named("a", "K", "\u212a"), exclude=["K"]))[0] is Treatment.EXACT


def test_every_refused_column_is_named_with_its_reason() -> None:
    with pytest.raises(UnsupportedType) as refused:
        carried_columns(NAME, describe([*named("oid"), source_column("v", "vector(3)")]))
    assert "column oid (int(11)): the name belongs to a system column of Redshift" in refused.value.message
    assert "column v (vector(3))" in refused.value.message
    assert "exclude: [oid, v]" in refused.value.hint


def test_include_leaves_everything_else_out() -> None:
    assert treatments(describe(named("a", "b", "C"), include="A, c")) == [
        Treatment.EXACT,
        Treatment.EXCLUDED,
        Treatment.EXACT,
    ]


def test_a_column_that_may_hold_long_texts_can_be_excluded_by_policy() -> None:
    short = source_column("s", "varchar(9)", characters=9, character_set="utf8mb4")
    assert treatments(describe([LONG_TEXT, short], long_text="exclude")) == [Treatment.EXCLUDED, Treatment.EXACT]
    assert treatments(describe([LONG_TEXT], columns={"note": {"long_text": "exclude"}})) == [Treatment.EXCLUDED]


def test_a_columns_own_policy_wins_over_the_tables_over_the_settings() -> None:
    columns = [LONG_TEXT, source_column("day", "date"), source_column("due", "date")]
    settings = {"long_text": "truncate", "zero_dates": "refuse", "columns": {"DUE": {"zero_dates": None}}}
    note, day, due = carried_columns(
        NAME, describe_columns(columns, TableSettings.model_validate(settings), Policy(nul_bytes=NulBytes.REMOVE))
    )
    assert (note.long_text, note.nul_bytes) == (LongText.TRUNCATE, NulBytes.REMOVE)
    assert (day.zero_dates, due.zero_dates) == (ZeroDates.REFUSE, ZeroDates.NULL)


def test_the_listing_says_what_the_policies_do() -> None:
    made = describe([LONG_TEXT, source_column("day", "date")], long_text="truncate")
    assert [c.note for c in made] == [
        "values over 65,535 bytes are cut; NUL bytes are refused",
        "zero dates become NULL",
    ]


def test_the_listing_says_what_a_reader_must_know_and_why_a_text_has_its_size() -> None:
    old = source_column("g", "varchar(9)", characters=9, character_set="gbk")
    columns = [source_column("t", "time(3)"), source_column("s", "timestamp"), old, source_column("p", "point")]
    made = describe(columns, columns={"g": {"nul_bytes": "remove"}})
    assert [(c.source_type, c.note) for c in made] == [
        ("time(3)", "microseconds"),
        ("timestamp", "in UTC; zero dates become NULL"),
        ("varchar(9) gbk", "NUL bytes are removed; characters that are not in Unicode are refused"),
        ("point", "WKB, EWKB with a reference system; values over 1,024,000 bytes are refused"),
    ]


def test_settings_of_a_column_that_is_not_there_are_a_mistake() -> None:
    settings = TableSettings.model_validate({"exclude": ["ntoe", "A"], "columns": {"b": {}, "c": {}}})
    with pytest.raises(ConfigError, match="columns it does not have: ntoe, c") as refused:
        require_known(NAME, named("a", "b"), settings)
    assert "its columns are a, b" in refused.value.hint
    require_known(NAME, named("ntoe", "a", "b", "c"), settings)


def test_key_and_cursor_columns_cannot_be_excluded() -> None:
    made = describe(named("ID", "update_at", "note"), exclude=["id", "note"])
    with pytest.raises(ConfigError, match="parcels: ID cannot be excluded") as refused:
        require_carried(NAME, made, ("update_at", "ID"))
    assert "exclude" in refused.value.hint
    require_carried(NAME, made, ("update_at",))


def test_no_policy_changes_a_key() -> None:
    columns = carried_columns(NAME, describe([source_column("day", "date"), LONG_TEXT], nul_bytes="remove"))
    day, note = keep_keys(columns, ("day",))
    assert (day.zero_dates, note) == (ZeroDates.REFUSE, columns[1])
    (key,) = keep_keys([columns[1]], ("Note",))
    assert (key.nul_bytes, key.long_text) == (NulBytes.REFUSE, LongText.REFUSE)

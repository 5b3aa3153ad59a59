"""The section ``tables`` of a settings file: what it means for which table, and which mistakes it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.errors import ConfigError
from s3rs_ray.model import TableName
from s3rs_ray.policies import GeometryForm, LongText, Mode, NulBytes, Policy, ZeroDates
from s3rs_ray.table_settings import require_condition

PARCELS = TableName("settlement", "Parcels")

FILE = """
backup: {zero_dates: refuse}
tables:
  Parcels:
    exclude: [Secret]
    zero_dates: null
    columns:
      Note: {long_text: truncate, nul_bytes: remove}
  settlement.*: {exclude: [other], long_text: exclude, include: "a, b"}
  settlement.P*: {geometry: wkt, columns: {x: {zero_dates: refuse}}}
  elsewhere.*: {nul_bytes: remove}
"""


def load(path: Path, text: str, **environment: str) -> Settings:
    path.write_text(text, encoding="utf-8")
    return Settings.load(config_file=path, environment=environment | {"DB_DATABASE": "settlement"})


def test_the_entries_that_match_are_laid_over_each_other_the_own_one_last(tmp_path: Path) -> None:
    made = load(tmp_path / "s.yaml", FILE)
    table = made.table(PARCELS)
    assert table.exclude == ("other", "Secret")
    assert table.include == ("a", "b")
    assert [table.carries(name) for name in ("A", "secret", "OTHER", "c")] == [True, False, False, False]
    assert table.policy("note", made.policy) == Policy(
        zero_dates=ZeroDates.NULL,
        long_text=LongText.TRUNCATE,
        nul_bytes=NulBytes.REMOVE,
        geometry=GeometryForm.WKT,
    )
    assert table.policy("X", made.policy).zero_dates is ZeroDates.REFUSE
    assert table.policy("X", made.policy).long_text is LongText.EXCLUDE
    assert made.own_table(PARCELS).named_columns == ("Secret", "Note")


def test_a_table_has_its_own_cursor_key_target_and_load_columns(tmp_path: Path) -> None:
    text = """
backup: {cursor_column: changed, key_columns: [a, b], load_columns: true}
redshift: {schema: lake}
tables:
  settlement.*: {target_schema: Marts, load_columns: false, mode: append}
  Parcels: {cursor: touched, key: [], target: Packages, load_columns: true, where: " note <> ')' "}
"""
    made = load(tmp_path / "s.yaml", text)
    other, third = TableName("settlement", "other"), TableName("third", "Parcels")
    assert [made.cursor_column(t) for t in (PARCELS, other, third)] == ["touched", "changed", "changed"]
    assert [made.key_columns(t) for t in (PARCELS, other, third)] == [(), ("a", "b"), ("a", "b")]
    assert [made.target(t) for t in (PARCELS, other, third)] == [
        ("Marts", "Packages"),
        ("Marts", "other"),
        ("lake", "Parcels"),
    ]
    assert [made.has_load_columns(t) for t in (PARCELS, other, third)] == [True, False, True]
    assert made.table(PARCELS).where == "note <> ')'"
    assert [made.mode(t) for t in (PARCELS, third)] == [Mode.APPEND, Mode.MERGE]


def test_a_mode_is_a_flag_above_the_tables_own_above_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("tables: {Parcels: {mode: append}}", encoding="utf-8")
    environment = {"DB_DATABASE": "settlement", "BACKUP_MODE": "append"}
    flag = Settings.load(config_file=path, environment=environment, flags={"backup_mode": "merge"})
    assert flag.mode(PARCELS) is Mode.MERGE
    path.write_text("tables: {Parcels: {mode: merge}}", encoding="utf-8")
    own = Settings.load(config_file=path, environment=environment, flags={"backup_mode": None})
    assert [own.mode(t) for t in (PARCELS, TableName("x", "y"))] == [Mode.MERGE, Mode.APPEND]


@pytest.mark.parametrize(
    "where",
    [
        "a = 1",
        "(a = 1 OR b = 2)",
        "note = 'a -- b; # /*'",
        "note = 'it\\'s)'",
        "note = 'it''s('",
        '`odd;"name` = "x\'"',
    ],
)
def test_any_one_condition_is_taken(where: str) -> None:
    assert require_condition(where) == where


@pytest.mark.parametrize(
    "where",
    ["a = 1) OR (1 = 1", "(a = 1", "a = 1)", "a = 1 -- live", "a = 1 # live", "a /* x */ = 1", "a = 1; DROP TABLE t",
     "note = 'a", "note = 'a\\'", "`a = 1"],
)  # fmt: skip
def test_what_would_leave_its_parentheses_is_no_condition(where: str) -> None:
    with pytest.raises(ValueError, match=r"balanced|one condition"):
        require_condition(where)


def test_a_table_that_no_entry_names_has_the_settings_of_all(tmp_path: Path) -> None:
    made = load(tmp_path / "s.yaml", FILE, BACKUP_NUL_BYTES="remove")
    table = made.table(TableName("third", "Parcels"))
    assert table.carries("anything")
    assert table.policy("x", made.policy) == Policy(zero_dates=ZeroDates.REFUSE, nul_bytes=NulBytes.REMOVE)
    assert made.own_table(TableName("third", "Parcels")).named_columns == ()


def test_the_policies_have_defaults_that_change_nothing_in_silence() -> None:
    assert Settings.load(environment={}).policy == Policy()
    assert Policy() == Policy(
        zero_dates=ZeroDates.NULL,
        long_text=LongText.REFUSE,
        nul_bytes=NulBytes.REFUSE,
        geometry=GeometryForm.WKB,
    )


def test_every_policy_can_be_set_for_all_tables_by_a_variable() -> None:
    made = Settings.load(
        environment={
            "BACKUP_ZERO_DATES": "refuse",
            "BACKUP_LONG_TEXT": "truncate",
            "BACKUP_NUL_BYTES": "remove",
            "BACKUP_GEOMETRY": "wkt",
        }
    )
    assert made.policy == Policy(
        zero_dates=ZeroDates.REFUSE,
        long_text=LongText.TRUNCATE,
        nul_bytes=NulBytes.REMOVE,
        geometry=GeometryForm.WKT,
    )


def test_toml_names_tables_too(tmp_path: Path) -> None:
    made = load(tmp_path / "s.toml", "[tables.'settlement.Parcels']\nexclude = ['x']\n")
    assert made.table(PARCELS).exclude == ("x",)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{exclud: [a]}", "Parcels: exclud: no such setting"),
        ("{columns: {note: {exclude: true}}}", "Parcels: columns: note: exclude: no such setting"),
        ("{zero_dates: epoch}", "Parcels: zero_dates: "),
        ("{exclude: {a: 1}}", "Parcels: exclude: "),
        ("just text", "Parcels: "),
        ("{where: 'a = 1) OR (1 = 1'}", "Parcels: where: "),
        ("{diststyle: everywhere}", "Parcels: diststyle: "),
        ("{diststyle: all, distkey: a}", "distkey goes with diststyle key alone"),
    ],
)
def test_a_mistake_in_an_entry_is_named_with_its_place(tmp_path: Path, entry: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "s.yaml", f"tables:\n  Parcels: {entry}\n")
    assert refused.value.message.startswith("TABLES")
    assert said in refused.value.message


def test_a_variable_of_that_name_belongs_to_somebody_else() -> None:
    assert Settings.load(environment={"TABLES": "a,b"}).tables == {}


def test_settings_with_tables_are_shown_hashed_and_compared(tmp_path: Path) -> None:
    made, again = load(tmp_path / "a.yaml", FILE), load(tmp_path / "b.yaml", FILE)
    assert (made, hash(made)) == (again, hash(again))
    assert made.shown()["TABLES"] == {
        "Parcels": {
            "exclude": ["Secret"],
            "zero_dates": "null",
            "columns": {"Note": {"long_text": "truncate", "nul_bytes": "remove"}},
        },
        "settlement.*": {"exclude": ["other"], "long_text": "exclude", "include": ["a", "b"]},
        "settlement.P*": {"geometry": "wkt", "columns": {"x": {"zero_dates": "refuse"}}},
        "elsewhere.*": {"nul_bytes": "remove"},
    }

"""docs/types.md says what the code does: its tables are read here."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import StrEnum
from pathlib import Path

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.policies import Adjusted, GeometryForm, JsonForm, LongText, NulBytes, Policy, ZeroDates
from s3rs_ray.source import types
from s3rs_ray.source.columns import OWN_NAMES, SYSTEM_COLUMNS
from s3rs_ray.source.types import SourceColumn, contract

DOCUMENT = (Path(__file__).parents[3] / "docs" / "types.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+)` ?(\w*) \| `([^`]+)` \| ([a-z ]+?) \|", DOCUMENT, re.MULTILINE)
OCTETS = {"tinytext": 2**8 - 1, "text": 2**16 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
OCTETS |= {"tinyblob": 2**8 - 1, "blob": 2**16 - 1, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1}


def column(column_type: str, character_set: str) -> SourceColumn:
    """A column of a type as the server would tell it."""
    data_type = re.split(r"[( ]", column_type)[0]
    sizes = [int(n) for n in re.findall(r"\d+", column_type)]
    if data_type in {"enum", "set"}:
        words = re.findall(r"'(\w*)'", column_type)
        sizes = [len(",".join(words)) if data_type == "set" else max(map(len, words))]
    return SourceColumn(
        name="c",
        data_type=data_type,
        column_type=column_type,
        nullable=True,
        characters=OCTETS.get(data_type, sizes[0] if sizes else None),
        octets=OCTETS.get(data_type),
        character_set=character_set or None,
        precision=sizes[0] if sizes else None,
        scale=sizes[1] if len(sizes) > 1 else 0,
    )


@pytest.mark.parametrize(("source", "character_set", "redshift", "how"), ROWS)
def test_the_table_says_what_becomes_of_a_type(source: str, character_set: str, redshift: str, how: str) -> None:
    made = contract(column(source, character_set))
    assert (made.redshift_type, made.treatment.value) == (redshift, how)


def test_every_type_is_in_the_table() -> None:
    listed = [column(source, "").data_type for source, *_ in ROWS]
    assert set(listed) == set(types._RULES)
    assert len(ROWS) == DOCUMENT.partition("## Values")[0].count("\n| `")


@pytest.mark.parametrize(
    ("setting", "choices"),
    [
        ("zero_dates", ZeroDates),
        ("long_text", LongText),
        ("nul_bytes", NulBytes),
        ("geometry", GeometryForm),
        ("json_form", JsonForm),
    ],
)
def test_every_choice_is_listed_with_its_variable_and_the_default_first(setting: str, choices: type[StrEnum]) -> None:
    row = re.search(rf"^\| `{setting}` \| `(\w+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert row
    assert row[1].lower() in Settings.model_fields
    listed = re.findall(r"`(\w+)`", row[2])
    assert set(listed) == {choice.value for choice in choices}
    assert listed[0] == getattr(Policy(), setting).value


def test_every_name_that_is_refused_is_listed() -> None:
    names = DOCUMENT.partition("## Names")[2]
    assert set(re.findall(r"`(\w+)`", names)) == SYSTEM_COLUMNS | OWN_NAMES


def test_the_counters_are_named_as_they_are_in_the_result() -> None:
    assert all(f"`{field.name}`" in DOCUMENT for field in fields(Adjusted))


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.+?)```", DOCUMENT, re.DOTALL)
    assert example
    file = tmp_path / "settings.yaml"
    file.write_text(example[1], encoding="utf-8")
    assert set(Settings.load(config_file=file, environment={}).tables) == {"settlement.*", "settlement.parcels"}

"""A bad value for every setting, from the environment, TOML and YAML: all told at once, each with its remedy.

The settings are read off the class itself: one that is new and has no bad value here fails the test.
"""

from __future__ import annotations

import enum
import json
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from s3rs_ray.config import Settings
from s3rs_ray.engine.effective import Effective, Mistake, find_mistakes, read_effective
from s3rs_ray.table_settings import TableSettings
from s3rs_ray.view_settings import ViewSettings

BAD_TEXT = {
    "db_ssl_ca": "/no/such.pem",
    "ssh_bastion_key_path": "/no/such.key",
    "redshift_ssh_bastion_key_path": "/no/such.key",
    "s3_bucket_name": "s3://lake/incremental",
    "s3_endpoint_url": "minio:9000",
    "s3_incremental_path": "/",
    "s3_high_watermark_key": "runs/x",
    "redshift_iam_role": "copy",
    "ray_address": "ray://head:10001",
    "metrics_file": "/no/such/folder/x.prom",
    "openlineage_url": "ftp://marquez",
}
"""Settings of texts that not every text is right for."""
ANY_TEXT = {
    "db_host", "db_user", "db_password", "db_database", "ssh_bastion_host", "ssh_bastion_user",
    "ssh_bastion_key_passphrase", "ssh_known_hosts", "s3_access_key", "s3_secret_key", "s3_session_token", "s3_region",
    "redshift_host", "redshift_user", "redshift_password", "redshift_database", "redshift_schema",
    "redshift_cluster_identifier", "redshift_workgroup", "redshift_region", "redshift_db_groups", "redshift_profile",
    "redshift_access_key", "redshift_secret_key", "redshift_session_token", "redshift_ssh_bastion_host",
    "redshift_ssh_bastion_user", "redshift_ssh_bastion_key_passphrase", "backup_cursor_column", "backup_key_columns",
    "backup_cursor_time_zone", "openlineage_api_key", "openlineage_namespace",
}  # fmt: skip
"""Names, secrets and columns: whether they are right, only the server they lead to can say."""
FIELDS = {name: field for name, field in Settings.model_fields.items() if name != "tables"}


def bad_text(name: str, field: FieldInfo) -> str | None:
    """A value that a variable may not have; None where every text is right."""
    kind = field.annotation
    if kind is int:
        return "many"
    if kind is bool:
        return "maybe"
    if typing.get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return "nonsense"
    return None if name in ANY_TEXT else BAD_TEXT[name]


def bad_value(name: str, field: FieldInfo) -> Any:
    """A value of another type, as files may hold it."""
    return True if field.annotation is int else 1.5 if typing.get_origin(field.annotation) is tuple else [1]


def told(found: Effective, name: str) -> list[Mistake]:
    return [m for m in find_mistakes(found) if m.message.startswith(f"{name.upper()} ")]


def assert_clear(found: Effective, name: str, value: object) -> None:
    [mistake] = told(found, name)
    secret = Settings.model_fields[name].annotation is SecretStr
    assert (str(value).lower() in mistake.message.lower()) != secret, mistake
    assert mistake.hint, mistake


def test_every_setting_of_a_text_is_known_to_take_any_or_has_a_bad_one() -> None:
    texts = {
        n for n, f in FIELDS.items() if f.annotation in (str, SecretStr) or typing.get_origin(f.annotation) is tuple
    }
    assert texts == ANY_TEXT | BAD_TEXT.keys()
    assert not ANY_TEXT & BAD_TEXT.keys()


def test_bad_variables_are_all_told_at_once() -> None:
    bad = {n: text for n, f in FIELDS.items() if (text := bad_text(n, f)) is not None}
    needed = {"SSH_BASTION_HOST": "b", "SSH_BASTION_USER": "u", "REDSHIFT_SSH_BASTION_HOST": "b",
              "REDSHIFT_SSH_BASTION_USER": "u"}  # fmt: skip
    found = read_effective(
        config_file=None, dotenv=None, environment=needed | {n.upper(): text for n, text in bad.items()}
    )
    for name, text in bad.items():
        assert_clear(found, name, "/" if name == "s3_incremental_path" else text)


@pytest.mark.parametrize("name", [n for n, f in FIELDS.items() if any(hasattr(m, "ge") for m in f.metadata)])
def test_numbers_have_their_bounds(name: str) -> None:
    least = next(m.ge for m in FIELDS[name].metadata if hasattr(m, "ge"))
    for value in (least - 1, "1.5", "", 10**30 if any(hasattr(m, "le") for m in FIELDS[name].metadata) else "0x10"):
        found = read_effective(config_file=None, dotenv=None, environment={name.upper(): str(value)})
        if value != "":  # a variable that is empty is not set
            assert_clear(found, name, value)


@pytest.mark.parametrize("form", ["yaml", "toml"])
def test_bad_values_of_a_file_are_all_told_at_once(tmp_path: Path, form: str) -> None:
    bad = {name: bad_value(name, field) for name, field in FIELDS.items()}
    mark = ": " if form == "yaml" else " = "
    file = tmp_path / f"s.{form}"
    file.write_text("".join(f"{name}{mark}{json.dumps(value)}\n" for name, value in bad.items()))
    found = read_effective(config_file=file, dotenv=None, environment={})
    for name, value in bad.items():
        assert_clear(found, name, value)


@pytest.mark.parametrize("form", ["yaml", "toml"])
@pytest.mark.parametrize(
    "name", [*TableSettings.model_fields, *(f"views.{n}" for n in ViewSettings.model_fields), "hue"]
)
def test_bad_values_of_a_single_table_are_told(tmp_path: Path, form: str, name: str) -> None:
    section, _, key = name.rpartition(".")
    file = tmp_path / f"s.{form}"
    if form == "yaml":
        entry = f"{{{key}: {{x: [1]}}}}"
        file.write_text(f"tables:\n  a.b: {f'{{{section}: {entry}}}' if section else entry}\n")
    else:
        file.write_text(f'[tables."a.b"{"." + section if section else ""}]\n{key} = {{x = [1]}}\n')
    found = read_effective(config_file=file, dotenv=None, environment={})
    mistakes = told(found, "tables")
    assert mistakes
    assert all(f"a.b: {name}" in m.message or (section and f"a.b: {section}" in m.message) for m in mistakes), mistakes
    assert all(m.hint for m in mistakes)

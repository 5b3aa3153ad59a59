"""Settings: which layer wins, what is refused, and that no secret is shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from s3rs_ray.config import Settings, layers
from s3rs_ray.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refusal(**given: object) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        Settings.load(**{"environment": {}, **given})  # type: ignore[arg-type]
    return refused.value


def test_a_higher_layer_wins_setting_by_setting(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "db_host: file\ndb_user: file\ndb_database: file\nredshift_user: file\n")
    dotenv = write(tmp_path / ".env", "DB_USER=dotenv\nDB_DATABASE=dotenv\nREDSHIFT_USER=dotenv\n")
    environment = {"DB_DATABASE": "environment", "REDSHIFT_USER": "environment"}
    made = Settings.load(
        config_file=file, dotenv=dotenv, environment=environment, flags={"redshift_user": "flag", "db_host": None}
    )
    assert (made.db_host, made.db_user, made.db_database, made.redshift_user) == (
        "file",
        "dotenv",
        "environment",
        "flag",
    )
    assert made.redshift_port == 5439


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    file = write(tmp_path / "s.toml", "db_host = 'a'")
    dotenv = write(tmp_path / ".env", "DB_USER=b")
    found = layers(
        config_file=file, dotenv=dotenv, environment={"DB_PORT": "1"}, flags={"debug": True, "log_level": None}
    )
    assert found == {
        "db_host": ("a", f"file {file}"),
        "db_user": ("b", ".env"),
        "db_port": ("1", "environment"),
        "debug": (True, "flag"),
    }


def test_an_empty_variable_is_not_given(tmp_path: Path) -> None:
    dotenv = write(tmp_path / ".env", "DB_HOST=\nDB_USER=me\n")
    made = Settings.load(dotenv=dotenv, environment={"DB_PORT": "", "DB_USER": "", "REDSHIFT_SCHEMA": ""})
    assert (made.db_port, made.db_host, made.db_user, made.redshift_schema) == (3306, "", "me", "public")


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    dotenv = write(tmp_path / ".env", "PATH=/x\nDB_FOO=1\n")
    Settings.load(dotenv=dotenv, environment={"HOME": "/root", "DB_NAME": "x"})


def test_a_missing_dotenv_file_is_fine(tmp_path: Path) -> None:
    Settings.load(dotenv=tmp_path / ".env", environment={})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flat.yaml", "DB_HOST: h\ndb_port: 1\nBackup_Key_Columns: [a, b]\n"),
        ("sections.yml", "db: {host: h, port: 1}\nbackup:\n  key_columns: [a, b]\n"),
        ("flat.toml", "DB_HOST = 'h'\ndb_port = 1\nbackup_key_columns = ['a', 'b']\n"),
        ("sections.toml", "[db]\nhost = 'h'\nport = 1\n[backup]\nkey_columns = ['a', 'b']\n"),
        ("deep.yaml", "backup: {key: {columns: 'a , b'}}\ndb: {HOST: h, PORT: '1'}\n"),
    ],
)
def test_a_file_may_be_yaml_or_toml_flat_or_in_sections(tmp_path: Path, name: str, text: str) -> None:
    made = Settings.load(config_file=write(tmp_path / name, text), environment={})
    assert (made.db_host, made.db_port, made.backup_key_columns) == ("h", 1, ("a", "b"))


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    assert Settings.load(config_file=write(tmp_path / "s.yaml", "# nothing\n"), environment={}) == Settings.load(
        environment={}
    )


def test_an_unknown_key_in_a_file_is_refused_with_its_origin(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "db: {hots: h}\nS3_BUKET: b\n")
    message = refusal(config_file=file).message
    assert f"DB_HOTS (file {file}): no such setting" in message
    assert f"S3_BUKET (file {file}): no such setting" in message


def test_every_wrong_value_is_named_at_once_with_value_and_origin(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", "db_port: 70000\n")
    error = refusal(
        config_file=file,
        environment={"BACKUP_BATCH_SIZE": "-1", "DB_SSL_MODE": "maybe"},
        flags={"backup_max_workers": -1},
    )
    lines = error.message.splitlines()
    assert len(lines) == 4
    for start in (
        f"DB_PORT = 70000 (file {file}): ",
        "BACKUP_BATCH_SIZE = '-1' (environment): ",
        "DB_SSL_MODE = 'maybe' (environment): ",
        "BACKUP_MAX_WORKERS = -1 (flag): ",
    ):
        assert any(line.startswith(start) for line in lines)
    assert error.hint
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "DB_PASSWORD: [hunter2]",
        "DB_PASWORD: hunter2",
        "s3: {secret_key: {a: hunter2}}",
        "DB_PASSWORD: @hunter2",
        "DB_PASSWORD: *hunter2",
        "DB_PASSWORD: !hunter2",
        "DB_PASSWORD: hunter2: x",
    ],
)
def test_no_refusal_shows_a_secret_not_even_in_its_traceback(tmp_path: Path, text: str) -> None:
    error = refusal(config_file=write(tmp_path / "s.yaml", text))
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_no_secret_is_in_what_is_shown_or_printed() -> None:
    fields = Settings.model_fields
    secrets = {name.upper(): f"hunter2-{name.upper()}" for name in fields if fields[name].annotation is SecretStr}
    assert {"DB_PASSWORD", "S3_SECRET_KEY", "REDSHIFT_PASSWORD", "REDSHIFT_SESSION_TOKEN"} <= secrets.keys()
    made = Settings.load(environment=secrets)
    assert "hunter2" not in f"{made!r} {made} {made.shown()} {made.model_dump()} {made.model_dump_json()}"
    shown = made.shown()
    assert {shown[name] for name in secrets} == {"********"}
    assert made.db_password.get_secret_value() == "hunter2-DB_PASSWORD"


def test_what_is_shown_names_every_setting_by_its_variable() -> None:
    shown = Settings.load(environment={}).shown()
    assert list(shown) == [name.upper() for name in Settings.model_fields]
    assert shown["DB_PASSWORD"] == ""
    assert shown["DB_PORT"] == 3306


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.yaml", "a: 1\nb: [", "is not valid YAML at line 2, column 5"),
        ("s.yaml", "a: \0", "is not valid YAML"),
        ("s.toml", "a = ", "is not valid TOML"),
        ("s.yaml", "- a\n", "must hold settings by name, not a list"),
        ("s.yaml", "text\n", "must hold settings by name, not a str"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = write(tmp_path / name, text)
    message = refusal(config_file=file).message
    assert str(file) in message
    assert said in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot read the settings file" in refusal(config_file=tmp_path / "none.yaml").message
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert "cannot read the settings file" in refusal(config_file=tmp_path / "bytes.yaml").message


def test_all_missing_settings_are_named_at_once() -> None:
    made = Settings.load(environment={"DB_HOST": "h"})
    with pytest.raises(ConfigError) as refused:
        made.require("DB_HOST", "DB_USER", "DB_PASSWORD", "S3_BUCKET_NAME")
    assert refused.value.message == "missing settings: DB_USER, DB_PASSWORD, S3_BUCKET_NAME"
    made.require("DB_HOST", "DB_PORT")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("BACKUP_KEY_COLUMNS", " a, b ,,", ("a", "b")),
        ("S3_INCREMENTAL_PATH", "/daily/raw", "daily/raw/"),
        ("S3_INCREMENTAL_PATH", "daily/", "daily/"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("DEBUG", "true", True),
        ("REDSHIFT_IAM", "1", True),
        ("DB_PORT", "3307", 3307),
    ],
)
def test_a_variables_text_becomes_the_value_it_means(variable: str, text: str, value: object) -> None:
    assert getattr(Settings.load(environment={variable: text}), variable.lower()) == value


@pytest.mark.parametrize("text", ["/", "//"])
def test_the_files_need_a_prefix_of_their_own(text: str) -> None:
    assert "must name a prefix" in refusal(environment={"S3_INCREMENTAL_PATH": text}).message


def test_the_settings_cannot_be_changed_afterwards() -> None:
    made = Settings.load(environment={})
    with pytest.raises(ValueError, match="frozen"):
        made.db_host = "x"


PROMISED = """
DB_HOST DB_PORT DB_USER DB_PASSWORD DB_DATABASE
SSH_BASTION_HOST SSH_BASTION_USER SSH_BASTION_KEY_PATH SSH_LOCAL_PORT
S3_BUCKET_NAME S3_ACCESS_KEY S3_SECRET_KEY S3_REGION S3_INCREMENTAL_PATH S3_HIGH_WATERMARK_KEY
REDSHIFT_HOST REDSHIFT_PORT REDSHIFT_USER REDSHIFT_PASSWORD REDSHIFT_DATABASE REDSHIFT_SCHEMA
BACKUP_BATCH_SIZE BACKUP_MAX_WORKERS BACKUP_NUM_CHUNKS BACKUP_RETRY_ATTEMPTS BACKUP_TIMEOUT_SECONDS
BACKUP_RETENTION_DAYS LOG_LEVEL DEBUG
"""


def test_the_names_people_have_in_their_environments_are_there() -> None:
    names = set(PROMISED.split())
    assert names <= set(Settings.load(environment={}).shown())


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "from here")
    assert Settings.load().db_host == "from here"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DB_PORT", "many", "give a whole number"),
        ("DB_PORT", "0", "give 1 or more"),
        ("DB_PORT", "70000", "give 65535 or less"),
        ("DEBUG", "perhaps", "give true or false"),
        ("LOG_LEVEL", "loud", "give 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("BACKUP_MODE", "upsert", "give 'merge', 'append' or 'replace'"),
        ("S3_BUCKET_NAME", "s3://lake", "give the bucket's name alone, without s3:// and without a path"),
    ],
)
def test_a_wrong_value_is_told_as_it_was_given_with_what_to_give_instead(variable: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.load(environment={variable: value})
    assert str(refused.value).partition("\n")[0] == f"{variable} = {value!r} (environment): {says}"

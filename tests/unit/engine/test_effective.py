"""``config --validate``: every mistake at once, whatever else is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.effective import Effective, find_mistakes, read_effective

COMPLETE = {
    "DB_HOST": "h", "DB_USER": "u", "DB_PASSWORD": "p", "DB_DATABASE": "d", "S3_BUCKET_NAME": "b",
    "REDSHIFT_HOST": "r", "REDSHIFT_USER": "u", "REDSHIFT_PASSWORD": "p", "REDSHIFT_DATABASE": "d",
}  # fmt: skip


def read(file: Path | None = None, **variables: str) -> Effective:
    return read_effective(config_file=file, dotenv=None, environment=COMPLETE | variables)


def messages(found: Effective, **stages: bool) -> list[str]:
    return [m.message for m in find_mistakes(found, **stages)]


def test_settings_that_are_right_have_no_mistake() -> None:
    assert messages(read()) == []


def test_wrong_values_unknown_names_contradictions_and_gaps_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("db: {hots: x, port: 70000}\ntables: {d.t: {mode: nonsense}}\n")
    found = read(file, BACKUP_MAX_WORKERS="-1", S3_ACCESS_KEY="k", DB_USER="", REDSHIFT_IAM_ROLE="role")
    said = messages(found)
    for start in (
        f"DB_PORT = 70000 (file {file})",
        f"DB_HOTS (file {file}): no such setting",
        "TABLES = 'nonsense'",
        "BACKUP_MAX_WORKERS = '-1' (environment)",
        "one of S3_ACCESS_KEY and S3_SECRET_KEY",
        "DB_USER is missing: extracting needs it",
        "REDSHIFT_IAM_ROLE = 'role' is neither",
    ):
        assert sum(m.startswith(start) for m in said) == 1, (start, said)
    assert len(said) == 7
    assert "did you mean DB_HOST?" in [m.hint for m in found.mistakes]
    assert (found.settings.db_host, found.settings.db_port, found.origins["db_port"]) == ("h", 3306, "default")


def test_a_file_that_cannot_be_read_does_not_hide_the_rest(tmp_path: Path) -> None:
    found = read(tmp_path / "none.yaml", BACKUP_MAX_WORKERS="x")
    assert ["cannot read the settings file" in m or "BACKUP_MAX_WORKERS" in m for m in messages(found)] == [True, True]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"S3_SESSION_TOKEN": "t"}, "S3_SESSION_TOKEN is set without S3_ACCESS_KEY"),
        ({"REDSHIFT_IAM": "true"}, "REDSHIFT_IAM needs one of REDSHIFT_CLUSTER_IDENTIFIER and REDSHIFT_WORKGROUP"),
        ({"REDSHIFT_WORKGROUP": "w"}, "REDSHIFT_WORKGROUP have no effect without REDSHIFT_IAM"),
        ({"BACKUP_BATCH_SIZE": "5", "BACKUP_NUM_CHUNKS": "5"}, "BACKUP_BATCH_SIZE and BACKUP_NUM_CHUNKS both"),
        ({"S3_ENDPOINT_URL": "minio:9000"}, "S3_ENDPOINT_URL = 'minio:9000' is no URL"),
        ({"SSH_BASTION_HOST": "b"}, "SSH_BASTION_USER is missing"),
        ({"SSH_BASTION_USER": "b"}, "SSH_BASTION_USER has no effect without SSH_BASTION_HOST"),
        ({"REDSHIFT_SSH_BASTION_HOST": "b"}, "REDSHIFT_SSH_BASTION_USER is missing"),
        (
            {"SSH_BASTION_HOST": "b", "SSH_BASTION_USER": "u", "SSH_BASTION_KEY_PATH": "/no/such"},
            "SSH_BASTION_KEY_PATH = '/no/such': there is no such file",
        ),
        ({"DB_SSL_CA": __file__}, "DB_SSL_CA is not looked at with DB_SSL_MODE = 'disabled'"),
        ({"S3_INCREMENTAL_PATH": "runs/x"}, "S3_INCREMENTAL_PATH = 'runs/x/' is the place of other objects"),
        ({"S3_INCREMENTAL_PATH": "watermark"}, "S3_INCREMENTAL_PATH = 'watermark/' is the place of other objects"),
        ({"S3_HIGH_WATERMARK_KEY": "incremental/x"}, "S3_HIGH_WATERMARK_KEY = 'incremental/x' lies among"),
    ],
)
def test_a_contradiction_is_named(variables: dict[str, str], said: str) -> None:
    found = messages(read(None, **variables))
    assert [m.startswith(said) for m in found].count(True) == 1, found


@pytest.mark.parametrize("prefix", ["SSH", "REDSHIFT_SSH"])
def test_an_ssh_that_is_missing_is_told_where_it_is_needed(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = {f"{prefix}_BASTION_HOST": "b", f"{prefix}_BASTION_USER": "u", "SSH_TUNNEL_CLIENT": "system"}
    [message] = messages(read(None, **asked))
    assert message.startswith("SSH_TUNNEL_CLIENT is system, but there is no ssh")
    assert not messages(read(None, **asked | {"SSH_TUNNEL_CLIENT": "builtin"}))
    assert not messages(read(SSH_TUNNEL_CLIENT="system"))
    assert not messages(read(None, **asked), extract=prefix != "SSH", load=prefix == "SSH")


def test_every_mistake_of_an_iam_login_is_told() -> None:
    found = messages(read(REDSHIFT_IAM="1", REDSHIFT_SSL_MODE="disable", REDSHIFT_SECRET_KEY="s"))
    assert len(found) == 3


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("d.t: {include: [a], exclude: [A]}", "TABLES: d.t: a is both in include and in exclude"),
        ("d.t: {exclude: [id], key: [id]}", "TABLES: d.t: id is not carried"),
        ("d.t: {include: [id], cursor: updated, sortkeys: [x]}", "TABLES: d.t: updated, x is not carried"),
        ("{d.t: {target: z}, d.u: {target: Z}}", "TABLES: d.t and d.u both go into public.z"),
    ],
)
def test_mistakes_of_single_tables_are_named(tmp_path: Path, entry: str, said: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"tables:\n  {entry}\n")
    found = messages(read(file))
    assert [m.startswith(said) for m in found] == [True], found


@pytest.mark.parametrize(("name", "found"), [("runs.prom", 0), ("runs.txt", 1)])
def test_metrics_that_no_collector_reads_are_a_mistake(tmp_path: Path, name: str, found: int) -> None:
    assert len(messages(read(METRICS_FILE=str(tmp_path / name)))) == found


def test_only_the_stages_that_are_asked_for_must_be_complete() -> None:
    bare = read_effective(config_file=None, dotenv=None, environment={})
    assert len(messages(bare)) == 8
    assert [m.partition(" ")[0] for m in messages(bare, load=False)] == [
        "DB_HOST", "DB_USER", "DB_PASSWORD", "S3_BUCKET_NAME",
    ]  # fmt: skip
    assert len(messages(bare, extract=False)) == 5


def test_a_variable_that_is_nearly_a_setting_is_told_and_others_are_left_alone(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("BACKUP_BATCHSIZE=5\nDB_FOO=1\n")
    found = read_effective(config_file=None, dotenv=dotenv, environment={"S3_BUCKETNAME": "b", "HOME": "/"})
    assert found.warnings == (
        "BACKUP_BATCHSIZE (.env) is no setting; did you mean BACKUP_BATCH_SIZE?",
        "S3_BUCKETNAME (environment) is no setting; did you mean S3_BUCKET_NAME?",
    )


def test_every_setting_has_an_origin(tmp_path: Path) -> None:
    file, dotenv = tmp_path / "s.toml", tmp_path / ".env"
    file.write_text("db_host = 'a'")
    dotenv.write_text("DB_USER=b")
    found = read_effective(config_file=file, dotenv=dotenv, environment={"DB_PORT": "1"}, flags={"debug": True})
    assert set(found.origins) == set(Settings.model_fields)
    shown = {name: origin for name, origin in found.origins.items() if origin != "default"}
    assert shown == {"db_host": f"file {file}", "db_user": ".env", "db_port": "environment", "debug": "flag"}


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("{sortkyes: [a]}", "did you mean sortkeys?"),
        ("{views: {entitiy: a}}", "did you mean entity?"),
        ("{colour: red}", 'the README\'s "Settings of single tables" has every key and its values'),
    ],
)
def test_a_key_of_a_table_that_is_nearly_right_is_asked_for(tmp_path: Path, entry: str, hint: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"tables:\n  shop.t: {entry}\n")
    found = read_effective(config_file=file, dotenv=None, environment={})
    assert hint in [m.hint for m in found.mistakes]

"""Settings kept in AWS Secrets Manager and SSM, looked up over HTTP; and that none is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from s3rs_ray.cli.app import run
from s3rs_ray.config import Settings, references_in
from s3rs_ray.engine.effective import find_mistakes, read_effective
from s3rs_ray.errors import ConfigError
from s3rs_ray.storage.references import References

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "Not-To-Be-Seen"
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """A server that answers as Secrets Manager and SSM do."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(scope="module")
def arn(aws: str) -> str:
    """The secrets; the ARN of the first."""
    keys = {"region_name": REGION, "endpoint_url": aws, "aws_access_key_id": "k", "aws_secret_access_key": "s"}
    session: Any = boto3.session.Session()
    manager, ssm = session.client("secretsmanager", **keys), session.client("ssm", **keys)
    both = json.dumps({"password": SECRET, "port": 3307, "user": "hidden-user", "list": [SECRET], "iam": True})
    made = manager.create_secret(Name="prod/mysql", SecretString=both)
    manager.create_secret(Name="plain", SecretString=SECRET)
    manager.create_secret(Name="binary", SecretBinary=SECRET.encode())
    ssm.put_parameter(Name="/prod/mysql/password", Value=SECRET, Type="SecureString")
    for name, value in {"workers": "6\n", "keys": "id, day", "level": " warning", "debug": "yes\n"}.items():
        ssm.put_parameter(Name=f"/prod/{name}", Value=value, Type="String")
    ssm.put_parameter(Name="/prod/padded", Value=f"{SECRET}\n", Type="SecureString")
    manager.close()
    ssm.close()
    return str(made["ARN"])


@pytest.fixture(autouse=True)
def around(aws: str, arn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", *map(str.upper, Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws,
        "AWS_ENDPOINT_URL_SSM": aws,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("secretsmanager:prod/mysql#password", SECRET),
        ("secretsmanager:prod/mysql#port", "3307"),
        ("secretsmanager:prod/mysql#iam", "true"),
        ("secretsmanager:plain", SECRET),
        ("ssm:/prod/mysql/password", SECRET),
    ],
)
def test_a_reference_leads_to_its_value(reference: str, value: str) -> None:
    assert References(REGION)(reference) == value


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_the_environments(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as refused:
        References("us-west-2")("secretsmanager:plain")
    assert "asked in us-west-2" in refused.value.hint
    monkeypatch.setenv(variable, REGION)
    assert References("us-west-2")("secretsmanager:plain") == SECRET


def test_an_arn_is_a_name_and_tells_its_region(arn: str) -> None:
    assert References("us-west-2")(f"secretsmanager:{arn}#password") == SECRET


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("secretsmanager:nowhere#x", "secretsmanager:nowhere cannot be read: ResourceNotFoundException"),
        ("ssm:/nowhere", "ssm:/nowhere cannot be read: ParameterNotFound"),
        ("secretsmanager:prod/mysql#missing", "no text, number or boolean under this key"),
        ("secretsmanager:prod/mysql#list", "no text, number or boolean under this key"),
        ("secretsmanager:plain#password", "is no JSON object"),
        ("secretsmanager:binary", "is binary"),
        ("secretsmanager:prod/mysql#", "is no reference"),
        ("ssm:/prod/mysql/password#x", "is no reference"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_wrong_setting(reference: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.load(environment={"DB_PASSWORD": reference}, resolve=References(REGION))
    assert says in refused.value.message
    assert refused.value.message.startswith("DB_PASSWORD: ")
    assert refused.value.hint
    assert SECRET not in f"{refused.value.message} {refused.value.hint} {refused.value.__context__!r}"


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="ssm:/prod/mysql/password cannot be read"):
        References(REGION)("ssm:/prod/mysql/password")


def test_settings_show_the_reference_and_hold_the_value() -> None:
    given = {"DB_PASSWORD": "secretsmanager:prod/mysql#password", "DB_USER": "secretsmanager:prod/mysql#user"}
    settings = Settings.load(environment=given, resolve=References(REGION))
    assert (settings.db_password.get_secret_value(), settings.db_user) == (SECRET, "hidden-user")
    shown = settings.shown()
    assert {name: shown[name] for name in given} == given
    changed = settings.model_copy(update={"db_port": 1}).shown()
    assert {name: changed[name] for name in given} == given


def test_without_somebody_to_look_it_up_a_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match="DB_PASSWORD: ssm:x is a reference"):
        Settings.load(environment={"DB_PASSWORD": "ssm:x"})


def test_a_setting_of_any_kind_may_be_kept_elsewhere() -> None:
    given = {
        "DB_PORT": "secretsmanager:prod/mysql#port",
        "REDSHIFT_IAM": "secretsmanager:prod/mysql#iam",
        "BACKUP_MAX_WORKERS": "ssm:/prod/workers",
        "BACKUP_KEY_COLUMNS": "ssm:/prod/keys",
        "LOG_LEVEL": "ssm:/prod/level",
        "DEBUG": "ssm:/prod/debug",
        "DB_PASSWORD": "ssm:/prod/padded",
    }
    settings = Settings.load(environment=given, resolve=References(REGION))
    assert (settings.db_port, settings.redshift_iam, settings.backup_max_workers) == (3307, True, 6)
    assert (settings.backup_key_columns, settings.log_level, settings.debug) == (("id", "day"), "WARNING", True)
    assert settings.db_password.get_secret_value() == f"{SECRET}\n"  # a password's blanks are its own
    shown = settings.shown()
    assert {name: shown[name] for name in given} == given


def test_no_setting_shows_the_value_it_refuses() -> None:
    """Every setting is given the secret: as a number, a choice, a path, an address it is wrong, and never shown."""
    given = {name.upper(): "ssm:/prod/mysql/password" for name in Settings.model_fields if name != "tables"}
    with pytest.raises(ConfigError) as refused:
        Settings.load(environment=given, resolve=References(REGION))
    lines = refused.value.message.splitlines()
    assert "DB_PORT = ssm:/prod/mysql/password (environment): the value kept there is refused: " in lines[0]
    assert len(lines) > 30
    found = read_effective(config_file=None, dotenv=None, environment=given, resolve=References(REGION))
    told = [f"{m.message} {m.hint}" for m in find_mistakes(found)]
    assert len(told) > len(lines)
    assert "REDSHIFT_IAM_ROLE = ssm:/prod/mysql/password is neither an ARN nor `default` " in " ".join(told)
    assert SECRET not in " ".join([*lines, *told, repr(refused.value.__context__), str(found.settings.shown())])


def test_every_reference_that_leads_nowhere_is_told_among_the_other_mistakes(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "DB_HOST": "mysql",
        "DB_USER": "secretsmanager:prod/mysql#user",
        "DB_PASSWORD": "secretsmanager:prod/mysql#pass",
        "DB_PORT": "ssm:/nowhere",
        "S3_SECRET_KEY": "secretsmanager:nowhere",
        "BACKUP_MAX_WORKERS": "ssm:/prod/mysql/password",
        "BACKUP_MAX_TABLES": "0",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    with pytest.raises(SystemExit) as ended:
        run(["config", "--validate", "--backup-only", "-o", "json"])
    out, err = capfd.readouterr()
    document = json.loads(out)
    said = [m["message"] for m in document["mistakes"]]
    assert [m.partition(": ")[0] for m in said] == [
        "DB_PORT (environment)",
        "DB_PASSWORD (environment)",
        "S3_SECRET_KEY (environment)",
        "BACKUP_MAX_WORKERS = ssm:/prod/mysql/password (environment)",
        "BACKUP_MAX_TABLES = '0' (environment)",
        "S3_BUCKET_NAME is missing",
    ]
    assert all(m["hint"] for m in document["mistakes"][:3])
    assert ended.value.code == 2
    assert document["settings"]["DB_USER"] == {"value": given["DB_USER"], "origin": "environment"}
    assert document["settings"]["DB_PORT"] == {"value": given["DB_PORT"], "origin": "environment"}
    assert SECRET not in out + err
    assert "hidden-user" not in out + err


def test_settings_are_shown_without_looking_references_up(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    monkeypatch.setenv("DB_PORT", "ssm:/nowhere")
    with pytest.raises(SystemExit) as ended:
        run(["config", "-o", "json", "--changed"])
    document = json.loads(capfd.readouterr().out)
    assert (ended.value.code, document["settings"]) == (
        0,
        {"DB_PORT": {"value": "ssm:/nowhere", "origin": "environment"}},
    )


def test_where_aws_is_silent_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")
    references = References(REGION)
    with pytest.raises(ConfigError, match="ssm:/a cannot be read: Could not connect"):
        references("ssm:/a")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:2")
    for name in ("/a", "/b"):  # told at once, with the reason of the first
        with pytest.raises(ConfigError, match=f"ssm:{name} cannot be read: .*127.0.0.1:1/"):
            references(f"ssm:{name}")
    assert references("secretsmanager:plain") == SECRET


def test_the_section_of_tables_holds_no_references() -> None:
    assert references_in({"tables": ({"d.t": {"where": "ssm:x"}}, "file"), "no_such": ("ssm:x", "file")}) == {}

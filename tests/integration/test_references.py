"""Settings kept in AWS Secrets Manager and SSM, looked up over HTTP; and that none is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from s3rs_ray.config import Settings
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
    both = json.dumps({"password": SECRET, "port": 3307, "user": "hidden-user", "list": [SECRET]})
    made = manager.create_secret(Name="prod/mysql", SecretString=both)
    manager.create_secret(Name="plain", SecretString=SECRET)
    manager.create_secret(Name="binary", SecretBinary=SECRET.encode())
    ssm.put_parameter(Name="/prod/mysql/password", Value=SECRET, Type="SecureString")
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
        ("secretsmanager:plain", SECRET),
        ("ssm:/prod/mysql/password", SECRET),
    ],
)
def test_a_reference_leads_to_its_value(reference: str, value: str) -> None:
    assert References(REGION)(reference) == value


def test_an_arn_is_a_name_and_tells_its_region(arn: str) -> None:
    assert References("us-west-2")(f"secretsmanager:{arn}#password") == SECRET


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("secretsmanager:nowhere#x", "secretsmanager:nowhere cannot be read: ResourceNotFoundException"),
        ("ssm:/nowhere", "ssm:/nowhere cannot be read: ParameterNotFound"),
        ("secretsmanager:prod/mysql#missing", "no text or number under this key"),
        ("secretsmanager:prod/mysql#list", "no text or number under this key"),
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
    with pytest.raises(ConfigError, match="DB_PASSWORD = ssm:x is a reference"):
        Settings.load(environment={"DB_PASSWORD": "ssm:x"})

"""The product's ways into the warehouse: password or IAM, TLS, a bastion, and what a refusal says."""

from __future__ import annotations

import gc
import hashlib
import logging
import secrets
import socket
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.loading import open_session
from s3rs_ray.errors import ConfigError, WarehouseUnavailable
from tests.integration.local.redshift.conftest import ANALYST, StandIn
from tests.support.aws_api import CLUSTER, WORKGROUP, AwsApi, open_aws_api
from tests.support.bastion import CLIENTS, open_bastion
from tests.support.issuer import open_issuer

pytestmark = pytest.mark.filterwarnings("ignore:ssl:DeprecationWarning")

ASKER = {"REDSHIFT_ACCESS_KEY": "AKIDASKER", "REDSHIFT_SECRET_KEY": "SECRETOFASKER", "REDSHIFT_SESSION_TOKEN": "TOKEN1"}
TO_CLUSTER = {"REDSHIFT_IAM": "true", "REDSHIFT_CLUSTER_IDENTIFIER": CLUSTER, "REDSHIFT_USER": ANALYST, **ASKER}
TO_WORKGROUP = {"REDSHIFT_IAM": "true", "REDSHIFT_WORKGROUP": WORKGROUP, **ASKER}
SERVERLESS_HOST = "analytics.123456789012.eu-central-1.redshift-serverless.amazonaws.com"


@pytest.fixture(autouse=True)
def certified(standin: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stand-in's certificate is trusted; no AWS setting of this machine counts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(standin.certificate))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def aws(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsApi]:
    """AWS's API: a password it grants is known to the stand-in, each for one login more than none."""

    def grant(user: str) -> str:
        password = secrets.token_urlsafe(24)
        secret = hashlib.md5(f"{password}{user}".encode()).hexdigest()
        with psycopg.connect(
            host=standin._backend.socket_dir, port=standin._backend.port, user=standin._backend.user,
            dbname=standin.account.database, autocommit=True,
        ) as admin:  # fmt: skip
            admin.execute(
                "INSERT INTO redshift_standin.passwords VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET secret = excluded.secret",
                (user, secret),
            )
        granted.append(password)
        return password

    granted: list[str] = []
    with open_aws_api(grant) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", api.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", api.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield api


def settings(standin: StandIn, **changes: str) -> Settings:
    account = standin.account
    given = {
        "REDSHIFT_HOST": "localhost",
        "REDSHIFT_PORT": str(standin.port),
        "REDSHIFT_USER": account.user,
        "REDSHIFT_PASSWORD": account.password,
        "REDSHIFT_DATABASE": account.database,
    }
    return Settings.load(environment={name: value for name, value in (given | changes).items() if value})


def who(made: Settings) -> str:
    with open_session(made) as warehouse:
        return str(warehouse.query("SELECT current_user")[0][0])


def refused(made: Settings) -> WarehouseUnavailable:
    """The refusal; no secret of the settings is in it, in its traceback or in the settings as they are shown."""
    with pytest.raises(WarehouseUnavailable) as refusal:
        who(made)
    error = refusal.value
    shown = "".join(traceback.format_exception(error)) + repr(made) + error.hint + str(error.context)
    for secret in (made.redshift_password, made.redshift_secret_key, made.redshift_session_token):
        assert not secret.get_secret_value() or secret.get_secret_value() not in shown
    assert error.exit_code == 1
    return error


def open_sockets() -> set[int]:
    """The descriptors of this process's sockets, collected or not."""
    sockets = [thing for thing in gc.get_objects() if issubclass(type(thing), socket.socket)]
    return {each.fileno() for each in sockets} - {-1}


def test_a_password_over_verified_tls(standin: StandIn) -> None:
    assert who(settings(standin)) == standin.account.user


def test_a_certificate_of_an_unknown_ca_is_refused(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    error = refused(settings(standin))
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert "SSL_CERT_FILE" in error.hint


def test_a_certificate_of_another_name_is_refused_unless_only_the_ca_counts(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", standin.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: here if host == "other" else real(host, *a, **k))
    error = refused(settings(standin, REDSHIFT_HOST="other"))
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert "REDSHIFT_SSL_MODE=verify-ca" in error.hint
    assert who(settings(standin, REDSHIFT_HOST="other", REDSHIFT_SSL_MODE="verify-ca")) == standin.account.user


def test_a_wrong_password_is_one_clear_message(standin: StandIn) -> None:
    error = refused(settings(standin, REDSHIFT_PASSWORD="wrongSecret1"))
    user, port = standin.account.user, standin.port
    assert error.message == (
        f'Redshift at localhost:{port} refused user {user}: password authentication failed for user "{user}"'
    )
    assert error.hint == "check REDSHIFT_USER and REDSHIFT_PASSWORD"


def test_an_unknown_database_is_named(standin: StandIn) -> None:
    error = refused(settings(standin, REDSHIFT_DATABASE="nowhere"))
    assert 'database "nowhere" does not exist' in error.message
    assert error.hint == "check REDSHIFT_DATABASE"


def test_a_host_that_does_not_answer_is_said_in_time(standin: StandIn) -> None:
    assert settings(standin).redshift_connect_timeout_seconds < 10
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        started = time.monotonic()
        error = refused(settings(standin, REDSHIFT_PORT=port, REDSHIFT_CONNECT_TIMEOUT_SECONDS="1"))
        assert time.monotonic() - started < 10
    assert "time out" in error.message
    error = refused(settings(standin, REDSHIFT_PORT="1"))
    assert "cannot reach Redshift at localhost:1: " in error.message
    assert "REDSHIFT_HOST" in error.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"REDSHIFT_PASSWORD": "wrongSecret1"},
        {"REDSHIFT_PASSWORD": "wrongSecret1", "REDSHIFT_SSL_MODE": "disable"},
        {"REDSHIFT_DATABASE": "nowhere"},
        {"REDSHIFT_PORT": "silent", "REDSHIFT_SSL_MODE": "disable", "REDSHIFT_CONNECT_TIMEOUT_SECONDS": "1"},
    ],
    ids=["password", "password-without-tls", "database", "time-limit"],
)
def test_a_login_that_fails_leaves_no_socket_open(standin: StandIn, wrong: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = {"REDSHIFT_PORT": str(silent.getsockname()[1])} if wrong.get("REDSHIFT_PORT") == "silent" else {}
        gc.collect()
        before = open_sockets()
        error = refused(settings(standin, **wrong | port))
        assert open_sockets() == before, error  # while the error and its frames live


def test_a_cluster_grants_a_password_for_every_connection(standin: StandIn, aws: AwsApi) -> None:
    made = settings(standin, REDSHIFT_PASSWORD="", REDSHIFT_DB_GROUPS="loaders,readers", **TO_CLUSTER)
    assert [who(made), who(made)] == [ANALYST, ANALYST]
    assert len(aws.asked) == 2
    asked = aws.asked[0]
    assert (asked["DbUser"], asked["DbName"], asked["AutoCreate"]) == ([ANALYST], [made.redshift_database], ["false"])
    assert sorted(v[0] for k, v in asked.items() if k.startswith("DbGroups")) == ["loaders", "readers"]
    assert "AKIDASKER" in aws.headers[-1]["Authorization"]
    assert aws.headers[-1]["X-Amz-Security-Token"] == "TOKEN1"


def test_a_missing_user_is_created_on_request(standin: StandIn, aws: AwsApi) -> None:
    assert who(settings(standin, REDSHIFT_AUTO_CREATE="true", **TO_CLUSTER)) == ANALYST
    assert aws.asked[0]["AutoCreate"] == ["true"]


def test_a_serverless_workgroup_grants_a_password(standin: StandIn, aws: AwsApi) -> None:
    made = settings(standin, REDSHIFT_USER="", REDSHIFT_PASSWORD="", REDSHIFT_REGION="ap-east-1", **TO_WORKGROUP)
    assert who(made) == ANALYST
    assert aws.asked == [{"dbName": [made.redshift_database], "workgroupName": [WORKGROUP]}]
    assert "/ap-east-1/redshift-serverless/" in aws.headers[-1]["Authorization"]


@pytest.mark.parametrize("source", ["environment", "profile"])
def test_credentials_come_from_the_default_chain_or_a_profile(
    standin: StandIn, aws: AwsApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    named = dict.fromkeys(ASKER, "")
    if source == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDCHAIN")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    else:
        named["REDSHIFT_PROFILE"] = "loads"
        text = "[loads]\naws_access_key_id = AKIDCHAIN\naws_secret_access_key = x\n"
        (tmp_path / "credentials").write_text(text, encoding="utf-8")
    assert who(settings(standin, **(TO_CLUSTER | named))) == ANALYST
    assert "AKIDCHAIN" in aws.headers[-1]["Authorization"]


@pytest.mark.parametrize(
    ("change", "refusal", "message", "hint"),
    [
        ({}, ("AccessDenied", "User u is not authorized"), "AccessDenied: User u is not", "GetClusterCredentials"),
        ({"REDSHIFT_CLUSTER_IDENTIFIER": "gone"}, None, "AWS knows no cluster gone in", "REDSHIFT_CLUSTER_IDENTIFIER"),
        ({}, ("ExpiredToken", "token TOKEN1 is old"), "refused the credentials that ask", "renew them"),
        ({}, ("SignatureDoesNotMatch", "x-amz-security-token:TOKEN1"), ": SignatureDoesNotMatch", "REDSHIFT_SECRET"),
        ({}, ("ClusterPaused", "not now"), "AWS refused a login to cluster warehouse in us-east-1: ClusterPaused", ""),
        (dict.fromkeys(ASKER, "") | {"REDSHIFT_PROFILE": "none"}, None, "there is no AWS profile none", "~/.aws"),
        (dict.fromkeys(ASKER, ""), None, "no AWS credentials to ask for a login", "REDSHIFT_PROFILE"),
    ],
)
def test_what_a_cluster_refuses_is_one_clear_message(
    standin: StandIn, aws: AwsApi, change: dict[str, str], refusal: tuple[str, str] | None, message: str, hint: str
) -> None:
    aws.refusal = refusal
    error = refused(settings(standin, **(TO_CLUSTER | change)))
    assert message in error.message
    assert hint in error.hint
    assert not aws.asked


@pytest.mark.parametrize(
    ("change", "refusal", "message", "hint"),
    [
        ({}, ("AccessDeniedException", "no"), "AccessDeniedException: no", "redshift-serverless:GetCredentials"),
        ({"REDSHIFT_WORKGROUP": "gone"}, None, "AWS knows no workgroup gone in us-east-1", "REDSHIFT_WORKGROUP"),
    ],
)
def test_what_serverless_refuses_is_one_clear_message(
    standin: StandIn, aws: AwsApi, change: dict[str, str], refusal: tuple[str, str] | None, message: str, hint: str
) -> None:
    aws.refusal = refusal
    error = refused(settings(standin, **(TO_WORKGROUP | change)))
    assert message in error.message
    assert hint in error.hint


def test_every_login_asks_for_a_password_of_its_own_with_credentials_that_are_renewed(
    standin: StandIn, aws: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session outlives its password; those that come later, hours into a run, get another."""

    def make(expires: int) -> tuple[str, str, str]:
        return "ASIAASKER", secrets.token_hex(20), f"{expires}-{secrets.token_hex(8)}"

    made = settings(standin, **(TO_WORKGROUP | dict.fromkeys(ASKER, "")))
    with open_issuer(make, lifetime=60) as issuer:
        for name, value in issuer.environment.items():
            monkeypatch.setenv(name, value)
        with open_session(made) as first:
            assert who(made) == ANALYST  # its password took the place of the first one
            assert first.query("SELECT current_user") == [(ANALYST,)]
        tokens = [headers["X-Amz-Security-Token"] for headers in aws.headers]
        assert len(set(tokens)) == 2
        issuer.refuses = True
        error = refused(made)
    assert "could not be had or renewed" in error.message
    assert "renew them" in error.hint


def test_an_api_of_aws_that_does_not_answer_is_named(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", "http://127.0.0.1:1")
    error = refused(settings(standin, **TO_WORKGROUP))
    assert "cannot ask AWS for a login to workgroup analytics in us-east-1: Could not connect" in error.message
    assert "REDSHIFT_REGION" in error.hint


@pytest.mark.parametrize("client", CLIENTS)
def test_through_a_bastion_the_certificate_is_verified_against_the_warehouses_own_name(
    standin: StandIn, tmp_path: Path, client: str
) -> None:
    with open_bastion(tmp_path, standin.port) as bastion:
        bastion.client = client
        through = bastion.settings("REDSHIFT_SSH_BASTION")
        assert who(settings(standin, **through)) == standin.account.user
        assert bastion.asked == [("localhost", standin.port)]
        error = refused(settings(standin, REDSHIFT_HOST="other.internal", **through))
        assert "CERTIFICATE_VERIFY_FAILED" in error.message
        lenient = settings(standin, REDSHIFT_HOST="other.internal", REDSHIFT_SSL_MODE="verify-ca", **through)
        assert who(lenient) == standin.account.user
        plain = settings(standin, REDSHIFT_SSL_MODE="disable", **through)
        assert who(plain) == standin.account.user


def test_an_iam_login_through_a_bastion_asks_for_the_host_it_will_reach(
    standin: StandIn, aws: AwsApi, tmp_path: Path
) -> None:
    with open_bastion(tmp_path, standin.port) as bastion:
        through = bastion.settings("REDSHIFT_SSH_BASTION")
        made = settings(
            standin, REDSHIFT_HOST=SERVERLESS_HOST, REDSHIFT_PORT="5439", REDSHIFT_SSL_MODE="verify-ca",
            **TO_WORKGROUP, **through,
        )  # fmt: skip
        assert who(made) == ANALYST
    assert bastion.asked == [(SERVERLESS_HOST, 5439)]
    assert "/eu-central-1/redshift-serverless/" in aws.headers[-1]["Authorization"]


@pytest.mark.parametrize("client", CLIENTS)
def test_other_clients_share_the_tunnel_by_its_port(standin: StandIn, tmp_path: Path, client: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    account = standin.account
    with open_bastion(tmp_path, standin.port) as bastion:
        bastion.client = client
        through = bastion.settings("REDSHIFT_SSH_BASTION")
        made = settings(standin, REDSHIFT_SSH_LOCAL_PORT=str(port), **through)
        with open_session(made), psycopg.connect(
            host="127.0.0.1", port=port, user=account.user, password=account.password, dbname=account.database,
            sslmode="disable",
        ) as other:  # fmt: skip
            assert other.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_bastion_that_leads_nowhere_or_lets_nobody_in(
    standin: StandIn, tmp_path: Path, client: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_bastion(tmp_path, 1) as bastion, caplog.at_level(logging.WARNING):
        bastion.client = client
        through = bastion.settings("REDSHIFT_SSH_BASTION")
        error = refused(settings(standin, **through))
        assert "cannot reach Redshift at localhost" in error.message
        assert "bastion" in error.hint
        assert "the bastion does not lead on" in caplog.text
        error = refused(settings(standin, **(through | {"REDSHIFT_SSH_BASTION_USER": "stranger"})))
        assert "cannot open a tunnel" in error.message
    assert "Exception occurred" not in capfd.readouterr().err  # socketserver's own words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"REDSHIFT_SSL_MODE": "disable"}, "a temporary password must not travel unencrypted"),
        ({"REDSHIFT_WORKGROUP": "w"}, "both are set"),
        ({"REDSHIFT_CLUSTER_IDENTIFIER": ""}, "none is set"),
        ({"REDSHIFT_PROFILE": "p"}, "REDSHIFT_PROFILE and REDSHIFT_ACCESS_KEY"),
        ({"REDSHIFT_SECRET_KEY": ""}, "missing settings: REDSHIFT_SECRET_KEY"),
        (
            {"REDSHIFT_CLUSTER_IDENTIFIER": "", "REDSHIFT_WORKGROUP": "w", "REDSHIFT_AUTO_CREATE": "true"},
            "do not hold for a Serverless workgroup",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_anything_is_asked(
    standin: StandIn, aws: AwsApi, change: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        who(settings(standin, **(TO_CLUSTER | change)))
    assert error.value.exit_code == 2
    assert not aws.headers

"""The keys COPY reads S3 with: the settings', else those of the AWS default chain, temporary ones never old."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.loading import authorization
from s3rs_ray.errors import ConfigError
from s3rs_ray.storage.s3 import current_keys


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No AWS setting of this machine counts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def settings(**environment: str) -> Settings:
    return Settings.load(environment=environment)


def test_the_role_comes_first_then_the_keys_then_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    chain = "ACCESS_KEY_ID 'CHAIN' SECRET_ACCESS_KEY 's' SESSION_TOKEN 't'"
    assert authorization(settings()) == chain
    keys = {"S3_ACCESS_KEY": "KEYS", "S3_SECRET_KEY": "k"}
    assert authorization(settings(**keys)) == "ACCESS_KEY_ID 'KEYS' SECRET_ACCESS_KEY 'k'"
    token = keys | {"S3_SESSION_TOKEN": "x"}
    assert authorization(settings(**token)) == "ACCESS_KEY_ID 'KEYS' SECRET_ACCESS_KEY 'k' SESSION_TOKEN 'x'"
    assert authorization(settings(**token, REDSHIFT_IAM_ROLE="default")) == "IAM_ROLE default"


@pytest.mark.parametrize(("given", "missing"), [("S3_ACCESS_KEY", "S3_SECRET_KEY"), ("S3_SECRET_KEY", "S3_ACCESS_KEY")])
def test_half_a_pair_is_refused_although_the_chain_has_one(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CHAIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with pytest.raises(ConfigError, match=f"missing settings: {missing}$"):
        current_keys(settings(**{given: "x"}))


def test_without_any_keys_the_ways_are_named() -> None:
    with pytest.raises(ConfigError, match="no role, no S3 keys, no AWS credentials") as refused:
        current_keys(settings())
    assert "REDSHIFT_IAM_ROLE" in refused.value.hint


def test_a_chain_that_fails_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(ConfigError, match=r"has no keys for COPY: .*\(none\) could not be found"):
        current_keys(settings())


def test_temporary_keys_of_the_chain_are_asked_for_again(tmp_path: Path) -> None:
    # A credential process is the one provider of temporary keys that needs no network.
    script = tmp_path / "process.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        "end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'ASIA{number}', 'SecretAccessKey': 's',"
        " 'SessionToken': f't{number}', 'Expiration': end.isoformat()}))\n"
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {json.dumps(sys.executable)} {script}\n")
    made = settings()
    assert [(k.access_key, k.session_token) for k in (current_keys(made), current_keys(made))] == [
        ("ASIA1", "t1"),
        ("ASIA2", "t2"),
    ]


def test_keys_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(current_keys(settings(S3_ACCESS_KEY="A", S3_SECRET_KEY="hunter2", S3_SESSION_TOKEN="hunter3")))
    assert "hunter" not in shown

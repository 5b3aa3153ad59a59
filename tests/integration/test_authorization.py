"""COPY reads S3 as a role, with keys, or with what the AWS default chain holds; no secret shows on the way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

if TYPE_CHECKING:
    from s3rs_ray.local.stack import LocalStack

    from .conftest import World


@pytest.mark.parametrize("way", ["role", "default role", "keys", "keys with a token", "chain"])
def test_every_way_to_read_s3_loads(
    world: World,
    stack: LocalStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL)")
    world.execute("INSERT INTO t VALUES (1, '2026-01-02'), (2, '2026-01-02')")
    account = stack.s3.account
    change: dict[str, object] = {}
    if "role" in way:
        change["redshift_iam_role"] = stack.redshift.account.iam_role if way == "role" else "default"
    elif way == "keys with a token":
        change["s3_session_token"] = SecretStr("token-of-a-session")
    elif way == "chain":
        change |= {"s3_access_key": "", "s3_secret_key": SecretStr("")}
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.secret_key)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-a-session")
    with caplog.at_level(logging.DEBUG, logger="s3rs_ray"):
        result = world.sync_one("t", world.settings.model_copy(update=change))
    assert result.rows_loaded == 2
    for secret in (account.secret_key, "token-of-a-session"):
        assert secret not in caplog.text
        assert secret not in repr(result)

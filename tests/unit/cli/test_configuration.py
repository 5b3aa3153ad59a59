"""``config`` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from s3rs_ray.cli.app import run
from s3rs_ray.config import Settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def outcome(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        run(["config", *arguments])
    return int(str(ended.value.code)), *capfd.readouterr()


def test_each_setting_is_shown_with_its_origin_and_no_secret(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    (tmp_path / ".env").write_text("DB_HOST=mysql\n")
    (tmp_path / "s.yaml").write_text("backup: {max_workers: 3}\ntables: {a.b: {mode: append, key: [x, y]}}\n")
    code, out, err = outcome(capfd, "--config-file", "s.yaml", "--debug", "-o", "json")
    document = orjson.loads(out)
    assert (code, err) == (0, "")
    assert set(document) == {"valid", "settings", "tables", "mistakes", "warnings"}
    shown = document["settings"]
    assert list(shown) == [name.upper() for name in Settings.model_fields if name != "tables"]
    assert shown["DB_PASSWORD"] == {"value": "********", "origin": "environment"}
    assert shown["DB_HOST"] == {"value": "mysql", "origin": ".env"}
    assert shown["BACKUP_MAX_WORKERS"] == {"value": 3, "origin": "file s.yaml"}
    assert shown["DEBUG"] == {"value": True, "origin": "flag"}
    assert document["tables"] == {"a.b": {"mode": "append", "key": ["x", "y"]}}
    _, text, _ = outcome(capfd, "--config-file", "s.yaml", "--changed")
    assert "hunter2" not in out + text
    assert "BACKUP_MAX_WORKERS" in text
    assert "x, y" in text
    assert "DB_PORT" not in text


def test_validation_tells_every_mistake_and_exits_2(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PORT", "x")
    monkeypatch.setenv("S3_ACCESS_KEY", "k")
    code, out, err = outcome(capfd, "--validate", "--backup-only", "-o", "json")
    document = orjson.loads(out)
    assert (code, document["valid"], len(document["mistakes"])) == (2, False, 6)
    assert err.count("error: ") == 6
    assert err.count("settings are read from the environment") == 1  # what is to be done about several is said once
    code, _, err = outcome(capfd)
    assert (code, err.count("error: ")) == (2, 1)


def test_valid_settings_are_said_to_be(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_HOST", "DB_USER", "DB_PASSWORD", "S3_BUCKET_NAME"):
        monkeypatch.setenv(name, "x")
    code, out, err = outcome(capfd, "--validate", "--backup-only")
    assert (code, err) == (0, "")
    assert "the settings are valid" in out

"""No secret is in anything a command writes, and files that others can read are warned of."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.engine.tasks import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World
    from .conftest import Command


def test_no_secret_is_in_anything_a_run_writes(world: World, command: Command, tmp_path: Path) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (1, '2026-01-01')")
    started = dt.datetime.now(dt.UTC).replace(microsecond=0)
    table, told = f"{world.schema}.t", {"METRICS_FILE": str(tmp_path / "m.prom"), "LOG_LEVEL": "DEBUG"}
    told["OPENLINEAGE_URL"] = f"file:{tmp_path}/events"
    outcomes = [
        command("sync", "-t", table, "--dry-run", "--show-sql", **told),
        command("--debug", "sync", "-t", table, "--inline", "--report", "r.html", "--log-file", "log", **told),
        command("--debug", "sync", "-t", table, "--inline", BACKUP_CURSOR_COLUMN="none", **told),
        command("config", **told),
        command("report", "-o", "json", **told),
    ]
    assert [o.code for o in outcomes] == [0, 0, 1, 0, 0]
    written = [o.out + o.err for o in outcomes] + [p.read_text() for p in tmp_path.iterdir()]
    store = open_store(world.settings)
    recent = [o.key for o in store.list("") if o.modified >= started]
    assert any(key.startswith("runs/reports/") for key in recent)
    written += [store.get(key).body.decode("latin-1") for key in recent]
    assert len(written) > 10
    for name in ("DB_PASSWORD", "S3_SECRET_KEY", "REDSHIFT_PASSWORD"):
        secret = world.environment[name]
        assert len(secret) > 6
        assert not [text for text in written if secret in text], name


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
@pytest.mark.parametrize("name", [".env", "s3rs.yaml"])
def test_files_with_secrets_that_everybody_can_read_are_warned_of(
    command: Command, tmp_path: Path, name: str, mode: int, warned: bool
) -> None:
    path = tmp_path / name
    path.write_text("REDSHIFT_SECRET_KEY=x\n" if name == ".env" else "redshift: {secret_key: x}\n")
    path.chmod(mode)
    given = [] if name == ".env" else ["--config-file", str(path)]
    err = command(*given, "report", "--list").err
    assert ("holds REDSHIFT_SECRET_KEY and can be read by everybody" in err) == warned
    assert (f"mode {mode:04o}" in err) == warned


def test_a_file_without_secrets_may_be_read_by_everybody(command: Command, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DB_HOST=x\nREDSHIFT_SECRET_KEY=ssm:/prod/x\n")
    path.chmod(0o644)
    assert "can be read" not in command("report", "--list", REDSHIFT_SECRET_KEY="").err.replace("REDSHIFT_SECRET", "")


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True)])
def test_a_private_key_is_for_its_owner_alone(command: Command, tmp_path: Path, mode: int, warned: bool) -> None:
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(mode)
    err = command("report", "--list", SSH_BASTION_KEY_PATH=str(path)).err
    assert (f"SSH_BASTION_KEY_PATH: {path} can be read by others (mode {mode:04o})" in err) == warned

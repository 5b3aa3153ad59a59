from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local import stack as stacks
from s3rs_ray.local.stack import LocalStack


def test_leftovers_of_dead_owners_are_removed_and_nothing_else(tmp_path: Path) -> None:
    dead, alive, unfinished = (tmp_path / f"s3rs-stack-{name}" for name in ("dead", "alive", "unfinished"))
    kept, other = tmp_path / "s3rs-stack-kept", tmp_path / "other"
    for directory in (dead, alive, unfinished, kept, other):
        (directory / "mariadb").mkdir(parents=True)
    for directory in (dead, alive, other):
        (directory / "temporary-owner").touch()
    (kept / "owner").touch()
    lock = stacks._lock(alive / "temporary-owner")
    assert lock
    with lock:
        stacks._remove_leftovers(tmp_path)
    assert not dead.exists()
    assert all(directory.exists() for directory in (alive, unfinished, kept, other))


def test_a_directory_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    owner = stacks._lock(tmp_path / "owner")
    assert owner
    with owner, pytest.raises(LocalStackError, match="another local stack uses"):
        LocalStack(tmp_path).start()
    assert [path.name for path in tmp_path.iterdir()] == ["owner"]


def test_a_stack_that_was_not_started_leaves_no_trace() -> None:
    stack = LocalStack()
    stack.stop()
    assert not stack.directory.exists()


def test_a_deep_temporary_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / ("x" * 80)))
    assert LocalStack().directory.parent == Path("/tmp")


def test_the_environment_has_the_names_the_users_know() -> None:
    assert set(LocalStack().environment()) == {
        *("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_DATABASE"),
        *("S3_BUCKET_NAME", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_REGION", "S3_ENDPOINT_URL"),
        *("REDSHIFT_HOST", "REDSHIFT_PORT", "REDSHIFT_USER", "REDSHIFT_PASSWORD", "REDSHIFT_DATABASE"),
        *("REDSHIFT_SCHEMA", "REDSHIFT_SSL_MODE"),
    }


def test_each_stack_has_passwords_of_its_own() -> None:
    secret_names = ("DB_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "REDSHIFT_PASSWORD")
    first, second = LocalStack().environment(), LocalStack().environment()
    assert all(first[name] != second[name] for name in secret_names)

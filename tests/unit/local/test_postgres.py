from __future__ import annotations

from pathlib import Path

import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local import postgres
from s3rs_ray.local.postgres import Postgres, find_binaries


def test_a_directory_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with pytest.raises(LocalStackError, match="too long for a Unix socket") as refused:
        Postgres(deep).start()
    assert "TMPDIR" in refused.value.hint
    assert not list(deep.iterdir())


def test_binaries_that_do_not_run_here_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = []
    for name, script in (("broken", "exit 1"), ("old", "echo postgres 9.6"), ("good", "echo 'postgres (PG) 16.1'")):
        directory = tmp_path / name
        directory.mkdir()
        for program in ("postgres", "initdb"):
            (directory / program).write_text(f"#!/bin/sh\n{script}\n")
            (directory / program).chmod(0o755)
        candidates.append(directory)
    monkeypatch.setattr(postgres, "_candidates", lambda: iter(candidates))
    assert find_binaries() == tmp_path / "good"


def test_no_binaries_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_candidates", lambda: iter(()))
    with pytest.raises(LocalStackError) as missing:
        find_binaries()
    assert "s3rs-ray[local]" in missing.value.hint


def test_not_running_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="PostgreSQL is not running"):
        assert Postgres(tmp_path).pid

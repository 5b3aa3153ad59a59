"""Processes that tests start run the tree the tests lie in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import s3rs_ray
from s3rs_ray.engine import driver
from tests.support.program import PROGRAM, TREE, program_environment


def test_a_process_of_the_program_runs_this_tree_wherever_it_is_started(tmp_path: Path) -> None:
    words = [PROGRAM[0], "-c", "import s3rs_ray; print(s3rs_ray.__file__)"]
    done = subprocess.run(
        words, env=program_environment(tmp_path), capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True
    )
    assert done.stdout == f"{Path(TREE) / 's3rs_ray' / '__init__.py'}\n"


def test_a_command_imports_no_driver_that_another_one_needs(tmp_path: Path) -> None:
    told = "import atexit, sys; atexit.register(lambda: print(*sys.modules))"
    said = f"{told}; from s3rs_ray.cli.app import run; run(['config'])"
    done = subprocess.run(
        [PROGRAM[0], "-c", said],
        env=program_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=True,
    )
    modules = done.stdout.splitlines()[-1].split()
    assert "s3rs_ray.cli.configuration" in modules
    assert not {"ray", "polars", "connectorx", "pymysql", "s3rs_ray.cli.sync"} & set(modules)


def test_what_the_package_offers_is_imported_when_it_is_asked_for() -> None:
    assert s3rs_ray.sync is driver.sync
    assert {getattr(s3rs_ray, name).__module__.split(".")[0] for name in set(s3rs_ray.__all__) - {"__version__"}} == {
        "s3rs_ray"
    }
    with pytest.raises(AttributeError, match="no attribute 'synch'"):
        _ = s3rs_ray.synch

"""Processes that tests start run the tree the tests lie in."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.program import PROGRAM, TREE, program_environment


def test_a_process_of_the_program_runs_this_tree_wherever_it_is_started(tmp_path: Path) -> None:
    words = [PROGRAM[0], "-c", "import s3rs_ray; print(s3rs_ray.__file__)"]
    done = subprocess.run(
        words, env=program_environment(tmp_path), capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True
    )
    assert done.stdout == f"{Path(TREE) / 's3rs_ray' / '__init__.py'}\n"

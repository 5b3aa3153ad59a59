"""A directory goes with its process, or with the next one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from s3rs_ray.scratch import OWNER, PREFIX, open_scratch, remove_leftovers

OPENED = "import time, s3rs_ray.scratch as s\nwith s.open_scratch() as d:\n print(d, flush=True); time.sleep(60)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_is_removed_at_the_end(place: Path) -> None:
    with open_scratch() as directory:
        (Path(directory) / "session").mkdir()
        assert list(place.iterdir()) == [Path(directory)]
    assert list(place.iterdir()) == []


def test_that_of_a_killed_process_is_removed_by_the_next_and_a_living_ones_never(place: Path) -> None:
    others = [place / "s3rs-stack-kept", place / f"{PREFIX}unfinished"]
    for other in others:
        other.mkdir()
    (others[0] / OWNER).touch()
    with subprocess.Popen([sys.executable, "-c", OPENED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        try:
            with open_scratch() as own:
                remove_leftovers(place)
                assert set(place.iterdir()) == {theirs, Path(own), *others}
        finally:
            process.kill()
    remove_leftovers(place)
    assert set(place.iterdir()) == set(others)

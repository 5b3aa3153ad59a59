"""``info`` and ``completion``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import orjson
import pytest

from s3rs_ray.cli.app import run
from tests.support.program import PROGRAM, program_environment


def test_info_is_the_same_in_both_forms(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["info"]) == 0
    text = capfd.readouterr().out
    assert run(["info", "-o", "json"]) == 0
    document = orjson.loads(capfd.readouterr().out)
    assert set(document) == {"version", "strategies", "modes", "chunk_orders", "deletes", "policies"}
    for topic in ("strategies", "modes", "chunk_orders", "deletes"):
        assert all(choice["when"] in text for choice in document[topic])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(capfd: pytest.CaptureFixture[str], shell: str) -> None:
    assert run(["completion", shell]) == 0
    assert f"_S3RS_RAY_COMPLETE={shell}_complete" in capfd.readouterr().out


def test_another_shell_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "bash" in capfd.readouterr().err


def test_the_script_asks_the_program_and_is_answered(tmp_path: Path) -> None:
    """What bash's function sends when TAB is pressed behind ``s3rs-ray watermark re``."""
    asked = {
        "_S3RS_RAY_COMPLETE": "bash_complete",
        "COMP_WORDS": "s3rs-ray watermark re",
        "COMP_CWORD": "2",
    }
    answered = subprocess.run(
        PROGRAM, env=program_environment() | asked, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert sorted(answered.stdout.split()) == ["plain,rebuild", "plain,reset"]

"""Names behind ``-t``: which are offered, and that nobody is waited for."""

from __future__ import annotations

import os
import time

import pytest
from click.shell_completion import ShellComplete

from s3rs_ray.cli.app import cli
from s3rs_ray.cli.completion import _names_within, matches


@pytest.mark.parametrize(
    ("incomplete", "offered"),
    [
        ("", ["lake.a-b", "lake.a_b", "other.a", "x.lake"]),
        ("lake.a_", ["lake.a_b"]),
        ("a", ["a-b", "a_b"]),  # of DB_DATABASE by their own names
        ("o", ["other.a"]),
        ("z", []),
    ],
)
def test_names_that_begin_so_are_offered_and_none_that_a_shell_takes_apart(incomplete: str, offered: list[str]) -> None:
    names = ["lake.a_b", "lake.a-b", "other.a", "x.lake", "lake.a b", "lake.$x", "lake.a*", "lake.q'"]
    found = matches(names, incomplete, "lake")
    assert [n for n in found if "." in n or incomplete] == offered


def process(*parts: bytes, hangs: bool = False) -> tuple[int, int]:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        for part in parts:
            os.write(theirs, part)
            time.sleep(0.01)
        if hangs:
            time.sleep(600)
        os._exit(0)
    os.close(theirs)
    return child, ours


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_whole_lines_count_and_a_process_that_hangs_is_ended() -> None:
    quick, slow = process(b"a.b\na.", b"c\n"), process(b"x.y\nx.", hangs=True)
    assert sorted(_names_within(1.0, [quick, slow])) == ["a.b", "a.c", "x.y"]
    for child, _ in (quick, slow):
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)  # nothing is left of it


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_when_all_have_answered_nobody_waits() -> None:
    assert _names_within(600, [process(b"a.b\n"), process()]) == ["a.b"]


@pytest.mark.parametrize("front", ["", "sync", "sync -t a.b", "sync --debug -t a.b --limit 5"])
def test_common_options_are_completed_wherever_they_stand(front: str) -> None:
    def offered(option: str, incomplete: str) -> list[tuple[str, str]]:
        found = ShellComplete(cli, {}, "s3rs-ray", "_S3RS_RAY_COMPLETE").get_completions(
            [*front.split(), option], incomplete
        )
        return [(item.type, item.value) for item in found]

    assert offered("-o", "j") == [("plain", "json")]
    assert offered("--progress", "n") == [("plain", "none")]
    assert offered("--config-file", "s") == [("file", "s")]

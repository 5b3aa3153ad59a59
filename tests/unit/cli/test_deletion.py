"""The bar of a long deletion, on a terminal alone and only where it is long; what was refused, and the exit code."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from s3rs_ray.cli.deletion import LONG, TOLD, deletion_exit_code, deletion_shown, tell_refused
from s3rs_ray.cli.output import Output
from s3rs_ray.cli.session import Session
from s3rs_ray.errors import S3rsError, StorageError, TableBusy


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, *, objects: int, terminal: bool = True, progress: str = "auto") -> str:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    output = Output("text")
    output.errors = Console(file=stream, force_terminal=terminal, width=80)
    session = Session(config_file=None, log_file=None, debug=False, output=output, progress=progress)
    with deletion_shown(session, objects) as tell:
        tell(objects // 2)
        tell(objects)
    return stream.getvalue()


def test_a_long_deletion_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{LONG}/{LONG}" in shown(monkeypatch, objects=LONG)


@pytest.mark.parametrize(
    "asked",
    [{"objects": LONG - 1}, {"objects": LONG, "terminal": False}, {"objects": LONG, "progress": "json"}],
    ids=["short", "no-terminal", "other-progress"],
)
def test_otherwise_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, asked: dict[str, object]) -> None:
    assert shown(monkeypatch, **asked) == ""  # type: ignore[arg-type]


def test_of_many_refusals_the_first_are_named_and_the_rest_counted(capfd: pytest.CaptureFixture[str]) -> None:
    tell_refused({f"k{n}": "InternalError: …" for n in range(TOLD + 7)})
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "error: k0 could not be deleted: InternalError: …"
    assert said[-1] == "error: … and 7 more could not be deleted: -o json names all"
    assert len(said) == TOLD + 1


@pytest.mark.parametrize(
    ("deleted", "failures", "refused", "code"),
    [
        (0, [], [], 0),
        (9, [], [], 0),
        (9, [TableBusy("held")], [], 3),
        (9, [], ["k"], 3),
        (0, [TableBusy("held"), StorageError("silent")], ["k"], TableBusy.exit_code),
        (0, [], ["k", "l"], 1),
    ],
)
def test_the_exit_code_tells_all_from_some_from_none(
    deleted: int, failures: list[S3rsError], refused: list[str], code: int
) -> None:
    assert deletion_exit_code(deleted, failures, refused) == code

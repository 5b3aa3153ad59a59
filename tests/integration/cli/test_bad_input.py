"""A bad value for every option of every command: one clear error with its remedy, the right exit code, nothing written.

The options are read off the commands themselves: one that is new and has no bad value here fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from s3rs_ray.cli.app import cli
from s3rs_ray.engine.tasks import open_store
from tests.test_docs import commands

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command

BASE = {
    "": ["status"],
    "sync": ["-t", "t", "--inline"],
    "backup": ["-t", "t", "--inline"],
    "watermark get": ["-t", "t"],
    "watermark set": ["-t", "t", "--timestamp", "2026-01-01 00:00:00"],
    "watermark reset": ["-t", "t"],
    "watermark rebuild": ["-t", "t"],
    "s3clean clean": ["-t", "t"],
    "s3clean orphans": ["-t", "t"],
    "views show": ["-t", "t"],
    "views apply": ["-t", "t"],
    "inspect": ["-t", "t"],
    "verify": ["-t", "t", "--inline"],
    "repair": ["-t", "t", "--inline"],
}
"""The words without which a command would complain of something else."""

FLAG_VALUE = "x"
NOWHERE = "no/such/folder/file"
BAD: dict[str, tuple[str, int]] = {
    "--config-file": (NOWHERE, 2),
    "--log-file": (NOWHERE, 2),
    "--output": ("xml", 2),
    "--progress": ("loud", 2),
    "--table": ("shop.", 2),
    "--exclude": ("shop.", 2),
    "--strategy": ("parallel", 2),
    "--limit": ("0", 2),
    "--max-workers": ("0", 2),
    "--batch-size": ("many", 2),
    "--mode": ("upsert", 2),
    "--deletes": ("some", 2),
    "--max-delete-percent": ("200", 2),
    "--address": ("nowhere", 2),
    "--report": (NOWHERE, 2),
    "--html": (NOWHERE, 2),
    "--timestamp": ("yesterday", 2),
    "--id": ("first", 2),
    "--older-than": ("7 weeks", 2),
    "--bucket": ("no-such-bucket", 1),
    "--days": ("0", 2),
    "--files": ("0", 2),
    "--rows": ("0", 2),
    "--sample": ("-1", 2),
    "--columns": ("nope", 2),
    "--where": ("nope = 1", 2),
    "--since": ("yesterday", 2),
    "shell": ("tcsh", 2),
    "run": ("1999", 2),
    "--dir": (__file__, 2),
    "--env-file": (NOWHERE, 2),
}
"""By option or argument: a value that is wrong, and the exit code it ends with."""
ANY_TEXT = {"--pattern", "--prefix"}
"""No text is wrong: it is compared with keys, and may match none."""


def long_name(parameter: click.Parameter) -> str:
    """The option as people write it out, or the argument's name."""
    return max(parameter.opts, key=len)


def cases() -> Iterator[tuple[str, str, str, int]]:
    """Command, option, value and exit code; a flag takes no value."""
    for name, command in [("", cli), *commands(cli)]:
        for parameter in command.params:
            option = long_name(parameter)
            if isinstance(parameter, click.Option) and parameter.is_flag:
                if option != "--version":
                    yield name, option, FLAG_VALUE, 2
            else:
                yield (
                    name,
                    option,
                    *(("%;'\"", 0) if option in ANY_TEXT else BAD.get(option, ("no bad value is known", -1))),
                )


@pytest.fixture
def table(world: World) -> None:
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
    world.execute("INSERT INTO t VALUES (1, '2026-01-01')")


def words(name: str, option: str, value: str) -> list[str]:
    """A command line that is right but for one value."""
    base = list(BASE.get(name, []))
    short = {"--table": "-t", "--timestamp": "--timestamp"}.get(option)
    if short in base:
        place = base.index(short)
        del base[place : place + 2]
    if not option.startswith("-"):
        return [*name.split(), *base, value]
    given = [f"{option}={value}"]
    return [*given, *base] if not name else [*name.split(), *base, *given]


def test_a_bad_value_for_every_option_is_told_clearly_and_writes_nothing(
    world: World, command: Command, table: None, tmp_path: Path
) -> None:
    assert command("sync", "-t", "t", "--inline").code == 0
    store = open_store(world.settings)
    wrong = []
    found = {o.key for o in store.list("")}
    for name, option, value, code in cases():
        line = words(name, option, value)
        done = command(*line)
        errors = [each for each in done.err.splitlines() if each.startswith("error: ")]
        hints = [each for each in done.err.splitlines() if each.startswith("hint: ")]
        before, found = found, {o.key for o in store.list("")}
        written = [key for key in found ^ before if not key.startswith("runs/")]
        faults = [
            fault
            for fault, so in {
                f"exit {done.code}, not {code}": done.code != code,
                f"{len(errors)} errors": len(errors) != bool(code),
                "it is not named": bool(code) and (option if value == FLAG_VALUE else value) not in "".join(errors),
                "no remedy": len(hints) != bool(code),
                "a traceback": "Traceback" in done.err + done.out,
                "a fault of the program": "this is a fault of s3rs-ray" in done.err,
                f"wrote {written}": bool(written),
                f"left {list(tmp_path.iterdir())}": bool(list(tmp_path.iterdir())),
            }.items()
            if so
        ]
        if faults:
            wrong.append(f"s3rs-ray {' '.join(line)}: {'; '.join(faults)}\n    {done.err.strip()}")
    assert not wrong, "\n".join(wrong)

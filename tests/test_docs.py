"""The documentation is kept true: every command, setting, exit code and public name is in it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import s3rs_ray
from s3rs_ray.cli.app import cli, hoist
from s3rs_ray.config import Settings
from s3rs_ray.engine.events import EventKind
from s3rs_ray.engine.metrics import COMMAND_METRICS, METRICS
from s3rs_ray.table_settings import TableSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    """Every command with its full name."""
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += commands(command, f"{path}{name} ")
        else:
            found.append((f"{path}{name}", command))
    return found


def setting_row(name: str) -> str:
    """A setting's row in the README's table."""
    field = Settings.model_fields[name]
    default = field.get_default()
    shown = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    if isinstance(shown, tuple):
        shown = ",".join(shown)
    if isinstance(shown, bool):
        shown = str(shown).lower()
    return f"| `{name.upper()}` | {f'`{shown}`' if shown not in ('', None) else ''} | {field.description} |"


@pytest.mark.parametrize("name", [n for n, c in commands(cli) if not c.hidden])
def test_every_command_is_in_the_readme_and_its_help_ends_in_an_example(name: str) -> None:
    command = dict(commands(cli))[name]
    family, _, last = name.partition(" ")
    row = next(line for line in README.splitlines() if line.startswith(f"| `{family}"))
    assert last in row
    assert command.epilog
    assert command.epilog.startswith(f"\b\nExample:  s3rs-ray {name}")


EXAMPLES = sorted(
    {line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("s3rs-ray ")}
    | {quoted for quoted in re.findall(r"`(s3rs-ray [^`]*)`", README) if "…" not in quoted and "|" not in quoted}
    | {str(command.epilog).removeprefix("\b\nExample:  ") for _, command in commands(cli) if command.epilog}
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_command_that_the_program_takes(example: str) -> None:
    words = hoist(shlex.split(example.partition(" > ")[0])[1:])
    command: click.Command = cli
    while isinstance(command, click.Group):
        place = next((i for i, word in enumerate(words) if word in command.commands), None)
        if place is None:  # the group itself, as in `s3rs-ray --help`
            break
        command, words = command.commands[words[place]], words[place + 1 :]
    command.make_context(example, [word for word in words if word != "--help"])


OPTIONS = sorted(
    {
        max(parameter.opts, key=len)
        for _, command in [("", cli), *commands(cli)]
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }
)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o != "--table"])  # which is `-t` everywhere
def test_every_option_is_in_the_readme(option: str) -> None:
    assert re.search(rf"`[^`\n]*{option}(?![\w-])[^`\n]*`", README[: README.index("## Development")])


@pytest.mark.parametrize("name", [*COMMAND_METRICS, *METRICS, *(f"`{kind.value}`" for kind in EventKind)])
def test_every_metric_and_event_is_in_the_readme(name: str) -> None:
    assert name in README


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "tables"])
def test_every_setting_is_in_the_readme_with_its_default(name: str) -> None:
    assert setting_row(name) in README


@pytest.mark.parametrize("name", list(TableSettings.model_fields))
def test_every_setting_of_a_single_table_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README[README.index("### Settings of single tables") :]


def test_public_names_are_exact() -> None:
    assert sorted(s3rs_ray.__all__) == s3rs_ray.__all__
    assert all(hasattr(s3rs_ray, name) for name in s3rs_ray.__all__)


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *extras["local"]]:
        name = requirement.partition(">")[0].partition("=")[0].partition("[")[0]
        assert name in contributing, name


def test_every_test_that_the_list_of_faults_names_is_there() -> None:
    tests = Path(__file__).parent
    listed = set(re.findall(r"\b(test_\w+)(\.py)?", (tests / "faults" / "README.md").read_text(encoding="utf-8")))
    sources = list(tests.rglob("test_*.py"))
    known = {("test_" + path.stem[5:], ".py") for path in sources}
    for path in sources:
        known |= {(name, "") for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert len(listed) > 80
    assert listed <= known, sorted(listed - known)

"""The group of commands, its common options, and the way out: errors, exit codes, tracebacks."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from importlib import import_module
from itertools import islice, pairwise
from pathlib import Path

import click

from ..errors import S3rsError, UsageError
from ..version import __version__
from .output import FORMATS, NobodyReads, Output, complain
from .progress import STYLES
from .session import Session


class Commands(MutableMapping[str, click.Command]):
    """The commands by name; one is imported when it is asked for, since all together take as long as a small sync."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        """
        Args:
            homes: ``module:attribute`` of each command, the module beside this one.
        """
        self._homes = dict(homes)
        self._there: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._there:
            module, _, attribute = self._homes[name].partition(":")
            self._there[name] = getattr(import_module(f".{module}", __package__), attribute)
        return self._there[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._homes[name], self._there[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._homes[name]
        self._there.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


COMMANDS = Commands(
    {
        "backup": "sync:backup_command",
        "clean": "clean:command",
        "completion": "info:completion_command",
        "config": "configuration:command",
        "dashboard": "explore:dashboard_command",
        "demo": "demo:command",
        "explore": "explore:explore_command",
        "info": "info:command",
        "inspect": "inspect:command",
        "local": "demo:local_group",
        "repair": "repair:command",
        "report": "report:command",
        "s3clean": "s3clean:group",
        "status": "status:command",
        "sync": "sync:sync_command",
        "verify": "verify:command",
        "views": "views:group",
        "watermark": "watermark:group",
    }
)


class CommonOptionsAnywhere(click.Group):
    """A group whose own options may stand behind the command, in a run and while a word is completed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            hoisted = hoist(args)
        except click.BadOptionUsage:
            if not ctx.resilient_parsing:
                raise
            hoisted = args[-1:]  # its value is the word that is being completed
        return super().parse_args(ctx, hoisted)


@click.group(
    cls=CommonOptionsAnywhere,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--config-file", type=click.Path(path_type=Path), help="Settings as YAML or TOML.")
@click.option("--log-file", type=click.Path(path_type=Path), help="Write the log there instead of stderr.")
@click.option("--debug", is_flag=True, help="Debug logs, and tracebacks on errors.")
@click.option("-o", "--output", "form", type=click.Choice(FORMATS), default="text", help="Form of results on stdout.")
@click.option("--progress", type=click.Choice(STYLES), default="auto", help="Form of progress on stderr.")
@click.version_option(__version__, prog_name="s3rs-ray")
@click.pass_context
def cli(
    context: click.Context, config_file: Path | None, log_file: Path | None, debug: bool, form: str, progress: str
) -> None:
    """Move very large MySQL tables into Amazon Redshift by way of Parquet on S3.

    Settings come from flags, then the environment and .env, then --config-file.

    \b
    Example:
      s3rs-ray sync -t settlement.settlement_normal_delivery_detail
    """
    context.obj = Session(
        config_file=config_file, log_file=log_file, debug=debug, output=Output(form), progress=progress
    )


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command; returns its exit code. 2 for usage and configuration, 1 for what nobody foresaw."""
    output = Output("json" if _wants_json(arguments) else "text")
    debug = "--debug" in arguments
    try:
        code = cli.main(args=arguments, prog_name="s3rs-ray", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        return 1
    except click.exceptions.NoArgsIsHelpError as exc:
        exc.show(file=sys.stderr)
        return 2
    except click.ClickException as exc:
        context = exc.ctx if isinstance(exc, click.UsageError) else None
        hint = f"`{context.command_path if context else 's3rs-ray'} --help`"
        output.error(UsageError(exc.format_message().replace("\n", " "), hint=hint))
        return 2
    except NobodyReads:
        return 128 + signal.SIGPIPE
    except S3rsError as exc:
        if debug:
            traceback.print_exc(file=sys.stderr)
        with suppress(S3rsError, NobodyReads):  # it may be stdout that takes no document
            output.error(exc)
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as exc:  # noqa: BLE001  the last place: a fault of the program itself
        if debug:
            traceback.print_exc(file=sys.stderr)
        hint = "this is a fault of s3rs-ray; --debug shows where it happened"
        complain(f"{type(exc).__name__}: {exc}", hint)
        if output.json:
            error = {"type": type(exc).__name__, "message": str(exc), "hint": hint, "context": {}}
            output.document({"status": "failed", "error": error})
        return 1


COMMON = {"-o": 1, "--output": 1, "--progress": 1, "--config-file": 1, "--log-file": 1, "--debug": 0}
"""The group's options and how many values each takes."""


def hoist(arguments: list[str]) -> list[str]:
    """Moves the common options to the front, so that they may stand behind the command as well.

    Raises:
        click.BadOptionUsage: the last one has no value: at the front it would take the command for it.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*front, *rest, word, *words]
        name, equals, _ = word.partition("=")
        joined = word.startswith("-o") and len(word) > 2  # -ojson, as click takes it
        if name not in COMMON and not joined:
            rest.append(word)
        elif equals or joined:
            front.append(word)
        else:
            values = list(islice(words, COMMON[name]))
            if len(values) < COMMON[name]:
                raise click.BadOptionUsage(word, f"Option '{word}' requires an argument.")
            front += [word, *values]
    return front + rest


def _wants_json(arguments: list[str]) -> bool:
    named = any(a in {"-o", "--output"} and b == "json" for a, b in pairwise(arguments))
    return named or bool({"--output=json", "-ojson"} & set(arguments))

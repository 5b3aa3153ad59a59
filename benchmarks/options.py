"""Options and words that the benchmarks' command lines share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import click

from s3rs_ray.config import Settings

from .output import RESULTS

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

sets_option = click.option(
    "--set", "sets", multiple=True, metavar="NAME=VALUE", help="A setting of the product; repeats."
)
name_option = click.option("--name", default="", help="Of the result's files.  [default: local-…, which git ignores]")
results_option = click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default=RESULTS, help="Where they go."
)


def rows_option(default: int) -> Decorator:
    return click.option(
        "--rows", type=click.IntRange(min=1), default=default, show_default=True, help="Rows of the table."
    )


def parse_overrides(sets: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as variables of the product; refuses names it does not have."""
    pairs = dict(text.partition("=")[::2] for text in sets)
    unknown = [name for name in pairs if name.lower() not in Settings.model_fields]
    if unknown:
        raise click.UsageError(f"no such setting: {', '.join(unknown)}")
    return pairs


def say(text: str) -> None:
    """Progress, on stderr: stdout is the result's."""
    click.echo(text, err=True)

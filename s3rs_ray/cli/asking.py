"""Questions before something is deleted: asked on the terminal, and an error where nobody can answer."""

from __future__ import annotations

import sys

import click

from ..errors import UsageError


def confirm(question: str, *, force: bool) -> None:
    """Asks for a yes; ``force`` is one.

    Raises:
        UsageError: there is no terminal to ask at, as under cron.
        click.Abort: the answer is no.
    """
    if not force:
        _require_terminal(question)
        click.confirm(question, abort=True, err=True)


def confirm_by_name(question: str, name: str, *, force: bool) -> None:
    """Asks for a name to be typed, for what no reflex should answer."""
    if force:
        return
    _require_terminal(question)
    if click.prompt(question, default="", show_default=False, err=True) != name:
        raise click.Abort


def _require_terminal(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"nobody can be asked: {question}", hint="add --force, or --dry-run to look only")

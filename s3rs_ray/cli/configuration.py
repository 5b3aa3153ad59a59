"""``config``: the effective settings, where each comes from, and what is wrong with them."""

from __future__ import annotations

import sys
from itertools import groupby

import click

from ..engine.effective import DEFAULT, Effective, Mistake, find_mistakes
from .output import Output, complain
from .session import Session


@click.command("config", epilog="\b\nExample:  s3rs-ray config --validate --config-file settings.yaml")
@click.option("--validate", is_flag=True, help="Look for contradictions and gaps, too, and look references up.")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@click.option("--backup-only", is_flag=True, help="With --validate: the settings of MySQL and S3 alone.")
@click.option("--redshift-only", is_flag=True, help="With --validate: the settings of S3 and Redshift alone.")
@click.pass_obj
def command(session: Session, validate: bool, changed: bool, backup_only: bool, redshift_only: bool) -> None:
    """Show the settings, and where each comes from.

    Secrets are masked. Every mistake is told at once; exit 2 when there is one. Nothing is connected to, but for
    --validate, which looks up the settings that are kept in AWS.
    """
    if backup_only and redshift_only:
        raise click.UsageError("--backup-only and --redshift-only exclude each other")
    found = session.effective(resolve=validate)
    mistakes = find_mistakes(found, extract=not redshift_only, load=not backup_only) if validate else found.mistakes
    if session.output.json:
        session.output.document(_json(found, mistakes, changed=changed))
    else:
        _show(session.output, found, changed=changed)
        if validate and not mistakes:
            session.output.sentence("the settings are valid")
    for warning in found.warnings:
        complain(warning, word="warning")
    for hint, alike in groupby(mistakes, key=lambda mistake: mistake.hint):
        for mistake in alike:
            complain(mistake.message)
        complain(hint, word="hint")
    sys.exit(2 if mistakes else 0)


def _rows(found: Effective, *, changed: bool) -> dict[str, tuple[object, str]]:
    """By variable, value and origin."""
    return {
        name: (value, found.origins[name.lower()])
        for name, value in found.settings.shown().items()
        if name != "TABLES" and not (changed and found.origins[name.lower()] == DEFAULT)
    }


def _show(output: Output, found: Effective, *, changed: bool) -> None:
    rows = [(name, _text(value), origin) for name, (value, origin) in _rows(found, changed=changed).items()]
    output.table("settings", ("setting", "value", "from"), rows, fold=1)
    tables = [
        (pattern, key, _text(value))
        for pattern, table in found.settings.tables.items()
        for key, value in table.model_dump(mode="json", exclude_unset=True).items()
    ]
    if tables:
        output.table("settings of single tables", ("table", "setting", "value"), tables, fold=2)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _json(found: Effective, mistakes: tuple[Mistake, ...], *, changed: bool) -> dict[str, object]:
    return {
        "valid": not mistakes,
        "settings": {n: {"value": v, "origin": o} for n, (v, o) in _rows(found, changed=changed).items()},
        "tables": found.settings.shown()["TABLES"],
        "mistakes": [{"message": m.message, "hint": m.hint} for m in mistakes],
        "warnings": list(found.warnings),
    }

"""Tables as words of a command: one name, or globs and what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

from ..config import Settings
from ..errors import TableNotFound
from ..model import GLOB, TableName, matching, meant
from .completion import complete_stored, complete_tables

Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

NAMES = "schema.table or a glob; repeats."


def tables_option(text: str, complete: Complete, *, required: bool = False) -> Callable[[Decorated], Decorated]:
    """``-t``, which may be given often.

    Args:
        text: its help.
        complete: what TAB offers.
    """
    return click.option(
        "-t",
        "--table",
        "tables",
        multiple=True,
        required=required,
        metavar="TABLE",
        shell_complete=complete,
        help=text,
    )


def _exclude_option(complete: Complete) -> Callable[[Decorated], Decorated]:
    return click.option(
        "--exclude", multiple=True, metavar="TABLE", shell_complete=complete, help=f"Leave these out: {NAMES}"
    )


TABLES = tables_option(NAMES, complete_tables, required=True)
EXCLUDE = _exclude_option(complete_tables)


def _one_table(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> str:
    if len(given) > 1:  # click would take the last without a word
        raise click.BadParameter(f"one table is meant here, not {', '.join(given)}")
    return given[0]


STORED_TABLE = click.option(
    "-t",
    "--table",
    required=True,
    multiple=True,
    callback=_one_table,
    metavar="TABLE",
    shell_complete=complete_stored,
    help="schema.table.",
)
STORED_TABLES = tables_option(f"{NAMES} All.", complete_stored)
EXCLUDE_STORED = _exclude_option(complete_stored)


def select_names(
    known: Iterable[TableName], wanted: Sequence[str], exclude: Sequence[str], settings: Settings
) -> list[TableName]:
    """The known tables that names or globs speak of, less those of ``exclude``, in the order of their names.

    Args:
        wanted: empty for all.

    Raises:
        TableNotFound: a word names none of them.
    """
    names = sorted(known, key=str)
    chosen: dict[TableName, None] = {} if wanted else dict.fromkeys(names)
    for pattern in (settings.table_name(text) for text in wanted):
        found = matching(names, pattern)
        if not found:
            raise TableNotFound(
                f"nothing of {pattern} is on S3", hint=f"{meant(names, pattern)}`s3rs-ray explore` shows what is there"
            )
        chosen.update(dict.fromkeys(found))
    excluded: set[TableName] = set()
    for text in exclude:
        found = matching(names, settings.table_name(text))
        if not found and not set(text) & GLOB:  # a glob may find nothing today; a name is a slip of the pen
            raise TableNotFound(
                f"--exclude {text}: nothing of it is on S3", hint="`s3rs-ray explore` shows what is there"
            )
        excluded.update(found)
    return sorted((n for n in chosen if n not in excluded), key=str)


def require_known(name: TableName, *, known: bool) -> None:
    """Raises TableNotFound for a table that S3 holds neither a state nor a file of: a slip of the pen, or a glob."""
    if not known:
        raise TableNotFound(
            f"nothing of {name} is on S3",
            hint="`s3rs-ray explore` shows what is there; here one table is named, and no glob",
        )

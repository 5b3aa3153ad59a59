"""Tables as words of a command: one name, or globs and what they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from ..config import Settings
from ..errors import TableNotFound
from ..model import GLOB, TableName, matching
from .completion import complete_stored

STORED_TABLE = click.option(
    "-t", "--table", required=True, metavar="TABLE", shell_complete=complete_stored, help="schema.table."
)
STORED_TABLES = click.option(
    "-t",
    "--table",
    "tables",
    multiple=True,
    metavar="TABLE",
    shell_complete=complete_stored,
    help="schema.table or a glob; repeats. All.",
)
EXCLUDE_STORED = click.option(
    "--exclude",
    multiple=True,
    metavar="TABLE",
    shell_complete=complete_stored,
    help="Leave these out: schema.table or a glob; repeats.",
)


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
            raise TableNotFound(f"nothing of {pattern} is on S3", hint="`s3rs-ray explore` shows what is there")
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

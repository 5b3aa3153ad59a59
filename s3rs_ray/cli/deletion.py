"""How a long deletion goes on, what of it S3 refused, and the exit code for that."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..engine.cleaning import Progress as Tell
from ..engine.cleaning import quietly
from ..errors import S3rsError
from .output import complain
from .session import Session

LONG = 2000
"""Objects: a deletion of fewer is over before a bar could be read."""
TOLD = 20
"""Objects told one by one; with JSON all are."""


@contextmanager
def deletion_shown(session: Session, objects: int) -> Iterator[Tell]:
    """A bar on the terminal while the block deletes so many objects; elsewhere, and for few, nothing."""
    if session.progress not in ("auto", "rich") or objects < LONG or not sys.stderr.isatty():
        yield quietly
        return
    columns = (TextColumn("deleting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=session.output.errors, transient=True) as bar:
        task = bar.add_task("", total=objects)
        yield lambda done: bar.update(task, completed=done)


def tell_refused(refused: Mapping[str, str]) -> None:
    """Each object that S3 did not delete, with its reason."""
    for key, why in list(refused.items())[:TOLD]:
        complain(f"{key} could not be deleted: {why}")
    if len(refused) > TOLD:
        complain(f"… and {len(refused) - TOLD:,} more could not be deleted: -o json names all")
    if any(why.startswith("AccessDenied") for why in refused.values()):
        complain("the credentials need s3:DeleteObject on them, and no lock may be on them", word="hint")


def deletion_exit_code(deleted: int, failures: Iterable[S3rsError], refused: Collection[str]) -> int:
    """0 where all went, 3 where some of it did; else the first error's own, 1 where S3 refused.

    Args:
        deleted: how many objects went.
        refused: keys of objects that S3 did not delete.
    """
    codes = [*(exc.exit_code for exc in failures), *(1 for _ in refused)]
    if not codes:
        return 0
    return 3 if deleted else codes[0]

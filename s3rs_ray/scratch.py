"""Directories for sockets and the like: removed at the end, or by the next process where this one was killed.

Whoever works in a directory holds a lock on a file in it, which the kernel frees when the process is gone.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "s3r-"
"""Short, because the path of a socket may have 107 bytes, and those of Ray are long."""
OWNER = "owner"


@contextmanager
def open_scratch() -> Iterator[str]:
    """A directory of this process's own, which no other user can enter; those of dead ones are removed first."""
    remove_leftovers(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as directory:
        new = Path(directory) / f"{OWNER}.new"
        with new.open("wb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            new.rename(Path(directory) / OWNER)  # never seen without its lock
            yield directory


def remove_leftovers(place: Path) -> None:
    """Removes the directories whose owner is gone; one without an owner's file is left alone."""
    for file in place.glob(f"{PREFIX}*/{OWNER}"):
        try:
            with file.open("rb") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
        except OSError:  # its owner lives, it is another user's, or another run removes it
            continue

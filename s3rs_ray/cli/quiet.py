"""Keeps the terminal and stdout for the program's own words while Ray works."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

TELLING = (
    (
        re.compile(r"memory pressure|out of memory \(OOM\)|low on memory", re.IGNORECASE),
        "workers were killed for want of memory; their chunks are read again. Lower --max-workers or BACKUP_BATCH_SIZE",
    ),
    (
        re.compile(r"worker died|node .*(dead|died)|raylet .*died", re.IGNORECASE),
        "a worker process died; its chunk is read again (--debug shows what Ray says of it)",
    ),
)
"""What Ray says by many lines on stdout, whatever its log level, and what it means to who runs the command."""
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


@contextmanager
def guarded_stdout() -> Iterator[None]:
    """Makes log lines of what other code writes to stdout while the block runs, a warning of the end of a worker."""
    sys.stdout.flush()
    saved = os.dup(1)
    ours, theirs = os.pipe()
    os.dup2(theirs, 1)
    os.close(theirs)
    reader = threading.Thread(target=_log_lines, args=(ours,), name="stdout", daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
        reader.join(1.0)  # a process that Ray left behind may still hold the other end


def _log_lines(handle: int) -> None:
    with os.fdopen(handle, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            text = _CONTROL.sub("", line).strip()
            if text:
                log.debug("on stdout: %s", text)
            meaning = next((meaning for pattern, meaning in TELLING if pattern.search(text)), None)
            if meaning is not None:
                log.warning("%s", meaning)

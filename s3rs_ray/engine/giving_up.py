"""The end of a comparison that is not carried to its end: what still runs for it on either side is ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ..errors import S3rsError
from ..source import queries as here
from ..warehouse import queries as there
from .context import Run
from .loading import open_session
from .planning import open_source
from .segments import Compared, give_up, is_at_work

log = logging.getLogger(__name__)

MOST_SECONDS, LEAST_SECONDS, MOMENT_SECONDS = 30.0, 1.0, 0.1
"""How long queries are looked for at most and at least, and between two looks."""


def end_comparison(run: Run, compared: Compared) -> None:
    """Ends what is under way: tasks of this process go no further, and queries on both sides are killed."""
    give_up(compared.token)
    with ThreadPoolExecutor(2) as sides:  # neither waits for the other, which may be the one that does not answer
        sides.submit(_end_here, run, compared)
        sides.submit(_end_there, run, compared)


def _end_here(run: Run, compared: Compared) -> None:
    try:
        with open_source(run) as catalog:
            for _ in _moments(compared):
                here.end_queries(catalog, compared.run_id, compared.label, kept=True)
    except S3rsError as exc:  # what ended the comparison is what has to be told
        log.warning("the queries of %s at the source could not be ended: %s", compared.source.table.name, exc)


def _end_there(run: Run, compared: Compared) -> None:
    try:
        with open_session(run.settings) as warehouse:
            for _ in _moments(compared):
                there.end_queries(warehouse, compared.label)
    except S3rsError as exc:
        log.warning("the queries of %s in Redshift could not be ended: %s", compared.source.table.name, exc)


def _moments(compared: Compared) -> Iterator[None]:
    """Times to look for queries: a task of this process, or one that Ray is ending, may just be about to ask."""
    began = time.monotonic()
    while True:
        yield
        passed = time.monotonic() - began
        if passed >= MOST_SECONDS or (passed >= LEAST_SECONDS and not is_at_work(compared.token)):
            return
        time.sleep(MOMENT_SECONDS)

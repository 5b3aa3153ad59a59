"""Files that leave the state for a page and come back; pure.

Every commit writes the state whole, so it must not grow with the table: ten billion rows are ten thousands of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model import DataFile, Watermark
from .changes import PageIn, PageOut
from .requirements import open_run, require
from .state import Page, TableState


def page_out(state: TableState, change: PageOut) -> TableState:
    """The first chunks of the open run leave; raises LedgerError when the state does not allow it."""
    run = open_run(state, change.run_id)
    require(0 < change.count < len(run.chunks), state, "a chunk has to be left, behind which the next is cut")
    by_ordinal = {f.ordinal: f for f in run.files}
    leaving = run.chunks[: change.count]
    require(all(c.ordinal in by_ordinal for c in leaving), state, "a chunk has no file yet")
    files = [by_ordinal[c.ordinal] for c in leaving]
    loaded = min(run.consumed, change.count)
    keep = max(change.keep, len(state.sealed.keys) if state.sealed else 0)
    kept = loaded + (0 if state.next_page else max(0, keep - len(state.backlog)))
    rest = files[kept:]
    page = Page(
        key=change.key,
        digest=change.digest,
        run_id=run.run_id,
        skip=kept,
        files=len(rest),
        rows=sum(f.rows for f in rest),
        bytes=sum(f.bytes for f in rest),
        reached=last_reached(rest),
    )
    first = run.first + change.count
    return replace(
        state,
        run=replace(
            run,
            chunks=run.chunks[change.count :],
            files=tuple(f for f in run.files if f.ordinal >= first),
            consumed=run.consumed - loaded,
            first=first,
            paged_rows=run.paged_rows + sum(c.rows for c in leaving),
            reached=files[-1].reaches,
        ),
        backlog=(*state.backlog, *files[loaded:kept], *((page,) if rest else ())),
    )


def last_reached(files: Sequence[DataFile]) -> Watermark | None:
    """The last watermark that one of the files reaches."""
    return next((f.reaches for f in reversed(files) if f.reaches is not None), None)


def page_in(state: TableState, change: PageIn) -> TableState:
    """The files of the first page come back; raises LedgerError when they are not those."""
    page, files = change.page, change.files
    require(state.next_page == page, state, f"{page.key} is not the next page")
    told = (len(files), sum(f.rows for f in files), sum(f.bytes for f in files))
    require(told == (page.files, page.rows, page.bytes), state, f"{page.key} holds other files")
    at = state.backlog.index(page)
    return replace(state, backlog=(*state.backlog[:at], *files, *state.backlog[at + 1 :]))

"""What stays of a run when it has left the state: its plan and files, in objects of their own.

With them the state does not grow with every file ever written, and what lies on S3 can be told from what nobody owns.
A long run leaves the state a page at a time; its record, written when it ends, holds what is left by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from ..errors import IntegrityError, LedgerError, PreconditionFailed
from ..ledger.document import format_files, format_run, parse_files, parse_run
from ..ledger.paging import last_reached
from ..ledger.state import OpenRun, Page, TableState
from ..model import DataFile, TableName
from ..storage.layout import RUN_PREFIX, format_run_key, format_table
from ..storage.s3 import ObjectStore
from .side_by_side import side_by_side

RECORD = "files.json"
PAGE_FILES = 256
"""Chunks of a page. A file takes some 0.9 KB of the state, which every commit writes whole."""


def write_record(store: ObjectStore, table: TableName, run: OpenRun) -> None:
    """Keeps a run that ends; a second call, after a crash in between, finds the first one's."""
    try:
        store.put_new(format_run_key(table, run.run_id, RECORD), orjson.dumps(format_run(run)))
    except PreconditionFailed:
        return


def keep_document(store: ObjectStore, table: TableName, run_id: str, name: str, document: Mapping[str, object]) -> None:
    """Keeps what a command found or did on one table, as JSON."""
    body = orjson.dumps({"table": str(table), **document}, option=orjson.OPT_INDENT_2)
    store.put_new(format_run_key(table, run_id, name), body)


def read_records(store: ObjectStore, table: TableName) -> Iterator[OpenRun]:
    """The runs of a table that have ended, oldest first, whole."""
    keys = (o.key for o in store.list(f"{RUN_PREFIX}{format_table(table)}/") if o.key.endswith(f"/{RECORD}"))
    yield from side_by_side(lambda key: _read_whole(store, table, _parse(store.get(key).body, key)), keys)


def next_page(run: OpenRun) -> OpenRun | None:
    """The part of an open run that may leave the state: its first chunks, when a page of them have files.

    The last chunk that is planned stays, because the next one is cut behind it.
    """
    if len(run.chunks) <= PAGE_FILES:
        return None
    by_ordinal = {f.ordinal: f for f in run.files}
    chunks = run.chunks[:PAGE_FILES]
    files = tuple(by_ordinal[c.ordinal] for c in chunks if c.ordinal in by_ordinal)
    if len(files) < PAGE_FILES:
        return None
    return replace(run, chunks=chunks, files=files, consumed=0, paged_rows=0, reached=None, planned=False)


def write_page(store: ObjectStore, table: TableName, page: OpenRun) -> tuple[str, str]:
    """Keeps a part of an open run; returns key and digest. A second call finds the first one's object.

    Raises:
        IntegrityError: the object is there and says something else.
    """
    return _put(store, format_run_key(table, page.run_id, _page_name(page.first)), orjson.dumps(format_run(page)))


def page_files(
    store: ObjectStore, table: TableName, files: Sequence[DataFile], keep: int
) -> tuple[DataFile | Page, ...]:
    """A long row of files as a backlog may hold it: the first ``keep`` as they are, the others on pages."""
    starts = range(keep, len(files), PAGE_FILES)
    return (*files[:keep], *(_page(store, table, files[start : start + PAGE_FILES]) for start in starts))


def _page(store: ObjectStore, table: TableName, files: Sequence[DataFile]) -> Page:
    body = orjson.dumps(format_files(files))
    name = f"adopted-{hashlib.sha256(body).hexdigest()[:12]}.json"
    key, digest = _put(store, format_run_key(table, files[0].run_id, name), body)
    runs = {f.run_id for f in files}
    return Page(
        key=key,
        digest=digest,
        run_id=runs.pop() if len(runs) == 1 else "",
        skip=0,
        files=len(files),
        rows=sum(f.rows for f in files),
        bytes=sum(f.bytes for f in files),
        reached=last_reached(files),
    )


def read_page(store: ObjectStore, page: Page) -> tuple[DataFile, ...]:
    """The files of a page that wait.

    Raises:
        IntegrityError: the object is not the one that was written.
    """
    body = store.get(page.key).body
    if hashlib.sha256(body).hexdigest() != page.digest:
        raise IntegrityError(
            f"{page.key} is not what was written", hint="restore the object from the bucket's versions"
        )
    return parse_files(orjson.loads(body))[page.skip :]


def waiting_files(store: ObjectStore, state: TableState) -> Iterator[DataFile]:
    """Every file that may be loaded without leaving a gap, in order."""
    for item in state.backlog:
        if isinstance(item, Page):
            yield from read_page(store, item)
        else:
            yield item
    yield from state.run.ready if state.run else ()


def _put(store: ObjectStore, key: str, body: bytes) -> tuple[str, str]:
    try:
        store.put_new(key, body)
    except PreconditionFailed:  # an earlier try wrote it
        if store.get(key).body != body:
            raise IntegrityError(f"{key} is there and says something else") from None
    return key, hashlib.sha256(body).hexdigest()


def _page_name(first: int) -> str:
    return f"files-{first:06d}.json"


def _read_whole(store: ObjectStore, table: TableName, run: OpenRun) -> OpenRun:
    """A run with what is on its pages: each says where the next begins."""
    parts: list[OpenRun] = []
    while (first := parts[-1].chunk_count if parts else 0) < run.first:
        key = format_run_key(table, run.run_id, _page_name(first))
        parts.append(_parse(store.get(key).body, key))
    return replace(
        run,
        chunks=tuple(chunk for part in (*parts, run) for chunk in part.chunks),
        files=tuple(file for part in (*parts, run) for file in part.files),
        first=0,
        paged_rows=0,
        reached=None,
    )


def _parse(body: bytes, key: str) -> OpenRun:
    try:
        return parse_run(orjson.loads(body))
    except (KeyError, TypeError, ValueError) as exc:
        raise LedgerError(
            f"{key} is not the record of a run: {exc!r}", hint="restore the object from the bucket's versions"
        ) from exc

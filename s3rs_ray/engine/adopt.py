"""Files on S3 that the state does not know: how a warehouse is loaded from the backup alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ..errors import IntegrityError
from ..ledger.changes import Adopt
from ..ledger.document import cursor_text
from ..ledger.state import MANUAL, OpenRun, TableState
from ..model import DataFile, TableName, Watermark
from ..policies import Mode
from ..positions import Position, is_reached
from ..storage.layout import parse_data_key, table_prefix
from ..storage.s3 import ObjectStore
from .context import Hold
from .records import PAGE_FILES, page_files, read_records
from .tasks import WrittenFile, describe_file

RESTORE = "restore the missing files, or run `sync` without --redshift-only to extract the table anew"


def may_adopt(state: TableState) -> bool:
    """A table that starts anew, or from a watermark set by hand, takes its files from what lies on S3."""
    anew = state.extracted == Watermark.START and not state.rows_loaded
    by_hand = state.backup_strategy == MANUAL and state.extracted == state.loaded
    idle = state.run is None and state.refresh is None and state.sealed is None and not state.backlog
    return idle and (anew or by_hand)


def adopt_files(hold: Hold, state: TableState) -> TableState:
    """Takes every file behind the watermark into the backlog; of a table that is replaced, the newest full refresh.

    Raises:
        IntegrityError: a stretch of the update order is on S3 no more, so that loading would lose its rows.
    """
    store, prefix = hold.run.store, hold.run.settings.s3_incremental_path
    written, recorded = written_files(store, prefix, hold.table), tuple(read_records(store, hold.table))
    if hold.run.settings.mode(hold.table) is Mode.REPLACE:
        files = newest_refresh(written, recorded)
        return _adopt(hold, files, files[0].run_id) if files else state
    files = gapless(written, state.loaded, recorded)
    return _adopt(hold, files) if files else state


def _adopt(hold: Hold, files: Sequence[DataFile], refresh: str = "") -> TableState:
    keep = max(PAGE_FILES, hold.run.settings.backup_files_per_load)
    return hold.commit(Adopt(files=page_files(hold.run.store, hold.table, files, keep), refresh=refresh))


def newest_refresh(written: list[WrittenFile], recorded: Sequence[OpenRun] = ()) -> list[DataFile]:
    """The files of the newest run that read the whole table to its end, in order; empty when there is none.

    Raises:
        IntegrityError: files of a newer one were deleted, so that an older table would take its place.
    """
    ordered = sorted((w for w in written if w.whole), key=lambda w: (w.file.run_id, w.file.ordinal))
    runs = [[w.file for w in group] for _, group in groupby(ordered, key=lambda w: w.file.run_id)]
    complete = [r for r in runs if r[-1].reaches is not None and [f.ordinal for f in r] == list(range(len(r)))]
    chosen = complete[-1] if complete else []
    newest = max((r for r in recorded if r.window.whole and r.complete), key=lambda r: r.run_id, default=None)
    if newest is not None and newest.run_id > (chosen[0].run_id if chosen else ""):
        present = {w.file.key for w in written}
        gone = [(f, newest.run_id) for f in newest.files if f.key not in present]
        raise IntegrityError(f"{_gone_text(gone)}: nothing newer can be loaded", hint=RESTORE)
    return chosen


def written_files(store: ObjectStore, prefix: str, table: TableName) -> list[WrittenFile]:
    """Every data file of a table that lies on S3."""
    keys = [o.key for o in store.list(table_prefix(prefix, table)) if parse_data_key(prefix, o.key)]
    return [describe_file(store, store.head(key)) for key in keys]


def gapless(written: list[WrittenFile], start: Watermark, recorded: Sequence[OpenRun] = ()) -> list[DataFile]:
    """The files that carry the watermark on from ``start`` without a gap, in the order to load them.

    Runs follow each other: each starts where one before it ended, or further back when the watermark had been
    moved. One that went further back under another contract is taken from there, because it was to carry columns that
    the files before it lack; not of a table without a key, whose rows may not come twice. Of a run that was not
    finished, only the first files without a hole among them count. Rows whose cursor is NULL, and those of a repair,
    belong to no place in the order: they are taken of every run that ends at the position or behind it.

    Args:
        recorded: the runs that have ended, with their files; one of theirs that is not written was deleted.

    Raises:
        IntegrityError: a stretch of the update order is missing.
    """
    position = start.position
    chosen: list[DataFile] = []
    lost = _Lost(written, recorded)
    ordered = sorted(written, key=lambda w: (w.file.run_id, w.file.ordinal))
    for run_id, group in groupby(ordered, key=lambda w: w.file.run_id):
        members = list(group)
        files = lost.without_holes(run_id, [w.file for w in members], position)
        reached = next((f.reaches.position for f in reversed(files) if f.reaches is not None), None)
        if reached is None:
            continue
        beyond = not is_reached(reached, position)
        not_older = beyond or is_reached(position, reached)
        placeless = [f for f in files if _placeless(f) and not_older]
        placed = [f for f in chosen if not f.mends]
        carries = not files[0].mends and bool(placed) and files[0].fingerprint != placed[-1].fingerprint
        anew = carries and len(reached) > 1
        if not (beyond or placeless or anew):
            continue
        _require_joined(run_id, members[0].window_after, position, lost)
        if beyond or anew:
            behind = start.position if anew else position
            if anew:
                lost.require_run(run_id, behind)
            rows = (f for f in files if not _placeless(f))
            chosen += [f for f in rows if f.reaches is None or not is_reached(f.reaches.position, behind)]
        chosen += placeless
        position = reached if beyond else position
    lost.require_reached(position)
    return chosen


def _placeless(file: DataFile) -> bool:
    return file.null_horizon is not None or file.mends


class _Lost:
    """The files that ended runs wrote and that are on S3 no more."""

    def __init__(self, written: Iterable[WrittenFile], recorded: Iterable[OpenRun]) -> None:
        present = {w.file.key for w in written}
        self._files: dict[str, list[tuple[DataFile, tuple[Position, ...]]]] = {}
        for run in recorded:
            ends: tuple[
                Position, ...
            ] = ()  # a file is done with itself or any behind it: ranges of the key with the last
            for file in sorted(run.files, key=lambda f: f.ordinal, reverse=True):
                ends = ends if file.reaches is None else (*ends, file.reaches.position)
                if file.key not in present and ends:
                    self._files.setdefault(run.run_id, []).insert(0, (file, ends))

    def without_holes(self, run_id: str, files: Sequence[DataFile], position: Position) -> list[DataFile]:
        """The first files of a run up to a hole; what was deleted behind the position leaves none."""
        gone = {file.ordinal for file, ends in self._files.get(run_id, ()) if _passed(ends, position)}
        found, expected = [], 0
        for file in files:
            while expected in gone:
                expected += 1
            if file.ordinal != expected:
                break
            found.append(file)
            expected += 1
        return found

    def beyond(self, position: Position) -> list[tuple[DataFile, str]]:
        """Those whose rows a watermark has not passed, with their run."""
        return [(f, run) for run, files in self._files.items() for f, ends in files if not _passed(ends, position)]

    def require_run(self, run_id: str, start: Position) -> None:
        """Raises IntegrityError when a run that is taken from ``start`` lacks a file behind it."""
        gone = [(f, run) for f, run in self.beyond(start) if run == run_id]
        if gone:
            raise IntegrityError(f"{_gone_text(gone)}, and the others of it carry new columns", hint=RESTORE)

    def require_reached(self, position: Position) -> None:
        """Raises IntegrityError when rows that were extracted lie in deleted files alone."""
        gone = self.beyond(position)
        if gone:
            raise IntegrityError(f"{_gone_text(gone)}, and no other run carried their rows", hint=RESTORE)


def _passed(ends: Iterable[Position], position: Position) -> bool:
    try:
        return any(is_reached(end, position) for end in ends)
    except TypeError:  # a run that followed another column: no watermark of this one speaks of its files
        return True


def _gone_text(gone: Sequence[tuple[DataFile, str]]) -> str:
    rows = sum(f.rows for f, _ in gone)
    runs = ", ".join(dict.fromkeys(run for _, run in gone))
    return f"on S3 no more are {len(gone)} of the files of run {runs}, with {rows:,} rows, the first {gone[0][0].key}"


def _require_joined(run_id: str, after: Position, position: Position, lost: _Lost) -> None:
    if not is_reached(after, position):
        begin = cursor_text(Watermark(position=position)) or "the beginning"
        gone = lost.beyond(position)
        raise IntegrityError(
            f"the files on S3 leave a gap: run {run_id} starts behind {cursor_text(Watermark(position=after))},"
            f" and nothing on S3 leads there from {begin}" + (f"; {_gone_text(gone)}" if gone else ""),
            hint=RESTORE,
        )

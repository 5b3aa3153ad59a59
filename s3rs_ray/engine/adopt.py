"""Files on S3 that the state does not know: how a warehouse is loaded from the backup alone."""

from __future__ import annotations

from itertools import groupby

from ..errors import IntegrityError
from ..ledger.changes import Adopt
from ..ledger.document import cursor_text
from ..ledger.state import MANUAL, TableState
from ..model import DataFile, Mode, Position, TableName, Watermark, is_reached
from ..storage.layout import parse_data_key, table_prefix
from ..storage.s3 import ObjectStore
from .context import Hold
from .tasks import WrittenFile, describe_file


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
    prefix = hold.run.settings.s3_incremental_path
    written = written_files(hold.run.store, prefix, hold.table)
    if hold.run.settings.mode(hold.table) is Mode.REPLACE:
        files = newest_refresh(written)
        return hold.commit(Adopt(files=tuple(files), refresh=files[0].run_id)) if files else state
    files = gapless(written, state.loaded)
    return hold.commit(Adopt(files=tuple(files))) if files else state


def newest_refresh(written: list[WrittenFile]) -> list[DataFile]:
    """The files of the newest run that read the whole table to its end, in order; empty when there is none."""
    ordered = sorted((w for w in written if w.whole), key=lambda w: (w.file.run_id, w.file.ordinal))
    runs = [[w.file for w in group] for _, group in groupby(ordered, key=lambda w: w.file.run_id)]
    complete = [r for r in runs if r[-1].reaches is not None and [f.ordinal for f in r] == list(range(len(r)))]
    return complete[-1] if complete else []


def written_files(store: ObjectStore, prefix: str, table: TableName) -> list[WrittenFile]:
    """Every data file of a table that lies on S3."""
    keys = [o.key for o in store.list(table_prefix(prefix, table)) if parse_data_key(prefix, o.key)]
    return [describe_file(store, store.head(key)) for key in keys]


def gapless(written: list[WrittenFile], start: Watermark) -> list[DataFile]:
    """The files that carry the watermark on from ``start`` without a gap, in the order to load them.

    Runs follow each other: each starts where one before it ended, or further back when the watermark had been
    moved. One that went further back under another contract is taken from there, because it was to carry columns that
    the files before it lack; not of a table without a key, whose rows may not come twice. Of a run that was not
    finished, only the first files without a hole among them count. Rows whose cursor is NULL belong to no place in the
    order: they are taken of every run that ends at the position or behind it.
    """
    position = start.position
    chosen: list[DataFile] = []
    ordered = sorted(written, key=lambda w: (w.file.run_id, w.file.ordinal))
    for run_id, group in groupby(ordered, key=lambda w: w.file.run_id):
        members = list(group)
        files = [w.file for n, w in enumerate(members) if w.file.ordinal == n]
        reached = next((f.reaches.position for f in reversed(files) if f.reaches is not None), None)
        if reached is None:
            continue
        beyond = not is_reached(reached, position)
        not_older = beyond or is_reached(position, reached)
        nulls = [f for f in files if f.null_horizon is not None and not_older]
        anew = bool(chosen) and files[0].fingerprint != chosen[-1].fingerprint and len(reached) > 1
        if not (beyond or nulls or anew):
            continue
        _require_joined(run_id, members[0].window_after, position)
        if beyond or anew:
            behind = start.position if anew else position
            rows = (f for f in files if f.null_horizon is None)
            chosen += [f for f in rows if f.reaches is None or not is_reached(f.reaches.position, behind)]
        chosen += nulls
        position = reached if beyond else position
    return chosen


def _require_joined(run_id: str, after: Position, position: Position) -> None:
    if not is_reached(after, position):
        begin = cursor_text(Watermark(position=position)) or "the beginning"
        raise IntegrityError(
            f"the files on S3 leave a gap: run {run_id} starts behind {cursor_text(Watermark(position=after))},"
            f" and nothing on S3 leads there from {begin}",
            hint="restore the missing files, or run `sync` without --redshift-only to extract the table anew",
        )

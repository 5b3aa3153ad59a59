"""Making a lost state again from what is left: the warehouse's load ledger, and the files on S3."""

from __future__ import annotations

import secrets

from ..config import S3_NAMES, Settings
from ..errors import LedgerError
from ..ledger.changes import Adopt, Change, Identify, SetWatermark
from ..ledger.document import cursor_text
from ..ledger.state import TableState
from ..ledger.store import Holder
from ..model import TableName, Watermark
from ..policies import Mode
from ..warehouse.loader import find_reached
from .adopt import gapless, written_files
from .loading import open_session, target_identity
from .records import PAGE_FILES, page_files, read_records
from .tasks import open_ledger, open_store

REBUILT = "rebuilt"


def rebuild(settings: Settings, table: TableName) -> TableState:
    """Makes the state of a table that has none.

    What the newest generation of loads reached counts as loaded; files on S3 that carry the table further, without
    a gap, wait to be loaded.

    Raises:
        LedgerError: the table has a state, or the warehouse knows no load of it that left a watermark.
    """
    settings.require(*S3_NAMES, *settings.redshift_names)
    store = open_store(settings)
    store.check()
    ledger, holder = open_ledger(settings), Holder.here()
    state = ledger.load(table)
    if settings.mode(table) is Mode.REPLACE:
        raise LedgerError(
            f"{table} is replaced by every sync: its state holds nothing that a rebuild could bring back",
            hint="run `sync`; or `sync --redshift-only`, which loads the newest full refresh that lies on S3",
        )
    reached = cursor_text(state.extracted)
    if reached or state.rows_loaded or state.run or state.backlog or state.sealed or state.refresh:
        raise LedgerError(
            f"{table} has a state" + (f": it reached {reached}" if reached else ""),
            hint="`watermark reset` first, if it is wrong; a rebuild is for a state that was lost",
        )
    target = target_identity(table, settings)
    with open_session(settings) as warehouse:
        loaded = find_reached(warehouse, settings.target(table)[0], table, target)
    if loaded is None:
        raise LedgerError(
            f"the warehouse has no record of a load of {table} into {target}",
            hint="nothing is to be rebuilt: `sync` starts anew, `sync --redshift-only` loads what lies on S3",
        )
    if loaded == Watermark.START:
        raise LedgerError(
            f"the last load of {table} replaced all rows and left no watermark, so there is none to bring back",
            hint="run `sync` in the table's mode",
        )
    written = written_files(store, settings.s3_incremental_path, table)
    files = gapless(written, loaded, tuple(read_records(store, table)))
    changes: list[Change] = [
        SetWatermark(watermark=loaded, generation=secrets.token_hex(6), strategy=REBUILT),
        Identify(source="", target=target),
    ]
    if files:
        changes.append(Adopt(files=page_files(store, table, files, PAGE_FILES)))
    ledger.acquire(table, holder)
    try:
        return ledger.commit(table, changes, holder=holder.token)
    finally:
        ledger.release(table, holder)

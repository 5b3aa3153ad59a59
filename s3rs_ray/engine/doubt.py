"""A watermark moved by hand. Of a load in doubt, the warehouse is asked whether it happened; it is not carried out."""

from __future__ import annotations

import uuid

from ..config import Settings
from ..errors import LedgerError
from ..ledger.changes import Advance, SetWatermark, Unseal
from ..ledger.state import TableState
from ..ledger.store import Holder
from ..model import Load, TableName, Watermark
from ..policies import Mode
from ..warehouse import mode_sql, sql
from ..warehouse.loader import find_load
from .context import TableLedger
from .loading import open_session, target_identity


def move_watermark(
    settings: Settings, ledger: TableLedger, holder: Holder, table: TableName, watermark: Watermark
) -> None:
    """Takes a table and puts its watermark elsewhere, as a new generation without the open work of the old one.

    Raises:
        TableBusy: a run holds the table.
        LedgerError, WarehouseError: a load is in doubt and cannot be settled, see :func:`settle_doubt`.
    """
    held = ledger.acquire(table, holder)
    try:
        settle_doubt(settings, ledger, holder, held, watermark)
        change = SetWatermark(watermark=watermark, generation=uuid.uuid4().hex[:12])
        ledger.commit(table, [change], holder=holder.token)
    finally:
        ledger.release(table, holder)


def settle_doubt(
    settings: Settings, ledger: TableLedger, holder: Holder, state: TableState, moved_to: Watermark
) -> TableState:
    """The state without a load in doubt, before its watermark is moved by hand.

    The load ledger is locked for the question, so a load that is being committed is waited for. One that is committed
    later, by a process that was frozen, does no harm: the mode by which it merges or appends passes over rows that are
    there, and a keyless append refuses them.

    Args:
        moved_to: where the watermark goes; from the start on, the state may be for another target.

    Raises:
        LedgerError: the load is of another target than the settings name.
        WarehouseError: the warehouse cannot be asked.
    """
    sealed = state.sealed
    if sealed is None or sealed.mode is Mode.REPLACE:  # the warehouse refuses an older full refresh by itself
        return state
    done: Load | None = None
    if state.target == target_identity(state.table, settings):
        settings.require(*settings.redshift_names)
        done = _look_up(settings, settings.target(state.table)[0], sealed.load_id)
    elif moved_to != Watermark.START:
        raise LedgerError(
            f"{state.table}: the load {sealed.load_id[:12]} into {state.target} is in doubt, the settings name another"
            " target",
            hint="run the command with the settings of that target, or `watermark reset`",
        )
    change = Advance(load=done) if done is not None else Unseal(load_id=sealed.load_id)
    return ledger.commit(state.table, [change], holder=holder.token)


def _look_up(settings: Settings, schema: str, load_id: str) -> Load | None:
    with open_session(settings) as warehouse:
        tables = {str(row[0]) for row in warehouse.query(mode_sql.tables_sql(), (schema.lower(),))}
        if sql.LEDGER_TABLE not in tables:
            return None
        with warehouse.transaction():
            warehouse.execute(sql.lock_ledger_sql(schema))
            return find_load(warehouse, schema, load_id)

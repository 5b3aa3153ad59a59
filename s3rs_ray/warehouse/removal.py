"""Rows that are gone from the source, deleted from the target or marked there: a batch of keys exactly once.

The keys go into a temporary table of the session first. Then one transaction locks the load ledger, makes sure that
nothing was loaded since the rows were compared, removes them, and inserts the ledger's row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import tenacity

from ..errors import IntegrityError, LoadConflict, WarehouseError
from ..model import TableName
from ..positions import Position
from . import mode_sql, sql
from .checksums import literal_sql
from .loader import Session, find_load, require_own_target, retried
from .redshift import Warehouse
from .sql import Target

INSERTED = 1000
"""Keys of one INSERT: a statement may have 16 MB (Amazon Redshift Management Guide, "Quotas and limits")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A batch of keys whose rows are to go.

    Attributes:
        identity: the target as the load ledger names it.
        run_id: of the command.
        unkeyed: a condition; the rows of it that have NULL in their key go, which no row of the source has, and there
            are no keys.
        soft: rows are marked, not deleted.
        known: how many rows the load ledger had of the table when the keys were compared, and since by this run.
    """

    table: TableName
    target: Target
    identity: str
    generation: str
    run_id: str
    keys: tuple[Position, ...]
    unkeyed: str = ""
    soft: bool
    known: int

    @property
    def removal_id(self) -> str:
        """What the load ledger calls it."""
        parts = ("gone", self.run_id, self.generation, str(self.table), self.identity, self.keys, self.unkeyed)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def count_loads(warehouse: Warehouse, target: Target, table: TableName, identity: str) -> int:
    """How many loads and removals the load ledger has of a table."""
    return warehouse.number(sql.loads_sql(target.schema), (str(table), identity))


def remove(open_session: Session, removal: Removal) -> int:
    """Removes the rows of a batch exactly once; returns how many were deleted or marked.

    Raises:
        IntegrityError: something was loaded into the target since the keys were compared; nothing was removed.
        WarehouseError: Redshift refused, or stayed away for all attempts.
    """
    return retried(f"removing {len(removal.keys)} rows", open_session, lambda warehouse: _remove_in(warehouse, removal))


def _remove_in(warehouse: Warehouse, removal: Removal) -> int:
    target = removal.target
    if removal.unkeyed:
        return _remove_and_record(warehouse, removal)
    warehouse.execute(sql.drop_sql(target.gone))
    warehouse.execute(mode_sql.gone_table_sql(target))
    for start in range(0, len(removal.keys), INSERTED):
        warehouse.execute(_insert_sql(target, removal.keys[start : start + INSERTED]))
    removed = _remove_and_record(warehouse, removal)
    warehouse.execute(sql.drop_sql(target.gone))
    return removed


def _insert_sql(target: Target, keys: Sequence[Position]) -> str:
    rows = ", ".join(f"({', '.join(map(literal_sql, key))})" for key in keys)
    return f"INSERT INTO {target.gone} VALUES {rows}"


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(LoadConflict),
    wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
    stop=tenacity.stop_after_attempt(8),
    reraise=True,
)
def _remove_and_record(warehouse: Warehouse, removal: Removal) -> int:
    target = removal.target
    with warehouse.transaction():
        warehouse.execute(sql.lock_ledger_sql(target.schema))
        done = find_load(warehouse, target.schema, removal.removal_id)
        if done is not None:  # an earlier attempt, whose reply was lost
            return done.merged
        require_own_target(warehouse, target, removal.table, removal.identity)
        if count_loads(warehouse, target, removal.table, removal.identity) != removal.known:
            raise IntegrityError(
                f"{target.qualified} was loaded by another run since its rows were compared; none was removed",
                hint="run the command again",
            )
        if removal.unkeyed:
            unkeyed = mode_sql.mark_unkeyed_sql if removal.soft else mode_sql.delete_unkeyed_sql
            statement = unkeyed(target, removal.unkeyed)
        else:
            statement = mode_sql.mark_gone_sql(target) if removal.soft else mode_sql.delete_gone_sql(target)
        removed = warehouse.execute(statement)
        warehouse.execute(
            sql.record_load_sql(target.schema),
            (
                removal.removal_id,
                removal.run_id,
                removal.generation,
                str(removal.table),
                removal.identity,
                0,
                0,
                removed,
                "marked as gone" if removal.soft else "deleted as gone",
                None,
            ),
        )
    if removed < 0:
        raise WarehouseError(f"Redshift did not say how many rows of {target.qualified} it removed")
    return removed

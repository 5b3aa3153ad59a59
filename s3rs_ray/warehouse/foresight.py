"""What preparing a target would do, without doing it: the same checks and alterations as ``loader.prepare``."""

from __future__ import annotations

from dataclasses import dataclass

from . import sql
from .drift import alterations, retypings
from .loader import Pair, require_not_lost, require_own_target
from .modes import target_columns
from .redshift import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """The target as it is, and what a load would change about it first.

    Attributes:
        exists: whether the table is there.
        changes: each alteration, for people.
        statements: those that would be executed, in order.
    """

    exists: bool
    changes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()


def foresee(warehouse: Warehouse, pair: Pair) -> Foreseen:
    """Looks the target up and compares it with the contract; changes nothing.

    Raises:
        SchemaDrift: it cannot be made to fit, or it was lost.
        UnsupportedTable: another source table is loaded into it.
    """
    target = pair.target
    has_ledger = bool(warehouse.query(sql.columns_sql(), (target.schema.lower(), sql.LEDGER_TABLE)))
    if has_ledger:
        require_own_target(warehouse, target, pair.source, pair.identity)
    present = target_columns(warehouse, target)
    if not present:
        require_not_lost(warehouse, pair, has_ledger=has_ledger)
        return Foreseen(exists=False, statements=(sql.create_target_sql(target),))
    planned = [*(retypings(target, present) if pair.anew else ()), *alterations(target, present, anew=pair.anew)]
    return Foreseen(
        exists=True,
        changes=tuple(change.says for change in planned),
        statements=tuple(statement for change in planned for statement in change.statements),
    )

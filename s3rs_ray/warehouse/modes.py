"""What becomes of the staged rows, by mode: inside the transaction that counts, each number checked.

``merge`` leaves the newest version of each key, ``append`` every version once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..config import LOAD_COLUMNS
from ..errors import IntegrityError
from ..model import Manifest, Mode
from . import sql
from .drift import RedshiftType, catalog_type, only_in_target
from .redshift import Warehouse
from .sql import Target


def write_staged(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """Staging into the target; returns the rows written.

    The load columns are written wherever the target has them, so that no row says it came with another run.

    Raises:
        IntegrityError: not as many were written as are new to the target; the transaction is to be rolled back.
    """
    match manifest.mode:
        case Mode.MERGE:
            return merge(warehouse, target, manifest)
        case Mode.APPEND:
            return append(warehouse, target, manifest)


def merge(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """Newest version of each key into the target; returns the rows written.

    Raises:
        IntegrityError: not as many as are new to the target; the transaction is rolled back.
    """
    staged, nulls = target.staging, manifest.null_horizon is not None
    horizon = (manifest.null_horizon,) if nulls else ()
    if warehouse.query(sql.repeated_keys_sql(target)):
        staged = _pick(warehouse, target, sql.pick_newest_sql(target))
    expected, written = warehouse.number(sql.count_new_sql(target, staged, nulls=nulls), horizon), 0
    present = tuple(target_columns(warehouse, target))
    stamp = _stamp(manifest, present)
    if only_in_target(target, present):
        written = warehouse.execute(sql.update_older_sql(target, staged, stamp=stamp, nulls=nulls), horizon)
    else:
        warehouse.execute(sql.delete_older_sql(target, staged, nulls=nulls), horizon)
    written += warehouse.execute(sql.insert_missing_sql(target, staged, stamp))
    if written != expected:
        raise IntegrityError(
            f"the merge into {target.qualified} wrote {written} rows where {expected} are new; nothing was merged",
            hint=f"look whether {target.qualified} holds a key twice: something else writes to it",
        )
    return written


def append(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """The versions that the target does not hold; returns the rows written.

    Rows without a key have no versions to be told by: all are new, because a window is loaded once. That it was not
    is found out by the rows between its ends.

    Raises:
        IntegrityError: not as many as are new to the target, or the target holds rows of the window already.
    """
    stamp = _stamp(manifest, target_columns(warehouse, target))
    if not target.key:
        _require_untouched(warehouse, target, manifest)
        expected = manifest.rows
        written = warehouse.execute(sql.insert_all_sql(target, target.qualified, target.staging, stamp))
    else:
        staged = target.staging
        if warehouse.query(sql.repeated_versions_sql(target)):
            staged = _pick(warehouse, target, sql.pick_versions_sql(target))
        expected = warehouse.number(sql.count_new_versions_sql(target, staged))
        written = warehouse.execute(sql.insert_new_versions_sql(target, staged, stamp))
    if written != expected:
        raise IntegrityError(
            f"{written} rows were appended to {target.qualified} where {expected} are new; nothing was kept",
            hint="run the command again; if it stays so, look at what else writes to the table",
        )
    return written


def _require_untouched(warehouse: Warehouse, target: Target, manifest: Manifest) -> None:
    ends = (manifest.after.cursor, None if manifest.reaches is None else manifest.reaches.cursor)
    low, high = (None if isinstance(end, str) else end for end in ends)  # dates no calendar has are NULL there
    if high is None:
        return
    present = warehouse.number(
        sql.count_between_sql(target, low=low is not None, closed=True), [v for v in (low, high) if v is not None]
    )
    if present:
        raise IntegrityError(
            f"{target.qualified} holds {present} rows of the stretch that is to be appended, and without a key nothing"
            " tells them apart; nothing was appended",
            hint="they came before a `watermark reset`, or something else wrote them: delete them there first",
        )


def _pick(warehouse: Warehouse, target: Target, pick: str) -> str:
    """Staging without its repetitions, in a temporary table of its own; returns that table's name."""
    warehouse.execute(sql.drop_sql(target.newest))
    warehouse.execute(sql.create_staging_sql(target, target.newest))
    warehouse.execute(pick)
    return target.newest


def _stamp(manifest: Manifest, present: Iterable[str]) -> str:
    """The run for the load columns; empty when the target does not have them."""
    return manifest.run_id if set(LOAD_COLUMNS) <= set(present) else ""


def target_columns(warehouse: Warehouse, target: Target) -> dict[str, RedshiftType]:
    """The target's columns by folded name, in order; empty when it is not there."""
    rows = warehouse.query(sql.columns_sql(), (target.schema.lower(), target.name.lower()))
    return {
        str(name).lower(): catalog_type(str(kind), _number(length), _number(precision), _number(scale))
        for name, kind, length, precision, scale in rows
    }


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))

"""What becomes of the staged rows, by mode: inside the transaction that counts, each number checked.

``merge`` leaves the newest version of each key, ``append`` every version once, ``replace`` what a full refresh read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import IntegrityError
from ..model import Manifest
from ..policies import Mode
from ..table_settings import DELETED_COLUMN, LOAD_COLUMNS
from . import mode_sql, sql
from .drift import RedshiftType, catalog_type, only_in_target, retypings
from .redshift import Warehouse
from .sql import Target


def write_staged(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """Staging into the target; returns the rows written.

    The load columns are written wherever the target has them, so that no row says it came with another run.

    Raises:
        IntegrityError: not as many were written as are new to the target; the transaction is to be rolled back.
    """
    if manifest.mends and not _later_run(warehouse, target, manifest):
        return mend(warehouse, target, manifest)
    match manifest.mode:
        case Mode.MERGE:
            return merge(warehouse, target, manifest)
        case Mode.APPEND:
            return append(warehouse, target, manifest)
        case Mode.REPLACE:
            return replace_all(warehouse, target, manifest)
    raise AssertionError(manifest.mode)


def merge(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """Newest version of each key into the target; returns the rows written.

    Raises:
        IntegrityError: not as many as are new to the target; the transaction is rolled back.
    """
    staged, nulls = target.staging, manifest.null_horizon is not None
    horizon = (manifest.null_horizon,) if nulls else ()
    if warehouse.query(mode_sql.repeated_keys_sql(target)):
        staged = _pick(warehouse, target, mode_sql.pick_newest_sql(target))
    present = tuple(target_columns(warehouse, target))
    target = with_marks(target, present)
    stamp, count = _stamp(manifest, present), warehouse.number(sql.count_sql(staged))
    expected, written = count, 0
    if warehouse.number(mode_sql.count_known_sql(target, staged)):
        expected = warehouse.number(mode_sql.count_new_sql(target, staged, nulls=nulls), horizon)
        if only_in_target(target, present):
            written = warehouse.execute(mode_sql.update_older_sql(target, staged, stamp=stamp, nulls=nulls), horizon)
        else:
            warehouse.execute(mode_sql.delete_older_sql(target, staged, nulls=nulls), horizon)
    if expected == count and not written:  # the target holds none of these keys, or none any more
        written = warehouse.execute(mode_sql.insert_all_sql(target, target.qualified, staged, stamp))
    else:
        written += warehouse.execute(mode_sql.insert_missing_sql(target, staged, stamp))
    if written != expected:
        raise IntegrityError(
            f"the merge into {target.qualified} wrote {written} rows where {expected} are new; nothing was merged",
            hint=f"look whether {target.qualified} holds a key twice: something else writes to it",
        )
    return written


def mend(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """The staged rows in the place of all that the target holds of their keys; of a history, of their versions.

    Cursors are not compared, because the target's may be what is wrong, and a key that is there twice is there once
    afterwards. That is safe while nothing was loaded since the rows were read; behind a later run, as when files are
    loaded again from S3, or by a process that was frozen, they are merged like any others.

    Raises:
        IntegrityError: not every staged row was written; the transaction is rolled back.
    """
    staged, versions = target.staging, manifest.mode is Mode.APPEND
    repeated = mode_sql.repeated_versions_sql if versions else mode_sql.repeated_keys_sql
    if warehouse.query(repeated(target)):
        pick = mode_sql.pick_versions_sql if versions else mode_sql.pick_newest_sql
        staged = _pick(warehouse, target, pick(target))
    present = target_columns(warehouse, target)
    own = only_in_target(target, tuple(present))
    if own:  # their values stay, of a key that is there twice those of its newest row
        warehouse.execute(sql.drop_sql(target.kept))
        warehouse.execute(mode_sql.keep_own_sql(target, staged, own, versions=versions))
    warehouse.execute(mode_sql.delete_staged_sql(target, staged, versions=versions))
    stamp, expected = _stamp(manifest, present), warehouse.number(sql.count_sql(staged))
    written = warehouse.execute(mode_sql.insert_mended_sql(target, staged, own, stamp, versions=versions))
    if written != expected:
        raise IntegrityError(
            f"{written} rows were mended in {target.qualified} where {expected} were read; nothing was kept",
            hint="run the command again; if it stays so, look at what else writes to the table",
        )
    if own:
        warehouse.execute(sql.drop_sql(target.kept))
    return written


def _later_run(warehouse: Warehouse, target: Target, manifest: Manifest) -> bool:
    asked = (str(manifest.table), manifest.target, manifest.run_id)
    return bool(warehouse.query(mode_sql.later_run_sql(target.schema), asked))


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
        written = warehouse.execute(mode_sql.insert_all_sql(target, target.qualified, target.staging, stamp))
    else:
        staged = target.staging
        if warehouse.query(mode_sql.repeated_versions_sql(target)):
            staged = _pick(warehouse, target, mode_sql.pick_versions_sql(target))
        expected = warehouse.number(mode_sql.count_new_versions_sql(target, staged))
        written = warehouse.execute(mode_sql.insert_new_versions_sql(target, staged, stamp))
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
            hint="they came before a `watermark reset` or from elsewhere; `sync --full-refresh` begins the table anew",
        )


def replace_all(warehouse: Warehouse, target: Target, manifest: Manifest) -> int:
    """Gathers the loads of a full refresh; the last one puts them in the place of all the target held.

    That is a DELETE and an INSERT in one transaction: readers see the old rows until it commits and the new ones
    afterwards, and the table stays the one that grants and views are bound to.

    Raises:
        IntegrityError: the rows gathered are not those of the files, or a later run was loaded meanwhile.
    """
    _require_latest(warehouse, target, manifest)
    loads, rows = _gathered(warehouse, target, manifest)
    last, shadow = manifest.reaches is not None, target.shadow(manifest.generation)
    from_staging = last and not loads
    if not from_staging:
        into = target.in_schema(shadow)
        _require_rows(target, warehouse.execute(mode_sql.insert_all_sql(target, into, target.staging)), manifest.rows)
    if not last:
        return manifest.rows
    promised = rows + manifest.rows
    if not from_staging:
        _require_rows(target, warehouse.number(sql.count_sql(target.in_schema(shadow))), promised)
    present = target_columns(warehouse, target)
    for change in retypings(target, present):
        for statement in change.statements:
            warehouse.execute(statement)
    stamp = _stamp(manifest, present)
    warehouse.execute(mode_sql.delete_all_sql(target))
    fill = mode_sql.insert_all_sql(target, target.qualified, target.staging, stamp)
    _require_rows(
        target, warehouse.execute(fill if from_staging else mode_sql.fill_sql(target, shadow, stamp)), promised
    )
    warehouse.execute(sql.drop_sql(target.in_schema(shadow)))
    return manifest.rows


def _gathered(warehouse: Warehouse, target: Target, manifest: Manifest) -> tuple[int, int]:
    """How many loads of a full refresh are in the shadow table, and their rows, as the load ledger says."""
    asked = (str(manifest.table), manifest.target, manifest.generation)
    loads, rows = warehouse.query(mode_sql.gathered_sql(target.schema), asked)[0]
    return int(str(loads)), int(str(rows))


def _require_rows(target: Target, written: int, expected: int) -> None:
    if written != expected:
        raise IntegrityError(
            f"the full refresh of {target.qualified} has {written} rows where its files hold {expected}; the table was"
            " left as it is",
            hint="run the command again; if it stays so, `watermark reset` and `sync --full-refresh` read it anew",
        )


def _require_latest(warehouse: Warehouse, target: Target, manifest: Manifest) -> None:
    """A process that was frozen must not put old rows in the place of newer ones when it goes on."""
    later = warehouse.query(
        mode_sql.later_run_sql(target.schema, ended=True), (str(manifest.table), manifest.target, manifest.run_id)
    )
    if later:
        raise IntegrityError(
            f"the full refresh of run {manifest.run_id} is older than what {target.qualified} holds: run {later[0][0]}"
            " was loaded since; the table was left as it is",
            hint="`watermark reset` and `sync --full-refresh` read it anew",
        )


def open_shadow(warehouse: Warehouse, target: Target, manifest: Manifest) -> None:
    """Makes the table in which a full refresh is gathered, where it takes more than one load."""
    loads, _ = _gathered(warehouse, target, manifest)
    if manifest.reaches is None or loads:
        warehouse.execute(mode_sql.create_shadow_sql(target, target.shadow(manifest.generation)))


def drop_shadows(warehouse: Warehouse, target: Target, generation: str) -> None:
    """Drops what full refreshes of other generations left."""
    rows = warehouse.query(mode_sql.tables_sql(), (target.schema.lower(),))
    for name in (str(row[0]) for row in rows):
        if name.startswith(target.shadow_prefix) and name != target.shadow(generation):
            warehouse.execute(sql.drop_sql(target.in_schema(name)))


def _pick(warehouse: Warehouse, target: Target, pick: str) -> str:
    """Staging without its repetitions, in a temporary table of its own; returns that table's name."""
    warehouse.execute(sql.drop_sql(target.newest))
    warehouse.execute(sql.create_staging_sql(target, target.newest))
    warehouse.execute(pick)
    return target.newest


def _stamp(manifest: Manifest, present: Iterable[str]) -> str:
    """The run for the load columns; empty when the target does not have them."""
    return manifest.run_id if set(LOAD_COLUMNS) <= set(present) else ""


def with_marks(target: Target, present: Iterable[str]) -> Target:
    """The target with its column for rows gone from the source where it has one, whatever the settings say now.

    Args:
        present: the target's columns.
    """
    return replace(target, marks=set(DELETED_COLUMN) <= set(present))


def target_columns(warehouse: Warehouse, target: Target) -> dict[str, RedshiftType]:
    """The target's columns by folded name, in order; empty when it is not there."""
    rows = warehouse.query(sql.columns_sql(), (target.schema.lower(), target.name.lower()))
    return {
        str(name).lower(): catalog_type(str(kind), _number(length), _number(precision), _number(scale))
        for name, kind, length, precision, scale in rows
    }


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))

"""load(manifest): exactly once.

The COPY goes into a temporary table of the session, before the transaction that counts: nobody else sees it, a
retry of the transaction needs no second COPY, and the lock on the load ledger is held only for the merge. That
transaction locks the ledger, looks the load id up, merges, and inserts the ledger's row.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TypeVar

import orjson
import tenacity

from ..errors import (
    CommitUnknown,
    CopyInterrupted,
    IntegrityError,
    LoadConflict,
    SchemaDrift,
    UnsupportedTable,
    WarehouseError,
    WarehouseUnavailable,
)
from ..model import Load, Manifest, TableName, Watermark
from ..policies import Mode
from ..positions import Position, format_position, is_reached, parse_position
from . import sql
from .copying import copy_into_staging
from .drift import Alteration, alterations, retypings
from .modes import drop_shadows, open_shadow, target_columns, write_staged
from .redshift import Warehouse
from .rights import create_missing_schema
from .sql import Target

log = logging.getLogger(__name__)

ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A target that is ready for loads.

    Attributes:
        altered: what was done to it, for people.
        added: columns that rows loaded before hold NULL in.
    """

    altered: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


Session = Callable[[], AbstractContextManager[Warehouse]]
"""Opens a new connection."""

Result = TypeVar("Result")


def retried(what: str, open_session: Session, work: Callable[[Warehouse], Result]) -> Result:
    """What ``work`` returns, in a new session each time a connection or the reply to a COMMIT is lost."""

    def say(state: tenacity.RetryCallState) -> None:
        outcome = state.outcome.exception() if state.outcome else None
        log.warning("attempt %d of %s failed (%s); it is tried again", state.attempt_number, what, outcome)

    def attempt() -> Result:
        with open_session() as warehouse:
            return work(warehouse)

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
        retry=tenacity.retry_if_exception_type((WarehouseUnavailable, CommitUnknown, CopyInterrupted)),
        before_sleep=say,
        reraise=True,
    )(attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A source table and its target, as a run is about to load them.

    Attributes:
        identity: the target as the load ledger names it.
        generation: of the state: shadow tables of others are left over.
        anew: a full refresh will replace all rows, so columns may change their type.
        loaded_rows: how many of the rows up to the watermark this generation loaded; None at the beginning of a table.
    """

    source: TableName
    target: Target
    identity: str
    generation: str
    anew: bool = False
    loaded_rows: int | None = None


def prepare(open_session: Session, pair: Pair) -> Prepared:
    """Creates ledger and target where they are missing, and alters a target that the source outgrew.

    Raises:
        SchemaDrift: the target is there and cannot be made to fit the contract, or it was lost.
        UnsupportedTable: another source table is loaded into it.
        WarehouseError: Redshift refused, or stayed away for all attempts.
    """
    begun: dict[str, str] = {}  # outlives a lost connection, behind which a change may have happened or not
    retried(
        f"preparing {pair.target.qualified}",
        open_session,
        lambda warehouse: _prepare_in(warehouse, pair, begun),
    )
    return Prepared(altered=tuple(begun), added=tuple(filter(None, begun.values())))


def _prepare_in(warehouse: Warehouse, pair: Pair, begun: dict[str, str]) -> None:
    """One attempt; what it begins goes into ``begun``, with the column it adds."""
    target = pair.target
    create_missing_schema(warehouse, target.schema)
    warehouse.execute(sql.create_ledger_sql(target.schema))
    require_own_target(warehouse, target, pair.source, pair.identity)
    drop_shadows(warehouse, target, pair.generation)
    present = target_columns(warehouse, target)
    if not present:
        require_not_lost(warehouse, pair)
        begun[f"creates {target.qualified}"] = ""
        warehouse.execute(sql.create_target_sql(target))
        return
    if pair.anew:
        _rehearse(warehouse, target, retypings(target, present))
    for change in alterations(target, present, anew=pair.anew):
        log.warning("%s: %s", target.qualified, change.says)
        begun[change.says] = change.added
        with warehouse.transaction() if change.atomic else nullcontext():
            for statement in change.statements:
                warehouse.execute(statement)


def require_not_lost(warehouse: Warehouse, pair: Pair, *, has_ledger: bool = True) -> None:
    """Refuses to make a target again that held rows: those up to the watermark would be missing without a word.

    A watermark that was set by hand before the first load has no rows behind it in the target.

    Args:
        has_ledger: whether the load ledger is there.

    Raises:
        SchemaDrift: the state or the load ledger knows of rows that were loaded.
    """
    if pair.anew or pair.loaded_rows is None:
        return
    source, target = pair.source, pair.target
    if pair.loaded_rows or (has_ledger and find_reached(warehouse, target.schema, source, pair.identity)):
        raise SchemaDrift(
            f"{target.qualified} is not there any more, and held rows of {source} up to the watermark",
            hint=lost_hint(source),
        )


def lost_hint(source: TableName) -> str:
    """What to do about a target that was lost."""
    return (
        f"`s3rs-ray watermark reset -t {source}`, then `s3rs-ray sync -t {source}`, or with --redshift-only from the"
        " files on S3; where these rows are not wanted, create the table"
    )


def _rehearse(warehouse: Warehouse, target: Target, changes: Sequence[Alteration]) -> None:
    """Tries the changes that come with the new rows, so that a view in their way is known before hours of reading."""
    if not changes:
        return
    try:
        with warehouse.rehearsal():
            for statement in (s for change in changes for s in change.statements):
                warehouse.execute(statement)
    except WarehouseUnavailable:
        raise
    except WarehouseError as exc:
        raise SchemaDrift(
            f"{target.qualified} cannot be given the columns of the source: {exc.message}",
            hint="drop the views over these columns (those WITH NO SCHEMA BINDING are not in the way), or rename the"
            " columns in Redshift, and run the command again",
        ) from exc
    log.warning("%s: the full refresh %s", target.qualified, " and ".join(c.says for c in changes))


def require_own_target(warehouse: Warehouse, target: Target, source: TableName, identity: str) -> None:
    """Two source tables in one target would overwrite each other's keys."""
    others = warehouse.query(sql.other_source_sql(target.schema), (identity, str(source)))
    if others:
        raise UnsupportedTable(
            f"{target.qualified} is loaded from {others[0][0]}; {source} cannot go there as well",
            hint="give one of them another `target` or `target_schema` in the settings of single tables",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySource:
    """Where COPY reads from, and as whom.

    Attributes:
        manifest_url: ``s3://`` address of the COPY manifest.
        authorize: gives the clause of :func:`~s3rs_ray.warehouse.sql.role_sql` or ``keys_sql``, a secret; called for
            every COPY, because temporary keys end.
    """

    manifest_url: str
    authorize: Callable[[], str] = field(repr=False)


def load(open_session: Session, manifest: Manifest, target: Target, source: CopySource) -> Load:
    """Loads a manifest exactly once, however often it is called and wherever it was interrupted.

    Args:
        open_session: opens a new connection; called again after one is lost.

    Raises:
        IntegrityError: staging does not hold the rows the manifest promises; nothing was committed.
        WarehouseError: Redshift refused, or stayed away for all attempts.
    """
    return retried(
        f"load {manifest.load_id[:12]}",
        open_session,
        lambda warehouse: _load_in(warehouse, manifest, target, source),
    )


def _load_in(warehouse: Warehouse, manifest: Manifest, target: Target, source: CopySource) -> Load:
    done = find_load(warehouse, target.schema, manifest.load_id)
    if done is not None:
        log.info("load %s is in the warehouse already", manifest.load_id[:12])
        return done
    seconds: dict[str, float] = {}
    if manifest.mode is Mode.REPLACE:
        open_shadow(warehouse, target, manifest)
    with _timed(seconds, "copy"):
        _stage(warehouse, manifest, target, source)
    with _timed(seconds, "merge"):
        done = _record_with_retries(warehouse, manifest, target, source)
    warehouse.execute(sql.drop_sql(target.staging))
    warehouse.execute(sql.drop_sql(target.newest))
    return replace(done, seconds=seconds)


def _stage(warehouse: Warehouse, manifest: Manifest, target: Target, source: CopySource) -> None:
    """COPY into the session's staging table, and count what arrived."""
    warehouse.execute(sql.drop_sql(target.staging))
    warehouse.execute(sql.create_staging_sql(target, target.staging))
    if manifest.rows:
        copy_into_staging(warehouse, target, source.manifest_url, source.authorize())
    staged = warehouse.number(sql.count_sql(target.staging))
    if staged != manifest.rows:
        raise IntegrityError(
            f"COPY staged {staged} rows for {target.qualified}, the files hold {manifest.rows}; nothing was merged",
            hint="run the command again; if it stays so, compare the manifest with the objects on S3",
            context={"load_id": manifest.load_id, "manifest": source.manifest_url},
        )


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(LoadConflict),
    wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
    stop=tenacity.stop_after_attempt(8),
    reraise=True,
)
def _record_with_retries(warehouse: Warehouse, manifest: Manifest, target: Target, source: CopySource) -> Load:
    """The transaction that counts; a conflict rolls it back whole, so it may be tried again whole."""
    with warehouse.transaction():
        warehouse.execute(sql.lock_ledger_sql(target.schema))
        done = find_load(warehouse, target.schema, manifest.load_id)
        if done is not None:
            return done
        require_own_target(warehouse, target, manifest.table, manifest.target)
        merged = write_staged(warehouse, target, manifest)
        warehouse.execute(
            sql.record_load_sql(target.schema),
            (
                manifest.load_id,
                manifest.run_id,
                manifest.generation,
                str(manifest.table),
                manifest.target,
                len(manifest.files),
                manifest.rows,
                merged,
                source.manifest_url,
                None if manifest.reaches is None else format_reached(manifest.reaches),
            ),
        )
        recorded = find_load(warehouse, target.schema, manifest.load_id)
    if recorded is None:
        raise WarehouseError(f"the load ledger of {target.qualified} lost the row just written")
    return replace(recorded, repeated=False)


def find_load(warehouse: Warehouse, schema: str, load_id: str) -> Load | None:
    """The load as the warehouse's ledger records it; None when it never happened."""
    rows = warehouse.query(sql.find_load_sql(schema), (load_id,))
    if not rows:
        return None
    found, run_id, row_count, files, merged, loaded_at = rows[0]
    if not isinstance(loaded_at, dt.datetime):
        raise WarehouseError(f"the load ledger holds no time for load {load_id}: {loaded_at!r}")
    return Load(
        load_id=str(found),
        run_id=str(run_id),
        rows=int(str(row_count)),
        files=int(str(files)),
        merged=int(str(merged)),
        loaded_at=loaded_at.replace(tzinfo=dt.UTC),
        repeated=True,
    )


def format_reached(watermark: Watermark) -> str:
    """A watermark as the load ledger keeps it."""
    return orjson.dumps(format_position(watermark.position)).decode()


def find_reached(warehouse: Warehouse, schema: str, table: TableName, target: str) -> Watermark | None:
    """How far the loads of a table reached in the newest generation; None when it was never loaded.

    Where only MySQL knows which of two keys of one cursor value comes last, the watermark stands before all its rows.
    """
    rows = warehouse.query(sql.reached_sql(schema), (str(table), target))
    positions = [parse_position(orjson.loads(str(reached))) for reached, generation in rows if generation == rows[0][1]]
    if not positions:
        return None
    return Watermark(position=reduce(_further, positions))


def _further(one: Position, other: Position) -> Position:
    if is_reached(one, other):
        return other
    return one if is_reached(other, one) else one[:1]


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = round(time.perf_counter() - started, 3)

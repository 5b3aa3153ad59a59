"""``--dry-run``: the very plan that would run, with what it takes and does; changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..errors import LedgerError, PlanError, S3rsError
from ..ledger.apply import apply
from ..ledger.state import TableState
from ..model import TableName
from ..policies import Deletes, Mode
from ..source.catalog import Catalog
from ..source.chunks import select_sql
from ..source.columns import ColumnContract
from ..source.cutting import cut_chunks
from ..warehouse import mode_sql, sql
from ..warehouse.foresight import Foreseen, foresee
from ..warehouse.redshift import Warehouse
from ..warehouse.sql import Target
from .context import Run
from .deletes import wanted_deletes
from .estimate import Estimate, Measured, estimate
from .executor import own_cpus, reader_count
from .inherited import find_inherited
from .loading import pair_of, target_of
from .plan import Action, TablePlan
from .planning import name_pair, plan_sizer, plan_table
from .table import require_fit_keys

DRY = "dry-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a plan moves, by the optimizer's estimate.

    Attributes:
        chunks: one Parquet file each.
    """

    rows: int = 0
    chunks: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A table before any work: what becomes of each column, and the plan, or why there is none.

    Attributes:
        mode, target: how and where rows are loaded; empty when nothing is loaded.
        foreseen: the target as it is, and its alterations; None when nothing is loaded.
        statements: by what they do, where they were asked for; keys of S3 are left out.
        estimate: where it was asked for.
        deletes: how rows gone from the source are looked for after the load; None where they are not.
    """

    table: TableName
    columns: tuple[ColumnContract, ...]
    plan: TablePlan | None = None
    refusal: S3rsError | None = None
    size: Size = field(default_factory=Size)
    mode: str = ""
    target: str = ""
    foreseen: Foreseen | None = None
    statements: dict[str, str] = field(default_factory=dict)
    estimate: Estimate | None = None
    deletes: Deletes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a dry run shall say besides the plan.

    Attributes:
        warehouse: opens, once, the session that is asked for the target; None when nothing is loaded.
        measured: the runs an estimate is made from; None when it was not asked for.
    """

    warehouse: Callable[[], Warehouse] | None = None
    statements: bool = False
    measured: list[Measured] | None = None


def preview_table(run: Run, catalog: Catalog, name: TableName, asked: Asked) -> Preview:
    """Discovery, state and target -> what a run would do now."""
    columns = catalog.list_columns(name)
    try:
        require_fit_keys(run, name)
        table, state = catalog.discover(name), run.ledger.load(name)
        old = find_inherited(run, catalog, table, state)
        state = old.over(state)
        apply(state, name_pair(run, state, table), state.updated_at)
        plan = plan_table(run, catalog, table, state)
        plan = replace(plan, reasons=(*plan.reasons, old.note)) if old.note else plan
        deletes = wanted_deletes(run, table)
        works = deletes or plan.action is not Action.NOTHING or state.sealed is not None or bool(state.waiting_files)
        target = target_of(table, run.settings) if asked.warehouse else None
        foreseen = _foreseen(run, plan, state, asked.warehouse) if asked.warehouse and works else None
    except (PlanError, LedgerError) as exc:
        return Preview(table=name, columns=columns, refusal=exc)
    size = _size(run, plan)
    mode = Mode.REPLACE if plan.refresh else run.settings.mode(name)
    timed = asked.measured is not None and size.rows
    return Preview(
        table=name,
        columns=columns,
        plan=plan,
        size=size,
        mode=mode.value if target else "",
        target=target.qualified if target else "",
        foreseen=foreseen,
        statements=_statements(run, catalog, plan, target, mode) if asked.statements else {},
        estimate=estimate(name, size.rows, size.bytes, asked.measured or ()) if timed else None,
        deletes=deletes,
    )


def _foreseen(run: Run, plan: TablePlan, state: TableState, warehouse: Callable[[], Warehouse]) -> Foreseen:
    return foresee(warehouse(), pair_of(plan.table, state, run.settings, anew=plan.refresh))


def _size(run: Run, plan: TablePlan) -> Size:
    if plan.action is Action.NOTHING:
        return Size()
    rows = plan.estimated_rows
    sizer = plan_sizer(run, plan.table, rows, reader_count(run.settings, own_cpus()))
    chunks = max(1, -(-rows // plan.rows_per_chunk))
    return Size(rows=rows, chunks=chunks, bytes=int(rows * sizer.row_file_bytes))


def _statements(run: Run, catalog: Catalog, plan: TablePlan, target: Target | None, mode: Mode) -> dict[str, str]:
    """The queries of the first chunk and of a load, in their order."""
    made: dict[str, str] = {}
    if plan.action is not Action.NOTHING and plan.window is not None:
        sizer = plan_sizer(run, plan.table, plan.estimated_rows, reader_count(run.settings, own_cpus()))
        chunks = cut_chunks(catalog, plan.table, plan.window, plan.order, run_id=DRY, sizes=sizer)
        first = next(chunks, None)
        if first is not None:
            made["read the first chunk"] = select_sql(plan.table, first.slices[0])
    if target is not None:
        made |= _load_statements(run, target, mode)
    return made


def _load_statements(run: Run, target: Target, mode: Mode) -> dict[str, str]:
    role = run.settings.redshift_iam_role
    authorization = sql.role_sql(role) if role else "ACCESS_KEY_ID '********' SECRET_ACCESS_KEY '********'"
    made = {
        "create the target where it is missing": sql.create_target_sql(target),
        "stage": sql.create_staging_sql(target, target.staging),
        "copy": sql.copy_sql(target, f"s3://{run.settings.s3_bucket_name}/manifests/…", authorization),
    }
    match mode:
        case Mode.MERGE:
            made["delete older versions"] = mode_sql.delete_older_sql(target, target.staging)
            made["insert"] = mode_sql.insert_missing_sql(target, target.staging)
        case Mode.APPEND:
            made["insert"] = mode_sql.insert_new_versions_sql(target, target.staging)
        case Mode.REPLACE:
            shadow = target.shadow(DRY)
            made["gather in a shadow table, where there is more than one load"] = mode_sql.insert_all_sql(
                target, target.in_schema(shadow), target.staging
            )
            made["delete all rows, with the last load"] = mode_sql.delete_all_sql(target)
            made["insert all rows, of a single load"] = mode_sql.insert_all_sql(
                target, target.qualified, target.staging
            )
            made["or insert all that was gathered"] = mode_sql.fill_sql(target, shadow)
    return made

"""show_views(), apply_views(): the latest-status views of a table that was extracted."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from ..config import S3_NAMES, Settings
from ..errors import ConfigError, PlanError, SchemaDrift
from ..model import TableName
from ..storage.layout import RUN_PREFIX, table_prefix
from ..storage.s3 import ObjectStore
from ..warehouse.drift import parse_type
from ..warehouse.modes import target_columns
from ..warehouse.redshift import Warehouse
from ..warehouse.rights import create_missing_schema
from ..warehouse.sql import Target
from ..warehouse.views import MARK, View, create_view_sql, drop_view_sql, find_table_sql, find_view_sql, views_of
from .contract import parse_contract
from .loading import open_session, target_of
from .tasks import open_store

CONTRACT = "/table.json"


class Applied(StrEnum):
    """What became of a view."""

    CREATED = "created"
    REPLACED = "replaced"
    """In place: its privileges stay."""
    RECREATED = "recreated"
    """Its columns changed, so it was dropped and made again: its privileges are gone."""


def show_views(settings: Settings, table: TableName) -> tuple[View, ...]:
    """The views of a table, from its settings and the columns its newest run was extracted with; asks S3 only.

    Raises:
        PlanError: the table was never extracted.
        ConfigError: the settings of the views do not fit the table.
    """
    return _views(settings, table)[1]


def apply_views(settings: Settings, table: TableName) -> tuple[tuple[View, Applied], ...]:
    """Creates or replaces the views of a table in one transaction.

    Raises:
        PlanError: the table was never extracted, or lacks a column in the warehouse.
        ConfigError: the settings of the views do not fit, or a name belongs to something else.
    """
    settings.require(*settings.redshift_names)
    target, views = _views(settings, table)
    with open_session(settings) as warehouse:
        _require_columns(warehouse, target, table)
        planned = [(view, _plan(warehouse, target, view)) for view in views]
        with warehouse.transaction():
            if views[0].schema.lower() != target.schema.lower():
                create_missing_schema(warehouse, views[0].schema)
            for view, what in planned:
                if what is Applied.RECREATED:
                    warehouse.execute(drop_view_sql(view))
                warehouse.execute(create_view_sql(view, replace=what is Applied.REPLACED))
    return tuple(planned)


def _views(settings: Settings, table: TableName) -> tuple[Target, tuple[View, ...]]:
    settings.require(*S3_NAMES)
    given = settings.table(table).views
    store = open_store(settings)
    key = _newest_contract(store, table)
    target = target_of(parse_contract(store.get(key).body, key), settings)
    return target, views_of(target, given)


def _newest_contract(store: ObjectStore, table: TableName) -> str:
    """The key of the contract of a table's newest run; their names sort by time."""
    keys = [o.key for o in store.list(table_prefix(RUN_PREFIX, table)) if o.key.endswith(CONTRACT)]
    if not keys:
        raise PlanError(
            f"{table} was never extracted, so its columns are not known", hint=f"run `s3rs-ray sync -t {table}` first"
        )
    return max(keys)


def _require_columns(warehouse: Warehouse, target: Target, table: TableName) -> None:
    present = target_columns(warehouse, target)
    missing = [c.name for c in target.columns if c.name.lower() not in present]
    if missing:
        what = f"has no column {', '.join(missing)}" if present else "is not there or not to be seen"
        raise SchemaDrift(
            f"{target.qualified} {what}, which its newest run was extracted with",
            hint=f"run `s3rs-ray sync -t {table}` first",
        )


def _plan(warehouse: Warehouse, target: Target, view: View) -> Applied:
    """What has to be done to a view, and that nothing of others is in its place."""
    place = (view.schema.lower(), view.name.lower())
    setting = f"`{view.kind.value}_name` in the table's `views`"
    if warehouse.query(find_table_sql(), place):
        raise ConfigError(f"{view.qualified} is a table, not a view", hint=f"give another {setting}")
    found = warehouse.query(find_view_sql(), place)
    if not found:
        return Applied.CREATED
    if MARK not in str(found[0][0]):
        raise ConfigError(
            f"{view.qualified} is a view that this program did not make", hint=f"drop it, or give another {setting}"
        )
    # The lengths of its columns are not looked at: a late-binding view takes those of the table when it is read.
    present = target_columns(warehouse, replace(target, schema=view.schema, name=view.name))
    wanted = [(name, parse_type(kind).name) for name, kind in view.columns]
    return Applied.REPLACED if [(n, t.name) for n, t in present.items()] == wanted else Applied.RECREATED

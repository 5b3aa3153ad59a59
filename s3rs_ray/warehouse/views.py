"""The latest-status views of a table that keeps history, as SQL.

All of them rest on the latest row of each entity: the one with the newest ``updated``; at a tie the newest cursor,
then the greatest key, then the last load. NULL is the oldest in each of these. Rows whose entity columns are all NULL
name no entity and are left out; otherwise NULL is a value of its own, in entity, group and status.

The views are late-binding (Amazon Redshift Database Developer Guide, "CREATE VIEW", WITH NO SCHEMA BINDING): a bound
view would follow the old table when a full refresh swaps in a new one, and keep it from being dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..errors import ConfigError
from ..model import Column
from ..table_settings import LOAD_COLUMNS
from ..view_settings import SETTLEMENT_VIEWS, ViewSettings
from .sql import LEDGER_TABLE, SHADOW_PREFIX, Target, quote_name

LONGEST_NAME = 127
"""Bytes (Developer Guide, "Names and identifiers")."""
MARK = "s3rs_rank"
"""The rank's name, by which a view of this program is known among others."""
COUNT = "entity_count"
FIRST = "first_status_update_at"
UNORDERED = ("SUPER", "VARBYTE")


class ViewKind(StrEnum):
    """Which of the three views."""

    LATEST = "latest"
    GROUP = "group"
    SUMMARY = "summary"


SUFFIXES = {
    ViewKind.LATEST: "_latest_delivery_status",
    ViewKind.GROUP: "_partner_latest_status",
    ViewKind.SUMMARY: "_status_summary",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view.

    Attributes:
        columns: its columns in order with their Redshift types.
        query: what it shows.
    """

    kind: ViewKind
    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]
    query: str

    @property
    def qualified(self) -> str:
        return f"{quote_name(self.schema)}.{quote_name(self.name)}"


def create_view_sql(view: View, *, replace: bool) -> str:
    """Makes a view. ``OR REPLACE`` keeps its privileges, and takes the identical columns only."""
    how = "OR REPLACE " if replace else ""
    return f"CREATE {how}VIEW {view.qualified} AS {view.query} WITH NO SCHEMA BINDING"


def drop_view_sql(view: View) -> str:
    return f"DROP VIEW {view.qualified}"


def find_table_sql() -> str:
    """One row when there is a table of that name; parameters: schema, name."""
    return "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = %s"


def find_view_sql() -> str:
    """The definition of a view; parameters: schema, name."""
    return "SELECT definition FROM pg_views WHERE schemaname = %s AND viewname = %s"


def views_of(target: Target, given: ViewSettings | None) -> tuple[View, ...]:
    """The views of a table.

    Args:
        given: the table's settings; None takes :data:`SETTLEMENT_VIEWS` where the table has these columns.

    Raises:
        ConfigError: naming a column the table does not have, or a name that cannot be.
    """
    maker = _Maker(target, given or _default(target))
    made = [maker.latest()]
    if maker.group:
        made.append(maker.by_group())
    if maker.status is not None:
        made.append(maker.summary())
    _require_names(target, made)
    return tuple(made)


def _default(target: Target) -> ViewSettings:
    present = {c.name.lower() for c in target.columns}
    wanted = SETTLEMENT_VIEWS
    if present >= {*wanted.entity, *wanted.group, wanted.status}:
        return wanted
    raise ConfigError(
        f"{target.qualified}: no views are set for this table",
        hint="give `views: {entity: …}` in the table's settings; `status` and `group` make the other two",
    )


class _Maker:
    """The columns of the views, looked up, and the queries made of them."""

    def __init__(self, target: Target, given: ViewSettings) -> None:
        self._target = target
        self._given = given
        self._by_name = {c.name.lower(): c for c in target.columns}
        self._entity = self._columns("entity", given.entity)
        self.group = self._columns("group", given.group)
        self.status = self._columns("status", (given.status,))[0] if given.status else None
        (self._updated,) = self._columns("updated", (given.updated or target.cursor,))

    def _columns(self, what: str, wanted: Sequence[str]) -> tuple[Column, ...]:
        missing = [name for name in wanted if name.lower() not in self._by_name]
        if missing:
            raise ConfigError(
                f"{self._target.qualified} has no column {', '.join(missing)}, which `views: {what}` names",
                hint=f"its columns are {', '.join(c.name for c in self._target.columns)}",
            )
        found = tuple(self._by_name[name.lower()] for name in wanted)
        if len({c.name for c in found}) < len(found):
            raise ConfigError(f"{self._target.qualified}: `views: {what}` names a column twice")
        unfit = [c for c in found if c.redshift_type == "SUPER" or (what == "updated" and _is_unordered(c))]
        if unfit:
            raise ConfigError(
                f"{self._target.qualified}: {unfit[0].name} is a {unfit[0].redshift_type},"
                f" which cannot be compared as `views: {what}` needs it",
                hint="name another column",
            )
        return found

    def latest(self) -> View:
        """The latest row of each entity: all columns, and status and time under the names all views give them."""
        columns = self._target.columns
        shown = [(c.name, c.redshift_type, f"x.{quote_name(c.name)}") for c in columns]
        renamed = [(name, c) for name, c in self._named() if name.lower() != c.name.lower()]
        shown += [(name, c.redshift_type, f"x.{quote_name(c.name)}") for name, c in renamed]
        return self._view(ViewKind.LATEST, shown, self._latest_rows(columns))

    def by_group(self) -> View:
        """The latest row of each group, among the latest rows of its entities."""
        needed = self._unique((*self.group, *(c for _, c in self._named()), *self._entity, *self._order_columns))
        rank = self._rank(self.group, "s3rs_group_rank", "x")
        listed = _list(needed, "x")
        rows = f"SELECT {listed}, {rank} FROM {self._latest_rows(needed)}"
        named = self._named()
        entity = [c for c in self._entity if c not in self.group]
        pairs = [(c.name, c) for c in self.group] + named + [(c.name, c) for c in entity]
        shown = [(name, c.redshift_type, f"y.{quote_name(c.name)}") for name, c in pairs]
        return self._view(ViewKind.GROUP, shown, f"({rows}) AS y WHERE y.s3rs_group_rank = 1")

    def summary(self) -> View:
        """How many entities have which status, and their first and last update."""
        assert self.status is not None
        status, updated = f"x.{quote_name(self.status.name)}", f"x.{quote_name(self._updated.name)}"
        kind = self._updated.redshift_type
        shown = [
            (self._given.status_as, self.status.redshift_type, status),
            (COUNT, "BIGINT", "count(*)"),
            (FIRST, kind, f"min({updated})"),
            (self._given.updated_as, kind, f"max({updated})"),
        ]
        rows = self._latest_rows(self._unique((self.status, self._updated)))
        return self._view(ViewKind.SUMMARY, shown, f"{rows} GROUP BY {', '.join(_values((self.status,), 'x'))}")

    def _named(self) -> list[tuple[str, Column]]:
        status = [] if self.status is None else [(self._given.status_as, self.status)]
        return [*status, (self._given.updated_as, self._updated)]

    def _latest_rows(self, columns: Sequence[Column]) -> str:
        """FROM and WHERE of the latest rows, which are called ``x``; only the columns asked for are read."""
        present = " OR ".join(f"t.{quote_name(c.name)} IS NOT NULL" for c in self._entity)
        rows = f"SELECT {_list(columns, 't')}, {self._rank(self._entity, MARK, 't')} FROM {self._target.qualified} AS t"
        return f"({rows} WHERE {present}) AS x WHERE x.{MARK} = 1"

    def _rank(self, of: Sequence[Column], name: str, alias: str) -> str:
        order = [c.name for c in self._order_columns]
        if self._target.load_columns and alias == "t":
            order += LOAD_COLUMNS
        ordered = ", ".join(f"{alias}.{quote_name(c)} DESC NULLS LAST" for c in order)
        return f"ROW_NUMBER() OVER (PARTITION BY {', '.join(_values(of, alias))} ORDER BY {ordered}) AS {name}"

    @property
    def _order_columns(self) -> tuple[Column, ...]:
        """Newest first by these; a table without a key has all its columns tell two rows apart."""
        names = (self._target.cursor, *self._target.key)
        known = tuple(self._by_name[n.lower()] for n in names if n.lower() in self._by_name)
        rest = () if self._target.key else tuple(c for c in self._target.columns if not _is_unordered(c))
        return self._unique((self._updated, *known, *rest))

    @staticmethod
    def _unique(columns: Sequence[Column]) -> tuple[Column, ...]:
        return tuple({c.name: c for c in columns}.values())

    def _view(self, kind: ViewKind, shown: Sequence[tuple[str, str, str]], rows: str) -> View:
        names = [name.lower() for name, _, _ in shown]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError(
                f"{self._target.qualified}: the view {kind.value} would have two columns {twice[0]}",
                hint="give another `status_as` or `updated_as` in the table's `views`",
            )
        own = {
            ViewKind.LATEST: self._given.latest_name,
            ViewKind.GROUP: self._given.group_name,
            ViewKind.SUMMARY: self._given.summary_name,
        }[kind]
        columns = ", ".join(f"{text} AS {quote_name(name)}" for name, _, text in shown)
        return View(
            kind=kind,
            schema=self._given.target_schema or self._target.schema,
            name=own or self._target.name + SUFFIXES[kind],
            columns=tuple((name.lower(), of) for name, of, _ in shown),
            query=f"SELECT {columns} FROM {rows}",
        )


def _is_unordered(column: Column) -> bool:
    return column.redshift_type.startswith(UNORDERED)


def _list(columns: Sequence[Column], alias: str) -> str:
    return ", ".join(f"{alias}.{quote_name(c.name)}" for c in columns)


def _values(columns: Sequence[Column], alias: str) -> list[str]:
    """What tells one value from another: Redshift ignores trailing blanks where it compares VARCHAR."""
    values = [f"{alias}.{quote_name(c.name)}" for c in columns]
    texts = [c for c in columns if c.redshift_type.startswith("VARCHAR")]
    return values + [f"octet_length({alias}.{quote_name(c.name)})" for c in texts]


def _require_names(target: Target, made: Sequence[View]) -> None:
    taken: set[tuple[str, str]] = set()
    for view in made:
        setting = f"`{view.kind.value}_name`"
        for name in (view.schema, view.name, *(name for name, _ in view.columns)):
            if not name or len(name.lower().encode()) > LONGEST_NAME:
                raise ConfigError(
                    f"{target.qualified}: {name!r} cannot be a name: Redshift takes 1 to {LONGEST_NAME} bytes",
                    hint=f"give a shorter {setting} in the table's `views`",
                )
        place = (view.schema.lower(), view.name.lower())
        own = view.name.lower() == LEDGER_TABLE or view.name.lower().startswith(SHADOW_PREFIX)
        if own or place in taken or place == (target.schema.lower(), target.name.lower()):
            raise ConfigError(
                f"{target.qualified}: the view {view.kind.value} cannot be called {view.qualified}:"
                " that is the name of a table of this program or of another view",
                hint=f"give another {setting} in the table's `views`",
            )
        taken.add(place)

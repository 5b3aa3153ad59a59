"""The section ``tables`` of a settings file: what holds for single tables and columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from .policies import Deletes, GeometryForm, JsonForm, LongText, Mode, NulBytes, Policy, ZeroDates
from .view_settings import Names, ViewSettings

LOAD_COLUMNS = {"_s3rs_loaded_at": "TIMESTAMP", "_s3rs_run_id": "VARCHAR(64)"}
"""Columns of a target that say when (UTC) and by which run a row was loaded, with their types."""
DELETED_COLUMN = {"_s3rs_deleted_at": "TIMESTAMP"}
"""The column of a target that says when (UTC) a row was found gone from the source, with its type; NULL elsewhere."""

Percent = Annotated[int, Field(ge=0, le=100)]

NullByName = BeforeValidator(lambda value: "null" if value is None else value)
"""YAML reads the word ``null`` as no value."""


class ValueSettings(BaseModel):
    """The choices for values Redshift has no form for, for a table or a column; what is not given is inherited.

    Attributes:
        zero_dates: dates no calendar has: null or refuse.
        long_text: texts over 65,535 bytes: refuse, truncate or exclude.
        nul_bytes: NUL bytes in texts: refuse or remove.
        geometry: wkb or wkt.
        json_form: text or super.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zero_dates: Annotated[ZeroDates | None, NullByName] = None
    long_text: LongText | None = None
    nul_bytes: NulBytes | None = None
    geometry: GeometryForm | None = None
    json_form: JsonForm | None = None

    def over(self, policy: Policy) -> Policy:
        """``policy`` with what is given here in its place."""
        given = {f.name: getattr(self, f.name) for f in fields(Policy) if getattr(self, f.name) is not None}
        return replace(policy, **given)


class TableSettings(ValueSettings):
    """One entry of the section ``tables`` of a settings file.

    Attributes:
        mode: how loaded rows meet those already in the target.
        cursor: the column that grows on every insert and update.
        key: the key columns.
        target, target_schema: where the rows go in Redshift.
        diststyle, distkey, sortkeys: the layout of a target that is created; Redshift chooses what is not given.
        load_columns: whether the target has the columns of :data:`LOAD_COLUMNS`.
        deletes: what becomes of rows that are gone from the source.
        max_delete_percent: of more rows of the target than these none is deleted or marked.
        where: a condition in MySQL's SQL that the rows must meet; the others are as if they were not there.
        include: the columns to carry; empty for all.
        exclude: the columns to leave out.
        columns: settings of single columns, by name.
        views: its latest-status views.
    """

    mode: Mode | None = None
    cursor: str | None = None
    key: Names | None = None
    target: str | None = None
    target_schema: str | None = None
    diststyle: Literal["auto", "even", "all", "key"] | None = None
    distkey: str | None = None
    sortkeys: Names = ()
    load_columns: bool | None = None
    deletes: Deletes | None = None
    max_delete_percent: Percent | None = None
    where: str = ""
    include: Names = ()
    exclude: Names = ()
    columns: dict[str, ValueSettings] = Field(default_factory=dict)
    views: ViewSettings | None = None

    @field_validator("where")
    @classmethod
    def _one_condition(cls, value: str) -> str:
        return require_condition(value.strip())

    @model_validator(mode="after")
    def _whole_layout(self) -> TableSettings:
        if self.distkey and self.diststyle not in (None, "key"):
            raise ValueError(f"distkey goes with diststyle key alone, not with {self.diststyle}")
        return self

    def merged(self, closer: TableSettings) -> TableSettings:
        """These settings under a closer entry's: columns left out by either stay out, otherwise the closer wins."""
        given = {name: getattr(closer, name) for name in closer.model_fields_set}
        given["exclude"] = tuple(dict.fromkeys(self.exclude + closer.exclude))
        given["columns"] = self.columns | closer.columns
        return self.model_copy(update=given)

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Every column these settings speak of."""
        single = tuple(name for name in (self.cursor, self.distkey) if name)
        return tuple(
            dict.fromkeys((*self.include, *self.exclude, *self.columns, *single, *(self.key or ()), *self.sortkeys))
        )

    def carries(self, column: str) -> bool:
        """Whether a column is carried; names compare without regard to case, as in MySQL."""
        name = column.lower()
        return name not in _lower(self.exclude) and (not self.include or name in _lower(self.include))

    def policy(self, column: str, default: Policy) -> Policy:
        """The policy of a column: its own settings, then the table's, then ``default``."""
        policy = self.over(default)
        for name, own in self.columns.items():
            if name.lower() == column.lower():
                policy = own.over(policy)
        return policy


def require_condition(text: str) -> str:
    """Raises ValueError when a condition would not stay inside the parentheses that are put around it."""
    depth, quote, place = 0, "", 0
    while place < len(text) and depth >= 0:
        character = text[place]
        if quote:
            if character == "\\" and quote != "`":
                place += 1
            elif character == quote:
                quote = ""
        elif text.startswith((";", "#", "--", "/*"), place):
            raise ValueError("give one condition, without `;` and without comments")
        elif character in "'\"`":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        place += 1
    if depth or quote:
        raise ValueError("its parentheses and quotes must be balanced")
    return text


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}

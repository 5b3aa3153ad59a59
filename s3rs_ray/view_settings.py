"""The key ``views`` of a table's settings: which columns its latest-status views are made of, and their names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def split_names(value: object) -> object:
    """``a, b`` as a tuple of names; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
SomeNames = Annotated[Names, Field(min_length=1)]


class ViewSettings(BaseModel):
    """What the latest-status views of a table are made of. Names of columns compare without regard to case.

    Attributes:
        entity: the columns that name what has one latest row, e.g. a parcel.
        group: the columns that group entities, e.g. a partner; empty for no view of groups.
        status: the column of the status; None for no summary.
        updated: the column by which one row is newer than another; None for the cursor column.
        status_as, updated_as: what the views call these two.
        target_schema: the schema of the views; None for the table's.
        latest_name, group_name, summary_name: the views' names; None for the table's with a suffix.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: SomeNames
    group: Names = ()
    status: str | None = None
    updated: str | None = None
    status_as: str = "latest_status"
    updated_as: str = "last_status_update_at"
    target_schema: str | None = None
    latest_name: str | None = None
    group_name: str | None = None
    summary_name: str | None = None


SETTLEMENT_VIEWS = ViewSettings(entity=("ant_parcel_no",), group=("partner_id",), status="latest_status")
"""The views of a table whose settings name none, where it has all these columns."""

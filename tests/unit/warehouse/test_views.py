"""The latest-status views as SQL: as they were reviewed, and what settings cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from s3rs_ray.errors import ConfigError
from s3rs_ray.source.types import contract
from s3rs_ray.view_settings import ViewSettings
from s3rs_ray.warehouse import views
from s3rs_ray.warehouse.sql import Target
from s3rs_ray.warehouse.views import ViewKind, create_view_sql, views_of
from tests.support.build import source_column
from tests.support.golden import assert_golden_sql

TEXT: dict[str, Any] = {"characters": 20, "character_set": "utf8mb4"}
PARCELS = Target(
    schema="Public",
    name="Parcels",
    columns=tuple(
        contract(c)
        for c in (
            source_column("ID", "bigint(20)", nullable=False, precision=19, scale=0),
            source_column("ant_parcel_no", "varchar(20)", **TEXT),
            source_column("partner_id", "int(11)", precision=10, scale=0),
            source_column("latest_status", "varchar(20)", **TEXT),
            source_column("Proof", "blob"),
            source_column("update_at", "datetime"),
        )
    ),
    key=("ID",),
    cursor="update_at",
)
GIVEN: dict[str, Any] = {"entity": "ant_parcel_no", "group": "partner_id", "status": "latest_status"}


def made(target: Target = PARCELS, **changes: Any) -> tuple[views.View, ...]:
    return views_of(target, ViewSettings(**(GIVEN | changes)))


def test_the_views_read_as_they_were_reviewed() -> None:
    texts = {f"settlement: {v.kind.value}": create_view_sql(v, replace=True) for v in views_of(PARCELS, None)}
    other = made(
        entity=["ID", "Ant_Parcel_No"],
        group=["partner_id", "latest_status"],
        status="partner_id",
        updated="ID",
        status_as='st"atus',
        updated_as="at",
        target_schema="Reports",
        latest_name='odd "name"; --',
        group_name="by group",
        summary_name="sum",
    )
    texts |= {f"composite, named: {v.kind.value}": create_view_sql(v, replace=False) for v in other}
    keyless = replace(PARCELS, key=(), load_columns=True)
    texts |= {
        "no key, load columns: latest": create_view_sql(made(keyless)[0], replace=True),
        "drop": views.drop_view_sql(other[0]),
        "find table": views.find_table_sql(),
        "find view": views.find_view_sql(),
    }
    assert_golden_sql(Path(__file__).with_name("golden") / "views.sql", texts)


def test_without_group_or_status_there_are_fewer_views() -> None:
    assert [v.kind for v in made(group=())] == [ViewKind.LATEST, ViewKind.SUMMARY]
    assert [v.kind for v in made(status=None)] == [ViewKind.LATEST, ViewKind.GROUP]
    assert [v.kind for v in made(status=None, group=())] == [ViewKind.LATEST]


def test_the_views_name_their_columns_with_types() -> None:
    latest, by_group, summary = made()
    assert [name for name, _ in latest.columns] == [
        *(c.name.lower() for c in PARCELS.columns),
        "last_status_update_at",
    ]
    assert [name for name, _ in by_group.columns] == [
        "partner_id",
        "latest_status",
        "last_status_update_at",
        "ant_parcel_no",
    ]
    assert summary.columns == (
        ("latest_status", "VARCHAR(80)"),
        ("entity_count", "BIGINT"),
        ("first_status_update_at", "TIMESTAMP"),
        ("last_status_update_at", "TIMESTAMP"),
    )


def test_a_table_without_the_settlement_columns_has_no_views_unless_they_are_set() -> None:
    for missing in ("ant_parcel_no", "partner_id", "latest_status"):
        other = replace(PARCELS, columns=tuple(c for c in PARCELS.columns if c.name != missing))
        with pytest.raises(ConfigError, match="no views are set for this table") as refused:
            views_of(other, None)
        assert "views: {entity: …}" in refused.value.hint


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"entity": "parcel, ID"}, "has no column parcel, which `views: entity` names", "its columns are ID, ant"),
        ({"group": "nobody"}, "no column nobody, which `views: group`", "partner_id"),
        ({"status": "nobody"}, "no column nobody, which `views: status`", "latest_status"),
        ({"updated": "nobody"}, "no column nobody, which `views: updated`", "update_at"),
        ({"entity": "ID, id"}, "`views: entity` names a column twice", ""),
        ({"updated": "Proof"}, "Proof is a VARBYTE.*cannot be compared", "another column"),
        ({"latest_name": "x" * 128}, "1 to 127 bytes", "`latest_name`"),
        ({"summary_name": "包" * 43}, "1 to 127 bytes", "`summary_name`"),
        ({"status_as": "x" * 128, "status": "ID"}, "1 to 127 bytes", ""),
        ({"target_schema": "x" * 128}, "1 to 127 bytes", ""),
        ({"group_name": "PARCELS"}, "cannot be called", "`group_name`"),
        ({"group_name": "same", "summary_name": "SAME"}, 'cannot be called .*"same"', "`summary_name`"),
        ({"latest_name": "s3rs_load_ledger"}, "a table of this program", "`latest_name`"),
        ({"latest_name": "S3RS_shadow_x"}, "a table of this program", "`latest_name`"),
        ({"updated_as": "PARTNER_ID"}, "two columns partner_id", "`updated_as`"),
        ({"updated_as": "first_status_update_at"}, "two columns first_status_update_at", "`updated_as`"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_remedy(
    changes: dict[str, Any], message: str, remedy: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        made(**changes)
    assert remedy in refused.value.hint


def test_a_table_with_a_long_name_needs_a_name_for_its_views() -> None:
    long = replace(PARCELS, name="x" * 120)
    with pytest.raises(ConfigError, match="1 to 127 bytes"):
        made(long)
    assert len(made(long, latest_name="a", group_name="b", summary_name="c")) == 3


@pytest.mark.parametrize("wrong", [{}, {"entity": ()}, {"entity": "a", "grup": "b"}])
def test_the_settings_need_an_entity_and_know_no_other_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ViewSettings(**wrong)


def test_a_super_is_no_entity() -> None:
    parsed = replace(PARCELS.columns[3], redshift_type="SUPER")
    target = replace(PARCELS, columns=(*PARCELS.columns[:3], parsed, *PARCELS.columns[4:]))
    with pytest.raises(ConfigError, match="latest_status is a SUPER"):
        made(target)

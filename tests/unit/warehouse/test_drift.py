"""What becomes of a target that the source outgrew: which types hold which, and how the others are reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.errors import SchemaDrift
from s3rs_ray.source.types import contract
from s3rs_ray.warehouse.drift import (
    RedshiftType,
    alterations,
    catalog_type,
    holds,
    only_in_target,
    parse_type,
    retypings,
)
from s3rs_ray.warehouse.sql import Target
from tests.support.build import source_column

KINDS = st.one_of(
    st.sampled_from(["SMALLINT", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION", "DATE", "TIMESTAMP", "BOOLEAN"]).map(
        RedshiftType
    ),
    st.builds(RedshiftType, st.sampled_from(["VARCHAR", "VARBYTE"]), st.integers(1, 65_535)),
    st.integers(1, 38).flatmap(lambda p: st.builds(RedshiftType, st.just("DECIMAL"), st.just(p), st.integers(0, p))),
)


def target(column_type: str, **sizes: Any) -> Target:
    column = contract(source_column("c", column_type, character_set="ascii", **sizes))
    return Target(schema="public", name="t", columns=(column,), key=("c",), cursor="c")


@given(KINDS)
def test_a_type_is_read_back_from_its_text_and_holds_itself(kind: RedshiftType) -> None:
    assert parse_type(str(kind)) == kind
    assert holds(kind, kind)


@pytest.mark.parametrize("text", ["", "DECIMAL(", "varchar(5)", "VARCHAR(5"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Redshift type"):
        parse_type(text)


@pytest.mark.parametrize(
    ("actual", "wanted", "held"),
    [
        ("BIGINT", "INTEGER", True),
        ("INTEGER", "BIGINT", False),
        ("VARCHAR(10)", "VARCHAR(9)", True),
        ("VARCHAR(9)", "VARCHAR(10)", False),
        ("DECIMAL(12,2)", "DECIMAL(10,2)", True),
        ("DECIMAL(12,4)", "DECIMAL(10,2)", True),
        ("DECIMAL(11,4)", "DECIMAL(10,2)", False),
        ("DECIMAL(12,1)", "DECIMAL(10,2)", False),
        ("DECIMAL(20,0)", "BIGINT", True),
        ("DECIMAL(18,0)", "BIGINT", False),
        ("BIGINT", "DECIMAL(5,0)", False),
        ("DOUBLE PRECISION", "REAL", True),
        ("REAL", "DOUBLE PRECISION", False),
        ("VARCHAR(65535)", "INTEGER", False),
        ("TIMESTAMP", "DATE", False),
    ],
)
def test_a_type_holds_another_when_every_value_of_it_stays_exact(actual: str, wanted: str, held: bool) -> None:
    assert holds(parse_type(actual), parse_type(wanted)) is held


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (("character varying", 50, None, None), "VARCHAR(50)"),
        (("numeric", None, 10, 2), "DECIMAL(10,2)"),
        (("timestamp without time zone", None, None, None), "TIMESTAMP"),
        (("binary varying", 16, None, None), "VARBYTE(16)"),
        (("bigint", None, 64, 0), "BIGINT"),
        (("double precision", None, 53, None), "DOUBLE PRECISION"),
    ],
)
def test_the_catalogs_words_are_understood(told: tuple[str, int | None, int | None, int | None], kind: str) -> None:
    assert str(catalog_type(*told)) == kind


def test_a_target_that_fits_is_left_alone() -> None:
    assert alterations(target("int(11)"), {"c": RedshiftType("BIGINT"), "extra": RedshiftType("DATE")}) == []


def test_a_new_column_is_added_and_named() -> None:
    [change] = alterations(target("int(11)"), {})
    assert change.statements == ('ALTER TABLE "public"."t" ADD COLUMN "c" INTEGER',)
    assert change.added == "c"


def test_a_full_refresh_gives_a_column_that_cannot_be_altered_its_new_type() -> None:
    made = target("datetime")
    assert alterations(made, {"c": RedshiftType("DATE")}, anew=True) == []
    [change] = retypings(made, {"c": RedshiftType("DATE")})
    assert change.statements == (
        'ALTER TABLE "public"."t" DROP COLUMN "c"',
        'ALTER TABLE "public"."t" ADD COLUMN "c" TIMESTAMP',
    )
    assert retypings(made, {"c": RedshiftType("TIMESTAMP"), "extra": RedshiftType("DATE")}) == []
    assert retypings(made, {}) == []  # added by an alteration
    assert retypings(target("bigint(20)"), {"c": RedshiftType("INTEGER")}) == []  # widened by one


def test_load_columns_are_added_where_they_are_missing() -> None:
    made = replace(target("int(11)"), load_columns=True)
    changes = alterations(made, {"c": RedshiftType("INTEGER"), "_s3rs_run_id": RedshiftType("VARCHAR", 64)})
    assert [c.statements for c in changes] == [('ALTER TABLE "public"."t" ADD COLUMN "_s3rs_loaded_at" TIMESTAMP',)]
    assert changes[0].added == ""
    assert only_in_target(made, ("c", "_s3rs_run_id", "ours")) == ("ours",)


def test_a_varchar_is_widened_in_place_outside_a_transaction() -> None:
    [change] = alterations(target("varchar(20)", characters=20), {"c": RedshiftType("VARCHAR", 10)})
    assert change.statements == ('ALTER TABLE "public"."t" ALTER COLUMN "c" TYPE VARCHAR(20)',)
    assert not change.atomic


@pytest.mark.parametrize(
    ("column_type", "sizes", "actual", "through"),
    [
        ("bigint(20)", {}, "INTEGER", "BIGINT"),
        ("int(11)", {}, "DECIMAL(6,2)", "DECIMAL(12,2)"),
        ("decimal(10,4)", {"precision": 10, "scale": 4}, "DECIMAL(10,2)", "DECIMAL(12,4)"),
        ("double", {}, "REAL", "DOUBLE PRECISION"),
        ("varbinary(20)", {"characters": 20}, "VARBYTE(10)", "VARBYTE(20)"),
    ],
)
def test_a_number_moves_to_a_wider_column_that_holds_both_old_and_new_values_in_one_transaction(
    column_type: str, sizes: dict[str, int], actual: str, through: str
) -> None:
    [change] = alterations(target(column_type, **sizes), {"c": parse_type(actual)})
    assert change.atomic
    assert change.statements == (
        f'ALTER TABLE "public"."t" ADD COLUMN "s3rs_new_c" {through}',
        'UPDATE "public"."t" SET "s3rs_new_c" = "c"',
        'ALTER TABLE "public"."t" DROP COLUMN "c"',
        'ALTER TABLE "public"."t" RENAME COLUMN "s3rs_new_c" TO "c"',
    )


@pytest.mark.parametrize(
    ("column_type", "sizes", "actual"),
    [
        ("int(11)", {}, "VARCHAR(20)"),
        ("varchar(20)", {"characters": 20}, "INTEGER"),
        ("datetime", {}, "DATE"),
        ("decimal(38,0)", {"precision": 38, "scale": 0}, "DECIMAL(38,2)"),
        ("double", {}, "DECIMAL(10,2)"),
    ],
)
def test_a_column_that_cannot_hold_both_is_refused_by_name(
    column_type: str, sizes: dict[str, int], actual: str
) -> None:
    with pytest.raises(SchemaDrift) as refused:
        alterations(target(column_type, **sizes), {"c": parse_type(actual)})
    assert f"c is {actual} there, and {column_type} needs" in refused.value.message
    assert refused.value.hint


@given(KINDS, KINDS)
def test_whatever_a_column_moves_to_holds_the_old_and_the_new(actual: RedshiftType, wanted: RedshiftType) -> None:
    column = contract(source_column("c", "int(11)"))
    of = Target(schema="s", name="t", columns=(replace(column, redshift_type=str(wanted)),), key=("c",), cursor="c")
    try:
        changes = alterations(of, {"c": actual})
    except SchemaDrift:
        return
    if not changes:
        assert holds(actual, wanted)
        return
    new = parse_type(changes[0].statements[0].partition(" COLUMN ")[2].partition(" ")[2].removeprefix("TYPE "))
    assert holds(new, wanted)
    assert holds(new, actual)


def test_columns_that_only_the_target_has_are_known() -> None:
    assert only_in_target(target("int(11)"), ("C", "c", "loaded_by")) == ("C", "loaded_by")

"""Every statement sent to Redshift, as it was reviewed; quoting and folding."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.errors import ConfigError
from s3rs_ray.warehouse import mode_sql, sql
from s3rs_ray.warehouse.sql import Target, quote_name, quote_text
from tests.support import build
from tests.support.golden import assert_golden_sql

TARGET = Target(schema="Public", name="Parcels", columns=build.columns(), key=("ID",), cursor="update_at")
WIDE_KEY = replace(TARGET, key=("ID", "note"))
LAID_OUT = replace(TARGET, diststyle="key", distkey="ID", sortkeys=("update_at", "ID"), load_columns=True)
KEYLESS = replace(TARGET, key=())
KEYS = sql.keys_sql("AKIA", "se'cr\\et", "")


def statements() -> dict[str, str]:
    return {
        "find schema": sql.find_schema_sql("It's"),
        "create schema": sql.create_schema_sql('we"ird'),
        "create ledger": sql.create_ledger_sql("public"),
        "create target": sql.create_target_sql(TARGET),
        "create target with a layout and load columns": sql.create_target_sql(LAID_OUT),
        "create target on every node": sql.create_target_sql(replace(TARGET, diststyle="all")),
        "create staging": sql.create_staging_sql(TARGET, TARGET.staging),
        "drop": sql.drop_sql(TARGET.staging),
        "columns": sql.columns_sql(),
        "copy by role": sql.copy_sql(TARGET, "s3://lake/a'b.manifest", sql.role_sql("arn:aws:iam::1:role/x")),
        "copy by keys": sql.copy_sql(TARGET, "s3://lake/a.manifest", KEYS),
        "count": sql.count_sql(TARGET.staging),
        "repeated keys": mode_sql.repeated_keys_sql(TARGET),
        "repeated keys of text": mode_sql.repeated_keys_sql(replace(WIDE_KEY, folded=("note",), padded=("note",))),
        "delete older by a key whose case does not count": mode_sql.delete_older_sql(
            replace(WIDE_KEY, folded=("note",)), TARGET.newest
        ),
        "repeated composite keys": mode_sql.repeated_keys_sql(WIDE_KEY),
        "lock ledger": sql.lock_ledger_sql("public"),
        "find load": sql.find_load_sql("public"),
        "record load": sql.record_load_sql("public"),
        "reached": sql.reached_sql("public"),
        "other source": sql.other_source_sql("public"),
        "pick newest": mode_sql.pick_newest_sql(TARGET),
        "count known": mode_sql.count_known_sql(TARGET, TARGET.staging),
        "count new": mode_sql.count_new_sql(TARGET, TARGET.staging),
        "delete older": mode_sql.delete_older_sql(TARGET, TARGET.staging),
        "delete older by composite key": mode_sql.delete_older_sql(WIDE_KEY, TARGET.newest),
        "count new without a cursor": mode_sql.count_new_sql(TARGET, TARGET.staging, nulls=True),
        "delete older by the horizon": mode_sql.delete_older_sql(TARGET, TARGET.staging, nulls=True),
        "update older": mode_sql.update_older_sql(TARGET, TARGET.staging),
        "update older and its load columns": mode_sql.update_older_sql(
            TARGET, TARGET.staging, stamp="20260131T120000Z-1a2b3c"
        ),
        "insert missing": mode_sql.insert_missing_sql(TARGET, TARGET.staging),
        "insert missing with load columns": mode_sql.insert_missing_sql(
            TARGET, TARGET.staging, stamp="20260131T120000Z-1a2b3c"
        ),
        "repeated versions": mode_sql.repeated_versions_sql(TARGET),
        "pick versions": mode_sql.pick_versions_sql(TARGET),
        "count new versions": mode_sql.count_new_versions_sql(TARGET, TARGET.staging),
        "count new versions by a composite key": mode_sql.count_new_versions_sql(WIDE_KEY, TARGET.newest),
        "insert new versions": mode_sql.insert_new_versions_sql(TARGET, TARGET.staging, "20260131T120000Z-1a2b3c"),
        "insert all": mode_sql.insert_all_sql(KEYLESS, KEYLESS.qualified, KEYLESS.staging),
        "count between": sql.count_between_sql(KEYLESS, low=True, closed=True),
        "create shadow": mode_sql.create_shadow_sql(LAID_OUT, LAID_OUT.shadow("generation")),
        "tables": mode_sql.tables_sql(),
        "gathered": mode_sql.gathered_sql("public"),
        "later run that ended": mode_sql.later_run_sql("public", ended=True),
        "delete all": mode_sql.delete_all_sql(TARGET),
        "fill": mode_sql.fill_sql(TARGET, TARGET.shadow("generation")),
        "fill with load columns": mode_sql.fill_sql(TARGET, TARGET.shadow("generation"), "20260131T120000Z-1a2b3c"),
        "create target that marks rows": sql.create_target_sql(replace(TARGET, marks=True)),
        "unmark": mode_sql.update_older_sql(replace(TARGET, marks=True), TARGET.staging),
        "keep own columns": mode_sql.keep_own_sql(TARGET, TARGET.staging, ["mine", "yours"], versions=False),
        "keep own columns of versions": mode_sql.keep_own_sql(TARGET, TARGET.staging, ["mine"], versions=True),
        "delete staged": mode_sql.delete_staged_sql(WIDE_KEY, TARGET.newest, versions=False),
        "delete staged versions": mode_sql.delete_staged_sql(TARGET, TARGET.staging, versions=True),
        "insert mended": mode_sql.insert_mended_sql(TARGET, TARGET.staging, (), "", versions=False),
        "insert mended beside own columns": mode_sql.insert_mended_sql(
            WIDE_KEY, TARGET.staging, ["mine"], "20260131T120000Z-1a2b3c", versions=False
        ),
        "later run": mode_sql.later_run_sql("public"),
        "keys that are gone": mode_sql.gone_table_sql(WIDE_KEY),
        "delete what is gone": mode_sql.delete_gone_sql(WIDE_KEY),
        "mark what is gone": mode_sql.mark_gone_sql(replace(TARGET, marks=True)),
        "delete what has NULL in its key": mode_sql.delete_unkeyed_sql(WIDE_KEY, "(amount > 3)"),
        "mark what has NULL in its key": mode_sql.mark_unkeyed_sql(replace(TARGET, marks=True), "TRUE"),
        "count live": sql.count_live_sql(replace(TARGET, marks=True)),
        "loads": sql.loads_sql("public"),
        "live positions without a cursor": sql.null_positions_sql(replace(TARGET, marks=True), ("update_at", "ID")),
        "positions": sql.positions_sql(TARGET, ("update_at", "ID"), low=True, closed=True),
        "positions without a cursor": sql.null_positions_sql(TARGET, ("update_at", "ID")),
        "aggregates": sql.aggregates_sql(TARGET, low=False, closed=True),
        "statement timeout": sql.statement_timeout_sql(7200),
        "analyze": sql.analyze_sql(TARGET),
        "session id": sql.session_id_sql(),
        "load error": sql.load_error_sql(),
    }


def test_statements_read_as_they_were_reviewed() -> None:
    assert_golden_sql(Path(__file__).with_name("golden") / "statements.sql", statements())


def test_every_statement_builder_is_in_the_review() -> None:
    # A builder that is not called above fails here by its name.
    called = set(re.findall(r"sql\.(\w+_sql)\(", Path(__file__).read_text(encoding="utf-8")))
    builders = {**vars(sql), **vars(mode_sql)}
    assert {name for name in builders if name.endswith("_sql") and not name.startswith("_")} <= called


@pytest.mark.parametrize(
    "form", ["ON CONFLICT", "RETURNING", "DISTINCT ON", "FILTER (", "LATERAL", "MERGE", "TRUNCATE", "now()"]
)
def test_no_form_that_redshift_lacks_or_that_commits_is_used(form: str) -> None:
    assert not [name for name, text in statements().items() if form in text]


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("parcels", '"parcels"'),
        ("Parcels", '"parcels"'),
        ("order", '"order"'),
        ("2026", '"2026"'),
        ('a"b', '"a""b"'),
        ("a b;--", '"a b;--"'),
        ("ÄÖ包", '"äö包"'),
    ],
)
def test_a_name_is_quoted_and_folded_as_redshift_folds_it(name: str, quoted: str) -> None:
    assert quote_name(name) == quoted


@pytest.mark.parametrize(("text", "quoted"), [("a", "'a'"), ("a'b", "'a''b'"), ("a\\", "'a\\\\'"), ("\\'", "'\\\\'''")])
def test_a_text_is_quoted_for_a_server_that_takes_the_backslash_for_an_escape(text: str, quoted: str) -> None:
    assert quote_text(text) == quoted


@given(st.text())
def test_any_text_stays_inside_its_quotes(text: str) -> None:
    quoted = quote_text(text)
    assert re.fullmatch(r"'(?:[^'\\]|''|\\\\)*'", quoted, re.DOTALL)
    assert quoted[1:-1].replace("''", "'").replace("\\\\", "\\") == text


@given(st.text(min_size=1))
def test_any_name_stays_inside_its_quotes(name: str) -> None:
    assert re.fullmatch(r'"(?:[^"]|"")*"', quote_name(name), re.DOTALL)


@pytest.mark.parametrize(("role", "text"), [("default", "IAM_ROLE default"), ("Default", "IAM_ROLE default")])
def test_the_default_role_is_a_word(role: str, text: str) -> None:
    assert sql.role_sql(role) == text


@pytest.mark.parametrize("role", ["", "my-role", "'; DROP TABLE x; --"])
def test_a_role_that_is_no_arn_is_refused(role: str) -> None:
    with pytest.raises(ConfigError, match="neither an ARN nor `default`"):
        sql.role_sql(role)


def test_temporary_credentials_carry_their_token() -> None:
    assert sql.keys_sql("A", "B", "C") == "ACCESS_KEY_ID 'A' SECRET_ACCESS_KEY 'B' SESSION_TOKEN 'C'"


@pytest.mark.parametrize("name", ["x" * 127, "包" * 64, "X" * 200])
def test_temporary_tables_have_names_that_redshift_takes(name: str) -> None:
    target = replace(TARGET, name=name)
    for quoted in (target.staging, target.newest):
        assert len(quoted[1:-1].encode()) <= 127
    assert target.staging != target.newest


@pytest.mark.parametrize("name", ["Parcels", "x" * 127, "包" * 42])
def test_shadow_tables_have_names_of_their_own_that_redshift_takes(name: str) -> None:
    target = replace(TARGET, name=name)
    shadow = target.shadow("one")
    assert len(shadow.encode()) <= 127
    assert shadow.startswith(target.shadow_prefix)
    assert shadow != target.shadow("two")
    assert shadow == replace(target, name=name.upper()).shadow("one")
    for other in (replace(target, name=name + "2"), replace(target, schema="other")):
        assert not shadow.startswith(other.shadow_prefix)


def test_copy_names_the_columns_in_file_order_because_it_matches_them_by_position() -> None:
    text = sql.copy_sql(TARGET, "s3://lake/a.manifest", KEYS)
    assert '("id", "update_at", "amount", "note") FROM' in text

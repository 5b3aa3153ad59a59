"""Tables made from others, views, privileges, appends, merges. Source: AWS documentation, the page of each command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.local.redshift.conftest import ANALYST, StandIn
from tests.integration.local.redshift.lake import error_of

Run = Callable[..., list[list[object]]]


@pytest.fixture
def analyst(connect: Callable[..., object], standin: StandIn, run: Run, schema: str) -> Run:
    """Runs one statement as the user who is no superuser and may look into the schema."""
    run(f"GRANT USAGE ON SCHEMA {schema} TO {ANALYST}")
    connection = connect(user=ANALYST, password=standin.analyst_password)

    def run_one(sql: str) -> list[list[object]]:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []

    return run_one


def definition(run: Run, schema: str, table: str) -> list[list[object]]:
    run(f"SET search_path TO {schema}")
    columns = '"column", type, encoding, distkey, sortkey, "notnull"'
    return run(f"SELECT {columns} FROM pg_table_def WHERE tablename = '{table}'")


def test_create_table_as_takes_types_and_no_constraint(run: Run, schema: str) -> None:
    """CREATE TABLE AS, usage notes: constraints, identity, defaults and keys are not inherited; encodings are given."""
    run(
        f"CREATE TABLE {schema}.t (a BIGINT PRIMARY KEY, b VARCHAR(9) DEFAULT 'x' ENCODE zstd, c DECIMAL(20,4), d REAL)"
    )
    run(f"INSERT INTO {schema}.t VALUES (1, 'one', 1.5, 0.5), (2, 'two', 2.5, 0.25)")
    run(
        f"CREATE TABLE {schema}.u BACKUP NO DISTSTYLE KEY DISTKEY (a) SORTKEY (c) "
        f"AS SELECT * FROM {schema}.t WHERE a > 1"
    )
    assert run(f"SELECT a, b FROM {schema}.u") == [[2, "two"]]
    assert definition(run, schema, "u") == [
        ["a", "bigint", "az64", True, 0, False],
        ["b", "character varying(9)", "lzo", False, 0, False],
        ["c", "numeric(20,4)", "none", False, 1, False],
        ["d", "real", "none", False, 0, False],
    ]
    run(f"INSERT INTO {schema}.u (a) VALUES (3)")
    assert run(f"SELECT b FROM {schema}.u WHERE a = 3") == [[None]]


def test_create_table_as_with_names_and_temporary(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"INSERT INTO {schema}.t VALUES (1), (2)")
    run(f"CREATE TEMP TABLE x (n, m) AS (SELECT a, a::VARCHAR(5) FROM {schema}.t UNION ALL SELECT 3, '3'::VARCHAR(5))")
    assert run("SELECT sum(n), max(m) FROM x") == [[6, "3"]]
    run(f"CREATE LOCAL TEMPORARY TABLE y AS WITH z AS (SELECT count(*) AS c FROM {schema}.t) SELECT c FROM z")
    assert run("SELECT c FROM y") == [[2]]
    assert error_of(run, f"CREATE TABLE {schema}.w (a, b) AS SELECT a FROM {schema}.t")["C"] == "42601"
    assert error_of(run, f"CREATE TABLE {schema}.w DISTKEY (b) AS SELECT a FROM {schema}.t")["C"] == "42703"
    assert error_of(run, f"CREATE TABLE {schema}.t AS SELECT 1 AS a")["C"] == "42P07"


@pytest.mark.parametrize("value", ["'text'", "NULL", "a / 3.0", "upper(b)", "b || 'x'", "sum(c)"])
def test_create_table_as_refuses_types_it_does_not_know(run: Run, schema: str, value: str) -> None:
    """Length and precision of these are Redshift's own matter: a cast says what is wanted."""
    run(f"CREATE TABLE {schema}.t (a DECIMAL(9,2), b VARCHAR(9), c DECIMAL(9,2))")
    tail = "" if "sum" not in value else " GROUP BY a"
    assert error_of(run, f"CREATE TABLE {schema}.u AS SELECT {value} AS x FROM {schema}.t{tail}")["C"] == "0A000"
    kind = "VARCHAR(20)" if value[0] in "'Nub" else "DECIMAL(20,4)"
    run(f"CREATE TABLE {schema}.u AS SELECT ({value})::{kind} AS x FROM {schema}.t{tail}")


def test_create_table_as_in_a_transaction(connect: Callable[..., object], run: Run, schema: str) -> None:
    """It is rolled back like any other statement, and sees the snapshot of its transaction."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    connection = connect(autocommit=False)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"SELECT count(*) FROM {schema}.t")
    run(f"INSERT INTO {schema}.t VALUES (1)")
    cursor.execute(f"CREATE TABLE {schema}.u AS SELECT a FROM {schema}.t")
    cursor.execute(f"SELECT count(*) FROM {schema}.u")
    assert cursor.fetchone() == [0]
    connection.rollback()  # type: ignore[attr-defined]
    assert error_of(run, f"SELECT * FROM {schema}.u")["C"] == "42P01"


def test_like_takes_layout_and_null_properties(run: Run, schema: str) -> None:
    """CREATE TABLE, LIKE: names, types, NOT NULL, distribution and sort keys; no key; defaults on demand."""
    run(f"CREATE TABLE {schema}.t (a INT NOT NULL ENCODE zstd, b VARCHAR(9) DEFAULT 'x', PRIMARY KEY (a)) DISTKEY (a)")
    run(f"CREATE TABLE {schema}.u (LIKE {schema}.t EXCLUDING DEFAULTS)")
    assert definition(run, schema, "u")[0] == ["a", "integer", "zstd", True, 0, True]
    keys = f"SELECT table_name FROM information_schema.table_constraints WHERE table_schema = '{schema}'"
    assert run(keys) == [["t"]]
    for wrong in ("DISTSTYLE ALL", "SORTKEY (a)", "BACKUP NO"):
        assert error_of(run, f"CREATE TABLE {schema}.w (LIKE {schema}.t) {wrong}")["C"] == "42601"
    run(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t")
    assert error_of(run, f"CREATE TABLE {schema}.w (LIKE {schema}.v)")["C"] == "0A000"


def test_a_view_holds_its_table_and_follows_it(run: Run, schema: str) -> None:
    """CREATE VIEW, DROP VIEW, DROP TABLE: a view depends on its table by identity, not by name."""
    run(f"CREATE TABLE {schema}.t (a INT, b INT, c INT)")
    run(f"INSERT INTO {schema}.t VALUES (1, 2, 3)")
    run(f"CREATE VIEW {schema}.v AS SELECT a, b FROM {schema}.t")
    run(f"CREATE VIEW {schema}.w AS SELECT a FROM {schema}.v")
    for sql, what in (
        (f"DROP TABLE {schema}.t", "table"),
        (f"ALTER TABLE {schema}.t DROP COLUMN b", "column"),
        (f"DROP VIEW {schema}.v", "view"),
    ):
        error = error_of(run, sql)
        assert error["C"] == "2BP01", what
        assert error["M"].endswith("because other objects depend on it")
        assert error["H"] == "Use DROP ... CASCADE to drop the dependent objects too."
    run(f"ALTER TABLE {schema}.t DROP COLUMN c")
    run(f"ALTER TABLE {schema}.t RENAME TO t_old")
    run(f"CREATE TABLE {schema}.t (LIKE {schema}.t_old)")
    assert run(f"SELECT * FROM {schema}.v") == [[1, 2]]
    run(f"ALTER TABLE {schema}.t_old DROP COLUMN b CASCADE")
    assert error_of(run, f"SELECT * FROM {schema}.w")["C"] == "42P01"


def test_replacing_a_view_keeps_its_columns_and_its_grants(run: Run, analyst: Run, schema: str) -> None:
    """CREATE VIEW, OR REPLACE: the identical set of columns; ownership and privileges are preserved."""
    run(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(9))")
    run(f"INSERT INTO {schema}.t VALUES (1, 'x')")
    for late in ("", " WITH NO SCHEMA BINDING"):
        run(f"CREATE OR REPLACE VIEW {schema}.v AS SELECT a, b FROM {schema}.t{late}")
        run(f"GRANT SELECT ON {schema}.v TO {ANALYST}")
        run(f"CREATE OR REPLACE VIEW {schema}.v AS SELECT a + 1 AS a, b FROM {schema}.t{late}")
        assert analyst(f"SELECT * FROM {schema}.v") == [[2, "x"]]
        for columns in ("a", "a, b, a AS c", "b, a", "a AS x, b", "a::BIGINT AS a, b"):
            sql = f"CREATE OR REPLACE VIEW {schema}.v AS SELECT {columns} FROM {schema}.t{late}"
            assert error_of(run, sql)["C"] == "42P16", sql
        assert run(f"SELECT * FROM {schema}.v") == [[2, "x"]]
        run(f"DROP VIEW {schema}.v")
    assert error_of(run, f"DROP VIEW {schema}.v")["C"] == "42P01"


def test_a_view_takes_no_rows(run: Run, schema: str) -> None:
    """CREATE VIEW: you cannot update, insert into, or delete from a view."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t")
    clauses = "ON {x}.a = {y}.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES ({y}.a)"
    for sql in (
        f"INSERT INTO {schema}.v VALUES (1)",
        f"UPDATE {schema}.v SET a = 1",
        f"DELETE FROM {schema}.v",
        f"MERGE INTO {schema}.v USING {schema}.t {clauses.format(x='v', y='t')}",
        f"MERGE INTO {schema}.t USING {schema}.v {clauses.format(x='t', y='v')}",
    ):
        error = error_of(run, sql)
        assert (error["C"], error["M"]) == ("0A000", '"v" is a view, not a table'), sql


def test_privileges_belong_to_the_table_not_to_its_name(run: Run, analyst: Run, schema: str) -> None:
    """GRANT: they survive RENAME, TRUNCATE and ALTER, and are gone with the table."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"GRANT SELECT, INSERT ON {schema}.t TO {ANALYST}")
    run(f"TRUNCATE {schema}.t")
    run(f"ALTER TABLE {schema}.t ADD COLUMN b INT")
    run(f"ALTER TABLE {schema}.t RENAME TO t_old")
    analyst(f"INSERT INTO {schema}.t_old VALUES (1, 2)")
    run(f"CREATE TABLE {schema}.t (LIKE {schema}.t_old)")
    assert error_of(analyst, f"SELECT * FROM {schema}.t")["C"] == "42501"
    run(f"GRANT SELECT ON {schema}.t TO {ANALYST}")
    assert run(f"SELECT has_table_privilege('{ANALYST}', '{schema}.t', 'SELECT')") == [[True]]
    run(f"REVOKE SELECT ON {schema}.t FROM {ANALYST}")
    assert error_of(analyst, f"SELECT * FROM {schema}.t")["C"] == "42501"


def test_a_user_may_pass_on_what_was_granted_with_the_option(run: Run, analyst: Run, schema: str) -> None:
    """GRANT, WITH GRANT OPTION: for a user, never for a group or PUBLIC."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"GRANT SELECT ON {schema}.t TO {ANALYST} WITH GRANT OPTION, PUBLIC")
    analyst(f"GRANT SELECT ON {schema}.t TO PUBLIC")


def test_append_moves_the_rows(connect: Callable[..., object], run: Run, schema: str) -> None:
    """ALTER TABLE APPEND: the source is empty afterwards; never in a transaction."""
    run(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(9)) DISTKEY (a) SORTKEY (b)")
    run(f"CREATE TABLE {schema}.s (b VARCHAR(9), a INT) DISTKEY (a) SORTKEY (b)")
    run(f"INSERT INTO {schema}.s VALUES ('x', 1), ('y', 2)")
    connection = connect(autocommit=False)
    error = error_of(connection.cursor().execute, f"ALTER TABLE {schema}.t APPEND FROM {schema}.s")  # type: ignore[attr-defined]
    assert error["M"] == "ALTER TABLE APPEND cannot run inside a transaction block"
    connection.rollback()  # type: ignore[attr-defined]
    run(f"ALTER TABLE {schema}.t APPEND FROM {schema}.s")
    assert run(f"SELECT a, b FROM {schema}.t ORDER BY a") == [[1, "x"], [2, "y"]]
    assert run(f"SELECT count(*) FROM {schema}.s") == [[0]]


@pytest.mark.parametrize(
    ("source", "option", "passes"),
    [
        ("(a INT, b VARCHAR(9), c INT)", "", False),
        ("(a INT, b VARCHAR(9), c INT)", "IGNOREEXTRA", True),
        ("(a INT)", "", False),
        ("(a INT)", "FILLTARGET", True),
        ("(a BIGINT, b VARCHAR(9))", "", False),
        ("(a BIGINT, b VARCHAR(9), c INT)", "IGNOREEXTRA", False),
        ("(a INT, b VARCHAR(10))", "FILLTARGET", False),
        ("(a INT NOT NULL, b VARCHAR(9))", "", False),
        ("(a INT ENCODE zstd, b VARCHAR(9))", "", False),
        ("(a INT, b VARCHAR(9)) DISTKEY (a)", "", False),
        ("(a INT, b VARCHAR(9)) SORTKEY (a)", "", False),
        ("(a INT IDENTITY(1, 1), b VARCHAR(9))", "", False),
    ],
)
def test_append_wants_like_tables(run: Run, schema: str, source: str, option: str, passes: bool) -> None:
    """ALTER TABLE APPEND, usage notes: attributes of like-named columns, distribution and sort keys are identical."""
    run(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(9))")
    run(f"CREATE TABLE {schema}.s {source}")
    sql = f"ALTER TABLE {schema}.t APPEND FROM {schema}.s {option}"
    if passes:
        run(sql)
    else:
        assert error_of(run, sql)["C"] == "0A000"


def test_append_takes_permanent_tables(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT)")
    run("CREATE TEMP TABLE s (a INT)")
    assert error_of(run, f"ALTER TABLE {schema}.t APPEND FROM s")["C"] == "0A000"


def test_merge_refuses_two_matches_of_one_row(run: Run, schema: str) -> None:
    """MERGE: a row of the target cannot match several of the source; text of error_on_nondeterministic_update."""
    run(f"CREATE TABLE {schema}.t (k INT, v INT)")
    run(f"CREATE TABLE {schema}.s (k INT, v INT)")
    run(f"INSERT INTO {schema}.t VALUES (1, 0)")
    run(f"INSERT INTO {schema}.s VALUES (1, 1), (1, 2)")
    error = error_of(
        run,
        f"MERGE INTO {schema}.t USING {schema}.s ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v "
        "WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, s.v)",
    )
    assert error["M"] == "Found multiple matches to update the same tuple."
    assert run(f"SELECT v FROM {schema}.t") == [[0]]


def test_comments(run: Run, schema: str) -> None:
    """COMMENT: on tables, columns, views, schemas; not on columns of late-binding views."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t")
    run(f"CREATE VIEW {schema}.late AS SELECT a FROM {schema}.t WITH NO SCHEMA BINDING")
    run(f"COMMENT ON TABLE {schema}.t IS 'a table'")
    run(f"COMMENT ON COLUMN {schema}.t.a IS 'a column'")
    run(f"COMMENT ON VIEW {schema}.late IS 'a view'")
    run(f"COMMENT ON COLUMN {schema}.v.a IS 'another'")
    assert error_of(run, f"COMMENT ON COLUMN {schema}.late.a IS 'x'")["C"] == "0A000"
    remarks = f"SELECT table_name, remarks FROM svv_tables WHERE table_schema = '{schema}' ORDER BY 1"
    assert run(remarks) == [["late", "a view"], ["t", "a table"], ["v", None]]
    run(f"COMMENT ON TABLE {schema}.t IS NULL")
    assert run(remarks)[1] == ["t", None]
    assert run(f"SELECT remarks FROM svv_columns WHERE table_schema = '{schema}' AND table_name = 't'") == [
        ["a column"]
    ]

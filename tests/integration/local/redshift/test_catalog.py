"""Catalog views, views, names, users. Source: AWS documentation, the pages of each view and command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.local.redshift.conftest import ANALYST, StandIn
from tests.integration.local.redshift.lake import error_of

Run = Callable[..., list[list[object]]]


@pytest.fixture
def analyst(connect: Callable[..., object], standin: StandIn) -> Run:
    """Runs one statement as the user who is no superuser."""
    connection = connect(user=ANALYST, password=standin.analyst_password)

    def run_one(sql: str) -> list[list[object]]:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []

    return run_one


def test_svv_columns(run: Run, schema: str) -> None:
    run(
        f"CREATE TABLE {schema}.t (a BIGINT NOT NULL, b VARCHAR(20), c DECIMAL(20,4), d TIMESTAMP, e SUPER, "
        "f VARBYTE(9), g CHAR(3), h VARCHAR, i DOUBLE PRECISION, j SMALLINT, k DATE, l BOOLEAN, m REAL)"
    )
    rows = run(
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, is_nullable "
        f"FROM svv_columns WHERE table_schema = '{schema}' AND table_name = %s ORDER BY ordinal_position",
        "t",
    )
    assert rows == [
        ["a", "bigint", None, 64, 0, "NO"],
        ["b", "character varying", 20, None, None, "YES"],
        ["c", "numeric", None, 20, 4, "YES"],
        ["d", "timestamp without time zone", None, None, None, "YES"],
        ["e", "super", None, None, None, "YES"],
        ["f", "binary varying", 9, None, None, "YES"],
        ["g", "character", 3, None, None, "YES"],
        ["h", "character varying", 256, None, None, "YES"],
        ["i", "double precision", None, 53, None, "YES"],
        ["j", "smallint", None, 16, 0, "YES"],
        ["k", "date", None, None, None, "YES"],
        ["l", "boolean", None, None, None, "YES"],
        ["m", "real", None, 24, None, "YES"],
    ]


def test_pg_table_def_shows_keys_and_encodings(run: Run, schema: str) -> None:
    run(
        f"CREATE TABLE {schema}.t (a BIGINT ENCODE az64 DISTKEY, b VARCHAR(20) ENCODE zstd, c DECIMAL(20,4) NOT NULL) "
        "SORTKEY (c, a)"
    )
    query = f"""SELECT "column", type, encoding, distkey, sortkey, "notnull" FROM pg_table_def
        WHERE schemaname = '{schema}'"""
    assert run(query) == []
    run(f"SET search_path TO {schema}")
    assert run(query) == [
        ["a", "bigint", "az64", True, 2, False],
        ["b", "character varying(20)", "zstd", False, 0, False],
        ["c", "numeric(20,4)", "none", False, 1, True],
    ]


def test_svv_table_info_knows_tables_with_rows_and_is_for_superusers(run: Run, analyst: Run, schema: str) -> None:
    query = f"""SELECT "table", diststyle, sortkey1, tbl_rows FROM svv_table_info WHERE schema = '{schema}'"""
    run(f"CREATE TABLE {schema}.t (a INT) DISTKEY (a) SORTKEY (a)")
    assert run(query) == []
    run(f"INSERT INTO {schema}.t VALUES (1), (2)")
    assert run(query) == [["t", "KEY(a)", "a", 2]]
    assert error_of(analyst, query)["C"] == "42501"


def test_the_other_catalogs(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (a INT PRIMARY KEY)")
    run(f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t")
    run(f"COMMENT ON TABLE {schema}.t IS 'it''s'")
    where = f"WHERE table_schema = '{schema}' ORDER BY 1"
    assert run(f"SELECT table_name, table_type, remarks FROM svv_tables {where}") == [
        ["t", "BASE TABLE", "it's"],
        ["v", "VIEW", None],
    ]
    assert run(f"SELECT table_name FROM information_schema.tables {where}") == [["t"], ["v"]]
    assert run(f"SELECT table_name, constraint_type FROM information_schema.table_constraints {where}") == [
        ["t", "PRIMARY KEY"]
    ]
    assert run(f"SELECT nspname FROM pg_namespace WHERE nspname = '{schema}'") == [[schema]]
    assert run(f"SELECT viewname FROM pg_views WHERE schemaname = '{schema}'") == [["v"]]
    assert run("SELECT count(*) FROM pg_namespace WHERE nspname = 'redshift_standin'") == [[0]]
    assert run("SELECT count(*) > 0 FROM stv_sessions") == [[True]]


def test_queries_under_way_are_told_with_their_label(run: Run) -> None:
    """AWS documentation, SYS_QUERY_HISTORY and query_group; finished queries are not modelled."""
    run("SET query_group TO 'mine'")
    session = run("SELECT pg_backend_pid()")[0][0]
    told = "SELECT session_id FROM sys_query_history WHERE query_label = 'mine' AND status IN ('running', 'queued')"
    assert run(told) == [[session]]
    run("RESET query_group")
    assert run(told) == []
    assert run("SELECT query_label = '' FROM sys_query_history WHERE session_id = pg_backend_pid()") == [[True]]


def test_like_inherits_columns_and_layout_but_no_key(run: Run, schema: str) -> None:
    """AWS documentation, CREATE TABLE, LIKE."""
    run(f"CREATE TABLE {schema}.t (a INT PRIMARY KEY, b VARCHAR(9) DEFAULT 'x') DISTKEY (a) SORTKEY (b)")
    run(f"CREATE TABLE {schema}.u (LIKE {schema}.t)")
    run(f"CREATE TABLE {schema}.w (LIKE {schema}.t INCLUDING DEFAULTS)")
    run(f"SET search_path TO {schema}")
    query = """SELECT "column", distkey, sortkey, "notnull" FROM pg_table_def WHERE tablename = 'u'"""
    assert run(query) == [["a", True, 0, True], ["b", False, 1, False]]
    for table, value in (("u", None), ("w", "x")):
        run(f"INSERT INTO {table} (a) VALUES (1)")
        assert run(f"SELECT b FROM {table}") == [[value]]


def test_quoted_names_fold(run: Run, schema: str) -> None:
    """redshift.md, Types and names."""
    run(f'CREATE TABLE {schema}."MiXed" ("Col" INT, "SELECT" INT, "1st" INT)')
    run(f"INSERT INTO {schema}.mixed VALUES (1, 2, 3)")
    assert run(f'SELECT col, "select", "1ST" FROM {schema}."MIXED"') == [[1, 2, 3]]
    assert error_of(run, f'CREATE TABLE {schema}.u ("A" INT, a INT)')["C"] == "42701"


def test_names_may_have_127_bytes(run: Run, schema: str) -> None:
    """redshift.md, Types and names; PostgreSQL keeps 63."""
    stem = "n" * 120
    one, two = f"{stem}_one", f"{stem}_two"
    for name in (one, two):
        run(f"CREATE TABLE {schema}.{name} ({name} INT NOT NULL, b VARCHAR(3)) SORTKEY ({name})")
        run(f"INSERT INTO {schema}.{name} VALUES (1, 'x')")
    assert run(f"SELECT table_name, column_name FROM svv_columns WHERE table_schema = '{schema}' "
               "AND ordinal_position = 1 ORDER BY 1") == [[one, one], [two, two]]  # fmt: skip
    assert run(f"""SELECT "table", sortkey1 FROM svv_table_info WHERE schema = '{schema}' ORDER BY 1""") == [
        [one, one],
        [two, two],
    ]
    assert error_of(run, f"INSERT INTO {schema}.{one} (b) VALUES ('x')")["M"].endswith(one)
    run(f"ALTER TABLE {schema}.{one} RENAME COLUMN {one} TO {two}")
    assert error_of(run, f"ALTER TABLE {schema}.{one} DROP COLUMN {two}")["M"] == f'cannot drop sortkey column "{two}"'


def test_a_result_column_keeps_its_long_name(connect: Callable[..., object]) -> None:
    cursor = connect().cursor()  # type: ignore[attr-defined]
    label = "l" * 127
    cursor.execute(f"SELECT 1 AS {label}")
    assert cursor.description[0][0] == label


def test_a_view_is_bound_to_its_table(run: Run, schema: str) -> None:
    """AWS documentation, CREATE VIEW: without the clause the view depends on the table."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"CREATE VIEW {schema}.v (x) AS SELECT a FROM {schema}.t")
    assert error_of(run, f"DROP TABLE {schema}.t")["C"] == "2BP01"
    run(f"DROP TABLE {schema}.t CASCADE")
    assert error_of(run, f"SELECT * FROM {schema}.v")["C"] == "42P01"


def test_a_late_binding_view_finds_its_table_by_name(run: Run, analyst: Run, schema: str) -> None:
    """AWS documentation, CREATE VIEW, WITH NO SCHEMA BINDING."""
    run(f"CREATE TABLE {schema}.t (a INT, b VARCHAR(9))")
    run(f"INSERT INTO {schema}.t VALUES (1, 'old')")
    run(f"CREATE VIEW {schema}.v AS SELECT b, a FROM {schema}.t WITH NO SCHEMA BINDING")
    run(f"GRANT USAGE ON SCHEMA {schema} TO {ANALYST}")
    run(f"GRANT SELECT ON {schema}.v TO {ANALYST}")
    assert analyst(f"SELECT * FROM {schema}.v WHERE b = 'old '") == [["old", 1]]
    assert error_of(analyst, f"SELECT * FROM {schema}.t")["C"] == "42501"
    run(f"ALTER TABLE {schema}.t RENAME TO t_old")
    run(f"CREATE TABLE {schema}.t (LIKE {schema}.t_old)")
    run(f"DROP TABLE {schema}.t_old")
    run(f"INSERT INTO {schema}.t VALUES (2, 'new')")
    assert analyst(f"SELECT * FROM {schema}.v") == [["new", 2]]
    assert error_of(run, f"CREATE VIEW {schema}.v AS SELECT a FROM {schema}.t WITH NO SCHEMA BINDING")["C"] == "42P07"
    run(f"CREATE OR REPLACE VIEW {schema}.v AS SELECT b, a + 1 AS a FROM {schema}.t WITH NO SCHEMA BINDING")
    assert analyst(f"SELECT * FROM {schema}.v") == [["new", 3]]
    definition = run(f"SELECT definition FROM pg_views WHERE schemaname = '{schema}'")
    assert str(definition[0][0]).endswith("with no schema binding")
    run(f"DROP TABLE {schema}.t")
    assert error_of(analyst, f"SELECT * FROM {schema}.v")["C"] == "42P01"


def test_users_groups_and_grants(run: Run, analyst: Run, connect: Callable[..., object], schema: str) -> None:
    """AWS documentation, CREATE USER, CREATE GROUP, GRANT."""
    user, group = f"u_{schema}", f"g_{schema}"
    run(f"CREATE GROUP {group}")
    run(f"CREATE USER {user} PASSWORD 'Secret\\\\1' IN GROUP {group}")
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"GRANT USAGE ON SCHEMA {schema} TO GROUP {group}")
    run(f"GRANT SELECT ON {schema}.t TO GROUP {group}")
    connection = connect(user=user, password="Secret\\1")
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"SELECT count(*) FROM {schema}.t")
    assert error_of(cursor.execute, f"INSERT INTO {schema}.t VALUES (1)")["C"] == "42501"
    run(f"REVOKE SELECT ON {schema}.t FROM GROUP {group}")
    assert error_of(cursor.execute, f"SELECT count(*) FROM {schema}.t")["C"] == "42501"
    assert error_of(analyst, "CREATE USER other PASSWORD 'Secret1'")["C"] == "42501"
    connection.close()  # type: ignore[attr-defined]
    run(f"REVOKE USAGE ON SCHEMA {schema} FROM GROUP {group}")
    run(f"DROP USER {user}")
    run(f"DROP GROUP {group}")


def test_an_insert_only_user_can_write(run: Run, analyst: Run, schema: str) -> None:
    """The lock against other writers asks for no privilege of its own."""
    run(f"CREATE TABLE {schema}.t (a INT)")
    run(f"GRANT USAGE ON SCHEMA {schema} TO {ANALYST}")
    run(f"GRANT INSERT ON {schema}.t TO {ANALYST}")
    analyst(f"INSERT INTO {schema}.t VALUES (1)")
    assert error_of(analyst, f"DELETE FROM {schema}.t")["C"] == "42501"


def test_system_tables_and_user_tables_do_not_mix(run: Run, schema: str) -> None:
    """AWS documentation, "System catalog tables": they run on the leader node."""
    run(f"CREATE TABLE {schema}.t (a VARCHAR(99))")
    error = error_of(run, f"INSERT INTO {schema}.t SELECT table_name FROM svv_tables")
    assert error["M"] == "Specified types or functions (one per INFO message) not supported on Redshift tables."

"""Statements a warehouse user needs really run: what the gate lets through, PostgreSQL understands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from s3rs_ray.local.redshift import functions
from s3rs_ray.local.redshift.backend import Backend, BackendAddress
from s3rs_ray.local.redshift.names import SYSTEM_RELATIONS
from tests.integration.local.redshift.conftest import ANALYST, StandIn
from tests.integration.local.redshift.lake import error_of

Run = Callable[..., list[list[object]]]


def test_every_listed_function_exists(standin: StandIn) -> None:
    postgres = standin._backend
    address = BackendAddress(
        socket_dir=postgres.socket_dir, port=postgres.port, user=postgres.user, database=postgres.database
    )
    backend = Backend.open(address, postgres.user, {})
    # COALESCE and its like are syntax in PostgreSQL.
    syntax = {"coalesce", "nullif", "greatest", "least"}
    try:
        for name, function in functions._FUNCTIONS.items():
            if function.target not in syntax:
                schema, _, plain = function.target.rpartition(".")
                found = backend.query(
                    "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                    f"WHERE p.proname = '{plain}' AND n.nspname = '{schema or 'pg_catalog'}'"
                )
                assert int(str(found[0][0])) > 0, name
    finally:
        backend.close()


@pytest.mark.parametrize("relation", sorted(SYSTEM_RELATIONS))
def test_every_system_relation_can_be_read(run: Run, relation: str) -> None:
    run(f"SELECT * FROM {relation}")


STATEMENTS = [
    "CREATE SCHEMA IF NOT EXISTS {s}",
    "CREATE TABLE {s}.u (k INT, v VARCHAR(9)) DISTSTYLE EVEN COMPOUND SORTKEY (k)",
    "CREATE TABLE {s}.w (k INT REFERENCES {s}.t (k), UNIQUE (k)) DISTSTYLE ALL SORTKEY AUTO",
    "INSERT INTO {s}.t (k, v) VALUES (1, 'a'), (2, DEFAULT)",
    "INSERT INTO {s}.t DEFAULT VALUES",
    "INSERT INTO {s}.u WITH x AS (SELECT k, v FROM {s}.t) SELECT k, v FROM x WHERE k IS NOT NULL",
    "INSERT INTO {s}.u (SELECT k, v FROM {s}.t)",
    "UPDATE {s}.u SET v = t.v || 'x' FROM {s}.t WHERE {s}.u.k = t.k",
    "DELETE FROM {s}.u WHERE (k, v) IN (SELECT k, v FROM {s}.t)",
    "DELETE {s}.u",
    "SELECT a.k, count(*) OVER (PARTITION BY a.k) FROM {s}.t a LEFT JOIN {s}.u b USING (k) WHERE b.v IS NULL",
    "SELECT k, sum(k) OVER (ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM {s}.t",
    "SELECT lag(v, 1) OVER (PARTITION BY k ORDER BY v), first_value(v) OVER (PARTITION BY k) FROM {s}.t",
    "(SELECT k FROM {s}.t) UNION ALL (SELECT k FROM {s}.u) ORDER BY k DESC NULLS LAST LIMIT 2 OFFSET 1",
    "SELECT k FROM {s}.t MINUS SELECT k FROM {s}.u",
    "SELECT * FROM (SELECT t.*, rank() OVER (ORDER BY k) r FROM {s}.t AS t) x WHERE r BETWEEN 1 AND 3",
    "SELECT CASE WHEN v LIKE 'a!%' ESCAPE '!' THEN 1 WHEN v ILIKE 'A' THEN 2 ELSE 0 END FROM {s}.t",
    "SELECT max(v), min(v), count(DISTINCT v), bool_or(k > 1) FROM {s}.t GROUP BY k HAVING count(*) >= 1",
    "SELECT sum(strtol(left(md5(v), 15), 16)::decimal(38,0)) FROM {s}.t",
    "EXPLAIN SELECT * FROM {s}.t",
    "EXPLAIN VERBOSE DELETE FROM {s}.t",
    "ANALYZE {s}.t",
    "ANALYZE {s}.t (k, v)",
    "ANALYZE {s}.t PREDICATE COLUMNS",
    "VACUUM {s}.t",
    "VACUUM DELETE ONLY {s}.t TO 75 PERCENT",
    "SET statement_timeout TO 600000",
    "SET query_group TO 'load'",
    "SHOW query_group",
    "RESET query_group",
    "SET search_path TO '$user', public, {s}",
    "SHOW search_path",
    "SHOW server_version",
    "SET search_path TO DEFAULT",
    "BEGIN READ WRITE",
    "LOCK TABLE {s}.t, {s}.u",
    "COMMIT",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
    "END",
    "GRANT SELECT, INSERT ON {s}.t TO {analyst}",
    "GRANT ALL ON SCHEMA {s} TO {analyst}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO PUBLIC",
    "REVOKE ALL ON SCHEMA {s} FROM {analyst} CASCADE",
    "COMMENT ON COLUMN {s}.t.k IS 'the key'",
    "COMMENT ON SCHEMA {s} IS NULL",
    "ALTER TABLE {s}.u ALTER COLUMN v ENCODE zstd",
    "ALTER TABLE {s}.u ALTER DISTSTYLE KEY DISTKEY k",
    "ALTER TABLE {s}.u ALTER SORTKEY (v, k)",
    "ALTER TABLE {s}.u ALTER SORTKEY NONE",
    "ALTER TABLE {s}.u ADD PRIMARY KEY (k)",
    "ALTER TABLE {s}.u OWNER TO {analyst}",
    "CREATE OR REPLACE VIEW {s}.v AS SELECT k FROM {s}.t",
    "CREATE OR REPLACE VIEW {s}.v AS SELECT k FROM {s}.t",
    "DROP VIEW IF EXISTS {s}.v",
    "TRUNCATE TABLE {s}.t",
    "DROP TABLE IF EXISTS {s}.t, {s}.u CASCADE",
]


def test_a_working_day(run: Run, schema: str) -> None:
    run(f"CREATE TABLE {schema}.t (k INT, v VARCHAR(9) DEFAULT 'd')")
    for statement in STATEMENTS:
        run(statement.format(s=schema, analyst=ANALYST))


def test_show_and_set(run: Run) -> None:
    run("SET query_group TO 'load'")
    assert run("SHOW query_group") == [["load"]]
    assert run("SHOW server_version") == [["8.0.2"]]
    assert error_of(run, "SHOW work_mem")["C"] == "42704"


def test_a_bind_parameter_where_none_is_taken(run: Run, schema: str) -> None:
    """redshift.md, COPY: bind parameters are not allowed; DDL takes none either."""
    assert error_of(run, f"CREATE TABLE {schema}.t (a INT DEFAULT %s)", 1)["C"] == "42P02"
    assert error_of(run, f"COPY {schema}.t FROM %s IAM_ROLE default FORMAT PARQUET", "s3://b/k")["C"] == "42601"


def test_an_empty_statement(run: Run) -> None:
    with pytest.raises(Exception, match="query was empty"):
        run("-- nothing")
    assert run("SELECT 1;") == [[1]]
    assert error_of(run, "SELECT 1; SELECT 2")["C"] == "42601"

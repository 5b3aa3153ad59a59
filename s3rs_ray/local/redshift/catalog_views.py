"""SQL of the system views of Redshift that the stand-in answers for, and of the load history behind two of them.

Source: AWS documentation, "System tables and views reference": SYS_LOAD_HISTORY, SYS_LOAD_ERROR_DETAIL,
SVV_TABLE_INFO, SVV_COLUMNS, SVV_TABLES, PG_TABLE_DEF, STV_SESSIONS, SYS_QUERY_HISTORY (of queries under way only).
``{s}`` is the internal schema.
"""

from __future__ import annotations

__all__ = ["VIEWS"]

_LOADS = """
CREATE TABLE {s}.load_history (user_id int, query_id bigint PRIMARY KEY, transaction_id bigint, session_id int,
    database_name text, status text, table_name text, start_time timestamp, end_time timestamp, duration bigint,
    data_source text, file_format text, loaded_rows bigint, loaded_bytes bigint, source_file_count int,
    source_file_bytes bigint, file_count_scanned int, file_bytes_scanned bigint, error_count int, copy_job_id bigint);
CREATE TABLE {s}.load_errors (user_id int, query_id bigint, transaction_id bigint, session_id int,
    database_name text, table_id int, start_time timestamp, file_name text, line_number bigint, column_name text,
    column_type text, column_length text, position int, error_code int, error_message text);
CREATE FUNCTION {s}.is_superuser() RETURNS bool LANGUAGE sql STABLE AS
    $$ SELECT rolsuper FROM pg_roles WHERE rolname = session_user $$;
CREATE FUNCTION {s}.user_id() RETURNS int LANGUAGE sql STABLE AS
    $$ SELECT oid::int FROM pg_roles WHERE rolname = session_user $$;
CREATE VIEW {s}.sys_load_history AS SELECT * FROM {s}.load_history
    WHERE {s}.is_superuser() OR user_id = {s}.user_id();
CREATE VIEW {s}.sys_load_error_detail AS SELECT user_id, query_id, transaction_id, session_id,
    database_name::char(64) AS database_name, table_id, start_time, file_name::char(256) AS file_name, line_number,
    column_name::char(127) AS column_name, column_type::char(10) AS column_type,
    column_length::char(10) AS column_length, position, error_code, error_message::char(512) AS error_message
    FROM {s}.load_errors
    WHERE {s}.is_superuser() OR user_id = {s}.user_id();
GRANT SELECT ON {s}.sys_load_history, {s}.sys_load_error_detail TO PUBLIC;
"""

_RELATIONS = """
CREATE FUNCTION {s}.type_name(oid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE $1 WHEN '{s}.varchar'::regtype THEN 'character varying' WHEN '{s}.varbyte'::regtype
        THEN 'binary varying' WHEN '{s}.super'::regtype THEN 'super' WHEN 'text'::regtype THEN 'character varying'
        ELSE format_type($1, NULL) END $$;
CREATE FUNCTION {s}.type_length(oid, int) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $1 IN ('{s}.varchar'::regtype, '{s}.varbyte'::regtype, 'bpchar'::regtype) AND $2 > 4
        THEN $2 - 4 WHEN $1 IN ('text'::regtype, '{s}.varchar'::regtype) THEN 65535 END $$;
CREATE FUNCTION {s}.full_type(oid, int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $1 = 'numeric'::regtype THEN format_type($1, $2)
        WHEN {s}.type_length($1, $2) IS NOT NULL THEN {s}.type_name($1) || '(' || {s}.type_length($1, $2) || ')'
        ELSE {s}.type_name($1) END $$;
CREATE FUNCTION {s}.count_rows(regclass) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s', $1) INTO n;
    RETURN n;
END $$;
CREATE VIEW {s}.relations AS
    SELECT c.oid AS relid, {s}.long_name(n.nspname::text) AS schema,
        {s}.long_name(c.relname::text) AS name, c.relkind, c.relowner,
        c.relpersistence = 't' AS temporary
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', '{s}', 'pg_toast')
        AND (c.relpersistence <> 't' OR n.oid = pg_my_temp_schema());
CREATE VIEW {s}.visible_relations AS SELECT * FROM {s}.relations
    WHERE has_table_privilege(relid, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES')
        OR pg_has_role(relowner, 'USAGE');
CREATE VIEW {s}.svv_columns AS
    SELECT current_database()::text AS table_catalog, r.schema AS table_schema, r.name AS table_name,
        {s}.long_name(a.attname::text) AS column_name, a.attnum::int AS ordinal_position,
        pg_get_expr(d.adbin, d.adrelid) AS column_default,
        CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, {s}.type_name(a.atttypid) AS data_type,
        {s}.type_length(a.atttypid, a.atttypmod) AS character_maximum_length,
        information_schema._pg_numeric_precision(a.atttypid, a.atttypmod)::int AS numeric_precision,
        information_schema._pg_numeric_precision_radix(a.atttypid, a.atttypmod)::int AS numeric_precision_radix,
        information_schema._pg_numeric_scale(a.atttypid, a.atttypmod)::int AS numeric_scale,
        information_schema._pg_datetime_precision(a.atttypid, a.atttypmod)::int AS datetime_precision,
        NULL::text AS interval_type, NULL::text AS interval_precision, NULL::text AS character_set_catalog,
        NULL::text AS character_set_schema, NULL::text AS character_set_name, NULL::text AS collation_catalog,
        NULL::text AS collation_schema, NULL::text AS collation_name, NULL::text AS domain_name,
        col_description(a.attrelid, a.attnum) AS remarks
    FROM {s}.visible_relations r JOIN pg_attribute a ON a.attrelid = r.relid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW {s}.information_schema_columns AS SELECT table_catalog, table_schema, table_name, column_name,
    ordinal_position, column_default, is_nullable, data_type, character_maximum_length, numeric_precision,
    numeric_precision_radix, numeric_scale, datetime_precision FROM {s}.svv_columns;
CREATE VIEW {s}.svv_tables AS
    SELECT current_database()::text AS table_catalog, schema AS table_schema, name AS table_name,
        CASE WHEN temporary THEN 'LOCAL TEMPORARY' WHEN relkind = 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
        obj_description(relid, 'pg_class') AS remarks FROM {s}.visible_relations;
CREATE VIEW {s}.information_schema_tables AS SELECT table_catalog, table_schema, table_name, table_type
    FROM {s}.svv_tables;
CREATE VIEW {s}.pg_namespace AS SELECT oid, {s}.long_name(nspname::text) AS nspname, nspowner
    FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('{s}', 'pg_toast') AND nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast_temp%';
CREATE VIEW {s}.information_schema_schemata AS SELECT current_database()::text AS catalog_name,
    nspname AS schema_name, pg_get_userbyid(nspowner)::text AS schema_owner FROM {s}.pg_namespace;
CREATE VIEW {s}.pg_tables AS SELECT schema AS schemaname, name AS tablename,
    pg_get_userbyid(relowner)::text AS tableowner FROM {s}.relations WHERE relkind = 'r';
CREATE VIEW {s}.pg_views AS SELECT r.schema AS schemaname, r.name AS viewname,
    pg_get_userbyid(r.relowner)::text AS viewowner,
    coalesce(l.query || ' with no schema binding', pg_get_viewdef(r.relid)) AS definition
    FROM {s}.relations r LEFT JOIN {s}.late_views l ON l.relid = r.relid WHERE r.relkind = 'v';
CREATE VIEW {s}.information_schema_views AS SELECT current_database()::text AS table_catalog,
    schemaname AS table_schema, viewname AS table_name, definition AS view_definition FROM {s}.pg_views;
CREATE VIEW {s}.information_schema_table_constraints AS
    SELECT current_database()::text AS constraint_catalog, r.schema AS constraint_schema,
        r.name || '_pkey' AS constraint_name, r.schema AS table_schema, r.name AS table_name,
        'PRIMARY KEY'::text AS constraint_type
    FROM {s}.visible_relations r JOIN {s}.tables t ON t.relid = r.relid WHERE cardinality(t.primary_key) > 0;
CREATE VIEW {s}.pg_table_def AS
    SELECT r.schema AS schemaname, r.name AS tablename, {s}.long_name(a.attname::text) AS "column",
        {s}.full_type(a.atttypid, a.atttypmod) AS type, coalesce(e.encoding, 'none') AS encoding,
        coalesce(t.distkey = a.attname, false) AS distkey,
        coalesce(array_position(t.sortkeys, a.attname::text), 0) AS sortkey, a.attnotnull AS "notnull"
    FROM {s}.visible_relations r JOIN pg_attribute a ON a.attrelid = r.relid
    LEFT JOIN {s}.tables t ON t.relid = r.relid
    LEFT JOIN {s}.encodings e ON e.relid = r.relid AND e.name = a.attname
    WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind = 'r' AND r.schema = ANY (current_schemas(true));
CREATE VIEW {s}.svv_table_info AS
    SELECT current_database()::text AS database, r.schema, r.relid::int AS table_id, r.name AS "table",
        'Y'::text AS encoded, CASE coalesce(t.diststyle, 'auto')
            WHEN 'key' THEN 'KEY(' || {s}.long_name(t.distkey) || ')'
            WHEN 'all' THEN 'ALL' WHEN 'even' THEN 'EVEN' ELSE 'AUTO(ALL)' END AS diststyle,
        coalesce({s}.long_name(t.sortkeys[1]), 'AUTO(SORTKEY)') AS sortkey1, NULL::int AS max_varchar,
        NULL::text AS sortkey1_enc,
        cardinality(t.sortkeys) AS sortkey_num, (pg_total_relation_size(r.relid) / 1048576)::bigint AS size,
        NULL::numeric AS pct_used, 0::bigint AS empty, 0::numeric AS unsorted, 0::numeric AS stats_off,
        {s}.count_rows(r.relid) AS tbl_rows, NULL::numeric AS skew_sortkey1, NULL::numeric AS skew_rows,
        {s}.count_rows(r.relid) AS estimated_visible_rows, NULL::text AS risk_event,
        NULL::numeric AS vacuum_sort_benefit, t.created AS create_time
    FROM {s}.relations r LEFT JOIN {s}.tables t ON t.relid = r.relid
    WHERE r.relkind = 'r' AND NOT r.temporary AND pg_relation_size(r.relid) > 0;
CREATE VIEW {s}.stv_sessions AS
    SELECT backend_start::timestamp AS starttime, pid AS process, usename::text AS user_name,
        datname::text AS db_name, 0 AS timeout_sec FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND ({s}.is_superuser() OR usename = session_user);
CREATE VIEW {s}.sys_query_history AS
    SELECT usesysid::int AS user_id, application_name::char(320) AS query_label, pid AS session_id,
        datname::char(128) AS database_name, 'running'::char(10) AS status, query_start::timestamp AS start_time
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state = 'active' AND ({s}.is_superuser() OR usename = session_user);
CREATE VIEW {s}.pg_user AS SELECT usename::text AS usename, usesysid, usecreatedb, usesuper
    FROM pg_catalog.pg_user;
CREATE VIEW {s}.pg_group AS SELECT groname::text AS groname, grosysid FROM pg_catalog.pg_group;
GRANT SELECT ON {s}.svv_columns, {s}.information_schema_columns, {s}.svv_tables, {s}.information_schema_tables,
    {s}.pg_namespace, {s}.information_schema_schemata, {s}.pg_tables, {s}.pg_views, {s}.information_schema_views,
    {s}.information_schema_table_constraints, {s}.pg_table_def, {s}.stv_sessions, {s}.pg_user, {s}.pg_group TO PUBLIC;
GRANT SELECT ON {s}.late_views, {s}.tables, {s}.encodings, {s}.sys_query_history TO PUBLIC;
GRANT USAGE ON SEQUENCE {s}.late_view_ids TO PUBLIC;
"""

# What psql asks for \\d and the like: user tables only, without what the stand-in adds to them.
_PSQL = """
CREATE VIEW {s}.psql_pg_namespace AS SELECT * FROM {s}.pg_namespace;
CREATE VIEW {s}.psql_pg_class AS SELECT oid, {s}.long_name(relname::text) AS relname, relnamespace, relowner, relkind,
    relpersistence, 0 AS relchecks, false AS relhasindex, false AS relhasrules, false AS relhastriggers,
    false AS relhasoids, 0::oid AS reltablespace, 0::oid AS reloftype, 0::oid AS reltoastrelid,
    NULL::text[] AS reloptions
    FROM pg_catalog.pg_class WHERE relkind IN ('r', 'v') AND relnamespace IN (SELECT oid FROM {s}.pg_namespace
        UNION ALL SELECT pg_my_temp_schema());
CREATE VIEW {s}.psql_pg_attribute AS SELECT attrelid, {s}.long_name(attname::text) AS attname, atttypid, atttypmod,
    attnum, attnotnull, atthasdef, attisdropped, 0::oid AS attcollation, attstorage, -1 AS attstattarget
    FROM pg_catalog.pg_attribute;
CREATE VIEW {s}.psql_pg_attrdef AS SELECT * FROM pg_catalog.pg_attrdef;
CREATE VIEW {s}.psql_pg_type AS SELECT oid, 0::oid AS typcollation FROM pg_catalog.pg_type;
CREATE VIEW {s}.psql_pg_collation AS SELECT oid, collname FROM pg_catalog.pg_collation;
CREATE VIEW {s}.psql_pg_constraint AS SELECT * FROM pg_catalog.pg_constraint WHERE false;
CREATE VIEW {s}.psql_pg_inherits AS SELECT * FROM pg_catalog.pg_inherits WHERE false;
CREATE FUNCTION {s}.psql_expression(pg_node_tree, oid, bool) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT regexp_replace(pg_get_expr($1, $2, $3), '{s}[.]"?varchar"?', 'character varying', 'g') $$;
GRANT SELECT ON {s}.psql_pg_namespace, {s}.psql_pg_class, {s}.psql_pg_attribute, {s}.psql_pg_attrdef, {s}.psql_pg_type,
    {s}.psql_pg_collation, {s}.psql_pg_constraint, {s}.psql_pg_inherits TO PUBLIC;
"""

VIEWS = _LOADS + _RELATIONS + _PSQL

"""SQL of what the stand-in notes about tables and views, and of the statements that need those notes.

Source: AWS documentation, "CREATE TABLE AS", "ALTER TABLE", "ALTER TABLE APPEND", "CREATE VIEW", "COMMENT". The text
goes through ``str.format``: ``{s}`` is the internal schema.
"""

from __future__ import annotations

__all__ = ["NOTES"]

# Notes about tables: declared and shown, never enforced.
_NOTES = """
CREATE TABLE {s}.long_names (short text PRIMARY KEY, long text);
GRANT SELECT ON {s}.long_names TO PUBLIC;
CREATE FUNCTION {s}.long_name(text) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT coalesce((SELECT long FROM {s}.long_names WHERE short = $1), $1) $$;
CREATE TABLE {s}.passwords (name text PRIMARY KEY, secret text);
CREATE TABLE {s}.tables (relid oid PRIMARY KEY, diststyle text, distkey text, sortstyle text, sortkeys text[],
    primary_key text[], other_keys text[], created timestamp DEFAULT transaction_timestamp());
CREATE TABLE {s}.encodings (relid oid, name text, encoding text, PRIMARY KEY (relid, name));
CREATE TABLE {s}.late_views (relid oid PRIMARY KEY, query text);
CREATE SEQUENCE {s}.query_ids START 1001;
CREATE SEQUENCE {s}.late_view_ids;
CREATE FUNCTION {s}.note_table(t regclass, style text, key text, sortstyle text, sorts text[], pk text[],
    others text[], encoded text[], encodings text[]) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO {s}.tables VALUES (t, style, key, sortstyle, sorts, pk, others) ON CONFLICT DO NOTHING;
    INSERT INTO {s}.encodings SELECT t, n, e FROM unnest(encoded, encodings) AS x(n, e) ON CONFLICT DO NOTHING $$;
CREATE FUNCTION {s}.require_tables(names text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE view text;
BEGIN
    SELECT relname INTO view FROM pg_class
        WHERE relkind = 'v' AND oid = ANY (SELECT to_regclass(name) FROM unnest(names) AS name);
    IF FOUND THEN
        RAISE EXCEPTION '"%" is a view, not a table', {s}.long_name(view)
            USING ERRCODE = '0A000';
    END IF;
END $$;
-- A table made from a query. The planner forgets the lengths of cast values, a view keeps them.
CREATE FUNCTION {s}.create_derived(kind text, t text, names text, query text, style text, key text, sortstyle text,
    sorts text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE a record; columns text[] := '{{}}';
BEGIN
    EXECUTE 'CREATE TEMPORARY VIEW derived_probe' || names || ' AS ' || query;
    FOR a IN SELECT attname, atttypid, atttypmod FROM pg_attribute
            WHERE attrelid = 'pg_temp.derived_probe'::regclass AND attnum > 0 ORDER BY attnum LOOP
        IF a.atttypid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'float4'::regtype, 'float8'::regtype,
                'bool'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype,
                'timetz'::regtype, '{s}.super'::regtype) AND (a.atttypmod < 0 OR a.atttypid NOT IN (
                'numeric'::regtype, 'bpchar'::regtype, '{s}.varchar'::regtype, '{s}.varbyte'::regtype)) THEN
            RAISE EXCEPTION 'the type of column "%" is not known exactly', {s}.long_name(a.attname) USING
                ERRCODE = '0A000', HINT = 'Cast it to a type with its length or precision.';
        END IF;
        columns := columns || format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod));
    END LOOP;
    DROP VIEW pg_temp.derived_probe;
    EXECUTE format('CREATE %s %s (%s)', kind, t, array_to_string(columns, ', '));
    EXECUTE format('INSERT INTO %s %s', t, query);
    PERFORM {s}.note_derived(t, style, key, sortstyle, sorts);
END $$;
CREATE FUNCTION {s}.note_derived(t regclass, style text, key text, sortstyle text, sorts text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE missing text;
BEGIN
    SELECT name INTO missing FROM unnest(sorts || nullif(key, '')) name WHERE name IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM pg_attribute WHERE attrelid = t AND attname = name AND attnum > 0);
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" named in key does not exist', {s}.long_name(missing) USING ERRCODE = '42703';
    END IF;
    INSERT INTO {s}.tables VALUES (t, style, key, sortstyle, sorts, '{{}}', '{{}}');
    INSERT INTO {s}.encodings SELECT t, attname, CASE WHEN attname = ANY (sorts) OR atttypid IN ('bool'::regtype,
        'float4'::regtype, 'float8'::regtype) THEN 'none' WHEN atttypid IN ('bpchar'::regtype,
        '{s}.varchar'::regtype, '{s}.varbyte'::regtype) THEN 'lzo' ELSE 'az64' END
        FROM pg_attribute WHERE attrelid = t AND attnum > 0 AND atttypid <> '{s}.super'::regtype;
END $$;
CREATE FUNCTION {s}.note_like(t regclass, parent regclass) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    SELECT {s}.require_tables(ARRAY[parent::text]);
    INSERT INTO {s}.tables SELECT t, diststyle, distkey, sortstyle, sortkeys, '{{}}', '{{}}' FROM {s}.tables
        WHERE relid = parent ON CONFLICT DO NOTHING;
    INSERT INTO {s}.encodings SELECT t, name, encoding FROM {s}.encodings WHERE relid = parent
        ON CONFLICT DO NOTHING $$;
CREATE FUNCTION {s}.note_keys(t regclass, pk text[]) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE {s}.tables SET primary_key = CASE WHEN cardinality(pk) > 0 THEN pk ELSE primary_key END WHERE relid = t $$;
CREATE FUNCTION {s}.note_encoding(t regclass, c text, e text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO {s}.encodings VALUES (t, c, e) ON CONFLICT (relid, name) DO UPDATE SET encoding = excluded.encoding $$;
CREATE FUNCTION {s}.note_distribution(t regclass, style text, key text) RETURNS void
    LANGUAGE sql SECURITY DEFINER AS $$ UPDATE {s}.tables SET diststyle = style, distkey = key WHERE relid = t $$;
CREATE FUNCTION {s}.note_sort(t regclass, style text, keys text[]) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE {s}.tables SET sortstyle = style, sortkeys = keys WHERE relid = t $$;
CREATE FUNCTION {s}.note_rename(t regclass, old text, new text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE {s}.tables SET distkey = CASE distkey WHEN old THEN new ELSE distkey END,
        sortkeys = array_replace(sortkeys, old, new), primary_key = array_replace(primary_key, old, new),
        other_keys = array_replace(other_keys, old, new) WHERE relid = t;
    UPDATE {s}.encodings SET name = new WHERE relid = t AND name = old $$;
CREATE FUNCTION {s}.check_droppable(t regclass, c text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE note {s}.tables;
BEGIN
    SELECT * INTO note FROM {s}.tables WHERE relid = t;
    IF note.distkey = c THEN RAISE EXCEPTION 'cannot drop distkey column "%"', c USING ERRCODE = '0A000'; END IF;
    IF c = ANY (note.sortkeys) THEN
        RAISE EXCEPTION 'cannot drop sortkey column "%"', c USING ERRCODE = '0A000';
    END IF;
    DELETE FROM {s}.encodings WHERE relid = t AND name = c;
END $$;
CREATE FUNCTION {s}.check_resizable(t regclass, c text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE note {s}.tables; a pg_attribute;
BEGIN
    SELECT * INTO note FROM {s}.tables WHERE relid = t;
    SELECT * INTO a FROM pg_attribute WHERE attrelid = t AND attname = c AND attnum > 0;
    IF a IS NULL THEN
        RAISE EXCEPTION 'column "%" of relation "%" does not exist', c, t USING ERRCODE = '42703';
    END IF;
    IF a.atttypid <> '{s}.varchar'::regtype THEN
        RAISE EXCEPTION 'target data type "character varying" is not supported for this column'
            USING ERRCODE = '0A000';
    END IF;
    IF a.atthasdef OR c = ANY (note.primary_key) OR c = ANY (note.other_keys) THEN
        RAISE EXCEPTION 'cannot alter column "%" of relation "%", column has a default value or a constraint', c, t
            USING ERRCODE = '0A000';
    END IF;
    IF EXISTS (SELECT 1 FROM {s}.encodings WHERE relid = t AND name = c AND encoding IN
            ('bytedict', 'runlength', 'text255', 'text32k')) THEN
        RAISE EXCEPTION 'cannot alter column "%" of relation "%", its encoding does not allow it', c, t
            USING ERRCODE = '0A000';
    END IF;
END $$;
-- What must be the same in columns of the same name (AWS documentation, ALTER TABLE APPEND, usage notes).
CREATE FUNCTION {s}.attributes(t regclass) RETURNS TABLE (name text, what text) LANGUAGE sql STABLE AS $$
    SELECT a.attname::text, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, encoding)
    FROM pg_attribute a LEFT JOIN {s}.encodings e ON e.relid = a.attrelid AND e.name = a.attname
    WHERE a.attrelid = t AND a.attnum > 0 AND NOT a.attisdropped $$;
CREATE FUNCTION {s}.append_table(t regclass, source regclass, extra bool, fill bool) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE ours text[]; theirs text[]; our_types text[]; their_types text[]; columns text;
    our_note {s}.tables; their_note {s}.tables;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid IN (t, source) AND relpersistence = 't') THEN
        RAISE EXCEPTION 'ALTER TABLE APPEND takes permanent tables only' USING ERRCODE = '0A000';
    END IF;
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid IN (t, source) AND attidentity <> '') THEN
        RAISE EXCEPTION 'ALTER TABLE APPEND of tables with an identity column is not modelled' USING ERRCODE = '0A000';
    END IF;
    SELECT * INTO our_note FROM {s}.tables WHERE relid = t;
    SELECT * INTO their_note FROM {s}.tables WHERE relid = source;
    IF (our_note.diststyle, our_note.distkey, our_note.sortstyle, our_note.sortkeys) IS DISTINCT FROM
            (their_note.diststyle, their_note.distkey, their_note.sortstyle, their_note.sortkeys) THEN
        RAISE EXCEPTION 'the tables have different distribution or sort keys' USING ERRCODE = '0A000';
    END IF;
    SELECT array_agg(name), array_agg(what) INTO ours, our_types FROM {s}.attributes(t);
    SELECT array_agg(name), array_agg(what) INTO theirs, their_types FROM {s}.attributes(source);
    IF NOT (theirs <@ ours OR extra) OR NOT (ours <@ theirs OR fill) OR EXISTS (SELECT 1 FROM unnest(ours, our_types)
            AS x(n, w) JOIN unnest(theirs, their_types) AS y(n, w) ON y.n = x.n WHERE x.w <> y.w) THEN
        RAISE EXCEPTION 'columns of the source and target tables do not match' USING ERRCODE = '0A000';
    END IF;
    SELECT string_agg(quote_ident(x.attname), ', ' ORDER BY x.attnum) INTO columns FROM pg_attribute x
        JOIN pg_attribute y ON y.attrelid = source AND y.attname = x.attname AND y.attnum > 0
        WHERE x.attrelid = t AND x.attnum > 0 AND NOT x.attisdropped;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s', t, columns, columns, source);
    EXECUTE format('TRUNCATE %s', source);
END $$;
"""

# A late-binding view finds its tables by name when it is read, so its query runs inside a function.
_LATE_VIEWS = """
-- AWS documentation, CREATE VIEW, OR REPLACE: the identical set of columns, with the same names and types.
CREATE FUNCTION {s}.view_columns(view text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = to_regclass(view) AND attnum > 0 $$;
CREATE FUNCTION {s}.check_columns(view text, before text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF before IS NOT NULL AND before <> {s}.view_columns(view) THEN
        RAISE EXCEPTION 'cannot change number of columns in view' USING ERRCODE = '42P16';
    END IF;
END $$;
CREATE FUNCTION {s}.forget_late_view(view regclass) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    DELETE FROM {s}.late_views WHERE relid = view $$;
CREATE FUNCTION {s}.replace_view(view text, rest text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE before text[] := {s}.view_columns(view);
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW ' || view || rest;
    PERFORM {s}.check_columns(view, before);
    PERFORM {s}.forget_late_view(view::regclass);
END $$;
CREATE FUNCTION {s}.check_comment(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM {s}.late_views WHERE relid = t) THEN
        RAISE EXCEPTION 'comments on columns of late-binding views are not supported' USING ERRCODE = '0A000';
    END IF;
END $$;
CREATE FUNCTION {s}.note_late_view(v regclass, query text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO {s}.late_views VALUES (v, query) ON CONFLICT (relid) DO UPDATE SET query = excluded.query $$;
CREATE FUNCTION {s}.create_late_view(schema text, view text, query text, reads text[], replace bool) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    full_name text := format('%I.%I', schema, view);
    old oid := to_regclass(full_name);
    body text := format('{s}.late_view_%s', nextval('{s}.late_view_ids'));
    columns text; before text[] := {s}.view_columns(full_name);
BEGIN
    IF old IS NOT NULL AND NOT replace THEN
        RAISE EXCEPTION 'relation "%" already exists', view USING ERRCODE = '42P07';
    END IF;
    EXECUTE 'CREATE TEMPORARY VIEW late_view_probe AS ' || query;
    SELECT string_agg(format('%I %s', attname, format_type(atttypid, NULL)), ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute WHERE attrelid = 'pg_temp.late_view_probe'::regclass AND attnum > 0;
    DROP VIEW pg_temp.late_view_probe;
    EXECUTE format('CREATE FUNCTION %s() RETURNS TABLE (%s) LANGUAGE plpgsql SECURITY DEFINER AS '
        '$body$ #variable_conflict use_column'
        || chr(10) || 'BEGIN PERFORM {s}.hold(%L); RETURN QUERY EXECUTE %L; END $body$', body, columns, reads, query);
    EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT * FROM %s()', full_name, body);
    PERFORM {s}.check_columns(full_name, before);
    PERFORM {s}.note_late_view(full_name::regclass, query);
END $$;
"""

NOTES = _NOTES + _LATE_VIEWS

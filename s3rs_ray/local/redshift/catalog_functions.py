"""SQL of the functions and aggregates of the stand-in.

Each function has Redshift's meaning (AWS documentation, "SQL functions reference"). The text goes through
``str.format``: ``{s}`` is the internal schema, ``{c}`` a collation that knows the case of every letter.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS"]


def _internal(name: str, arguments: str, result: str, target: str) -> str:
    return (
        f"CREATE FUNCTION {{s}}.{name}({arguments}) RETURNS {result} "
        f"LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS '{target}';"
    )


def _sql(name: str, arguments: str, result: str, body: str, how: str = "IMMUTABLE PARALLEL SAFE") -> str:
    return f"CREATE FUNCTION {{s}}.{name}({arguments}) RETURNS {result} LANGUAGE sql {how} AS $$ SELECT {body} $$;"


_V = "{s}.varchar"
_STRINGS = [
    # The database sorts by bytes, as Redshift does, and knows the case of ASCII only.
    _sql("upper", _V, _V, 'pg_catalog.upper($1::text COLLATE "{c}")'),
    _sql("lower", _V, _V, 'pg_catalog.lower($1::text COLLATE "{c}")'),
    _internal("ltrim", _V, _V, "ltrim1"),
    _internal("ltrim", f"{_V}, {_V}", _V, "ltrim"),
    _internal("rtrim", _V, _V, "rtrim1"),
    _internal("rtrim", f"{_V}, {_V}", _V, "rtrim"),
    _internal("btrim", _V, _V, "btrim1"),
    _internal("btrim", f"{_V}, {_V}", _V, "btrim"),
    *(_internal(name, _V, "int4", "textlen") for name in ("len", "length", "char_length", "character_length")),
    _internal("octet_length", _V, "int4", "textoctetlen"),
    _internal("octet_length", "{s}.varbyte", "int4", "byteaoctetlen"),
    _internal("length", "{s}.varbyte", "int4", "byteaoctetlen"),
    _internal("left", f"{_V}, int4", _V, "text_left"),
    _internal("right", f"{_V}, int4", _V, "text_right"),
    _internal("repeat", f"{_V}, int4", _V, "repeat"),
    _internal("replace", f"{_V}, {_V}, {_V}", _V, "replace_text"),
    _internal("translate", f"{_V}, {_V}, {_V}", _V, "translate"),
    _internal("lpad", f"{_V}, int4, {_V}", _V, "lpad"),
    *(_internal(name, f"{_V}, int4", _V, "text_substr_no_len") for name in ("substring", "substr")),
    *(_internal(name, f"{_V}, int4, int4", _V, "text_substr") for name in ("substring", "substr")),
    # SUBSTRING of a binary expression counts bytes.
    *(_internal(n, "{s}.varbyte, int4, int4", "{s}.varbyte", "bytea_substr") for n in ("substring", "substr")),
    _internal("strpos", f"{_V}, {_V}", "int4", "textpos"),
    _sql("charindex", f"{_V}, {_V}", "int4", "{s}.strpos($2, $1)"),
    _internal("split_part", f"{_V}, {_V}, int4", _V, "split_part"),
    _internal("concat", f"{_V}, {_V}", _V, "textcat"),
    _internal("md5", _V, _V, "md5_text"),
    _sql("to_char", "timestamp, text", _V, "pg_catalog.to_char($1, $2)", "STABLE"),
    _sql("to_char", "numeric, text", _V, "pg_catalog.to_char($1, $2)", "STABLE"),
    _sql("to_char", "bigint, text", _V, "pg_catalog.to_char($1, $2)", "STABLE"),
    _sql("to_date", "text, text", "date", "pg_catalog.to_date($1, $2)", "STABLE"),
    _sql("to_timestamp", "text, text", "timestamptz", "pg_catalog.to_timestamp($1, $2)", "STABLE"),
    _sql(
        "sha2",
        f"{_V}, int4",
        _V,
        "CASE $2 WHEN 224 THEN encode(sha224(convert_to($1::text, 'UTF8')), 'hex') "
        "WHEN 384 THEN encode(sha384(convert_to($1::text, 'UTF8')), 'hex') "
        "WHEN 512 THEN encode(sha512(convert_to($1::text, 'UTF8')), 'hex') "
        "WHEN 256 THEN encode(sha256(convert_to($1::text, 'UTF8')), 'hex') "
        "WHEN 0 THEN encode(sha256(convert_to($1::text, 'UTF8')), 'hex') END",
    ),
    _sql("to_hex", "int4", _V, "pg_catalog.to_hex($1)"),
    _sql("to_hex", "bigint", _V, "pg_catalog.to_hex($1)"),
    _sql("to_hex", "{s}.varbyte", _V, "encode($1::bytea, 'hex')"),
    *(_sql(name, _V, "{s}.varbyte", "decode($1::text, 'hex')") for name in ("from_hex", "hex_to_bin")),
    _sql("nvl2", "anycompatible, anycompatible, anycompatible", "anycompatible",
         "CASE WHEN $1 IS NOT NULL THEN $2 ELSE $3 END"),
]  # fmt: skip

# What is joined with other texts by one call: a text, or what a cast to VARCHAR gives. Of a number no text is made, but
# a string as C has it, which is not copied either: int8up returns the 64 bits it is given, here a pointer.
_JOINED = [
    "CREATE TYPE {s}.number_string;",
    _internal("number_string_in", "cstring", "{s}.number_string", "cstring_in"),
    _internal("number_string_out", "{s}.number_string", "cstring", "int8up"),
    "CREATE TYPE {s}.number_string (INPUT = {s}.number_string_in, OUTPUT = {s}.number_string_out, LIKE = cstring);",
    _sql("plain", _V, _V, "$1"),
    _sql("digits", "anyelement", _V, f"CAST($1 AS {_V})"),
    *(_internal("digits", kind, "{s}.number_string", f"{kind}out") for kind in ("int2", "int4", "int8")),
    _internal("digits", "numeric", "{s}.number_string", "numeric_out"),
]

# Codes over 60 bits are read slowly, which keeps the ordinary case one expression.
_CODES = """
CREATE FUNCTION {s}.strtol_slow(text, int4) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE total numeric := 0; digit int; body text := lower(btrim($1)); sign int := 1; c text;
BEGIN
    IF left(body, 1) = '-' THEN sign := -1; body := substr(body, 2); END IF;
    IF $2 = 16 AND left(body, 2) = '0x' THEN body := substr(body, 3); END IF;
    FOREACH c IN ARRAY string_to_array(body, NULL) LOOP
        digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', c) - 1;
        IF digit < 0 OR digit >= $2 THEN
            RAISE EXCEPTION 'The input % is not valid to be converted to base %', $1, $2 USING ERRCODE = 'XX000';
        END IF;
        total := total * $2 + digit;
    END LOOP;
    RETURN (sign * total)::bigint;
END $$;
CREATE FUNCTION {s}.strtol({s}.varchar, int4) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $2 = 16 AND octet_length($1::text) <= 15 AND $1::text ~ '^[0-9a-fA-F]+$'
                THEN ('0x' || $1::text)::bigint
                ELSE {s}.strtol_slow($1::text, $2) END $$;
CREATE FUNCTION {s}.from_varbyte({s}.varbyte, text) RETURNS {s}.varchar LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    CASE lower($2)
        WHEN 'hex' THEN RETURN encode($1::bytea, 'hex');
        WHEN 'base64' THEN RETURN replace(encode($1::bytea, 'base64'), chr(10), '');
        WHEN 'utf8', 'utf-8' THEN RETURN convert_from($1::bytea, 'UTF8');
    END CASE;
END $$;
CREATE FUNCTION {s}.to_varbyte({s}.varchar, text) RETURNS {s}.varbyte LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    CASE lower($2)
        WHEN 'hex' THEN RETURN decode($1::text, 'hex');
        WHEN 'base64' THEN RETURN decode($1::text, 'base64');
        WHEN 'utf8', 'utf-8' THEN RETURN convert_to($1::text, 'UTF8');
    END CASE;
END $$;
"""

_TIMES = [
    # GETDATE has no fractions of a second; SYSDATE has, and stands still within a transaction.
    _sql("getdate", "", "timestamp", "date_trunc('second', statement_timestamp())::timestamp", "STABLE"),
    _sql("sysdate", "", "timestamp", "transaction_timestamp()::timestamp", "STABLE"),
    _sql("last_day", "timestamp", "date", "(date_trunc('month', $1) + interval '1 month - 1 day')::date"),
    _sql("trunc", "timestamp", "date", "$1::date"),
    _sql("trunc", "numeric", "numeric", "pg_catalog.trunc($1)"),
    _sql("trunc", "numeric, int4", "numeric", "pg_catalog.trunc($1, $2)"),
    _sql("trunc", "float8", "float8", "pg_catalog.trunc($1)"),
    _sql("round", "numeric", "numeric", "pg_catalog.round($1)"),
    _sql("round", "numeric, int4", "numeric", "pg_catalog.round($1, $2)"),
    _sql("round", "float8", "float8", "pg_catalog.round($1)"),
    _sql(
        "dateadd",
        "text, bigint, timestamp",
        "timestamp",
        "$3 + $2 * CASE $1 WHEN 'quarter' THEN interval '3 months' WHEN 'year' THEN interval '1 year' "
        "WHEN 'month' THEN interval '1 month' WHEN 'week' THEN interval '7 days' WHEN 'day' THEN interval '1 day' "
        "WHEN 'hour' THEN interval '1 hour' WHEN 'minute' THEN interval '1 minute' "
        "WHEN 'second' THEN interval '1 second' WHEN 'millisecond' THEN interval '1 millisecond' "
        "ELSE interval '1 microsecond' END",
    ),
    # A timestamp is a number of microseconds; int8mi is the first less the second.
    _internal("microseconds_since", "timestamp, timestamp", "bigint", "int8mi"),
    # DATEDIFF counts the borders crossed between two times, not the time between them.
    _sql(
        "datediff",
        "text, timestamp, timestamp",
        "bigint",
        "CASE $1 WHEN 'year' THEN extract(year from $3) - extract(year from $2) "
        "WHEN 'quarter' THEN (extract(year from $3) * 4 + extract(quarter from $3)) "
        "- (extract(year from $2) * 4 + extract(quarter from $2)) "
        "WHEN 'month' THEN (extract(year from $3) * 12 + extract(month from $3)) "
        "- (extract(year from $2) * 12 + extract(month from $2)) "
        "WHEN 'hour' THEN extract(epoch from date_trunc('hour', $3) - date_trunc('hour', $2)) / 3600 "
        "WHEN 'minute' THEN extract(epoch from date_trunc('minute', $3) - date_trunc('minute', $2)) / 60 "
        "WHEN 'second' THEN extract(epoch from date_trunc('second', $3) - date_trunc('second', $2)) "
        "WHEN 'millisecond' THEN extract(epoch from date_trunc('milliseconds', $3) "
        "- date_trunc('milliseconds', $2)) * 1000 END::bigint",
    ),
]

_JSON = [
    _sql("json_parse", _V, "{s}.super", "($1::text)::jsonb::{s}.super"),
    _sql("json_serialize", "{s}.super", _V, "($1::jsonb)::text"),
    _sql("is_valid_json", _V, "bool", "$1::text IS JSON OBJECT OR $1::text IS JSON ARRAY"),
]

# SUM of integers is BIGINT, AVG of integers is BIGINT and cuts, both of floats are DOUBLE PRECISION.
_AGGREGATES = """
CREATE AGGREGATE {s}.sum(int2) (SFUNC = int2_sum, STYPE = int8, COMBINEFUNC = int8pl, PARALLEL = SAFE);
CREATE AGGREGATE {s}.sum(int4) (SFUNC = int4_sum, STYPE = int8, COMBINEFUNC = int8pl, PARALLEL = SAFE);
CREATE AGGREGATE {s}.sum(int8) (SFUNC = int8pl, STYPE = int8, COMBINEFUNC = int8pl, PARALLEL = SAFE);
CREATE AGGREGATE {s}.sum(float8) (SFUNC = float8pl, STYPE = float8, COMBINEFUNC = float8pl, PARALLEL = SAFE);
CREATE AGGREGATE {s}.sum(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_sum,
    COMBINEFUNC = numeric_avg_combine, SERIALFUNC = numeric_avg_serialize, DESERIALFUNC = numeric_avg_deserialize,
    PARALLEL = SAFE);
CREATE FUNCTION {s}.avg_of_integers(numeric[]) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT div($1[2], nullif($1[1], 0))::bigint $$;
CREATE FUNCTION {s}.avg_of_decimals(numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT pg_catalog.round($1[2] / nullif($1[1], 0), scale($1[2])) $$;
CREATE AGGREGATE {s}.avg(float8) (SFUNC = float8_accum, STYPE = float8[], INITCOND = '{{0,0,0}}',
    FINALFUNC = float8_avg);
"""


def _average(kind: str, final: str) -> str:
    return (
        f"CREATE FUNCTION {{s}}.avg_step(numeric[], {kind}) RETURNS numeric[] LANGUAGE sql IMMUTABLE STRICT "
        "PARALLEL SAFE AS $$ SELECT ARRAY[$1[1] + 1, $1[2] + $2] $$;"
        f"CREATE AGGREGATE {{s}}.avg({kind}) (SFUNC = {{s}}.avg_step, STYPE = numeric[], "
        f"INITCOND = '{{{{0,0}}}}', FINALFUNC = {{s}}.{final});"
    )


_AVERAGES = [
    *(_average(kind, "avg_of_integers") for kind in ("int2", "int4", "int8")),
    _average("numeric", "avg_of_decimals"),
]

_SESSION = """
CREATE FUNCTION {s}.pg_last_copy_count() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT coalesce(nullif(current_setting('redshift.last_copy_count', true), '')::bigint, 0) $$;
CREATE FUNCTION {s}.pg_last_copy_id() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT coalesce(nullif(current_setting('redshift.last_copy_id', true), '')::bigint, -1) $$;
CREATE FUNCTION {s}.version() RETURNS {s}.varchar LANGUAGE sql IMMUTABLE AS
    $$ SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0 (stand-in)' $$;
CREATE FUNCTION {s}.pg_cancel_backend(int4) RETURNS bool LANGUAGE sql AS
    $$ SELECT pg_catalog.pg_cancel_backend($1) $$;
CREATE FUNCTION {s}.pg_terminate_backend(int4) RETURNS bool LANGUAGE sql AS
    $$ SELECT pg_catalog.pg_terminate_backend($1) $$;
CREATE FUNCTION {s}.has_table_privilege(text, text) RETURNS bool LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.has_table_privilege($1, $2) $$;
CREATE FUNCTION {s}.has_table_privilege(text, text, text) RETURNS bool LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.has_table_privilege($1::name, $2, $3) $$;
CREATE FUNCTION {s}.has_schema_privilege(text, text) RETURNS bool LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.has_schema_privilege($1, $2) $$;
CREATE FUNCTION {s}.has_schema_privilege(text, text, text) RETURNS bool LANGUAGE sql STABLE AS
    $$ SELECT pg_catalog.has_schema_privilege($1::name, $2, $3) $$;
-- A relation that did not exist under this name when the snapshot was taken would look empty: Redshift says 1018.
CREATE FUNCTION {s}.hold(names text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE name text; found regclass;
BEGIN
    FOREACH name IN ARRAY names LOOP
        LOOP
            found := to_regclass(name);
            EXIT WHEN found IS NULL;
            EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', found);
            EXIT WHEN to_regclass(name) = found;
        END LOOP;
        IF found IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_class WHERE oid = found
                AND (parse_ident(name))[cardinality(parse_ident(name))] = relname) THEN
            RAISE EXCEPTION '1018' USING ERRCODE = 'XX000', DETAIL = 'Relation does not exist';
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION {s}.write_lock(regclass) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM {s}.require_tables(ARRAY[$1::text]);
    -- The statement that calls this took its snapshot before it waits here, as Redshift's writers do.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', $1);
END $$;
"""

_USERS = """
CREATE FUNCTION {s}.require_superuser() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
        RAISE EXCEPTION 'must be superuser to change users' USING ERRCODE = '42501';
    END IF;
END $$;
CREATE FUNCTION {s}.set_password(who text, password text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF who <> session_user THEN PERFORM {s}.require_superuser(); END IF;
    INSERT INTO {s}.passwords VALUES (who, pg_catalog.md5(password || who))
        ON CONFLICT (name) DO UPDATE SET secret = excluded.secret;
END $$;
CREATE FUNCTION {s}.create_user(who text, password text, groups text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE one text;
BEGIN
    PERFORM {s}.require_superuser();
    EXECUTE format('CREATE ROLE %I LOGIN', who);
    FOREACH one IN ARRAY groups LOOP EXECUTE format('GRANT %I TO %I', one, who); END LOOP;
    IF password IS NOT NULL THEN PERFORM {s}.set_password(who, password); END IF;
END $$;
CREATE FUNCTION {s}.drop_role(who text, missing_ok bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {s}.require_superuser();
    EXECUTE format('DROP ROLE %s%I', CASE WHEN missing_ok THEN 'IF EXISTS ' ELSE '' END, who);
    DELETE FROM {s}.passwords WHERE name = who;
END $$;
"""

FUNCTIONS = "\n".join(
    [*_STRINGS, *_JOINED, _CODES, *_TIMES, *_JSON, _AGGREGATES, *_AVERAGES, _SESSION, _USERS]
)  # fmt: skip

"""What is created in PostgreSQL before the first session: types, operators, functions, notes and users.

The views are in ``system_views``. Everything lives in the schema ``redshift_standin``, which no client can name; only
the operators of VARCHAR are put into ``pg_catalog``, so that they are found under every ``search_path``.
"""

from __future__ import annotations

from s3rs_ray.local.redshift.backend import Backend
from s3rs_ray.local.redshift.catalog_functions import FUNCTIONS
from s3rs_ray.local.redshift.catalog_hashes import HASHES
from s3rs_ray.local.redshift.catalog_notes import NOTES
from s3rs_ray.local.redshift.catalog_views import VIEWS
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.tokens import quote_literal, quote_name
from s3rs_ray.local.redshift.wire import md5_secret

__all__ = ["create_catalog", "create_users", "load_type_codes"]

# The type codes Redshift puts into row descriptions (redshift_connector, utils/oids.py).
_REDSHIFT_CODES = {"varchar": 1043, "super": 4000, "varbyte": 6551}

# VARCHAR: PostgreSQL's own storage, but the length counts bytes and comparisons ignore trailing blanks, for which
# the functions of bpchar serve. An explicit cast cuts, an assignment that does not fit is an error.
_VARCHAR = """
CREATE TYPE {s}.varchar;
CREATE FUNCTION {s}.varchar_in(cstring, oid, int4) RETURNS {s}.varchar
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'varcharin';
CREATE FUNCTION {s}.varchar_out({s}.varchar) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'varcharout';
CREATE FUNCTION {s}.varchar_recv(internal, oid, int4) RETURNS {s}.varchar
    LANGUAGE internal STABLE STRICT PARALLEL SAFE AS 'varcharrecv';
CREATE FUNCTION {s}.varchar_send({s}.varchar) RETURNS bytea
    LANGUAGE internal STABLE STRICT PARALLEL SAFE AS 'varcharsend';
CREATE TYPE {s}.varchar (INPUT = {s}.varchar_in, OUTPUT = {s}.varchar_out, RECEIVE = {s}.varchar_recv,
    SEND = {s}.varchar_send, TYPMOD_IN = varchartypmodin, TYPMOD_OUT = varchartypmodout,
    LIKE = pg_catalog.varchar, CATEGORY = 'S', COLLATABLE = true);
CREATE CAST ({s}.varchar AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS {s}.varchar) WITHOUT FUNCTION AS IMPLICIT;
CREATE FUNCTION {s}.varchar_of_char(bpchar) RETURNS {s}.varchar
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'rtrim1';
CREATE CAST (bpchar AS {s}.varchar) WITH FUNCTION {s}.varchar_of_char(bpchar) AS IMPLICIT;
CREATE FUNCTION {s}.cut({s}.varchar, int4, bool) RETURNS {s}.varchar LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE bytes bytea := convert_to($1::text, 'UTF8'); n int := $2;
BEGIN
    IF NOT $3 AND octet_length(rtrim($1::text)) > $2 THEN
        RAISE EXCEPTION 'value too long for type character varying(%)', $2 USING ERRCODE = '22001';
    END IF;
    WHILE n > 0 AND (get_byte(bytes, n) & 192) = 128 LOOP n := n - 1; END LOOP;
    RETURN convert_from(substring(bytes FROM 1 FOR n), 'UTF8');
END $$;
CREATE FUNCTION {s}.fit({s}.varchar, int4, bool) RETURNS {s}.varchar LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT CASE WHEN octet_length($1::text) > $2 - 4 THEN {s}.cut($1, $2 - 4, $3) ELSE $1 END $$;
CREATE CAST ({s}.varchar AS {s}.varchar) WITH FUNCTION {s}.fit({s}.varchar, int4, bool) AS IMPLICIT;
"""

_COMPARISONS = {
    "=": ("bpchareq", "=", "<>", "eqsel", "eqjoinsel"),
    "<>": ("bpcharne", "<>", "=", "neqsel", "neqjoinsel"),
    "<": ("bpcharlt", ">", ">=", "scalarltsel", "scalarltjoinsel"),
    "<=": ("bpcharle", ">=", ">", "scalarlesel", "scalarlejoinsel"),
    ">": ("bpchargt", "<", "<=", "scalargtsel", "scalargtjoinsel"),
    ">=": ("bpcharge", "<=", "<", "scalargesel", "scalargejoinsel"),
}

_INDEXING = """
CREATE FUNCTION {s}.varchar_cmp({s}.varchar, {s}.varchar) RETURNS int4
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bpcharcmp';
CREATE FUNCTION {s}.varchar_hash({s}.varchar) RETURNS int4
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashbpchar';
CREATE FUNCTION {s}.varchar_hash_extended({s}.varchar, int8) RETURNS int8
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashbpcharextended';
CREATE FUNCTION {s}.varchar_sortsupport(internal) RETURNS void
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bpchar_sortsupport';
CREATE OPERATOR CLASS {s}.varchar_ops DEFAULT FOR TYPE {s}.varchar USING btree AS
    OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=, OPERATOR 4 pg_catalog.>=,
    OPERATOR 5 pg_catalog.>, FUNCTION 1 {s}.varchar_cmp({s}.varchar, {s}.varchar),
    FUNCTION 2 {s}.varchar_sortsupport(internal);
CREATE OPERATOR CLASS {s}.varchar_hash_ops DEFAULT FOR TYPE {s}.varchar USING hash AS
    OPERATOR 1 pg_catalog.=, FUNCTION 1 {s}.varchar_hash({s}.varchar),
    FUNCTION 2 {s}.varchar_hash_extended({s}.varchar, int8);
CREATE FUNCTION {s}.varchar_larger({s}.varchar, {s}.varchar) RETURNS {s}.varchar
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bpchar_larger';
CREATE FUNCTION {s}.varchar_smaller({s}.varchar, {s}.varchar) RETURNS {s}.varchar
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bpchar_smaller';
CREATE AGGREGATE pg_catalog.max({s}.varchar) (SFUNC = {s}.varchar_larger, STYPE = {s}.varchar, SORTOP = >);
CREATE AGGREGATE pg_catalog.min({s}.varchar) (SFUNC = {s}.varchar_smaller, STYPE = {s}.varchar, SORTOP = <);
CREATE FUNCTION {s}.varchar_concat({s}.varchar, {s}.varchar) RETURNS {s}.varchar
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textcat';
CREATE OPERATOR pg_catalog.|| (LEFTARG = {s}.varchar, RIGHTARG = {s}.varchar, FUNCTION = {s}.varchar_concat);
"""

# VARBYTE keeps its length in the type modifier and checks it on assignment; SUPER is a JSON document.
_OTHER_TYPES = """
CREATE TYPE {s}.varbyte;
CREATE FUNCTION {s}.varbyte_in(cstring, oid, int4) RETURNS {s}.varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteain';
CREATE FUNCTION {s}.varbyte_out({s}.varbyte) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteaout';
CREATE FUNCTION {s}.varbyte_recv(internal, oid, int4) RETURNS {s}.varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bytearecv';
CREATE FUNCTION {s}.varbyte_send({s}.varbyte) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteasend';
CREATE TYPE {s}.varbyte (INPUT = {s}.varbyte_in, OUTPUT = {s}.varbyte_out, RECEIVE = {s}.varbyte_recv,
    SEND = {s}.varbyte_send, TYPMOD_IN = varchartypmodin, TYPMOD_OUT = varchartypmodout, LIKE = pg_catalog.bytea);
CREATE CAST ({s}.varbyte AS bytea) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (bytea AS {s}.varbyte) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE FUNCTION {s}.fit({s}.varbyte, int4, bool) RETURNS {s}.varbyte LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length($1::bytea) > $2 - 4 THEN
        RAISE EXCEPTION 'value too long for type binary varying(%)', $2 - 4 USING ERRCODE = '22001';
    END IF;
    RETURN $1;
END $$;
CREATE CAST ({s}.varbyte AS {s}.varbyte) WITH FUNCTION {s}.fit({s}.varbyte, int4, bool) AS IMPLICIT;
CREATE TYPE {s}.super;
CREATE FUNCTION {s}.super_in(cstring) RETURNS {s}.super
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_in';
CREATE FUNCTION {s}.super_out({s}.super) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_out';
CREATE FUNCTION {s}.super_recv(internal) RETURNS {s}.super
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_recv';
CREATE FUNCTION {s}.super_send({s}.super) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_send';
CREATE TYPE {s}.super (INPUT = {s}.super_in, OUTPUT = {s}.super_out, RECEIVE = {s}.super_recv,
    SEND = {s}.super_send, LIKE = pg_catalog.jsonb);
CREATE CAST ({s}.super AS jsonb) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (jsonb AS {s}.super) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE FUNCTION {s}.super_of_text(text) RETURNS {s}.super LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT to_jsonb($1)::{s}.super $$;
CREATE CAST (text AS {s}.super) WITH FUNCTION {s}.super_of_text(text) AS ASSIGNMENT;
CREATE FUNCTION {s}.super_of_varchar({s}.varchar) RETURNS {s}.super LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT to_jsonb($1::text)::{s}.super $$;
CREATE CAST ({s}.varchar AS {s}.super) WITH FUNCTION {s}.super_of_varchar({s}.varchar) AS ASSIGNMENT;
"""


def create_catalog(backend: Backend, database: str) -> None:
    """Creates everything once; a PostgreSQL that has it already is left as it is.

    Args:
        backend: a session of a superuser.
        database: the database of the session; its defaults for new sessions are set too.

    Raises:
        SqlError: PostgreSQL refused a statement.
    """
    if backend.query(f"SELECT 1 FROM pg_namespace WHERE nspname = {quote_literal(INTERNAL_SCHEMA)}"):
        return
    name = quote_name(database)
    parts = [
        "BEGIN; SET LOCAL allow_system_table_mods = on; SET LOCAL client_min_messages = warning;",
        f"CREATE SCHEMA {INTERNAL_SCHEMA}; GRANT USAGE, CREATE ON SCHEMA {INTERNAL_SCHEMA} TO PUBLIC;",
        # Redshift lets everybody create in the schema public.
        "GRANT CREATE ON SCHEMA public TO PUBLIC;",
        # Autovacuum shares no table with a writer: the shorter this is, the sooner it gives way.
        f"ALTER DATABASE {name} SET deadlock_timeout = '200ms';",
        _VARCHAR.format(s=INTERNAL_SCHEMA),
        _comparisons_sql(),
        _INDEXING.format(s=INTERNAL_SCHEMA),
        _OTHER_TYPES.format(s=INTERNAL_SCHEMA),
        FUNCTIONS.format(s=INTERNAL_SCHEMA, c=_case_collation(backend)),
        HASHES.format(s=INTERNAL_SCHEMA),
        NOTES.format(s=INTERNAL_SCHEMA),
        VIEWS.format(s=INTERNAL_SCHEMA),
        "COMMIT",
    ]
    backend.query("\n".join(parts))


def _case_collation(backend: Backend) -> str:
    """A collation that folds the case of all letters: PostgreSQL 17's own, or the one of ICU before it."""
    known = backend.query("SELECT collname FROM pg_collation WHERE collname IN ('pg_c_utf8', 'unicode') ORDER BY 1")
    return str(known[0][0]) if known else "C"


def _comparisons_sql() -> str:
    lines: list[str] = []
    own = f"{INTERNAL_SCHEMA}.varchar"
    for left, right in ((own, own), (own, "text"), ("text", own)):
        for operator, (function, commutator, negator, restrict, join) in _COMPARISONS.items():
            lines.append(
                f"CREATE FUNCTION {INTERNAL_SCHEMA}.{function}({left}, {right}) RETURNS bool "
                f"LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS '{function}';"
            )
            merges = ", MERGES, HASHES" if operator == "=" and left == right else ""
            lines.append(
                f"CREATE OPERATOR pg_catalog.{operator} (LEFTARG = {left}, RIGHTARG = {right}, "
                f"FUNCTION = {INTERNAL_SCHEMA}.{function}, COMMUTATOR = OPERATOR(pg_catalog.{commutator}), "
                f"NEGATOR = OPERATOR(pg_catalog.{negator}), RESTRICT = {restrict}, JOIN = {join}{merges});"
            )
    return "\n".join(lines)


def create_users(backend: Backend, users: dict[str, str]) -> None:
    """Makes the configured users known, the first of them as superuser, with these passwords.

    Args:
        backend: a session of a superuser.
        users: name to password.
    """
    for index, (user, password) in enumerate(users.items()):
        if not backend.query(f"SELECT 1 FROM pg_roles WHERE rolname = {quote_literal(user)}"):
            backend.query(f"CREATE ROLE {quote_name(user)} LOGIN {'SUPERUSER' if index == 0 else 'NOSUPERUSER'}")
        backend.query(
            f"INSERT INTO {INTERNAL_SCHEMA}.passwords VALUES ({quote_literal(user)}, "
            f"{quote_literal(md5_secret(user, password))}) ON CONFLICT (name) DO UPDATE SET secret = excluded.secret"
        )
        if index:
            backend.query(f"GRANT CREATE ON DATABASE {quote_name(_current_database(backend))} TO {quote_name(user)}")


def _current_database(backend: Backend) -> str:
    return str(backend.query("SELECT current_database()")[0][0])


def load_type_codes(backend: Backend) -> dict[int, int]:
    """PostgreSQL's codes of the stand-in's own types -> the codes Redshift uses on the wire."""
    rows = backend.query(
        "SELECT t.oid, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
        f"WHERE n.nspname = {quote_literal(INTERNAL_SCHEMA)}"
    )
    return {int(str(oid)): _REDSHIFT_CODES[str(name)] for oid, name in rows if str(name) in _REDSHIFT_CODES}

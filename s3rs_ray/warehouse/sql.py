"""Every statement sent to Redshift, as text.

Only what the Amazon Redshift Database Developer Guide documents is used: no ON CONFLICT, RETURNING, DISTINCT ON or
other PostgreSQL forms that Redshift lacks. Values go in as bind parameters, except in COPY, which takes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..model import Column, ordered_columns
from ..table_settings import DELETED_COLUMN, LOAD_COLUMNS

LEDGER_TABLE = "s3rs_load_ledger"
SHADOW_PREFIX = "s3rs_shadow_"
"""Tables in which a full refresh is gathered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The table in Redshift: where rows go and by which columns they are matched.

    Attributes:
        columns: in file order; COPY matches by position.
        key: names of the key columns; empty for a table without a key.
        cursor: name of the column that tells the newer of two versions.
        folded, padded: the columns of the key whose case (of A-Z), whose trailing blanks do not count at the source.
        diststyle, distkey, sortkeys: its layout when it is created; empty for Redshift's own choice.
        load_columns: it has the columns that say when and by which run a row was loaded.
        marks: it has the column that says when a row was found gone from the source; such a row counts as not there.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    cursor: str
    folded: tuple[str, ...] = ()
    padded: tuple[str, ...] = ()
    diststyle: str = ""
    distkey: str = ""
    sortkeys: tuple[str, ...] = ()
    load_columns: bool = False
    marks: bool = False

    @property
    def qualified(self) -> str:
        return f"{quote_name(self.schema)}.{quote_name(self.name)}"

    @property
    def staging(self) -> str:
        """The temporary table that COPY fills."""
        return quote_name(_temporary(f"s3rs_stage_{self.name}"))

    @property
    def shadow_prefix(self) -> str:
        """What the names of this target's shadow tables start with; no other target's do."""
        return f"{SHADOW_PREFIX}{_digest(f'{self.schema}.{self.name}'.lower())}_"

    def shadow(self, generation: str) -> str:
        """The table in which a full refresh is gathered, without its schema: one for each generation."""
        return _temporary(f"{self.shadow_prefix}{_digest(generation)}_{self.name}")

    def in_schema(self, name: str) -> str:
        """A table beside the target, quoted."""
        return f"{quote_name(self.schema)}.{quote_name(name)}"

    @property
    def newest(self) -> str:
        """The temporary table of the newest versions, where staging holds a key twice."""
        return quote_name(_temporary(f"s3rs_newest_{self.name}"))

    @property
    def kept(self) -> str:
        """The temporary table of what the target alone knows of rows that are mended."""
        return quote_name(_temporary(f"s3rs_kept_{self.name}"))

    @property
    def gone(self) -> str:
        """The temporary table of the keys that are gone from the source."""
        return quote_name(_temporary(f"s3rs_gone_{self.name}"))

    @property
    def own_columns(self) -> dict[str, str]:
        """The columns of this program's own that it is to have, with their types."""
        return {**(LOAD_COLUMNS if self.load_columns else {}), **(DELETED_COLUMN if self.marks else {})}

    @property
    def live(self) -> str:
        """The predicate of the rows that are not marked as gone; empty where none can be."""
        return " AND ".join(f"{quote_name(c)} IS NULL" for c in DELETED_COLUMN) if self.marks else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _temporary(name: str) -> str:
    """A name cut to the 127 bytes Redshift takes. What is cut off need not tell it from others."""
    return name.lower().encode()[:127].decode(errors="ignore")


def quote_name(name: str) -> str:
    """A Redshift identifier in double quotes, folded as Redshift folds it (quoted names too)."""
    return '"' + name.lower().replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A Redshift string literal; the backslash is an escape character inside it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def names(columns: Sequence[Column], prefix: str = "") -> str:
    return ", ".join(prefix + quote_name(c.name) for c in columns)


def parsed(columns: Sequence[Column], prefix: str) -> list[str]:
    """The staged columns as the target takes them: JSON text is parsed into a SUPER."""
    staged = ((c, prefix + quote_name(c.name)) for c in columns)
    return [f"JSON_PARSE({name})" if c.redshift_type == "SUPER" else name for c, name in staged]


def find_schema_sql(schema: str) -> str:
    return f"SELECT 1 FROM pg_namespace WHERE nspname = {quote_text(schema.lower())}"


def create_schema_sql(schema: str) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {quote_name(schema)}"


def create_ledger_sql(schema: str) -> str:
    """The warehouse's own load ledger: a row here and the rows of the load are one transaction."""
    return (
        f"CREATE TABLE IF NOT EXISTS {ledger_name(schema)} ("
        "load_id VARCHAR(64) NOT NULL, run_id VARCHAR(64) NOT NULL, generation VARCHAR(64) NOT NULL,"
        " source_table VARCHAR(1024) NOT NULL, target VARCHAR(1024) NOT NULL, file_count INTEGER NOT NULL,"
        " row_count BIGINT NOT NULL, merged_count BIGINT NOT NULL, manifest VARCHAR(4096) NOT NULL,"
        " reaches VARCHAR(16384), loaded_at TIMESTAMP NOT NULL)"
    )


def ledger_name(schema: str) -> str:
    return f"{quote_name(schema)}.{quote_name(LEDGER_TABLE)}"


def create_target_sql(target: Target) -> str:
    """The target table: every column nullable, because Redshift enforces no key and a source may loosen NOT NULL."""
    defined = [*((c.name, c.redshift_type) for c in target.columns), *target.own_columns.items()]
    columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in defined)
    return f"CREATE TABLE IF NOT EXISTS {target.qualified} ({columns}){layout(target)}"


def layout(target: Target) -> str:
    """Distribution and sort keys where they were asked for; Redshift chooses and changes the others itself."""
    text = f" DISTSTYLE {target.diststyle.upper()}" if target.diststyle else ""
    if target.distkey:
        text += f" DISTKEY ({quote_name(target.distkey)})"
    if target.sortkeys:
        text += f" SORTKEY ({', '.join(map(quote_name, target.sortkeys))})"
    return text


def create_staging_sql(target: Target, staging: str) -> str:
    columns = ", ".join(f"{quote_name(c.name)} {c.staging_type}" for c in target.columns)
    return f"CREATE TEMP TABLE {staging} ({columns})"


def count_live_sql(target: Target) -> str:
    """Counts the rows that are not marked as gone."""
    return count_sql(target.qualified) + (f" WHERE {target.live}" if target.live else "")


def drop_sql(name: str) -> str:
    return f"DROP TABLE IF EXISTS {name}"


def columns_sql() -> str:
    """Name and type of a table's columns in order; parameters: schema, table."""
    return (
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale"
        " FROM svv_columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"
    )


def copy_sql(target: Target, manifest_url: str, authorization: str) -> str:
    """COPY of a Parquet manifest into staging.

    Args:
        authorization: from :func:`role_sql` or :func:`keys_sql`; a secret in the second case, so the text is never
            logged nor put into an error.
    """
    return (
        f"COPY {target.staging} ({names(target.columns)}) FROM {quote_text(manifest_url)}"
        f" {authorization} FORMAT AS PARQUET MANIFEST"
    )


def session_id_sql() -> str:
    """The process id of the session, by which SYS views name it."""
    return "SELECT pg_backend_pid()"


def load_error_sql() -> str:
    """The newest failed COPY of a session; parameter: its process id, which is given out again after some days."""
    return (
        "SELECT trim(file_name), trim(column_name), trim(column_type), trim(column_length), line_number, error_code,"
        " trim(error_message) FROM sys_load_error_detail"
        " WHERE session_id = %s AND start_time > dateadd(day, -1, getdate()) ORDER BY start_time DESC LIMIT 1"
    )


def role_sql(role: str) -> str:
    """``IAM_ROLE default`` or ``IAM_ROLE '<arn>'``."""
    if role.lower() == "default":
        return "IAM_ROLE default"
    if not role.startswith("arn:"):
        raise ConfigError(
            f"REDSHIFT_IAM_ROLE = {role!r} is neither an ARN nor `default`",
            hint="give the ARN of the role attached to the cluster or workgroup",
        )
    return f"IAM_ROLE {quote_text(role)}"


def keys_sql(access_key: str, secret_key: str, session_token: str) -> str:
    """``ACCESS_KEY_ID … SECRET_ACCESS_KEY … [SESSION_TOKEN …]``. Secret."""
    text = f"ACCESS_KEY_ID {quote_text(access_key)} SECRET_ACCESS_KEY {quote_text(secret_key)}"
    return text + (f" SESSION_TOKEN {quote_text(session_token)}" if session_token else "")


def count_sql(name: str) -> str:
    return f"SELECT count(*) FROM {name}"


def lock_ledger_sql(schema: str) -> str:
    """Serialises loads. LOCK before the first read: the snapshot of the transaction is taken after it."""
    return f"LOCK {ledger_name(schema)}"


def find_load_sql(schema: str) -> str:
    """The ledger's row of a load; parameter: load id."""
    return (
        "SELECT load_id, run_id, row_count, file_count, merged_count, loaded_at"
        f" FROM {ledger_name(schema)} WHERE load_id = %s"
    )


def record_load_sql(schema: str) -> str:
    """Parameters: load id, run id, generation, source table, target, files, rows, merged, manifest, reaches (JSON).

    SYSDATE has microseconds, of the transaction's start; GETDATE would not tell loads of one second apart (Amazon
    Redshift Database Developer Guide, "SYSDATE function", "GETDATE function").
    """
    return (
        f"INSERT INTO {ledger_name(schema)} (load_id, run_id, generation, source_table, target, file_count,"
        " row_count, merged_count, manifest, reaches, loaded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, SYSDATE)"
    )


def loads_sql(schema: str) -> str:
    """How many loads and deletions the ledger has of a table; parameters: source table, target."""
    return f"SELECT count(*) FROM {ledger_name(schema)} WHERE source_table = %s AND target = %s"


def other_source_sql(schema: str) -> str:
    """Another source table that is loaded into a target; parameters: target, source table."""
    return f"SELECT source_table FROM {ledger_name(schema)} WHERE target = %s AND source_table <> %s LIMIT 1"


def reached_sql(schema: str) -> str:
    """What the loads of a table reached, newest first; parameters: source table, target."""
    return (
        f"SELECT reaches, generation FROM {ledger_name(schema)} WHERE source_table = %s AND target = %s"
        " AND reaches IS NOT NULL ORDER BY loaded_at DESC"
    )


def count_between_sql(target: Target, *, low: bool, closed: bool) -> str:
    """Counts the rows between two cursor values; parameters: the first where ``low``, the second."""
    return f"SELECT count(*) FROM {target.qualified} WHERE {_between(target, low=low, closed=closed)}"


def positions_sql(target: Target, order_columns: Sequence[str], *, low: bool, closed: bool) -> str:
    """Cursor and key of the rows between two cursor values; parameters: the first where ``low``, the second.

    Binary values come as hexadecimal text, because the driver reads a VARBYTE as UTF-8.
    """
    return f"{_select_positions(target, order_columns)} WHERE {_between(target, low=low, closed=closed)}"


def null_positions_sql(target: Target, order_columns: Sequence[str]) -> str:
    """Cursor and key of the rows whose cursor is NULL."""
    return f"{_select_positions(target, order_columns)} WHERE {quote_name(target.cursor)} IS NULL{_and_live(target)}"


def _select_positions(target: Target, order_columns: Sequence[str]) -> str:
    binary = {c.name for c in target.columns if c.redshift_type.startswith("VARBYTE")}
    named = ", ".join(f"LOWER(TO_HEX({quote_name(c)}))" if c in binary else quote_name(c) for c in order_columns)
    return f"SELECT {named} FROM {target.qualified}"


def aggregates_sql(target: Target, *, low: bool, closed: bool) -> str:
    """Counts of all columns, then minimum and maximum of the ordered ones, between two cursor values."""
    parts = [f"count({quote_name(c.name)})" for c in target.columns]
    ordered = [quote_name(c.name) for c in ordered_columns(target.columns)]
    parts += [f"{function}({name})" for name in ordered for function in ("min", "max")]
    return f"SELECT {', '.join(parts)} FROM {target.qualified} WHERE {_between(target, low=low, closed=closed)}"


def _between(target: Target, *, low: bool, closed: bool) -> str:
    cursor = quote_name(target.cursor)
    # Where the cursor alone is the whole position, a range starts behind it.
    behind = ">" if set(target.key) <= {target.cursor} else ">="
    first = f"{cursor} {behind} %s AND " if low else ""
    return f"{first}{cursor} {'<=' if closed else '<'} %s{_and_live(target)}"


def _and_live(target: Target) -> str:
    return f" AND {target.live}" if target.live else ""


def statement_timeout_sql(seconds: int) -> str:
    """Limits every later statement of the session on the server's side; milliseconds."""
    return f"SET statement_timeout TO {seconds * 1000}"


def analyze_sql(target: Target) -> str:
    return f"ANALYZE {target.qualified}"

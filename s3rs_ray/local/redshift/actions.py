"""What the gate may decide about a statement. Anything else is an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from s3rs_ray.local.redshift.parser import TableName

__all__ = ["Action", "Credentials", "Forward", "Load", "Script"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """PostgreSQL runs the rewritten statement; its rows and its tag go to the client.

    Attributes:
        sql: the statement for PostgreSQL.
        kind: its first word in Redshift, lower case.
        writes: the tables that are locked against other writers first, quoted.
        reads: all tables and views it names, quoted, when it takes the snapshot of its transaction.
        tables: those of them that must be tables and no views, quoted.
    """

    sql: str
    kind: str
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """PostgreSQL runs several statements in place of one; only the tag goes to the client.

    Attributes:
        statements: run in order, in a transaction of their own when none is open.
        tag: the command tag of the answer.
        alone: Redshift's name of the command when it is refused inside a transaction, else empty.
        single: whether PostgreSQL refuses it inside a transaction too, so that none is opened around it.
        commits: whether it ends an open transaction by committing it (TRUNCATE).
        reads: all tables and views its query names, quoted.
    """

    statements: tuple[str, ...]
    tag: str
    alone: str = ""
    single: bool = False
    commits: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one authorisation of a COPY: a role, or keys with or without a session token."""

    role: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A COPY ... FORMAT AS PARQUET, which the stand-in runs itself.

    Attributes:
        table: the target.
        columns: the column list in the order of the files, empty when none was given.
        bucket: of the object named after FROM.
        key: of the object named after FROM; a prefix when ``manifest`` is False.
        credentials: how the objects are to be read.
        manifest: whether the object is a manifest.
        fill_record: FILLRECORD was given.
        serialize_to_json: SERIALIZETOJSON was given.
        explicit_ids: EXPLICIT_IDS was given.
    """

    table: TableName
    columns: tuple[str, ...]
    bucket: str
    key: str
    credentials: Credentials
    manifest: bool = False
    fill_record: bool = False
    serialize_to_json: bool = False
    explicit_ids: bool = False


Action = Forward | Script | Load

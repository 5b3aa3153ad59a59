"""Settings: defaults < file < environment (with ``.env``) < flags, each value with its origin.

The only reader of ``os.environ`` in the package. Every setting has one name, the environment variable's
(``DB_HOST``); in a file it may also be written as a section (``db: {host: …}``) and in lower case.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from .errors import ConfigError, UsageError
from .model import TableName
from .policies import (
    Deletes,
    GeometryForm,
    JsonForm,
    LongText,
    Mode,
    NulBytes,
    NullCursors,
    Policy,
    RangeOrder,
    ZeroDates,
)
from .setting_files import read_settings_file, reference_of, resolve_all
from .table_settings import NullByName, Percent, TableSettings
from .view_settings import Names

DB_NAMES = ("DB_HOST", "DB_USER", "DB_PASSWORD")
S3_NAMES = ("S3_BUCKET_NAME",)
MASKED_FROM = 3
"""Characters: a kept value of so many or fewer is masked in a text only where it stands in quotes."""

TABLE_FLAGS = {"backup_mode": "mode", "backup_deletes": "deletes", "backup_max_delete_percent": "max_delete_percent"}
"""The settings that a flag may give, and what single tables call them."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """The effective settings. Build one with :meth:`load`; a field's name is the variable's in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _references: dict[str, str] = PrivateAttr(default_factory=dict)

    # The source
    db_host: str = Field("", description="MySQL host")
    db_port: Port = Field(3306, description="MySQL port")
    db_user: str = Field("", description="MySQL user")
    db_password: SecretStr = Field(SecretStr(""), description="MySQL password")
    db_database: str = Field("", description="schema of tables named without one")
    db_ssl_mode: Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"] = Field(
        "disabled", description="TLS to MySQL"
    )
    db_ssl_ca: str = Field("", description="file of the CA that signed MySQL's certificate")
    db_connect_timeout_seconds: Seconds = Field(8, description="how long a connection to MySQL may take")

    ssh_bastion_host: str = Field("", description="SSH bastion in front of MySQL; empty: connect directly")
    ssh_bastion_port: Port = Field(22, description="the bastion's port")
    ssh_bastion_user: str = Field("", description="user on the bastion")
    ssh_bastion_key_path: str = Field(
        "", description="private key file for the bastion; empty: the SSH agent's keys, and those in ~/.ssh"
    )
    ssh_bastion_key_passphrase: SecretStr = Field(SecretStr(""), description="passphrase of that key")
    ssh_local_port: int = Field(
        0, ge=0, le=65535, description="local end of the tunnel; 0, or where it is taken: any free port"
    )
    ssh_known_hosts: str = Field("~/.ssh/known_hosts", description="host keys of bastions that are trusted")
    ssh_trust_first_use: bool = Field(
        False, description="a bastion that is not in SSH_KNOWN_HOSTS is trusted and written there"
    )

    # S3
    s3_bucket_name: str = Field("", description="bucket of the Parquet files, the state and the manifests")
    s3_access_key: str = Field("", description="access key id; empty: the AWS default credential chain")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="secret access key")
    s3_session_token: SecretStr = Field(SecretStr(""), description="session token of temporary credentials")
    s3_region: str = Field("us-east-1", description="region of the bucket")
    s3_endpoint_url: str = Field("", description="S3 endpoint; empty: AWS")
    s3_incremental_path: str = Field("incremental/", description="prefix of the Parquet files")
    s3_high_watermark_key: str = Field(
        "watermark/last_run_timestamp.txt", description="key of the old global watermark, read as a fallback"
    )

    # The warehouse
    redshift_host: str = Field("", description="Redshift host")
    redshift_port: Port = Field(5439, description="Redshift port")
    redshift_user: str = Field("", description="Redshift user")
    redshift_password: SecretStr = Field(SecretStr(""), description="Redshift password; not used with REDSHIFT_IAM")
    redshift_database: str = Field("", description="Redshift database")
    redshift_schema: str = Field("public", description="schema of the target tables")
    redshift_ssl_mode: Literal["verify-full", "verify-ca", "disable"] = Field(
        "verify-full", description="TLS to Redshift; verify-ca leaves the host's name in the certificate unchecked"
    )
    redshift_iam: bool = Field(False, description="log in with a temporary password granted by AWS IAM")
    redshift_cluster_identifier: str = Field("", description="IAM login: the provisioned cluster")
    redshift_workgroup: str = Field("", description="IAM login: the Serverless workgroup")
    redshift_region: str = Field("", description="IAM login: region; empty: the host name's, else S3_REGION")
    redshift_db_groups: Names = Field((), description="IAM login to a cluster: groups the session joins")
    redshift_auto_create: bool = Field(False, description="IAM login to a cluster: a missing user is created")
    redshift_profile: str = Field("", description="IAM login: AWS profile; empty: the default credential chain")
    redshift_access_key: str = Field("", description="IAM login: access key id instead of profile and chain")
    redshift_secret_key: SecretStr = Field(SecretStr(""), description="IAM login: its secret access key")
    redshift_session_token: SecretStr = Field(SecretStr(""), description="IAM login: its session token")
    redshift_iam_role: str = Field(
        "", description="role COPY reads S3 with: an ARN or `default`; empty: the S3 keys, else the AWS default chain"
    )
    redshift_connect_timeout_seconds: Seconds = Field(8, description="how long a connection to Redshift may take")
    redshift_statement_timeout_seconds: Seconds = Field(
        7200, description="server-side limit for one statement of a load"
    )
    redshift_ssh_bastion_host: str = Field("", description="SSH bastion in front of Redshift")
    redshift_ssh_bastion_port: Port = Field(22, description="that bastion's port")
    redshift_ssh_bastion_user: str = Field("", description="user on that bastion")
    redshift_ssh_bastion_key_path: str = Field("", description="private key file for that bastion")
    redshift_ssh_bastion_key_passphrase: SecretStr = Field(SecretStr(""), description="passphrase of that key")
    redshift_ssh_local_port: int = Field(
        0, ge=0, le=65535, description="a local port of that tunnel for other clients as well; 0: none"
    )

    # The run
    backup_cursor_column: str = Field("update_at", description="column that grows on every insert and update")
    backup_key_columns: Names = Field((), description="key columns, comma-separated; empty: the primary key")
    backup_batch_size: int = Field(
        0, ge=0, description="rows per chunk and file; 0: by bytes, for files of 64 to 128 MB"
    )
    backup_num_chunks: int = Field(0, ge=0, description="cut a window into about so many chunks; 0: by bytes")
    backup_chunk_seconds: int = Field(
        60, ge=0, description="while a chunk takes longer than this, later ones are smaller, to 8 MB at least; 0: never"
    )
    backup_chunk_order: Literal["", "cursor", "key"] = Field(
        "",
        description="chunks are ranges of the cursor or of the key; empty: the key for the first load of a large table",
    )
    backup_max_workers: int = Field(
        0, ge=0, description="chunks read at the same time, over all tables; 0: one for each CPU, 2 to 8"
    )
    backup_max_threads_running: int = Field(
        0, ge=0, description="fewer readers while MySQL's Threads_running, readers included, is over this; 0: no limit"
    )
    backup_max_replica_lag_seconds: int = Field(
        0, ge=0, description="fewer readers while the replica is further behind than this; 0: no limit"
    )
    backup_max_slowdown: int = Field(
        0, ge=0, description="fewer readers while a row takes more than so many times as long as at best; 0: no limit"
    )
    backup_max_tables: Count = Field(4, description="tables worked on at once with --strategy inter-table")
    backup_retry_attempts: int = Field(3, ge=0, description="how often a failed chunk is tried again")
    backup_timeout_seconds: Seconds = Field(1800, description="how long one read of a chunk may take")
    backup_settle_seconds: int = Field(
        5, ge=0, description="rows younger than this are left for the next run, so that no late commit is missed"
    )
    backup_cursor_time_zone: str = Field(
        "", description="time zone of DATETIME cursors, e.g. +08:00; empty: the server's"
    )
    backup_cursor_unit: Literal["", "seconds", "milliseconds", "microseconds"] = Field(
        "", description="what an integer cursor counts since 1970"
    )
    backup_lookback_seconds: int = Field(
        0, ge=0, description="every run reads so much of the window before it again, for rows that are written late"
    )
    backup_null_cursors: NullCursors = Field(
        NullCursors.REPORT,
        description="rows whose cursor is NULL: report, or load: every run reads all of them again",
    )
    backup_zero_dates: Annotated[ZeroDates, NullByName] = Field(
        ZeroDates.NULL, description="dates no calendar has (0000-00-00): null, counted and reported, or refuse"
    )
    backup_long_text: LongText = Field(
        LongText.REFUSE, description="texts over 65,535 bytes: refuse, truncate (counted), or exclude such columns"
    )
    backup_nul_bytes: NulBytes = Field(NulBytes.REFUSE, description="NUL bytes in texts: refuse, or remove (counted)")
    backup_geometry: GeometryForm = Field(GeometryForm.WKB, description="geometries: wkb or wkt")
    backup_json_form: JsonForm = Field(JsonForm.TEXT, description="JSON documents: text or super")
    tables: dict[str, TableSettings] = Field(
        {}, description="settings of single tables, by name or glob; in the settings file only"
    )
    backup_mode: Mode = Field(
        Mode.MERGE,
        description="merge: newest version of each key; append: every version, once; replace: all rows anew each time",
    )
    backup_load_columns: bool = Field(
        False, description="targets get _s3rs_loaded_at (UTC) and _s3rs_run_id: when and by which run a row was loaded"
    )
    backup_deletes: Deletes = Field(
        Deletes.KEEP,
        description="rows gone from the source, after a sync: keep, hard (deleted), soft (marked in _s3rs_deleted_at)",
    )
    backup_max_delete_percent: Percent = Field(
        10, description="where more of a table's rows than this seem gone from the source, none is deleted or marked"
    )
    backup_files_per_load: Count = Field(16, description="the most files of one load while chunks still come")
    backup_retention_days: Count = Field(
        30, description="days that `clean` keeps loaded files, and records and reports of runs"
    )

    ray_address: str = Field(
        "",
        description="head of a running cluster, e.g. 10.0.0.1:6379, or auto on one of its nodes; empty: this machine",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged")
    log_format: Literal["text", "json"] = Field("text", description="log lines for people, or one JSON object a line")
    debug: bool = Field(False, description="tracebacks and debug logs")
    metrics_file: str = Field("", description="Prometheus metrics of each table's last run are written there (*.prom)")
    openlineage_url: str = Field(
        "", description="where OpenLineage events go: http(s)://HOST, or file:/path; empty: none"
    )
    openlineage_api_key: SecretStr = Field(SecretStr(""), description="bearer token for OPENLINEAGE_URL")
    openlineage_namespace: str = Field("s3rs-ray", description="namespace of the OpenLineage jobs")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is int:
            raise ValueError("give a whole number")  # pydantic would take true for 1
        return value

    @field_validator("s3_bucket_name")
    @classmethod
    def _as_bucket(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._-]+", value):  # Amazon S3 manual, "Bucket naming rules"
            raise ValueError("give the bucket's name alone, without s3:// and without a path")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("openlineage_url")
    @classmethod
    def _as_receiver(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (
            parts.hostname if parts.scheme in ("http", "https") else parts.scheme == "file" and parts.path
        ):
            raise ValueError("give http://HOST:PORT, https://HOST, or file:/path/of/events.ndjson")
        return value

    @field_validator("ray_address")
    @classmethod
    def _as_head(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value not in ("", "auto") and ("://" in value or not host or not port.isdecimal() or int(port) > 65535):
            raise ValueError(
                "give HOST:6379, or auto on a node of the cluster; from elsewhere send the command there by"
                " `ray job submit --address http://127.0.0.1:8265 -- python -m s3rs_ray …`"
            )
        return value

    @field_validator("s3_incremental_path")
    @classmethod
    def _as_prefix(cls, value: str) -> str:
        cleaned = value.strip("/")
        if not cleaned:
            raise ValueError("must name a prefix, e.g. incremental/")
        return cleaned + "/"

    @classmethod
    def load(
        cls,
        *,
        config_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
        dotenv: Path | None = None,
        resolve: Callable[[str], str] | None = None,
    ) -> Settings:
        """The settings of all layers together.

        Args:
            config_file: YAML or TOML by its suffix; unknown keys in it are errors.
            environment: the variables; None reads this process's.
            flags: values from the command line, by field name; None values are not given.
            dotenv: a ``.env`` file below the environment; missing is fine.
            resolve: gives the value behind a reference (:func:`reference_of`), as
                :class:`~s3rs_ray.storage.references.References` does.

        Raises:
            ConfigError: naming every unknown key and every wrong value at once.
        """
        layered = layers(config_file=config_file, environment=environment, flags=flags, dotenv=dotenv)
        kept = references_in(layered)
        resolved, unresolved = resolve_all(kept, resolve or _nobody)
        said = [f"{name.upper()}: {exc.message}" for name, exc in unresolved.items()]
        values = {name: value for name, (value, _) in layered.items() if name not in unresolved}
        try:
            made = cls.of(values | resolved, kept)
        except ValidationError as exc:
            said += [explain_mistake(error, layered) for error in exc.errors(include_url=False, include_input=True)]
        if said:  # outside the block: the refusal of the library shows the values, secrets among them
            hints = {exc.hint: None for exc in unresolved.values()} if len(said) == len(unresolved) else {}
            told = "correct the named settings; `s3rs-ray config --validate` tells all that is wrong with them"
            raise ConfigError("\n".join(said), hint="; ".join(hints) or told)
        for field, own in TABLE_FLAGS.items():
            if layered.get(field, ("", ""))[1] == "flag":
                made = made._above_tables(own)
        return made

    @classmethod
    def of(cls, values: Mapping[str, object], references: Mapping[str, str]) -> Settings:
        """The settings of values by field name, which show references and not what is behind them.

        Blanks around a value that is kept elsewhere are dropped (files put into SSM end with a line feed), but those of
        a password or key are its own.

        Raises:
            ValidationError: of pydantic, for values that are wrong; its text shows them.
        """
        bare = {
            n: v.strip() for n, v in values.items() if n in references.keys() - secret_fields() and isinstance(v, str)
        }
        made = cls.model_validate({**values, **bare})
        made._references = dict(references)
        return made

    def without_kept(self, text: str) -> str:
        """A text for people, with references in place of the values behind them."""
        for name in self._references.keys() & self.model_fields_set:
            reference, value = self._references[name], str(_plain(getattr(self, name)))
            text = text.replace(repr(value), reference)
            if len(value) > MASKED_FROM:
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", reference.replace("\\", r"\\"), text)
        return text

    def _above_tables(self, name: str) -> Settings:
        """The settings without the tables' own values of one of them, as a flag stands above these."""
        tables = {pattern: table.model_copy(update={name: None}) for pattern, table in self.tables.items()}
        return self.model_copy(update={"tables": tables})

    def __hash__(self) -> int:
        return hash(repr(self))  # the field ``tables`` is a dictionary, which has no hash

    def table(self, name: TableName) -> TableSettings:
        """The settings of a table: those of every glob that matches it in the file's order, then its own entry's."""
        merged = TableSettings()
        for pattern, given in self.tables.items():
            wanted = TableName.parse(pattern, self.db_database)
            if wanted != name and fnmatchcase(name.schema, wanted.schema) and fnmatchcase(name.name, wanted.name):
                merged = merged.merged(given)
        return merged.merged(self.own_table(name))

    def table_name(self, text: str) -> TableName:
        """The table that was written as ``schema.table``, or as ``table`` in ``DB_DATABASE``.

        Raises:
            ConfigError: it names no schema and DB_DATABASE is not set.
            UsageError: a part of it is empty.
        """
        if text and "." not in text:
            self.require("DB_DATABASE")
        name = TableName.parse(text, self.db_database)
        if not name.schema or not name.name:
            raise UsageError(f"{text!r} is no name of a table", hint="write schema.table, or a glob: 'settlement.*'")
        return name

    def own_table(self, name: TableName) -> TableSettings:
        """The settings of the entry that names this very table."""
        own = [t for pattern, t in self.tables.items() if TableName.parse(pattern, self.db_database) == name]
        return own[0] if own else TableSettings()

    def mode(self, name: TableName) -> Mode:
        """How loaded rows of a table meet those already in its target."""
        return self.table(name).mode or self.backup_mode

    def cursor_column(self, name: TableName) -> str:
        """The column that grows on every insert and update of a table."""
        return self.table(name).cursor or self.backup_cursor_column

    def key_columns(self, name: TableName) -> tuple[str, ...]:
        """The key columns of a table as they were given; empty for its primary or first unique key."""
        given = self.table(name).key
        return self.backup_key_columns if given is None else given

    def target(self, name: TableName) -> tuple[str, str]:
        """Schema and name of the table in Redshift that a source table goes into."""
        table = self.table(name)
        return table.target_schema or self.redshift_schema, table.target or name.name

    def has_load_columns(self, name: TableName) -> bool:
        """Whether the target of a table has the columns of :data:`LOAD_COLUMNS`."""
        given = self.table(name).load_columns
        return self.backup_load_columns if given is None else given

    def deletes(self, name: TableName) -> Deletes:
        """What becomes of rows of a table that are gone from the source."""
        return self.table(name).deletes or self.backup_deletes

    def max_delete_percent(self, name: TableName) -> int:
        """Of how many percent of a table's rows at most it is believed that they are gone from the source."""
        given = self.table(name).max_delete_percent
        return self.backup_max_delete_percent if given is None else given

    @property
    def chunk_order(self) -> RangeOrder | None:
        """Which columns chunks shall be ranges of; None leaves it to the plan."""
        return RangeOrder(self.backup_chunk_order) if self.backup_chunk_order else None

    @property
    def policy(self) -> Policy:
        """The choice for values Redshift has no form for, where a table or column makes none."""
        return Policy(
            zero_dates=self.backup_zero_dates,
            long_text=self.backup_long_text,
            nul_bytes=self.backup_nul_bytes,
            geometry=self.backup_geometry,
            json_form=self.backup_json_form,
        )

    @property
    def redshift_names(self) -> tuple[str, ...]:
        """The variables without which nobody can log in to Redshift."""
        login: tuple[str, ...] = ("REDSHIFT_USER", "REDSHIFT_PASSWORD")
        if self.redshift_iam:
            login = () if self.redshift_workgroup else ("REDSHIFT_USER",)
        return ("REDSHIFT_HOST", *login, "REDSHIFT_DATABASE")

    def require(self, *names: str) -> None:
        """Raises ConfigError naming all of ``names`` (variables) that have no value."""
        missing = [name for name in names if not _plain(getattr(self, name.lower()))]
        if missing:
            raise ConfigError(
                f"missing settings: {', '.join(missing)}",
                hint="set them in the environment, in .env, or in the file given with --config-file",
            )

    def shown(self) -> dict[str, object]:
        """All settings by variable name, secrets masked; safe to print, log and store."""
        values: dict[str, object] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in self._references:
                value = self._references[name]
            elif isinstance(value, SecretStr):
                value = "********" if value.get_secret_value() else ""
            if name == "tables":
                value = {pattern: t.model_dump(mode="json", exclude_unset=True) for pattern, t in self.tables.items()}
            values[name.upper()] = value
        return values


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def explain_mistake(error: Mapping[str, object], layered: Mapping[str, tuple[object, str]]) -> str:
    """One mistake that validation found, by variable, value and origin.

    A secret's value is left out, and so is one behind a reference: no message of pydantic or of a validator of
    :class:`Settings` quotes what it was given.
    """
    location = error["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    field = Settings.model_fields.get(name)
    origin = layered.get(name, ("", "settings"))[1]
    inside = "".join(f"{part}: " for part in location[1:]) if isinstance(location, tuple) else ""
    reason = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{name.upper()} ({origin}): {inside}no such setting"
    if reference := reference_of(layered.get(name, ("", ""))[0]):
        return f"{name.upper()} = {reference} ({origin}): the value kept there is refused: {reason}"
    secret = field is not None and field.annotation is SecretStr
    value = "" if secret else f" = {error['input']!r}"
    return f"{name.upper()}{value} ({origin}): {inside}{reason}"


def secret_fields() -> frozenset[str]:
    """The settings that are never shown."""
    return frozenset(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)


def references_in(layered: Mapping[str, tuple[object, str]]) -> dict[str, str]:
    """By field name, the references among settings; the section ``tables`` takes none."""
    found = {name: reference_of(value) for name, (value, _) in layered.items() if name in Settings.model_fields}
    return {name: text for name, text in found.items() if text}


def _nobody(reference: str) -> str:
    raise ConfigError(
        f"{reference} is a reference, and nothing here looks it up",
        hint="Settings.load(resolve=s3rs_ray.storage.references.References())",
    )


def layers(
    *,
    config_file: Path | None,
    environment: Mapping[str, str] | None,
    flags: Mapping[str, object] | None,
    dotenv: Path | None,
) -> dict[str, tuple[object, str]]:
    """Each given setting's value and origin (``file …``, ``.env``, ``environment``, ``flag``), the highest layer's.

    Empty variables count as not given, as a shell's ``DB_PORT=`` means.
    """
    result: dict[str, tuple[object, str]] = {}
    if config_file is not None:
        for name, value in read_settings_file(config_file).items():
            result[name] = (value, f"file {config_file}")
    named = {field.upper(): field for field in Settings.model_fields if field != "tables"}
    dotenv_layer = dotenv_values(dotenv) if dotenv is not None and dotenv.is_file() else {}
    variables = os.environ if environment is None else environment
    for origin, layer in ((".env", dotenv_layer), ("environment", variables)):
        for variable, field in named.items():
            if layer.get(variable):
                result[field] = (layer[variable], origin)
    for name, flag in (flags or {}).items():
        if flag is not None:
            result[name] = (flag, "flag")
    return result

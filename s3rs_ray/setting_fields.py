"""Every setting: its name, type, default and description, and what a value of it must be."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from .policies import (
    Deletes,
    GeometryForm,
    JsonForm,
    LongText,
    Mode,
    NulBytes,
    NullCursors,
    ZeroDates,
)
from .table_settings import NullByName, Percent, TableSettings
from .view_settings import Names

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class SettingFields(BaseModel):
    """The settings; a field's name is the variable's in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    # Not SSH_CLIENT: sshd sets that variable in every session (ssh(1), ENVIRONMENT).
    ssh_tunnel_client: Literal["builtin", "system"] = Field(
        "builtin", description="what makes tunnels: builtin, or system: the machine's own `ssh`, which carries more"
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
        "watermark/last_run_timestamp.txt",
        description="key of an older program's global watermark, where a table without a state may start",
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
        0, ge=0, description="rows per chunk and file; 0: by bytes, for files of about 64 to 128 MB"
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

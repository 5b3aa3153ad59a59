"""Every key name in the bucket, as pairs of format_* and parse_*.

Table names are written ``schema.table``; a character outside ``A-Z a-z 0-9 _ $ -`` becomes ``!`` and two hex
digits for each byte of its UTF-8 form, so that any name MySQL allows gives a key of characters that S3 calls safe
(Amazon S3 User Guide, "Naming Amazon S3 objects") and no two tables share a folder.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ..model import TableName

_PLAIN = re.compile(rb"[A-Za-z0-9_$-]")
_ESCAPED = re.compile(rb"!([0-9A-F]{2})")

STATE_PREFIX = "watermark/tables/"
MANIFEST_PREFIX = "manifests/"
RUN_PREFIX = "runs/"
CONTRACT = "table.json"
"""The object of a run that says under which contract its files were written."""
SUCCESS = "_SUCCESS"
"""The object of a command and table that says that it ended well."""
FAILED = "_FAILED"
"""The object of a command and table that says that it did not."""
COMPARISON = "verify.json"
"""The object of a command and table that says what a comparison found."""
REPAIR = "repair.json"
"""The object of a command and table that says what a repair changed."""


def format_table(table: TableName) -> str:
    """``schema.table`` as one folder name."""
    return f"{_escape(table.schema)}.{_escape(table.name)}"


def parse_table(text: str) -> TableName | None:
    """The table whose folder name this is, or None."""
    schema, dot, name = text.partition(".")
    if not dot or "." in name:
        return None
    try:
        table = TableName(_unescape(schema), _unescape(name))
    except UnicodeDecodeError:
        return None
    return table if format_table(table) == text else None


def _escape(name: str) -> str:
    return "".join(chr(b) if _PLAIN.match(bytes([b])) else f"!{b:02X}" for b in name.encode())


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), text.encode()).decode()


@dataclass(frozen=True, slots=True)
class DataKey:
    """What the key of a Parquet file says."""

    table: TableName
    run_time: dt.datetime
    ordinal: int


_DATA_KEY = re.compile(
    r"(?P<table>[^/]+)/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d/"
    r"(?P<time>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_batch_(?P<ordinal>\d{4,})\.parquet"
)


def format_data_key(prefix: str, key: DataKey) -> str:
    """``<prefix><schema.table>/year=…/month=…/day=…/hour=…/<time>_batch_NNNN.parquet``, UTC time of the run."""
    t = key.run_time
    return (
        f"{table_prefix(prefix, key.table)}year={t:%Y}/month={t:%m}/day={t:%d}/hour={t:%H}/"
        f"{t:%Y-%m-%d_%H-%M-%S}_batch_{key.ordinal:04d}.parquet"
    )


def parse_data_key(prefix: str, text: str) -> DataKey | None:
    """What a key says, or None when it is not the key of a data file."""
    match = _DATA_KEY.fullmatch(text.removeprefix(prefix)) if text.startswith(prefix) else None
    table = parse_table(match["table"]) if match else None
    if match is None or table is None:
        return None
    try:
        run_time = dt.datetime.strptime(match["time"], "%Y-%m-%d_%H-%M-%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    key = DataKey(table, run_time, int(match["ordinal"]))
    return key if format_data_key(prefix, key) == text else None


def table_prefix(prefix: str, table: TableName) -> str:
    """The folder of a table's data files; ends in ``/``, so that ``a.b`` does not hold ``a.bc``."""
    return f"{prefix}{format_table(table)}/"


def format_state_key(table: TableName) -> str:
    return f"{STATE_PREFIX}{format_table(table)}.json"


def parse_state_key(text: str) -> TableName | None:
    if not (text.startswith(STATE_PREFIX) and text.endswith(".json")):
        return None
    return parse_table(text.removeprefix(STATE_PREFIX).removesuffix(".json"))


def format_manifest_key(table: TableName, run_id: str, load_id: str) -> str:
    """The COPY manifest of one load."""
    return f"{MANIFEST_PREFIX}{format_table(table)}/{run_id}_{load_id[:12]}.manifest"


def format_run_key(table: TableName, run_id: str, name: str) -> str:
    """An object about one run of one table, e.g. :data:`CONTRACT`."""
    return f"{RUN_PREFIX}{format_table(table)}/{run_id}/{name}"


_REPORT_PREFIX = f"{RUN_PREFIX}reports/"  # no table's folder: those hold a dot


def format_report_key(execution_id: str, form: str) -> str:
    """The report of a command, as ``json`` or ``html``."""
    return f"{_REPORT_PREFIX}{execution_id}.{form}"


def parse_report_key(text: str) -> tuple[str, str] | None:
    """The execution id and the form of a report's key, or None."""
    execution_id, dot, form = text.removeprefix(_REPORT_PREFIX).rpartition(".")
    fits = dot and form in ("json", "html") and "/" not in execution_id
    return (execution_id, form) if fits and text.startswith(_REPORT_PREFIX) else None


def report_prefix(execution_id: str) -> str:
    """Below it lie the reports of the commands whose id begins so."""
    return f"{_REPORT_PREFIX}{execution_id}"


MAX_KEY_BYTES = 1024
"""Amazon S3 User Guide, "Naming Amazon S3 objects"."""
_BEHIND_TABLE = 100
"""More than what follows a table's folder in any key."""


def long_keys(prefix: str, table: TableName) -> str:
    """Why the objects of a table can have no keys in S3; empty when they can."""
    longest = max(map(len, (prefix, STATE_PREFIX, MANIFEST_PREFIX, RUN_PREFIX))) + len(format_table(table))
    if longest + _BEHIND_TABLE <= MAX_KEY_BYTES:
        return ""
    return (
        f"its objects would need keys of {longest + _BEHIND_TABLE} bytes, S3's longest has {MAX_KEY_BYTES}: in keys a"
        " byte outside A-Z, a-z, 0-9, _, $ and - takes three"
    )


def format_run_id(run_time: dt.datetime, suffix: str) -> str:
    """``20260131T235959Z-1a2b3c``: sorts by time."""
    return f"{run_time:%Y%m%dT%H%M%SZ}-{suffix}"


def parse_run_time(run_id: str) -> dt.datetime:
    """The UTC time of a run, whole seconds."""
    return dt.datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)

"""Prometheus metrics of the last command and of each table's last run, for node_exporter's textfile collector.

Source: Prometheus documentation, "Exposition formats" (text) and "Metric and label naming" (base units, no counters
for what is set); node_exporter README, "Textfile Collector" (``*.prom``, written by an atomic rename).
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from .events import RunResult, Status, TableResult

log = logging.getLogger(__name__)

COMMAND_METRICS = {
    "s3rs_ray_command_end_timestamp_seconds": "When the last command ended, in seconds since 1970.",
    "s3rs_ray_command_success_timestamp_seconds": "When the last command did that ended well, in seconds since 1970.",
    "s3rs_ray_command_success": "1 when the last command ended well, 0 when it or any of its tables did not.",
    "s3rs_ray_command_duration_seconds": "How long the last command took.",
}
"""Every metric of the command as a whole, a gauge without labels, and what it says. A command that ends before its
first table, because the source is silent or its settings are wrong, is in these alone."""

METRICS = {
    "s3rs_ray_run_end_timestamp_seconds": "When the last run of the table ended, in seconds since 1970.",
    "s3rs_ray_run_success_timestamp_seconds": "When the last run that ended well did so, in seconds since 1970.",
    "s3rs_ray_run_success": "1 when the last run of the table ended well, 0 otherwise.",
    "s3rs_ray_run_duration_seconds": "How long the last run of the table took.",
    "s3rs_ray_run_extract_seconds": "How long it read from MySQL and wrote to S3.",
    "s3rs_ray_run_load_seconds": "How long it loaded into Redshift.",
    "s3rs_ray_run_rows_extracted": "Rows it read.",
    "s3rs_ray_run_rows_loaded": "Rows it loaded.",
    "s3rs_ray_run_rows_deleted": "Rows gone from the source that it deleted or marked.",
    "s3rs_ray_run_files": "Parquet files it wrote.",
    "s3rs_ray_run_file_bytes": "Size of these files in bytes.",
}
"""Every metric, a gauge with the label ``table``, and what it says."""

_SAMPLE = re.compile(r'(?P<name>[a-z0-9_]+)(?P<labels>\{table="(?:[^"\\]|\\.)*"\}|) (?P<value>\S+)')

Samples = dict[tuple[str, str], str]
"""Values by metric and labels."""


def format_metrics(result: RunResult, before: str = "") -> str:
    """The text of the file.

    Args:
        before: what the file holds; tables that this run had nothing to do with, and the last success of those that
            failed, are kept.
    """
    samples: Samples = {(m["name"], m["labels"]): m["value"] for m in map(_SAMPLE.fullmatch, before.splitlines()) if m}
    samples |= {(name, ""): _number(value) for name, value in _command_values(result).items()}
    for table in result.tables:
        for name, value in _values(table, result.end_time.timestamp()).items():
            samples[name, f'{{table="{_escaped(str(table.table))}"}}'] = _number(value)
    lines = []
    for name, says in (COMMAND_METRICS | METRICS).items():
        lines += [f"# HELP {name} {says}", f"# TYPE {name} gauge"]
        lines += [f"{name}{labels} {v}" for (metric, labels), v in sorted(samples.items()) if metric == name]
    return "\n".join(lines) + "\n"


def write_metrics(path: Path, result: RunResult) -> None:
    """Replaces the file in one step; a file that cannot be written is only told of."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        written = path.with_name(f".{path.name}.{os.getpid()}")  # the collector reads *.prom alone
        written.write_text(format_metrics(result, before), encoding="utf-8")
        written.chmod(0o644)  # the collector is another user
        written.replace(path)
    except (OSError, UnicodeDecodeError) as exc:
        log.warning("METRICS_FILE %s could not be written: %s", path, getattr(exc, "strerror", None) or exc)


def _number(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _command_values(result: RunResult) -> dict[str, float | int]:
    ended, well = result.end_time.timestamp(), result.status is Status.SUCCESS
    return {
        "s3rs_ray_command_end_timestamp_seconds": ended,
        **({"s3rs_ray_command_success_timestamp_seconds": ended} if well else {}),
        "s3rs_ray_command_success": int(well),
        "s3rs_ray_command_duration_seconds": (result.end_time - result.start_time).total_seconds(),
    }


def _values(table: TableResult, ended: float) -> dict[str, float | int]:
    well = table.status in (Status.SUCCESS, Status.NOTHING)
    return {
        "s3rs_ray_run_end_timestamp_seconds": ended,
        **({"s3rs_ray_run_success_timestamp_seconds": ended} if well else {}),
        "s3rs_ray_run_success": int(well),
        "s3rs_ray_run_duration_seconds": table.duration_seconds,
        "s3rs_ray_run_extract_seconds": table.extract_seconds,
        "s3rs_ray_run_load_seconds": table.load_seconds,
        "s3rs_ray_run_rows_extracted": table.rows_extracted,
        "s3rs_ray_run_rows_loaded": table.rows_loaded,
        "s3rs_ray_run_rows_deleted": table.gone.removed if table.gone else 0,
        "s3rs_ray_run_files": table.files_created,
        "s3rs_ray_run_file_bytes": table.bytes,
    }


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

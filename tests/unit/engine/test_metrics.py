"""The Prometheus textfile: names, escapes, what outlives a run, and the atomic rename."""

from __future__ import annotations

import datetime as dt
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest

from s3rs_ray.engine.events import RunResult, Status, TableResult
from s3rs_ray.engine.metrics import COMMAND_METRICS, METRICS, format_metrics, write_metrics
from s3rs_ray.engine.tasks import StageSeconds
from s3rs_ray.engine.worker_metrics import COUNTERS, counters, measure
from s3rs_ray.errors import S3rsError
from s3rs_ray.model import TableName
from tests.support.build import NAME, NOON

ODD = TableName("s", 'a"b\\c\nd')


def ended(*tables: TableResult, at: dt.datetime = NOON) -> RunResult:
    return RunResult(execution_id="x", start_time=at, end_time=at, tables_requested=(), tables=tables)


def table(status: Status = Status.SUCCESS, name: TableName = NAME, rows: int = 7) -> TableResult:
    return TableResult(table=name, status=status, rows_extracted=rows, bytes=1234, duration_seconds=1.5)


def samples(text: str) -> dict[str, float]:
    return {m[1]: float(m[2]) for m in re.finditer(r"^(s3rs_[a-z_]+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}


def test_every_metric_has_its_help_its_type_and_a_unit_in_its_name() -> None:
    text = format_metrics(ended(table()))
    for name in METRICS:
        assert f"# HELP {name} {METRICS[name]}\n# TYPE {name} gauge\n{name}{{" in text
    assert samples(text)['s3rs_ray_run_rows_extracted{table="settlement.parcels"}'] == 7
    assert samples(text)['s3rs_ray_run_file_bytes{table="settlement.parcels"}'] == 1234
    for name, says in COMMAND_METRICS.items():
        assert f"# HELP {name} {says}\n# TYPE {name} gauge\n{name} " in text
    assert text.endswith("\n")


def test_a_name_with_any_character_is_escaped_and_read_again() -> None:
    first = format_metrics(ended(table(name=ODD)))
    assert 's3rs_ray_run_success{table="s.a\\"b\\\\c\\nd"} 1' in first
    assert samples(format_metrics(ended(), first)) == samples(first)  # tables that a command has nothing to do with


def test_the_last_success_outlives_a_failure_and_other_tables_stay() -> None:
    later = NOON + dt.timedelta(days=1)
    first = format_metrics(ended(table(), table(name=ODD)))
    second = samples(format_metrics(ended(table(Status.FAILED), at=later), first))
    label = '{table="settlement.parcels"}'
    assert second[f"s3rs_ray_run_success{label}"] == 0
    assert second[f"s3rs_ray_run_success_timestamp_seconds{label}"] == NOON.timestamp()
    assert second[f"s3rs_ray_run_end_timestamp_seconds{label}"] == later.timestamp()
    assert second["s3rs_ray_command_success"] == 0
    assert second["s3rs_ray_command_success_timestamp_seconds"] == NOON.timestamp()
    assert len(second) == 2 * len(METRICS) + len(COMMAND_METRICS)


def test_one_table_that_failed_makes_the_command_no_success() -> None:
    both = samples(format_metrics(ended(table(), table(Status.FAILED, name=ODD))))
    assert both["s3rs_ray_command_success"] == 0
    assert both['s3rs_ray_run_success{table="settlement.parcels"}'] == 1
    assert "s3rs_ray_command_success_timestamp_seconds" not in both


def test_a_command_without_a_table_is_told_of_and_the_tables_stay_as_they_were() -> None:
    first = format_metrics(ended(table()))
    later = replace(ended(at=NOON + dt.timedelta(days=1)), error=S3rsError("MySQL is silent"))
    second = samples(format_metrics(later, first))
    changed = {name for name, value in samples(first).items() if second[name] != value}
    assert changed == {"s3rs_ray_command_success", "s3rs_ray_command_end_timestamp_seconds"}


def test_a_run_that_found_nothing_to_do_is_a_success() -> None:
    text = format_metrics(ended(table(Status.NOTHING), at=NOON))
    assert samples(text)['s3rs_ray_run_success_timestamp_seconds{table="settlement.parcels"}'] == NOON.timestamp()


def test_the_file_is_replaced_whole_and_readable_by_the_collector(tmp_path: Path) -> None:
    path = tmp_path / "s3rs.prom"
    for rows in (1, 2):
        write_metrics(path, ended(table(rows=rows)))
    assert samples(path.read_text())['s3rs_ray_run_rows_extracted{table="settlement.parcels"}'] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["s3rs.prom"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_is_only_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_metrics(tmp_path / "no" / "s3rs.prom", ended(table()))
    assert "METRICS_FILE" in caplog.text


def test_workers_count_by_ray_what_they_wrote_once() -> None:
    made = counters()
    assert {name: set(c.info["tag_keys"]) for name, c in made.items()} == {n: set(t) for n, (_, t) in COUNTERS.items()}
    measure("settlement.parcels", rows=10, size=99, spent=StageSeconds(read=1.0, encode=0.5, upload=0.1))
    measure("settlement.parcels", rows=0, size=99, spent=StageSeconds(read=1.0))  # Ray refuses to count a zero
    measure("settlement.parcels", rows=10, size=99, spent=StageSeconds())

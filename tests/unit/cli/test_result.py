"""What a run says of its loads, to people and as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from s3rs_ray.cli.output import Output
from s3rs_ray.cli.sync import show_result
from s3rs_ray.engine.events import RunResult, Status, TableResult
from s3rs_ray.engine.mending import Gone
from s3rs_ray.model import TableName
from s3rs_ray.policies import Deletes
from tests.support.build import NAME, NOON
from tests.support.golden import assert_golden

LOADED = TableResult(
    table=NAME,
    status=Status.SUCCESS,
    rows_loaded=1_234_567,
    files_loaded=12,
    bytes_loaded=345_600_000,
    load_seconds=6.54,
    load_phases={"copy": 4.2, "merge": 2.1, "analyze": 0.24},
    gone=Gone(how=Deletes.HARD, found=3, removed=2, back=1),
)
FAILED = TableResult(
    table=NAME, status=Status.FAILED, error="COPY failed", hint="look", context={"column": "note"}, exit_code=1
)


def result(*tables: TableResult) -> RunResult:
    return RunResult(execution_id="x", start_time=NOON, end_time=NOON, tables_requested=("t",), tables=tables)


def test_people_read_what_was_loaded_and_how_long_each_phase_took(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(Output("text"), result(LOADED))
    assert (
        f"{NAME}: loaded 1,234,567 rows from 12 files (345.6 MB) in 6.5 s: copy 4.2 s, merge 2.1 s, analyze 0.2 s\n"
        in capsys.readouterr().out
    )


def test_people_read_what_was_verified_and_that_somebody_stopped_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = replace(result(replace(LOADED, verified_rows=1)), interrupted_by=2)
    show_result(Output("text"), stopped)
    out = capsys.readouterr().out
    assert f"{NAME}: verified 1 row: no difference is left unexplained\n" in out
    assert out.startswith("run x: interrupted\n")


def test_nothing_is_said_of_loads_where_there_were_none(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(Output("text"), result(FAILED))
    shown = capsys.readouterr()
    assert ": loaded" not in shown.out
    assert shown.err == f"error: {NAME}: COPY failed\nhint: look\n"


def test_the_size_of_files_is_shown_in_a_unit_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    small = replace(LOADED, files_created=1, bytes=7_312)
    large = replace(LOADED, table=TableName("settlement", "partners"), files_created=2, bytes=1_200_000_000)
    show_result(Output("text"), result(small, large))
    rows = capsys.readouterr().out.splitlines()[1:6]
    end = rows[0].index("size") + len("size")
    assert [row[end - 6 : end] for row in rows if "──" not in row] == ["  size", "7.3 kB", "1.2 GB", "1.2 GB"]


def test_json_has_the_numbers_and_the_context(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    show_result(Output("json"), result(LOADED))
    told = orjson.loads(capfdbinary.readouterr().out)["table_results"][str(NAME)]
    assert (told["files_loaded"], told["bytes_loaded"], told["rows_loaded"]) == (12, 345_600_000, 1_234_567)
    assert told["load_phases"] == {"copy": 4.2, "merge": 2.1, "analyze": 0.24}
    assert told["context"] == {}
    show_result(Output("json"), result(FAILED))
    assert orjson.loads(capfdbinary.readouterr().out)["table_results"][str(NAME)]["context"] == {"column": "note"}


def test_the_json_document_is_a_contract(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A field that is renamed or goes away breaks somebody's script: only additions belong here."""
    nothing = TableResult(
        table=TableName("settlement", "partners"), status=Status.NOTHING, watermark="2026-01-31 12:00:00"
    )
    failed = replace(FAILED, table=TableName("settlement", "claims"))
    show_result(Output("json"), result(LOADED, nothing, failed))
    assert_golden(Path(__file__).parent / "golden" / "result.json", capfdbinary.readouterr().out.decode())

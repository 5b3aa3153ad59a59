"""The simulation of very large tables: the product's own loop in virtual time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import simulation
from benchmarks.model import Costs
from benchmarks.simulation import Around, simulate
from s3rs_ray.engine import extraction, records
from s3rs_ray.engine.sizing import FILE_BYTES

COSTS = Costs(
    source_cpu=4e-6, worker_cpu=6e-6, s3_cpu=0, reader_seconds=8e-6, wire_bytes=460, file_bytes=190, start_seconds=0
)


def test_one_node_is_bound_by_its_own_cores_and_stays_below_the_bound() -> None:
    outcome = simulate(50_000_000, 1, COSTS, Around(load_seconds=0.5, copy_bytes=1e12))
    assert outcome.bound_by == "worker CPU"
    assert 0.7 * outcome.bound < outcome.rows_per_second <= outcome.bound
    assert outcome.slowest == "readers"


def test_where_the_index_is_stepped_along_slowly_the_readers_wait_for_the_plan() -> None:
    outcome = simulate(10_000_000, 4, COSTS, Around(step_rows=1e5, copy_bytes=1e12))
    assert outcome.slowest == "planning"
    assert outcome.rows_per_second < 1.01e5


def test_slow_loads_bound_what_fast_readers_read() -> None:
    outcome = simulate(50_000_000, 4, COSTS, Around(copy_bytes=20e6))
    assert outcome.slowest == "loads"
    assert outcome.seconds > 2 * outcome.extract_seconds


def test_the_state_stays_small_however_many_files_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (extraction, records):
        monkeypatch.setattr(module, "PAGE_FILES", 32)
    wide = replace(COSTS, file_bytes=FILE_BYTES, wire_bytes=FILE_BYTES)
    outcome = simulate(250, 1, wide, Around(), load=False)
    assert outcome.files >= 230
    assert outcome.state_bytes < 120_000 < 700 * outcome.files


def test_the_command_writes_its_result(tmp_path: Path) -> None:
    options = ["--rows", "5000000", "--nodes", "1,2", "--name", "smoke", "--results", str(tmp_path)]
    done = CliRunner().invoke(simulation.main, options)
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "smoke.json").read_text())
    assert [(o["rows"], o["nodes"]) for o in document["outcomes"]] == [(5_000_000, 1), (5_000_000, 2)]
    assert document["calibrated_by"] == "benchmarks/results/2026-11-rows.json"
    text = (tmp_path / "smoke.md").read_text()
    assert text in done.stdout
    assert (tmp_path / "smoke-scaling.svg").read_text().startswith("<svg")

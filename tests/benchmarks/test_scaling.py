"""The scaling benchmark with few rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import scaling


def test_every_number_of_readers_is_measured_beside_the_model(tmp_path: Path) -> None:
    options = ["--rows", "2000", "--rounds", "1", "--workers", "2", "--set", "BACKUP_BATCH_SIZE=500"]
    done = CliRunner().invoke(scaling.main, [*options, "--name", "smoke", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "smoke.json").read_text())
    assert list(document["measured"]) == ["backup-2"]
    assert [p["readers"] for p in document["points"]] == [2]
    for point in document["points"]:
        assert point["measured"] == document["measured"][f"backup-{point['readers']}"]["rows_per_second"]
        assert point["error"] == pytest.approx(point["predicted"] / point["measured"] - 1)
    assert document["start_seconds"] > 0
    assert all(place["bounds"] for place in document["larger"])
    text = (tmp_path / "smoke.md").read_text()
    assert text in done.stdout
    assert "bound by" in text and "a source of 16" in text


def test_readers_that_are_no_numbers_are_refused() -> None:
    done = CliRunner().invoke(scaling.main, ["--workers", "1,two"])
    assert done.exit_code == 2
    assert "--workers 1,two" in done.output

"""The benchmark with few rows: every line is measured, checked and written; and its arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.lines import LINES, PEER_LINES, is_slow
from benchmarks.sample import Measured, Sample, WrongResult, ratio, require_rows
from benchmarks.watch import watching

ROOT = Path(__file__).parent.parent.parent
ROWS = 3000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    directory = tmp_path_factory.mktemp("results")
    options = ["--rows", str(ROWS), "--rounds", "1", "--name", "smoke", "--results", str(directory)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options, "--set", "BACKUP_BATCH_SIZE=1000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    done.args = directory
    return done


@pytest.fixture(scope="module")
def document(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path(finished.args) / "smoke.json").read_text())
    return loaded


def test_every_line_is_measured_or_says_why_not(document: dict[str, Any]) -> None:
    assert document["rows"] == ROWS
    assert document["chunk_rows"] == [1000, 1000, 1000]
    assert list(document["measured"]) == [line.name for line in LINES]
    for name, measured in document["measured"].items():
        if name == "mariadb-client" and "missing" in measured:
            continue
        (sample,) = measured["samples"]
        assert sample["rows"] == ROWS, name
        assert 0 < sample["seconds"] <= sample["whole_seconds"], name
        assert measured["rows_per_second"] == pytest.approx(ROWS / sample["seconds"]), name


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory and CPU time are read from /proc")
def test_memory_and_cpu_are_seen_of_the_whole_tree(document: dict[str, Any]) -> None:
    for name in ("backup", "load", "sync"):
        measured = document["measured"][name]
        assert measured["largest_process_bytes"] >= measured["driver_bytes"] > 50e6, name
        assert measured["cpu_seconds"]["client"] > 0, name
        curve = measured["memory"]
        assert len(curve["seconds"]) == len(curve["driver"]) == len(curve["worker"]) > 1, name
        assert 30e6 < max(curve["driver"]) <= measured["driver_bytes"], name
        assert max(curve["worker"]) <= (measured["worker_bytes"] or 0), name
    assert document["measured"]["backup"]["worker_bytes"] > 30e6


def test_ratios_and_stages_are_there(document: dict[str, Any]) -> None:
    goals = {r["title"]: r["goal"] for r in document["ratios"]}
    assert goals["backup / ConnectorX 2 processes"] == 0.75
    assert goals["sync / the slower of backup alone and load alone"] == 0.85
    assert all(r["value"] > 0 for r in document["ratios"])
    assert all(r["ceiling"] > 0 for r in document["ratios"] if r["goal"])
    titles = [stage["title"] for stage in document["stages"]]
    for part in ("read", "cast", "encode", "upload", "copy", "merge"):
        assert any(part in title for title in titles), part
    assert all(stage["seconds"] > 0 and stage["rows"] == 1000 for stage in document["stages"])


def test_fixed_costs_are_measured_and_the_ones_with_a_mark_judged(document: dict[str, Any]) -> None:
    marks = {f["title"]: f["verdict"] for f in document["fixed"]}
    assert all(f["value"] > 0 for f in document["fixed"])
    assert marks["`sync` with nothing to do, Ray not started"] in {"reached", "missed"}
    assert marks["boundaries by (update_at, ID), for a million index entries"] == "", "too few rows to judge"
    assert any("until the first read" in title for title in marks)


def test_memory_over_time_is_drawn_with_its_marks(finished: subprocess.CompletedProcess[str]) -> None:
    drawing = (Path(finished.args) / "smoke-memory.svg").read_text()
    texts = [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert "s3rs-ray backup" in texts and "s3rs-ray sync" in texts
    assert texts.count("worker at most 768 MB") == texts.count("driver at most 400 MB") == 3
    assert "](smoke-memory.svg)" in (Path(finished.args) / "smoke.md").read_text()


def test_the_markdown_is_what_was_printed_and_names_no_path(finished: subprocess.CompletedProcess[str]) -> None:
    text = (Path(finished.args) / "smoke.md").read_text()
    assert finished.stdout == text + "\n"
    assert "`s3rs-ray backup`" in text
    assert "BACKUP_BATCH_SIZE=1000" in text
    for private in (str(ROOT), str(Path.home()) + os.sep):
        assert private not in text
        assert private not in (Path(finished.args) / "smoke.json").read_text()


def test_names_are_unique() -> None:
    names = [line.name for line in (*LINES, *PEER_LINES)]
    assert len(set(names)) == len(names)


def _measured(name: str, *seconds: float) -> Measured:
    return Measured(
        name=name, title=name, samples=tuple(Sample(rows=100, seconds=s, whole_seconds=s + 1) for s in seconds)
    )


def test_a_ratio_is_made_within_each_round_against_the_slowest() -> None:
    found = ratio("r", _measured("a", 2.0, 4.0, 1.0), [_measured("b", 1.0, 1.0, 1.0), _measured("c", 0.5, 3.0, 0.5)])
    assert found.rounds == pytest.approx((0.5, 0.75, 1.0))
    assert found.value == pytest.approx(0.75)


def test_a_ratio_has_the_ceiling_of_the_line_above() -> None:
    found = ratio("r", _measured("a", 2.0), [_measured("b", 1.0)], 0.75, most=80.0)
    assert found.value == pytest.approx(0.5)
    assert found.ceiling == pytest.approx(0.8)
    assert ratio("r", _measured("a", 2.0), [_measured("b", 1.0)]).ceiling is None


def test_another_tool_is_slow_beside_backup_alone() -> None:
    lines = {"backup": _measured("backup", 1.0), "near": _measured("near", 4.0), "far": _measured("far", 4.1)}
    assert is_slow(lines, "far") and not is_slow(lines, "near")
    assert not is_slow({"far": lines["far"]}, "far"), "there is nothing to compare it with"
    assert not is_slow({**lines, "far": Measured(name="far", title="far")}, "far"), "it was not measured yet"


def test_medians() -> None:
    measured = _measured("a", 1.0, 4.0, 2.0)
    assert measured.rows_per_second == pytest.approx(50.0)
    assert measured.whole_seconds == pytest.approx(3.0)
    assert measured.arrow_bytes_per_second is None


def test_missing_rows_are_an_error() -> None:
    require_rows("the file", 5, 5)
    with pytest.raises(WrongResult, match="the file: 4 rows, the source holds 5"):
        require_rows("the file", 5, 4)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nothing is seen without /proc")
def test_a_grandchild_s_memory_and_cpu_are_seen() -> None:
    hungry = "import time; b = bytearray(80_000_000); t = time.process_time()\nwhile time.process_time() < t + .3: pass"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}])"
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", outer]) as process, watching([process.pid], {}) as seen:
        process.wait()
    assert time.perf_counter() - started < 30
    assert seen.largest_bytes is not None and seen.largest_bytes > 80_000_000
    assert seen.driver_bytes is not None and seen.driver_bytes < 80_000_000
    assert seen.cpu_seconds["client"] > 0.1

"""The benchmarks of memory and of the first load's order, with few rows; and the tables they are made on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks import memory, order
from benchmarks.case import LakeFile
from benchmarks.memory import Memory
from benchmarks.sample import Sample
from benchmarks.tables import DELIVERY, GAPS, NARROW, SAME_CURSORS, SHUFFLED, WIDE, Kind
from s3rs_ray.local.stack import LocalStack


def _memory(*, worker: int = 700_000_000, sizes: Sequence[int] = (90_000_000,), settings: Sequence[str] = ()) -> Memory:
    sample = Sample(rows=10, seconds=1, whole_seconds=2, worker_bytes=worker, driver_bytes=300_000_000)
    return Memory(
        name="n",
        kind=DELIVERY,
        machine={},
        overrides=dict.fromkeys(settings, "1"),
        sample=sample,
        files=[LakeFile(bytes=size, group_rows=(5, 5), group_bytes=(size // 2, size // 2)) for size in sizes],
    )


def _missed(run: Memory) -> list[str]:
    return [mark.title for mark in run.marks if mark.missed]


def test_memory_and_files_have_marks() -> None:
    assert _missed(_memory()) == []
    assert _missed(_memory(worker=800_000_000)) == ["largest worker"]
    assert _missed(_memory(sizes=[300_000_000])) == ["largest file", "largest row group"]
    assert _missed(_memory(sizes=[90_000_000, 40_000_000, 90_000_000])) == ["smallest file but the last"]
    assert _missed(_memory(sizes=[90_000_000, 90_000_000, 1_000_000])) == []
    assert _missed(_memory(sizes=[10_000_000])) == [], "a small table is one file"


def test_files_whose_size_a_setting_chose_have_no_mark() -> None:
    sizes = [90_000_000, 40_000_000, 90_000_000]
    assert _missed(_memory(sizes=sizes, settings=["BACKUP_BATCH_SIZE"])) == []
    assert _missed(_memory(sizes=sizes, settings=["BACKUP_MAX_WORKERS"])) == ["smallest file but the last"]


def test_a_backup_of_a_narrow_table_is_measured(tmp_path: Path) -> None:
    options = ["--narrow", "--rows", "5000", "--name", "smoke", "--results", str(tmp_path)]
    done = CliRunner().invoke(memory.main, options)
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "smoke.json").read_text())
    values = {mark["title"]: mark["value"] for mark in document["marks"]}
    assert document["rows"] == 5000
    assert values["files"] == 1
    assert values["largest file"] == document["files"][0]["bytes"] > 0
    assert 30e6 < values["driver"] < 400e6
    assert 30e6 < values["largest worker"] < 768e6
    assert (tmp_path / "smoke-memory.svg").read_text().startswith("<svg ")
    assert "](smoke-memory.svg)" in done.stdout


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    directory = tmp_path_factory.mktemp("order")
    options = ["--rows", "3000", "--rounds", "1", "--pool-mb", "8", "--name", "smoke", "--results", str(directory)]
    return CliRunner().invoke(order.main, options), directory


def test_both_orders_and_the_awkward_tables_are_read_cold(ordered: tuple[Result, Path]) -> None:
    done, directory = ordered
    assert done.exit_code == 0, done.output
    document = json.loads((directory / "smoke.json").read_text())
    lines = document["lines"]
    assert [line["order"] for line in lines] == ["cursor", "key", "key", "cursor", "key"]
    assert all(reading["rows"] == 3000 for line in lines for reading in line["readings"])
    assert all(len(line["readings"][0]["file_bytes"]) >= 8 for line in lines[2:])
    assert all(line["readings"][0]["read_bytes"] != 0 for line in lines), "a cold server reads"


def test_few_rows_say_nothing_about_the_better_order_but_gaps_are_judged(ordered: tuple[Result, Path]) -> None:
    document = json.loads((ordered[1] / "smoke.json").read_text())
    assert [mark["verdict"] for mark in document["marks"]] == ["", "", "reached"]


@pytest.fixture(scope="module")
def filled() -> Iterator[LocalStack]:
    """A stack of its own: the tables of the settlement case are made and dropped on the way."""
    with LocalStack() as stack:
        with stack.mariadb.connect() as connection:
            for kind in (NARROW, WIDE, GAPS, SAME_CURSORS, SHUFFLED):
                kind.fill(connection, 30_000 if kind is SAME_CURSORS else 2000)
        yield stack


def _ask(stack: LocalStack, kind: Kind, expression: str) -> float:
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression} FROM {kind.full_name}")
        row = cursor.fetchone()
        assert row is not None
        return float(str(row[0]))


def test_the_tables_have_the_shapes_they_are_named_for(filled: LocalStack) -> None:
    assert _ask(filled, NARROW, "COUNT(*)") == _ask(filled, NARROW, "MAX(ID)") == 2000
    assert _ask(filled, GAPS, "COUNT(DISTINCT ID)") == 2000
    assert _ask(filled, GAPS, "MAX(ID)") > 1_000_000
    assert _ask(filled, SAME_CURSORS, "COUNT(DISTINCT update_at)") == 3
    assert _ask(filled, WIDE, "MAX(LENGTH(body))") == 10 * 32 * 128
    assert _ask(filled, WIDE, "MAX(IF(ID <= 1000, LENGTH(body), 0))") == 32 * 128
    assert _ask(filled, SHUFFLED, "COUNT(*)") == 2000
    alike = "(AVG(ID * UNIX_TIMESTAMP(update_at)) - AVG(ID) * AVG(UNIX_TIMESTAMP(update_at)))"
    assert abs(_ask(filled, SHUFFLED, f"{alike} / (STDDEV(ID) * STDDEV(UNIX_TIMESTAMP(update_at)))")) < 0.1

"""The whole set of benchmarks, and the table of results in the README."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from benchmarks import __main__, full, memory, order, scaling, verify
from benchmarks.output import RESULTS
from benchmarks.readme import BEGIN, END, README, committed, put_in, rows, section

COMMANDS: dict[str, click.Command] = {
    "benchmarks": __main__.main,
    "benchmarks.memory": memory.main,
    "benchmarks.order": order.main,
    "benchmarks.scaling": scaling.main,
    "benchmarks.verify": verify.main,
}


@pytest.mark.parametrize("step", full.steps(twenty=True, hundred=True), ids=lambda step: step.suffix)
def test_every_step_is_a_command_that_takes_its_options(step: full.Step) -> None:
    COMMANDS[step.module].make_context(step.module, step.arguments("n")[3:])


def test_the_large_ones_are_asked_for_and_names_differ() -> None:
    suffixes = [step.suffix for step in full.steps(twenty=False, hundred=False)]
    assert not any("20m" in suffix or "100m" in suffix for suffix in suffixes)
    every = [step.suffix for step in full.steps(twenty=True, hundred=True)]
    assert every == [*suffixes, "20m-rows", "20m-verify", "20m", "100m"]
    assert len(set(every)) == len(every)


def test_a_failed_step_does_not_keep_the_others_and_is_told() -> None:
    called: list[list[str]] = []

    def run(words: list[str]) -> int:
        called.append(words)
        return 1 if words[-1] == "n-2m" else 0

    todo = full.steps(twenty=False, hundred=False)
    assert full.carry_out(todo, "n", run) == 1
    assert [words[-1] for words in called] == [f"n-{step.suffix}" for step in todo]
    assert full.carry_out(todo[:1], "n", run) == 0


def test_the_readme_s_table_is_that_of_the_committed_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert put_in(text, section(committed(RESULTS))) == text, "run python -m benchmarks.readme"


def test_rows_tell_what_has_a_mark() -> None:
    document = {
        "rows": 1000,
        "ratios": [
            {"title": "a / b", "value": 0.5, "goal": 0.75},
            {"title": "c / d", "value": 1.0, "goal": None},
        ],
        "fixed": [{"title": "idle", "value": 0.9, "least": None, "most": 1.0, "unit": "s", "verdict": "reached"}],
        "points": [{"readers": 2, "measured": 1000.0, "error": 0.25}],
    }
    assert list(rows(document)) == [
        ("a / b (1,000 rows)", "0.5", ">= 0.75", "missed"),
        ("idle (1,000 rows)", "0.9 s", "<= 1 s", "reached"),
        ("`backup --max-workers 2` (1,000 rows); the model was +25% off", "1,000 rows/s", "", ""),
    ]


def test_of_memory_and_files_the_readme_has_the_peaks_and_what_is_missed() -> None:
    told = {"least": None, "most": 2, "unit": ""}
    marks = [{"title": title, "value": value, **told} for title, value in (("driver", 1), ("file", 1), ("group", 3))]
    assert [row[0] for row in rows({"rows": 1, "table": "t", "marks": marks})] == [
        "driver (1 rows, t)",
        "group (1 rows, t)",
    ]


def test_local_results_are_left_out_and_a_readme_without_the_section_is_refused(tmp_path: Path) -> None:
    for name in ("local-1", "kept"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": 1}))
    assert list(committed(tmp_path)) == ["kept"]
    assert put_in(f"a{BEGIN}old{END}b", "new") == "anewb"
    with pytest.raises(ValueError, match="lacks"):
        put_in("nothing here", "new")

"""The benchmark of verify, with few rows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks import verify
from benchmarks.case import Case, open_case
from benchmarks.commands import run
from benchmarks.sample import WrongResult
from benchmarks.verify import FOUND, QUICK, SYNC, VERIFY, Spent, Verifications


def _spent(seconds: float) -> Spent:
    return Spent(seconds=seconds, cpu=seconds, source=0, warehouse=0, largest=0)


def _missed(rows: int, *, verify: float, found: float) -> list[str]:
    of = {SYNC: _spent(10), QUICK: _spent(1), VERIFY: _spent(verify), FOUND: _spent(found)}
    done = Verifications(machine={}, overrides={}, rows=rows, rounds=[of])
    return [mark.title for mark in done.marks if mark.missed]


def test_a_verification_has_marks_where_a_table_is_large() -> None:
    assert _missed(2_000_000, verify=4.9, found=5.3) == []
    assert _missed(2_000_000, verify=5.1, found=5.2) == ["verify / sync, seconds"]
    assert _missed(2_000_000, verify=4.0, found=4.6) == ["verify with 10 damaged rows / without, seconds"]
    assert _missed(1_000_000, verify=9.0, found=18.0) == []


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    with open_case(2000, {}) as case:
        yield case


def test_a_sync_and_its_verifications_are_measured(case: Case) -> None:
    done = verify.measure(case, {}, 1)
    document = json.loads(json.dumps(verify.as_json(done)))
    [taken] = document["rounds"]
    assert document["rows"] == 2000
    assert list(taken) == [SYNC, QUICK, VERIFY, FOUND]
    assert all(spent["seconds"] > 0 and spent["cpu"] > 0 for spent in taken.values())
    assert [mark["verdict"] for mark in document["marks"]] == [""] * 5
    assert verify.as_markdown(done).count(f"| `{VERIFY}` |") == 1


def test_other_damage_than_was_done_is_no_result(case: Case) -> None:
    """A verification that sees nothing would be a fast one."""
    with case.place() as place:
        run(case, place, "sync", "--inline", "-t", case.kind.full_name)
        with pytest.raises(WrongResult, match="in 2000 rows"):
            verify._verify(case, place, 1)

"""What a state and a store say somebody should look at."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pytest

from s3rs_ray.engine.health import age_text, conditional_findings, state_findings
from s3rs_ray.errors import StorageError
from s3rs_ray.ledger.state import Sealed, TableState
from s3rs_ray.policies import Mode
from tests.support import build
from tests.support.build import NOON, mark
from tests.support.memory_store import MemoryStore, raising


def found(state: TableState, now: dt.datetime = NOON) -> list[str]:
    return [f.message for f in state_findings(state, now)]


def test_a_table_at_rest_is_not_spoken_of() -> None:
    assert found(build.fresh_state()) == []


def test_work_under_way_is_not_spoken_of_and_work_left_behind_is() -> None:
    run = build.open_run("r1", build.window((), (9,)))
    sealed = Sealed(load_id="l" * 20, run_id="r1", mode=Mode.MERGE, keys=("k",), rows=1, reaches=mark(9))
    state = replace(build.fresh_state(), run=run, sealed=sealed, lease=build.lease())
    assert found(state) == []
    later = found(state, NOON + dt.timedelta(minutes=5))
    assert [m.partition(" ")[0] for m in later] == ["held", "run", "the"]
    assert later[1].endswith("planned chunks are on S3, the rest is not planned yet")
    failed = found(replace(state, mysql_status="failed"), NOON + dt.timedelta(minutes=5))
    assert failed == later  # that the run has not ended says it
    assert "last heard of 5 min ago" in later[0]
    assert "llllllllllll may or may not" in later[2]


def test_files_that_wait_and_stages_that_failed_are_told() -> None:
    chunk = build.run_chunks("r1", [None, (9,)], of=build.window((), (9,)), columns=("c",))[0]
    waiting = (build.data_file(chunk, reaches=mark(9), rows=1234),)
    state = replace(build.fresh_state(), backlog=waiting, mysql_status="failed", redshift_status="failed")
    assert found(state) == [
        "files that wait to be loaded: 1, with 1,234 rows (123.4 kB)",
        "its last extraction failed", "its last load failed",
    ]  # fmt: skip


class Careless(MemoryStore):
    """Takes the conditions and ignores them, as some S3-compatible servers do."""

    def put_new(self, key: str, body: bytes | pa.Buffer, metadata: Mapping[str, str] | None = None) -> str:
        self.delete([key])
        return super().put_new(key, body, metadata)


def test_a_store_that_ignores_conditions_is_serious_and_no_probe_is_left() -> None:
    good, careless, refusing = MemoryStore(), Careless(), MemoryStore()
    refusing.before["put_new"] = deque([raising(StorageError("denied", hint="grant it"))])
    assert conditional_findings(good) == []
    (ignored,), (denied,) = conditional_findings(careless), conditional_findings(refusing)
    assert ignored.serious
    assert "whatever a conditional write asks for" in ignored.message
    assert (denied.serious, denied.hint) == (True, "grant it")
    assert [list(s.list("")) for s in (good, careless, refusing)] == [[], [], []]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (432000, "5 d")]
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert age_text(dt.timedelta(seconds=seconds)) == text

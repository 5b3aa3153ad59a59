"""S3 fails, answers 409 and 412, or loses the reply to a write that happened: nothing is lost or doubled."""

from __future__ import annotations

import pytest

from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends
from .runs import Runs

STATE = r"/watermark/tables/"
DATA = r"_batch_0002\.parquet"
MANIFEST = r"/manifests/"
CONTRACT = r"/table\.json"


SURVIVED = {
    "500": [
        S3Fault(key=STATE, status=500, skip=3),
        S3Fault(key=STATE, method="GET", status=500, skip=1),
        S3Fault(key=DATA, status=500),
        S3Fault(key=MANIFEST, status=500),
    ],
    "503": [
        S3Fault(key=STATE, status=503, code="SlowDown", skip=4),
        S3Fault(key=DATA, status=503, code="SlowDown"),
        S3Fault(key=CONTRACT, status=503, code="SlowDown"),
    ],
    "409": [
        S3Fault(key=STATE, status=409, code="ConditionalRequestConflict", skip=2, times=3),
        S3Fault(key=DATA, status=409, code="ConditionalRequestConflict"),
        S3Fault(key=MANIFEST, status=409, code="ConditionalRequestConflict", times=2),
        S3Fault(key=CONTRACT, status=409, code="ConditionalRequestConflict"),
    ],
    "412 and not written": [
        S3Fault(key=STATE, status=412, code="PreconditionFailed", times=2),
        S3Fault(key=STATE, status=412, code="PreconditionFailed", skip=4),
        S3Fault(key=DATA, status=412, code="PreconditionFailed"),
    ],
    "500 though written": [
        S3Fault(key=STATE, status=500, forward=True),
        S3Fault(key=STATE, status=500, forward=True, skip=5),
        S3Fault(key=DATA, status=500, forward=True),
        S3Fault(key=MANIFEST, status=500, forward=True),
        S3Fault(key=CONTRACT, status=500, forward=True),
    ],
    "reply lost": [
        S3Fault(key=STATE, forward=True),
        S3Fault(key=STATE, forward=True, skip=3, times=2),
        S3Fault(key=DATA, forward=True),
        S3Fault(key=MANIFEST, forward=True, times=2),
        S3Fault(key=CONTRACT, forward=True),
    ],
    "connection cut": [
        S3Fault(key=STATE, skip=5),
        S3Fault(key=DATA),
        S3Fault(key=DATA, method="HEAD"),
        S3Fault(key=MANIFEST),
    ],
}


@pytest.mark.parametrize("faults", SURVIVED.values(), ids=SURVIVED.keys())
def test_a_run_survives_what_passes(ends: Ends, runs: Runs, proxy: S3Proxy, faults: list[S3Fault]) -> None:
    proxy.set(*faults)
    done = runs.sync(change={"BACKUP_FILES_PER_LOAD": "4"})
    assert done.wait() == 0, done.stderr
    assert all(fault.struck for fault in faults)
    assert runs.result(done)["rows_loaded"] == 400
    ends.assert_settled()
    ends.assert_each_row_merged_once()


LASTING = {
    "state": S3Fault(key=STATE, status=400, code="ExpiredToken", skip=5, times=0),
    "data": S3Fault(key=DATA, status=400, code="ExpiredToken", times=0),
    "manifest": S3Fault(key=MANIFEST, status=400, code="ExpiredToken", times=0),
}


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING.keys())
def test_a_token_that_expires_ends_the_run_and_the_next_one_finishes(
    ends: Ends, runs: Runs, proxy: S3Proxy, fault: S3Fault
) -> None:
    proxy.set(fault)
    failed = runs.sync(change={"BACKUP_RETRY_ATTEMPTS": "0"})
    assert failed.wait() == 1, failed.stderr
    assert "renew S3_SESSION_TOKEN" in failed.stderr
    assert "Traceback" not in failed.stderr
    proxy.set()
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()

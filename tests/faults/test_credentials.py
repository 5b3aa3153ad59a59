"""Temporary AWS credentials that end in the middle of a run: renewed by everyone who needs them, or said clearly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3rs_ray.local.stack import LocalStack
from tests.support.issuer import Issuer, open_issuer
from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends, assert_no_chunk_read_again
from .runs import Runs, wait_for

LIFETIME = 3
KEYS = ("S3_ACCESS_KEY", "S3_SECRET_KEY", "REDSHIFT_IAM_ROLE")


@pytest.fixture
def issuer(stack: LocalStack, runs: Runs, proxy: S3Proxy) -> Iterator[Issuer]:
    """Driver, workers and COPY have no other keys than those it gives, each for three seconds."""
    with open_issuer(stack.s3.temporary_keys, LIFETIME) as issuer:
        kept = {name: value for name, value in runs.environment.items() if name not in KEYS}
        runs.environment = kept | issuer.environment
        yield issuer


def hold_until_they_ended(proxy: S3Proxy) -> S3Fault:
    """A file's upload reaches S3 when the keys it was signed with have ended."""
    held = S3Fault(key=r"_batch_0003\.parquet", hold=threading.Event())
    proxy.set(held)
    return held


def test_driver_workers_and_copy_go_on_with_new_credentials(
    ends: Ends, runs: Runs, proxy: S3Proxy, issuer: Issuer
) -> None:
    held = hold_until_they_ended(proxy)
    run = runs.sync_with_ray()
    wait_for(lambda: bool(held.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr
    time.sleep(LIFETIME + 1)
    proxy.set()
    assert run.wait() == 0, run.stderr
    assert "ExpiredToken" in run.stderr, "S3 took an upload whose token had ended"
    assert "Traceback" not in run.stderr
    assert not [secret for secret in issuer.given if secret in run.stderr + run.stdout]
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_credentials_that_cannot_be_renewed_end_the_run_and_the_next_goes_on(
    ends: Ends, runs: Runs, proxy: S3Proxy, issuer: Issuer
) -> None:
    held = hold_until_they_ended(proxy)
    run = runs.sync(change={"BACKUP_RETRY_ATTEMPTS": "0"})
    wait_for(lambda: bool(held.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr
    issuer.refuses = True
    time.sleep(LIFETIME + 1)
    proxy.set()
    assert run.wait(120) == 1, run.stderr
    assert "the AWS credentials could not be had or renewed" in run.stderr
    assert "renew the AWS credentials" in run.stderr
    assert "Traceback" not in run.stderr
    issuer.refuses = False
    run_id = ends.open_run_id()
    assert_no_chunk_read_again({run_id: ends.written(run_id)}, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()

"""With Ray: kill -9 of workers, of the coordinator and of the driver in the middle of a chunk, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends, assert_no_chunk_read_again
from .runs import Run, Runs, wait_for

WORK = ("raylet", "gcs_server", "ray::LedgerActor", "ray::_extract", "ray::IDLE")
"""What must not outlive a driver. Ray's two agents, which only report, take up to a minute to notice."""


def workers(run: Run, *kinds: str) -> list[int]:
    """Process ids of a run's Ray processes."""
    return [pid for pid, command in run.processes().items() if any(kind in command.split(" ")[0] for kind in kinds)]


def hold_next(proxy: S3Proxy, ordinal: int) -> S3Fault:
    """S3 keeps the writer of a chunk's file waiting."""
    fault = S3Fault(key=rf"_batch_{ordinal:04d}\.parquet", hold=threading.Event())
    proxy.set(fault)
    return fault


def wait_struck(run: Run, fault: S3Fault) -> None:
    wait_for(lambda: bool(fault.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr


def test_workers_and_the_coordinator_may_die_and_ctrl_c_drains(ends: Ends, runs: Runs, proxy: S3Proxy) -> None:
    """The signal goes to the whole foreground group, Ray's own processes in it."""
    held = hold_next(proxy, 2)
    run = runs.sync_with_ray()
    wait_struck(run, held)
    killed = workers(run, "ray::_extract", "ray::LedgerActor")
    assert len(killed) >= 2, run.processes()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    held = hold_next(proxy, 6)  # the dead worker's file arrives now, while its chunk is tried again
    wait_struck(run, held)
    run.signal(signal.SIGINT)
    run.wait_said("a second signal stops at once")
    proxy.set()
    assert run.wait() == 130, run.stderr
    assert "a worker process died" in run.stderr
    assert "raylet" not in run.stderr + run.stdout, "Ray speaks on the terminal"
    wait_for(lambda: not workers(run, *WORK), "Ray's processes are gone", 30)
    state = ends.state
    assert state.run is not None
    assert state.lease is None
    assert {2, 6} <= {file.ordinal for file in state.run.files}, "a chunk under way was not kept"
    assert_no_chunk_read_again({state.run.run_id: ends.written(state.run.run_id)}, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_nothing_goes_on_writing_when_the_driver_is_killed(ends: Ends, runs: Runs, proxy: S3Proxy) -> None:
    held = hold_next(proxy, 5)
    run = runs.sync_with_ray()
    wait_struck(run, held)
    run.kill()
    wait_for(lambda: not workers(run, *WORK), "Ray's processes are gone", 30)
    proxy.set()
    run_id = ends.open_run_id()
    assert_no_chunk_read_again({run_id: ends.written(run_id)}, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()

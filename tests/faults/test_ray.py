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


def held_run(runs: Runs, proxy: S3Proxy, ordinal: int) -> tuple[Run, threading.Event]:
    """A run with Ray, one worker of which has read a chunk and waits for S3 to take its file."""
    hold = threading.Event()
    fault = S3Fault(key=rf"_batch_{ordinal:04d}\.parquet", hold=hold)
    proxy.set(fault)
    run = runs.sync_with_ray()
    wait_for(lambda: bool(fault.struck) or run.exit_code is not None, "a worker writes its file", run=run)
    assert run.exit_code is None, run.stderr
    return run, hold


def test_a_run_outlives_its_workers_and_its_coordinator(ends: Ends, runs: Runs, proxy: S3Proxy) -> None:
    run, hold = held_run(runs, proxy, 3)
    killed = workers(run, "ray::_extract", "ray::LedgerActor")
    assert len(killed) >= 2, run.processes()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    hold.set()  # the dead worker's file arrives while the chunk is tried again
    assert run.wait(90) == 0, run.stderr
    assert runs.result(run)["rows_loaded"] == 400
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_nothing_goes_on_writing_when_the_driver_is_killed(ends: Ends, runs: Runs, proxy: S3Proxy) -> None:
    run, hold = held_run(runs, proxy, 5)
    run.kill()
    wait_for(lambda: not workers(run, *WORK), "Ray's processes are gone", 30)
    proxy.set()
    hold.set()
    run_id = ends.open_run_id()
    there = {run_id: ends.written(run_id)}
    assert_no_chunk_read_again(there, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_ctrl_c_drains_what_the_workers_do_and_saves_it(ends: Ends, runs: Runs, proxy: S3Proxy) -> None:
    """The signal goes to the whole foreground group, Ray's own processes in it."""
    run, hold = held_run(runs, proxy, 3)
    run.signal(signal.SIGINT)
    run.wait_said("a second signal stops at once")
    hold.set()
    assert run.wait() == 130, run.stderr
    wait_for(lambda: not workers(run, *WORK), "Ray's processes are gone", 30)
    state = ends.state
    assert state.run is not None
    assert state.lease is None
    assert 3 in {file.ordinal for file in state.run.files}, "the chunk under way was not kept"
    there = {state.run.run_id: ends.written(state.run.run_id)}
    assert_no_chunk_read_again(there, runs.settle())
    ends.assert_settled()
    ends.assert_each_row_merged_once()

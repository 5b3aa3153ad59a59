"""What the changes to a state require of it; pure."""

from __future__ import annotations

from ..errors import LedgerError
from .state import OpenRun, TableState


def require(condition: bool, state: TableState, problem: str) -> None:
    """Raises LedgerError when a requirement is not met."""
    if not condition:
        raise LedgerError(
            f"{state.table}: {problem}",
            hint="look at `s3rs-ray watermark get -t TABLE`; run the command again to go on from what is recorded",
        )


def open_run(state: TableState, run_id: str) -> OpenRun:
    """The open run, which must be this one."""
    run = state.run
    require(run is not None and run.run_id == run_id, state, f"run {run_id} is not the open one")
    assert run is not None
    return run

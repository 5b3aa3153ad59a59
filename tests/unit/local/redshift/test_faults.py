"""Faults: when they strike and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3rs_ray.local.redshift.faults import Fault, Faults, clear_faults, set_faults
from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.wire import ConnectionLost


def test_nothing_strikes_without_a_file(tmp_path: Path) -> None:
    Faults(None).strike("accept")
    Faults(tmp_path / "missing.json").strike("accept")


def test_a_fault_strikes_at_its_point_as_often_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    faults = Faults(path)
    set_faults(path, [Fault(point="before_commit", action="drop", skip=1, times=2)])
    faults.strike("after_commit")
    faults.strike("before_commit")
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            faults.strike("before_commit")
    faults.strike("before_commit")


def test_counting_starts_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    faults = Faults(path)
    for _ in range(2):
        set_faults(path, [Fault(point="copy", action="error", message="no")])
        with pytest.raises(SqlError, match="no"):
            faults.strike("copy")
        faults.strike("copy")
    set_faults(path, [Fault(point="copy", action="error", times=0)])
    clear_faults(path)
    faults.strike("copy")


def test_a_fault_can_be_bound_to_a_statement(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    set_faults(path, [Fault(point="statement", action="conflict", match="^delete")])
    faults = Faults(path)
    faults.strike("statement", sql="SELECT 1")
    with pytest.raises(SqlError) as caught:
        faults.strike("statement", sql="DELETE FROM t", pid=5)
    assert (caught.value.sqlstate, caught.value.message) == ("XX000", "1023")
    assert "Serializable isolation violation" in caught.value.detail


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault"):
        Fault(point="nowhere", action="drop")
    with pytest.raises(ValueError, match="no fault"):
        Fault(point="copy", action="explode")

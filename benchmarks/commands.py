"""The product's commands as a user runs them, and what they did."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from s3rs_ray.engine.events import EventKind

from .case import TABLE, Case, Place, lake_content, warehouse_rows
from .sample import Sample, WrongResult, require_rows
from .watch import Seen, watching

PROGRAM = Path(sys.executable).with_name("s3rs-ray")


@dataclass(slots=True, kw_only=True)
class _Events:
    """The command's progress events with the time each arrived, and its other words."""

    arrived: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def follow(self, stream: IO[str]) -> None:
        for line in stream:
            now = time.perf_counter()
            try:
                self.arrived[json.loads(line)["event"]] = now
            except (ValueError, KeyError, TypeError):
                self.said.append(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended well.

    Attributes:
        result: the table's part of the ``-o json`` document.
        seconds: from the first statement of the extraction, or of the load where there was none, to the end of the
            table: without the interpreter's, the connections' and Ray's start and end.
    """

    result: Mapping[str, Any]
    seconds: float
    whole_seconds: float
    seen: Seen


def backup(case: Case) -> Sample:
    """``s3rs-ray backup``; the place is kept for the load that may follow."""
    if case.backed_up is not None:
        case.close_place(case.backed_up)
    place = case.backed_up = case.open_place()
    finished = _run(case, place, "backup", "-t", TABLE)
    return _sample(case, finished, finished.result["extract_seconds"], _check_lake(case, place, finished))


def load(case: Case) -> Sample:
    """``s3rs-ray sync --redshift-only`` of a backup; makes one when none waits."""
    if case.backed_up is None:
        backup(case)
    assert case.backed_up is not None
    place, case.backed_up = case.backed_up, None
    finished = _run(case, place, "sync", "--redshift-only", "-t", TABLE)
    parquet_bytes = lake_content(place)[1]
    _check_warehouse(case, place, finished)
    case.close_place(place)
    return _sample(case, finished, finished.result["load_seconds"], parquet_bytes)


def sync(case: Case) -> Sample:
    """``s3rs-ray sync``, both stages."""
    with case.place() as place:
        finished = _run(case, place, "sync", "-t", TABLE)
        parquet_bytes = _check_lake(case, place, finished)
        _check_warehouse(case, place, finished)
    return _sample(case, finished, finished.seconds, parquet_bytes)


def warm_up(case: Case) -> None:
    """A small sync, so that programs and libraries are in the machine's page cache."""
    with case.place() as place:
        _run(case, place, "sync", "-t", TABLE, "--limit", "1000")


def _run(case: Case, place: Place, *arguments: str) -> Finished:
    events = _Events()
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(PROGRAM), "-o", "json", "--progress", "json", *arguments],
        env={**case.program_environment, **place.environment},
        cwd=case.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    follower = threading.Thread(target=events.follow, args=(process.stderr,), daemon=True)
    follower.start()
    with watching([process.pid], case.servers) as seen:
        document = process.stdout.read()
        code = process.wait()
        whole = time.perf_counter() - started
    follower.join(timeout=5)
    if code:
        raise WrongResult(f"s3rs-ray {' '.join(arguments)} exited with {code}:\n{''.join(events.said)}")
    result = json.loads(document)["table_results"][TABLE]
    return Finished(result=result, seconds=_own_seconds(events, result), whole_seconds=whole, seen=seen)


def _own_seconds(events: _Events, result: Mapping[str, Any]) -> float:
    """The end of the extraction was seen and its length is in the result, and so its beginning is known."""
    ended = events.arrived.get(EventKind.TABLE_DONE, 0.0)
    extracted = events.arrived.get(EventKind.BACKUP_DONE)
    if extracted is None:
        return float(result["load_seconds"])
    return float(result["extract_seconds"]) + ended - extracted


def _check_lake(case: Case, place: Place, finished: Finished) -> int:
    """Returns the bytes of the files."""
    rows, parquet_bytes = lake_content(place)
    require_rows("the footers of the files on S3", case.rows, rows)
    require_rows("rows_extracted", case.rows, finished.result["rows_extracted"])
    return parquet_bytes


def _check_warehouse(case: Case, place: Place, finished: Finished) -> None:
    require_rows("the warehouse's table", case.rows, warehouse_rows(place))
    require_rows("rows_loaded", case.rows, finished.result["rows_loaded"])


def _sample(case: Case, finished: Finished, seconds: float, parquet_bytes: int) -> Sample:
    return Sample(
        rows=case.rows,
        seconds=seconds,
        whole_seconds=finished.whole_seconds,
        arrow_bytes=case.arrow_bytes or None,
        parquet_bytes=parquet_bytes,
        largest_bytes=finished.seen.largest_bytes,
        driver_bytes=finished.seen.driver_bytes,
        cpu_seconds=finished.seen.cpu_seconds,
    )

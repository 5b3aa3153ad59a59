"""The product's commands as a user runs them, and what they did."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from s3rs_ray.engine.events import EventKind

from .case import Case, LakeFile, Place, lake_files, warehouse_rows
from .sample import Sample, WrongResult, require_rows
from .watch import Seen, watching

PROGRAM = (sys.executable, "-m", "s3rs_ray")


@dataclass(slots=True, kw_only=True)
class Events:
    """The command's progress events with the time each first and last arrived, and its other words."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def follow(self, stream: IO[str]) -> None:
        for line in stream:
            now = time.perf_counter()
            try:
                kind = json.loads(line)["event"]
            except (ValueError, KeyError, TypeError):
                self.said.append(line)
            else:
                self.first.setdefault(kind, now)
                self.last[kind] = now


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command on one table that ended well.

    Attributes:
        document: what it said with ``-o json``.
        started: when it was started, on the clock of ``events``.
    """

    table: str
    document: Mapping[str, Any]
    started: float
    whole_seconds: float
    seen: Seen
    events: Events

    @property
    def result(self) -> Mapping[str, Any]:
        """The table's part of the document of a backup or a sync."""
        result: Mapping[str, Any] = self.document["table_results"][self.table]
        return result

    @property
    def seconds(self) -> float:
        """From the first statement of the extraction, or of the load where there was none, to the end of the table.

        The interpreter's, the connections' and Ray's start and end are not in it. The end of the extraction was seen
        and its length is in the result, and so its beginning is known.
        """
        ended = self.events.last.get(EventKind.TABLE_DONE, 0.0)
        extracted = self.events.last.get(EventKind.BACKUP_DONE)
        if extracted is None:
            return float(self.result["load_seconds"])
        return float(self.result["extract_seconds"]) + ended - extracted


def backup(case: Case) -> Sample:
    """``s3rs-ray backup``; the place is kept for the load that may follow."""
    if case.backed_up is not None:
        case.close_place(case.backed_up)
    case.backed_up = case.open_place()
    return backup_to(case, case.backed_up)[0]


def backup_to(case: Case, place: Place, *options: str) -> tuple[Sample, list[LakeFile]]:
    """``s3rs-ray backup`` with further options into a place, and the files it wrote."""
    finished = run(case, place, "backup", "-t", case.kind.full_name, *options)
    files = _check_lake(case, place, finished)
    return _sample(case, finished, finished.result["extract_seconds"], files), files


def load(case: Case) -> Sample:
    """``s3rs-ray sync --redshift-only`` of a backup; makes one when none waits."""
    if case.backed_up is None:
        backup(case)
    assert case.backed_up is not None
    place, case.backed_up = case.backed_up, None
    finished = run(case, place, "sync", "--redshift-only", "-t", case.kind.full_name)
    files = lake_files(place)
    _check_warehouse(case, place, finished)
    case.close_place(place)
    return _sample(case, finished, finished.result["load_seconds"], files)


def sync(case: Case) -> Sample:
    """``s3rs-ray sync``, both stages."""
    with case.place() as place:
        finished = run(case, place, "sync", "-t", case.kind.full_name)
        files = _check_lake(case, place, finished)
        _check_warehouse(case, place, finished)
    return _sample(case, finished, finished.seconds, files)


def warm_up(case: Case) -> None:
    """A small sync, so that programs and libraries are in the machine's page cache."""
    with case.place() as place:
        run(case, place, "sync", "-t", case.kind.full_name, "--limit", "1000")


def run(case: Case, place: Place, *arguments: str, codes: Collection[int] = (0,)) -> Finished:
    """A command of the product on the case's only table, watched.

    Args:
        codes: the exit codes of a good end.

    Raises:
        WrongResult: it ended with another one.
    """
    events = Events()
    started = time.perf_counter()
    process = subprocess.Popen(
        [*PROGRAM, "-o", "json", "--progress", "json", *arguments],
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
    process.stdout.close()
    process.stderr.close()
    if code not in codes:
        raise WrongResult(f"s3rs-ray {' '.join(arguments)} exited with {code}:\n{''.join(events.said)}")
    return Finished(
        table=case.kind.full_name,
        document=json.loads(document),
        started=started,
        whole_seconds=whole,
        seen=seen,
        events=events,
    )


def _check_lake(case: Case, place: Place, finished: Finished) -> list[LakeFile]:
    files = lake_files(place)
    require_rows("the footers of the files on S3", case.rows, sum(f.rows for f in files))
    require_rows("rows_extracted", case.rows, finished.result["rows_extracted"])
    return files


def _check_warehouse(case: Case, place: Place, finished: Finished) -> None:
    require_rows("the warehouse's table", case.rows, warehouse_rows(place, case.kind.name))
    require_rows("rows_loaded", case.rows, finished.result["rows_loaded"])


def _sample(case: Case, finished: Finished, seconds: float, files: Sequence[LakeFile]) -> Sample:
    seen = finished.seen
    return Sample(
        rows=case.rows,
        seconds=seconds,
        whole_seconds=finished.whole_seconds,
        arrow_bytes=case.arrow_bytes or None,
        parquet_bytes=sum(f.bytes for f in files),
        largest_bytes=seen.largest_bytes,
        driver_bytes=seen.driver_bytes,
        worker_bytes=seen.worker_bytes,
        cpu_seconds=seen.cpu_seconds,
        memory=seen.curve,
    )

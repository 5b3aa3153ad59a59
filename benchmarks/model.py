"""What bounds the rows/s of a backup and of a sync: the least of what every part can do; pure.

Each part has a cost for each row, measured on one chunk with nothing beside it, and a capacity. The least of their
quotients is the bound. Parts of one machine share its cores; on a cluster source and workers have cores of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EXTRACTION = ("read", "cast", "encode", "upload")
"""The stages a reader goes through, one after the other, by the first words of their titles."""
PER_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one row costs.

    Attributes:
        source_cpu, worker_cpu, s3_cpu: seconds of one core. S3's only counts where it runs on the same machine.
        reader_seconds: how long a reader with nothing beside it is busy with the row, the waiting for the source
            included: a reader does one thing after the other.
        wire_bytes: from the source to the worker, taken to be what Arrow holds of it.
        file_bytes: of Parquet.
        start_seconds: of a run with one reader, until that one works; not of a row.
    """

    source_cpu: float
    worker_cpu: float
    s3_cpu: float
    reader_seconds: float
    wire_bytes: float
    file_bytes: float
    start_seconds: float = 0.0


LOAD = "load into an empty table"


def most_rows(stages: Sequence[Mapping[str, Any]], cores: float) -> dict[str, float]:
    """The rows a second of ``backup``, ``load`` and ``sync`` if shared cores did nothing but the stages of a chunk."""
    own = [stage for name in EXTRACTION if (stage := _stage(stages, name))]
    load = _stage(stages, LOAD)
    found = {}
    if len(own) == len(EXTRACTION):
        found["backup"] = sum(map(_every_cpu, own))
    if load and (cost := _every_cpu(load)):  # a short one may have taken less than a tick
        found["load"] = cost
    if len(found) == 2:
        found["sync"] = sum(found.values())
    return {line: cores / cost for line, cost in found.items()}


def _stage(stages: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The stage whose title begins so."""
    return next((stage for stage in stages if str(stage["title"]).startswith(name)), None)


def _every_cpu(stage: Mapping[str, Any]) -> float:
    return float(sum(stage["cpu_seconds"].values())) / int(stage["rows"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a run takes place. Capacities that are None do not bound.

    Attributes:
        readers: chunks read at the same time.
        source_cores, worker_cores: cores of the source's machine and of all workers' machines together.
        shared_cores: of one machine that everything runs on; the two above do not count then.
        network_bytes: from the source to the workers, a second.
        put_bytes: to S3 from all workers together, a second.
        copy_bytes: Parquet that COPY reads, all slices together, a second.
    """

    title: str
    readers: int
    source_cores: float | None = None
    worker_cores: float | None = None
    shared_cores: float | None = None
    network_bytes: float | None = None
    put_bytes: float | None = None
    copy_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one part allows, in rows a second."""

    part: str
    rows_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A measured speed beside the predicted one.

    Attributes:
        error: of the prediction, as a part of the measured speed; positive where it promised too much.
    """

    readers: int
    measured: float
    predicted: float
    bound: str

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1


def calibrate(document: Mapping[str, Any]) -> Costs:
    """The costs in a result's JSON document: of its stages, and its ``start_seconds`` where it has them.

    Raises:
        ValueError: a stage is missing.
    """
    stages: Sequence[Mapping[str, Any]] = document["stages"]
    own = []
    for name in EXTRACTION:
        stage = _stage(stages, name)
        if stage is None:
            raise ValueError(f"the result has no stage {name!r}: measure it with --stages")
        own.append(stage)
    read, upload = own[0], own[-1]
    return Costs(
        source_cpu=_cpu(own, "source"),
        worker_cpu=_cpu(own, "client"),
        s3_cpu=_cpu(own, "s3"),
        reader_seconds=sum(float(s["seconds"]) / int(s["rows"]) for s in own),
        wire_bytes=read["bytes_in"] / read["rows"],
        file_bytes=upload["bytes_in"] / upload["rows"],
        start_seconds=float(document.get("start_seconds", 0.0)),
    )


def bounds(costs: Costs, site: Site) -> list[Bound]:
    """All bounds, the tightest first."""
    found = [Bound(part="readers: each does one thing after the other", rows_per_second=_readers(costs, site))]
    if site.shared_cores is not None:
        every = costs.source_cpu + costs.worker_cpu + costs.s3_cpu
        found.append(
            Bound(part="the machine's cores, shared by all", rows_per_second=_divide(site.shared_cores, every))
        )
    else:
        found += _capacity("source CPU", site.source_cores, costs.source_cpu)
        found += _capacity("worker CPU", site.worker_cores, costs.worker_cpu)
    found += _capacity("network from the source", site.network_bytes, costs.wire_bytes)
    found += _capacity("PUT to S3", site.put_bytes, costs.file_bytes)
    found += _capacity("COPY", site.copy_bytes, costs.file_bytes)
    return sorted(found, key=lambda bound: bound.rows_per_second)


def check(costs: Costs, cores: float, rows: int, measured: Mapping[int, float]) -> list[Point]:
    """The model beside the speeds measured with so many readers on one machine.

    The start of the run is included: each reader's process starts and imports, which the cores share.
    """
    points = []
    for readers, speed in measured.items():
        start = costs.start_seconds * max(1.0, readers / cores)
        tightest = bounds(costs, Site(title="here", readers=readers, shared_cores=cores))[0]
        predicted = rows / (start + rows / tightest.rows_per_second)
        points.append(Point(readers=readers, measured=speed, predicted=predicted, bound=tightest.part))
    return points


GIGABIT = 125e6
CLUSTERS = (
    Site(title="1 worker machine of 4 cores, a source of 4", readers=4, source_cores=4, worker_cores=4,
         network_bytes=10 * GIGABIT, put_bytes=600e6, copy_bytes=300e6),
    Site(title="2 worker machines of 8 cores, a source of 8", readers=16, source_cores=8, worker_cores=16,
         network_bytes=10 * GIGABIT, put_bytes=1200e6, copy_bytes=600e6),
    Site(title="4 worker machines of 16 cores, a source of 16", readers=64, source_cores=16, worker_cores=64,
         network_bytes=10 * GIGABIT, put_bytes=2400e6, copy_bytes=1200e6),
    Site(title="the same, a source of 64 cores", readers=64, source_cores=64, worker_cores=64,
         network_bytes=10 * GIGABIT, put_bytes=2400e6, copy_bytes=1200e6),
)  # fmt: skip
"""Larger places. Their capacities are assumptions, not measurements: a 10 Gbit/s source, 600 MB/s to S3 for each
worker machine, 300 MB/s of Parquet for every four of Redshift's slices."""


def predict(costs: Costs, sites: Iterable[Site] = CLUSTERS) -> list[tuple[Site, list[Bound]]]:
    """The bounds at every site, the tightest first."""
    return [(site, bounds(costs, site)) for site in sites]


def _cpu(stages: Iterable[Mapping[str, Any]], party: str) -> float:
    return sum(float(s["cpu_seconds"].get(party, 0.0)) / int(s["rows"]) for s in stages)


def _readers(costs: Costs, site: Site) -> float:
    return _divide(site.readers, costs.reader_seconds)


def _capacity(part: str, capacity: float | None, cost: float) -> list[Bound]:
    return [] if capacity is None else [Bound(part=part, rows_per_second=_divide(capacity, cost))]


def _divide(capacity: float, cost: float) -> float:
    return capacity / cost if cost > 0 else float("inf")

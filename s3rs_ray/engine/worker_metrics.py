"""What workers measure, through Ray's own metrics: a cluster's Prometheus scrapes them from its nodes.

Source: Ray manual, "Add Application-Level Metrics" (``ray.util.metrics``: counters with tags, exported with the prefix
``ray_`` where the node's agent runs, which ``ray[default]`` brings).
"""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

from ray.util import metrics

from .tasks import StageSeconds

COUNTERS = {
    "s3rs_rows_extracted": ("Rows written to S3.", ("table",)),
    "s3rs_file_bytes": ("Size in bytes of the Parquet files written to S3.", ("table",)),
    "s3rs_stage_seconds": ("Seconds that workers spent in a stage: read, encode or upload.", ("table", "stage")),
}
"""Every counter: what it says, and its tags."""


@functools.cache
def counters() -> dict[str, Any]:
    """The counters of this process."""
    return {name: metrics.Counter(name, description=says, tag_keys=tags) for name, (says, tags) in COUNTERS.items()}


def measure(table: str, *, rows: int, size: int, spent: StageSeconds) -> None:
    """Counts a chunk's file of ``size`` bytes; one that an earlier attempt wrote has been counted there."""
    stages = {stage: seconds for stage, seconds in asdict(spent).items() if seconds}
    if not stages:
        return
    made = counters()
    for name, value in (("s3rs_rows_extracted", rows), ("s3rs_file_bytes", size)):
        if value:  # a counter takes no zero
            made[name].inc(value, tags={"table": table})
    for stage, seconds in stages.items():
        made["s3rs_stage_seconds"].inc(seconds, tags={"table": table, "stage": stage})

"""Memory and files of a backup of many rows: ``python -m benchmarks.memory --rows 2000000``."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from s3rs_ray.errors import S3rsError

from .case import Case, LakeFile, open_case
from .commands import backup_to
from .machine import facts
from .marks import (
    DRIVER_BYTES,
    LEAST_FILE_BYTES,
    MOST_FILE_BYTES,
    ROW_GROUP_BYTES,
    WORKER_BYTES,
    Mark,
    missed,
)
from .options import name_option, parse_overrides, results_option, rows_option, say, sets_option
from .output import MARK_HEAD, about, mark_json, mark_rows, memory_plot, table, write
from .report import measured_json
from .sample import Measured, Sample, WrongResult
from .tables import DELIVERY, NARROW, WIDE, Kind

NOTES = """\
- One backup of one table; the rows of the files were counted against the source. Peaks are the kernel's own \
(`VmHWM`), memory shared by processes among them; the curve is sampled.
- **row group** is before compression, as COPY unpacks it: more than what lies on S3. MB = 10^6 bytes."""

CHUNK_SETTINGS = frozenset({"backup_batch_size", "backup_num_chunks"})
"""Settings that say how large files are; then their size is no merit and no fault of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One run."""

    name: str
    kind: Kind
    machine: Mapping[str, str | int]
    overrides: Mapping[str, str]
    sample: Sample
    files: Sequence[LakeFile]

    @property
    def marks(self) -> list[Mark]:
        sizes, groups = [f.bytes for f in self.files], [b for f in self.files for b in f.group_bytes]
        group_rows = [r for f in self.files for r in f.group_rows]
        large = sum(sizes) >= 2 * LEAST_FILE_BYTES and not CHUNK_SETTINGS & {name.lower() for name in self.overrides}
        least, most = (LEAST_FILE_BYTES, MOST_FILE_BYTES) if large else (None, None)
        return [
            Mark(title="largest worker", value=self.sample.worker_bytes, most=WORKER_BYTES, unit="bytes"),
            Mark(title="driver", value=self.sample.driver_bytes, most=DRIVER_BYTES, unit="bytes"),
            Mark(title="rows/s", value=self.sample.rows_per_second),
            Mark(title="files", value=len(sizes)),
            Mark(title="smallest file but the last", value=min(sizes[:-1] or sizes), least=least, unit="bytes"),
            Mark(title="last file, which takes what is left", value=sizes[-1], unit="bytes"),
            Mark(title="median file", value=median(sizes), unit="bytes"),
            Mark(title="largest file", value=max(sizes), most=most, unit="bytes"),
            Mark(title="row groups", value=len(groups)),
            Mark(title="largest row group", value=max(groups), most=ROW_GROUP_BYTES, unit="bytes"),
            Mark(title="rows of the first row group", value=group_rows[0]),
            Mark(title="rows of the smallest row group", value=min(group_rows)),
            Mark(title="rows of the largest row group", value=max(group_rows)),
        ]


def measure(case: Case) -> tuple[Sample, list[LakeFile]]:
    """One backup."""
    with case.place() as place:
        return backup_to(case, place)


def as_json(memory: Memory) -> dict[str, Any]:
    return {
        "machine": dict(memory.machine),
        "table": memory.kind.title,
        "rows": memory.sample.rows,
        "settings": dict(memory.overrides),
        "marks": [mark_json(mark) for mark in memory.marks],
        "measured": {"backup": measured_json(Measured(name="backup", title="backup", samples=(memory.sample,)))},
        "files": [dataclasses.asdict(f) for f in memory.files],
    }


def as_markdown(memory: Memory) -> str:
    parts = [
        f"# Memory and files: backup of {memory.sample.rows:,} rows, {memory.kind.title}",
        f"One run; all servers on the same machine: {about(memory.machine, memory.overrides)}.",
        table(MARK_HEAD, mark_rows(memory.marks)),
        f"![resident memory]({memory.name}-memory.svg)",
        NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def drawing(memory: Memory) -> str:
    title = f"backup of {memory.sample.rows:,} rows, {memory.kind.title}"
    return memory_plot({title: memory.sample.memory}, worker_bytes=WORKER_BYTES, driver_bytes=DRIVER_BYTES)


@click.command(epilog="Example:  python -m benchmarks.memory --narrow --rows 100000000")
@rows_option(2_000_000)
@click.option("--narrow", "kind", flag_value="narrow", help="A table of five narrow columns instead of 51.")
@click.option("--wide", "kind", flag_value="wide", help="A table of long texts, ten times as long towards the end.")
@sets_option
@name_option
@results_option
def main(rows: int, kind: str | None, sets: Sequence[str], name: str, results: Path) -> None:
    """Measure memory and files of one backup; exit code 1 when a mark is missed."""
    overrides, chosen = parse_overrides(sets), {"narrow": NARROW, "wide": WIDE}.get(kind or "", DELIVERY)
    say(f"filling a table of {rows:,} rows: {chosen.title}")
    try:
        with open_case(rows, overrides, chosen) as case:
            say("backing it up")
            sample, files = measure(case)
            memory = Memory(
                name=name or f"local-memory-{kind or 'delivery'}-{rows}",
                kind=chosen,
                machine=facts(case),
                overrides=overrides,
                sample=sample,
                files=files,
            )
    except (WrongResult, S3rsError) as exc:
        raise click.ClickException(str(exc)) from exc
    text = as_markdown(memory)
    click.echo(text)
    say(f"written: {write(results, memory.name, as_json(memory), text, {'memory': drawing(memory)})}")
    for mark in missed(memory.marks):
        say(f"missed: {mark.title}")
    sys.exit(1 if missed(memory.marks) else 0)


if __name__ == "__main__":
    main()

"""Very large tables on 1 to 64 nodes, simulated: ``python -m benchmarks.simulation``.

The product's own loop, planning, ledger, pages and loads are run for every chunk; see ``virtual.py`` for what is not.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import click

from s3rs_ray.config import Settings
from s3rs_ray.engine import extraction as extraction_module
from s3rs_ray.engine import loading as loading_module
from s3rs_ray.engine.cluster import TASK_CPUS
from s3rs_ray.engine.context import Hold, Request, Run
from s3rs_ray.engine.extraction import Extraction, run_extraction
from s3rs_ray.engine.loading import Loading
from s3rs_ray.engine.sizing import chunk_sizer
from s3rs_ray.ledger.changes import Begin
from s3rs_ray.ledger.state import OpenRun
from s3rs_ray.ledger.store import Holder, Ledger
from s3rs_ray.model import Load, Manifest, Table, TableName, Watermark, Window
from s3rs_ray.policies import RangeOrder
from s3rs_ray.source.cutting import cut_chunks, evened
from s3rs_ray.source.types import SourceColumn, contract, fingerprint

from .case import ROOT
from .model import GIGABIT, Costs, Site, bounds, calibrate
from .options import name_option, results_option, say
from .output import RESULTS, table, write
from .svg import Line, Panel, draw
from .virtual import Clock, Coordinator, LoadPool, Planning, Readers, Source, Store

NODES = (1, 2, 4, 8, 16, 32, 64)
ROWS = (100_000_000, 10_000_000_000)
NODE_CORES = 4
READERS_A_NODE = int(NODE_CORES / TASK_CPUS)
RUN_ID = "20260131T000000Z-abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is around the workers.

    Attributes:
        source_cores, network_bytes: of the source's machine.
        node_put_bytes: to S3, of one node.
        copy_bytes: Parquet a second, COPY and merge together; ``load_seconds`` of a load besides.
        latency: of a request to S3; ``source_latency`` of a query.
        step_rows: rows a second that the source steps along an index. Measured: the primary key of 51 columns, warm.
        dispatch: seconds of the driver for one task of Ray. Measured on one machine with 500 tasks of nothing.
    """

    source_cores: int = 32
    network_bytes: float = 25 * GIGABIT
    node_put_bytes: float = 600e6
    copy_bytes: float = 1200e6
    load_seconds: float = 3.0
    latency: float = 0.05
    source_latency: float = 0.002
    step_rows: float = 2.5e6
    dispatch: float = 0.0025


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one table on so many nodes.

    Attributes:
        seconds: until all rows were loaded; ``extract_seconds`` until all were on S3.
        bound: rows a second by the model of ``model.py``, and what bounds them there.
        planning, readers, loads: how much of the time each was at work.
        driver_cpu, ledger: seconds of the driver's and the coordinator's CPU, and of waiting for S3's answers to them.
        commits, state_bytes, written: PUTs of states, pages and manifests; the largest of them; all together.
    """

    rows: int
    nodes: int
    seconds: float
    extract_seconds: float
    files: int
    bound: float
    bound_by: str
    planning: float
    readers: float
    loads: float
    driver_cpu: float
    ledger: float
    commits: int
    state_bytes: int
    written: int

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds

    @property
    def slowest(self) -> str:
        """What was at work all the time, or else that the readers were not kept busy by anything simulated."""
        shares = {"readers": self.readers, "planning": self.planning, "loads": self.loads,
                  "driver and ledger": (self.driver_cpu + self.ledger) / self.extract_seconds}  # fmt: skip
        return max(shares, key=lambda name: shares[name])


def site(around: Around, nodes: int) -> Site:
    """The place as the model of bounds knows it."""
    return Site(
        title=f"{nodes} nodes",
        readers=nodes * READERS_A_NODE,
        source_cores=around.source_cores,
        worker_cores=nodes * NODE_CORES,
        network_bytes=around.network_bytes,
        put_bytes=nodes * around.node_put_bytes,
        copy_bytes=around.copy_bytes,
    )


def _column(name: str, kind: str, precision: int | None = None, scale: int | None = None) -> SourceColumn:
    return SourceColumn(name=name, data_type=kind, column_type=kind, nullable=False, precision=precision, scale=scale)


def delivery_like(rows: int, costs: Costs) -> Table:
    """A table whose rows are as large as those measured."""
    columns = (
        contract(_column("ID", "bigint", precision=19, scale=0)),
        contract(_column("update_at", "datetime")),
    )
    return Table(
        name=TableName("settlement", "settlement_normal_delivery_detail"),
        columns=columns,
        cursor="update_at",
        key=("ID",),
        cursor_index="by_update",
        key_index="PRIMARY",
        estimated_rows=rows,
        average_row_bytes=round(3 * costs.file_bytes),
        fingerprint=fingerprint(columns, ("update_at", "ID")),
        key_collations=("",),
    )


def simulate(rows: int, nodes: int, costs: Costs, around: Around, *, load: bool = True) -> Outcome:
    """A first load, in ranges of the primary key."""
    place = site(around, nodes)
    extraction_bound, *_ = (b for b in bounds(costs, place) if b.part != "COPY")
    tightest = bounds(costs, place)[0] if load else extraction_bound
    shared = bounds(costs, replace(place, readers=sys.maxsize, copy_bytes=None))[0].rows_per_second
    clock = Clock()
    store = Store(clock, around.latency, around.node_put_bytes)
    source = Source(rows, around.step_rows, around.source_latency)

    def chunk_seconds(count: int, running: int) -> float:
        """One reader does one thing after the other; so many share the source, the network and the nodes' cores."""
        return count * max(costs.reader_seconds, running / shared) + around.latency

    readers = Readers(
        clock, place.readers, chunk_seconds, costs.file_bytes, costs.wire_bytes, around.dispatch, "incremental/"
    )
    pool = LoadPool(clock, lambda files: around.load_seconds + sum(f.bytes for f in files) / around.copy_bytes)
    moved = delivery_like(rows, costs)
    hold = _hold(clock, store, moved)
    with _in_place_of_the_world(clock, pool):
        loading = Loading(hold=hold, contracts={moved.fingerprint: moved})
        extract_seconds = _extract(hold, moved, rows, readers, source, loading if load else None)
        if load:
            loading.finish()
    return Outcome(
        rows=rows,
        nodes=nodes,
        seconds=clock.now(),
        extract_seconds=extract_seconds,
        files=hold.load().files_written,
        bound=tightest.rows_per_second,
        bound_by=tightest.part,
        planning=source.busy / extract_seconds,
        readers=readers.busy / extract_seconds / place.readers,
        loads=pool.busy / clock.now(),
        driver_cpu=clock.cpu,
        ledger=store.waited,
        commits=store.requests,
        state_bytes=store.largest,
        written=store.written,
    )


def _hold(clock: Clock, store: Store, moved: Table) -> Hold:
    """The table held by a driver whose ledger is a coordinator's."""
    ledger = Coordinator(Ledger(cast(Any, store), clock.moment), clock)
    run = Run(
        settings=Settings.load(
            environment={"S3_BUCKET_NAME": store.bucket, "REDSHIFT_HOST": "simulated"}, dotenv=Path("/dev/null")
        ),
        request=Request(tables=(str(moved.name),)),
        store=cast(Any, store),
        ledger=ledger,
        workplace=cast(Any, None),
        threads=cast(Any, None),
        report=lambda event: None,
        clock=clock.moment,
        stop=threading.Event(),
        started=clock.moment(),
        holder=Holder(token="simulation", host="nowhere", pid=1),
    )
    ledger.acquire(moved.name, run.holder)
    return Hold(run=run, ledger=ledger, table=moved.name)


def _extract(hold: Hold, moved: Table, rows: int, readers: Readers, source: Source, loading: Loading | None) -> float:
    """The extraction, with loads beside it; returns when it ended."""
    window = Window(after=Watermark.START, upto=Watermark(position=(hold.run.clock().replace(tzinfo=None), rows)))
    opened = OpenRun(
        run_id=RUN_ID, window=window, order=RangeOrder.KEY, fingerprint=moved.fingerprint, strategy="sequential"
    )
    state = hold.commit(Begin(run=opened, found=Watermark.START))
    sizer = chunk_sizer(moved, hold.run.settings, window_rows=rows, readers=readers.places)
    chunks = cut_chunks(cast(Any, source), moved, window, RangeOrder.KEY, run_id=RUN_ID, sizes=sizer)
    extraction = Extraction(
        hold=hold,
        executor=readers,
        table=moved,
        state=state,
        order=RangeOrder.KEY,
        server="",
        planner=Planning(readers.clock, source, evened(chunks, sizer, readers.places), readers.places),
        sizer=sizer,
    )
    run_extraction(extraction, loading.offer if loading else lambda state: None)
    assert sum(f.rows for f in extraction.files) == rows
    return readers.clock.now()


@contextmanager
def _in_place_of_the_world(clock: Clock, pool: LoadPool) -> Iterator[None]:
    """Time, the thread of the loads and the warehouse are the simulation's."""

    def load(_: object, manifest: Manifest, *__: object) -> Load:
        pool.charge(manifest.files)
        return Load(
            load_id=manifest.load_id, run_id=manifest.run_id, rows=manifest.rows, files=len(manifest.files),
            merged=manifest.rows, loaded_at=clock.moment(),
        )  # fmt: skip

    with ExitStack() as stack:
        for target, name, instead in (
            (extraction_module, "time", clock),
            (loading_module, "time", clock),
            (loading_module, "ThreadPoolExecutor", lambda *_, **__: pool),
            (loading_module, "load", load),
            (Loading, "prepare", lambda *_, **__: None),
            (Loading, "_analyze", lambda *_: None),
        ):
            stack.enter_context(mock.patch.object(target, name, instead))
        yield


HEAD = (
    "rows", "nodes", "readers", "hours", "M rows/s", "bound M rows/s", "bound by", "files", "readers busy", "planning",
    "loads", "driver CPU s", "waiting for the ledger s", "PUTs", "largest MB", "written MB",
)  # fmt: skip


def _row(o: Outcome) -> Iterator[str]:
    yield f"{o.rows:,}"
    yield f"{o.nodes}"
    yield f"{o.nodes * READERS_A_NODE}"
    yield f"{o.seconds / 3600:.2f}"
    yield f"{o.rows_per_second / 1e6:.2f}"
    yield f"{o.bound / 1e6:.2f}"
    yield o.bound_by
    yield f"{o.files:,}"
    yield from (f"{share:.0%}" for share in (o.readers, o.planning, o.loads))
    yield from (f"{seconds:,.0f}" for seconds in (o.driver_cpu, o.ledger))
    yield f"{o.commits:,}"
    yield f"{o.state_bytes / 1e6:.2f}"
    yield f"{o.written / 1e6:,.0f}"


def as_json(outcomes: Sequence[Outcome], costs: Costs, around: Around, calibrated: str) -> dict[str, Any]:
    return {
        "rows": max(o.rows for o in outcomes),
        "calibrated_by": calibrated,
        "costs": dataclasses.asdict(costs),
        "around": dataclasses.asdict(around),
        "node": {"cores": NODE_CORES, "readers": READERS_A_NODE},
        "outcomes": [
            {**dataclasses.asdict(o), "rows_per_second": o.rows_per_second, "slowest": o.slowest} for o in outcomes
        ],
    }


NOTES = """\
Nothing was read here. The product's own loop, cutting, ledger, pages and loads ran for every chunk, in virtual time: \
their CPU time is real and counts, the rest is told by the costs of a row that were measured on one machine \
({calibrated}) and by these assumptions: {around}.

- **bound** is the least of what the parts allow (`model.py`, which knows neither planning nor ledger); **readers \
busy**, **planning** and **loads** are the part of the time each was at work. What stands near 100 % is what bounds; \
where nothing does, the driver's own work and its waiting for the ledger do.
- **PUTs** are those of states, pages and manifests; **largest** is the largest of these objects."""


def as_markdown(outcomes: Sequence[Outcome], around: Around, calibrated: str) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in dataclasses.asdict(around).items())
    parts = [
        f"# Simulation: a first load and its loads into the warehouse on 1 to {max(o.nodes for o in outcomes)} nodes",
        table(HEAD, [_row(o) for o in outcomes]),
        NOTES.format(calibrated=calibrated, around=told),
    ]
    return "\n\n".join(parts) + "\n"


def plot(outcomes: Sequence[Outcome]) -> str:
    """A panel for each table: the rows a second by nodes, simulated and by the model."""
    panels = []
    for rows in dict.fromkeys(o.rows for o in outcomes):
        of = [o for o in outcomes if o.rows == rows]
        lines = [
            Line(title="simulated", color="#1d4ed8", points=[(o.nodes, o.rows_per_second / 1e6) for o in of]),
            Line(title="bound", color="#c2410c", points=[(o.nodes, o.bound / 1e6) for o in of]),
        ]
        panels.append(Panel(title=f"{rows:,} rows", x_title="nodes", y_title="million rows/s", lines=lines))
    return draw(panels)


@click.command(epilog="Example:  python -m benchmarks.simulation --rows 100000000 --nodes 1,4,16")
@click.option("--rows", "sizes", default=",".join(map(str, ROWS)), show_default=True, help="Tables, comma-separated.")
@click.option("--nodes", default=",".join(map(str, NODES)), show_default=True, help="Nodes, comma-separated.")
@click.option(
    "--costs",
    "calibration",
    type=click.Path(path_type=Path, exists=True),
    default=RESULTS / "2026-11-rows.json",
    help="A result with stages.  [default: results/2026-11-rows.json]",
)
@name_option
@results_option
def main(sizes: str, nodes: str, calibration: Path, name: str, results: Path) -> None:
    """Simulate first loads of very large tables on clusters of several sizes."""
    costs, around = calibrate(json.loads(calibration.read_text(encoding="utf-8"))), Around()
    outcomes = []
    for rows in map(int, sizes.split(",")):
        for count in map(int, nodes.split(",")):
            outcomes.append(simulate(rows, count, costs, around))
            say(f"{rows:,} rows on {count} nodes: {outcomes[-1].rows_per_second:,.0f} rows/s")
    resolved = calibration.resolve()
    calibrated = str(resolved.relative_to(ROOT) if resolved.is_relative_to(ROOT) else resolved)
    text = as_markdown(outcomes, around, calibrated)
    if not name:
        name = "local-simulation"
    text += f"\n![rows a second by nodes]({name}-scaling.svg)\n"
    click.echo(text)
    document = as_json(outcomes, costs, around, calibrated)
    say(f"written: {write(results, name, document, text, {'scaling': plot(outcomes)})}")


if __name__ == "__main__":
    main()

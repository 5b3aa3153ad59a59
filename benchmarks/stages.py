"""One chunk through the product's own functions in this process: what each stage takes, and whose CPU it uses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import connectorx
import pyarrow as pa

from s3rs_ray.engine.loading import authorization, open_session, target_of
from s3rs_ray.model import Chunk, DataFile, Manifest, Watermark
from s3rs_ray.policies import Mode
from s3rs_ray.source.chunks import select_sql
from s3rs_ray.source.extract import conform, source_url
from s3rs_ray.storage.manifest import copy_manifest, load_id
from s3rs_ray.storage.parquet import ParquetEncoder, ParquetFile
from s3rs_ray.storage.s3 import S3Store
from s3rs_ray.warehouse.loader import CopySource, Pair, prepare
from s3rs_ray.warehouse.loader import load as load_manifest

from .case import Case, Place
from .sample import require_rows
from .watch import cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage took for one chunk.

    Attributes:
        bytes_in: what the stage was given (read: what it returned).
        cpu_seconds: by party, see ``sample.PARTIES``; empty for a part of another stage.
    """

    title: str
    rows: int
    seconds: float
    bytes_in: int
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def bound_by(self) -> str:
        """Whose CPU was busiest, and for how much of the time; 100 % is one core."""
        if not any(self.cpu_seconds.values()):
            return ""
        party, used = max(self.cpu_seconds.items(), key=lambda item: item[1])
        return f"{party}, {used / self.seconds:.0%} of a core"


@dataclass(slots=True)
class _Clock:
    """Stages timed one after the other."""

    case: Case
    rows: int
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, title: str, bytes_in: Callable[[], int]) -> Iterator[None]:
        servers = {party: cpu_seconds(pids) for party, pids in self.case.servers.items()}
        cpu, started = time.process_time(), time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        used = {"client": time.process_time() - cpu}
        used |= {party: cpu_seconds(pids) - servers[party] for party, pids in self.case.servers.items()}
        self.stages.append(Stage(title=title, rows=self.rows, seconds=seconds, bytes_in=bytes_in(), cpu_seconds=used))

    def part(self, title: str, seconds: float, bytes_in: int) -> None:
        self.stages.append(Stage(title=title, rows=self.rows, seconds=seconds, bytes_in=bytes_in))


def profile(case: Case, rounds: int) -> list[Stage]:
    """The stages of the first chunk, medians of ``rounds``; loaded into an empty table and then into a filled one."""
    passes = []
    for _ in range(rounds):
        with case.place() as place:
            passes.append(_pass(case, place))
    return [_median_stage(same) for same in zip(*passes, strict=True)]


def _pass(case: Case, place: Place) -> list[Stage]:
    chunk = case.chunks[0]
    clock = _Clock(case, chunk.rows)
    raw: pa.Table = None
    with clock.stage("read: server and ConnectorX", lambda: int(raw.nbytes)):
        raw = _read(case, chunk)
    with clock.stage("cast (conform)", lambda: int(raw.nbytes)):
        data = conform(raw, case.plan.table.columns)
    with clock.stage("encode (Parquet)", lambda: int(data.nbytes)):
        encoder = ParquetEncoder(data.schema, {}, statistics=case.plan.table.order_columns)
        encoder.write(data)
        file = encoder.finish()
    require_rows("the profile's file", chunk.rows, file.rows)
    started = time.perf_counter()
    hashlib.sha256(file.body).hexdigest()
    clock.part("— of it: digest (sha256)", time.perf_counter() - started, file.body.size)
    store = S3Store(place.settings)
    store.check()
    with clock.stage("upload (put_new)", lambda: file.body.size):
        store.put_new("profile/0.parquet", file.body)
    _load_twice(case, place, store, file, clock)
    return clock.stages


def _read(case: Case, chunk: Chunk) -> pa.Table:
    raw = connectorx.read_sql(
        source_url(case.settings, case.endpoint),
        select_sql(case.plan.table, chunk),
        return_type="arrow",
        protocol="binary",
        pre_execution_query=case.session,
    )
    return raw.select([c.name for c in case.plan.table.columns])  # without the counts of NULL dates


def _load_twice(case: Case, place: Place, store: S3Store, file: ParquetFile, clock: _Clock) -> None:
    """The second load finds every row there already: the dearest merge there is."""
    settings = place.settings
    target = target_of(case.plan.table, settings)
    pair = Pair(source=case.plan.table.name, target=target, identity="profile", generation="profile")
    prepare(lambda: open_session(settings), pair)
    for number, title in enumerate(("into an empty table", "again: every row replaced")):
        manifest = _manifest(case, file, run_id=f"profile{number}")
        store.put_new(f"profile/{number}.manifest", copy_manifest(manifest.files, store.bucket))
        source = CopySource(
            manifest_url=store.url(f"profile/{number}.manifest"), authorize=lambda: authorization(settings)
        )
        with clock.stage(f"load {title}", lambda: file.body.size):
            done = load_manifest(lambda: open_session(settings), manifest, target, source)
        require_rows("the profile's load", file.rows, done.merged)
        for phase, seconds in done.seconds.items():
            clock.part(f"— of it: {phase}", seconds, file.body.size)


def _manifest(case: Case, file: ParquetFile, run_id: str) -> Manifest:
    table = case.plan.table
    written = DataFile(
        key="profile/0.parquet",
        rows=file.rows,
        bytes=file.body.size,
        digest=file.digest,
        run_id=run_id,
        ordinal=0,
        fingerprint=table.fingerprint,
        reaches=None,
    )
    return Manifest(
        load_id=load_id(generation=run_id, table=table.name, target="profile", files=[written]),
        run_id=run_id,
        generation=run_id,
        table=table.name,
        target="profile",
        mode=Mode.MERGE,
        fingerprint=table.fingerprint,
        after=Watermark.START,
        reaches=None,
        files=(written,),
    )


def _median_stage(same: Sequence[Stage]) -> Stage:
    first = same[0]
    return Stage(
        title=first.title,
        rows=first.rows,
        seconds=median(s.seconds for s in same),
        bytes_in=first.bytes_in,
        cpu_seconds={party: median(s.cpu_seconds[party] for s in same) for party in first.cpu_seconds},
    )

"""Hypothesis: any state of a table, reachable or not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from s3rs_ray.ledger.state import Lease, OpenRun, Page, Refresh, Sealed, TableState
from s3rs_ray.model import Chunk, Cut, DataFile, KeyRange, Load, TableName, Watermark, Window
from s3rs_ray.policies import Adjusted, Mode, RangeOrder
from s3rs_ray.positions import KeyValue, Position

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.integers(0, 2**63 - 1)
times = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(9999, 1, 1), timezones=st.just(dt.UTC))
names = st.builds(TableName, texts, texts)

values: st.SearchStrategy[KeyValue] = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    texts,
    st.binary(max_size=8),
    st.decimals(allow_nan=False, allow_infinity=False).map(Decimal),
    st.datetimes(dt.datetime(1, 1, 1)),
    st.dates(),
)


def positions(most: int = 3, *, least: int = 0) -> st.SearchStrategy[Position]:
    return st.lists(values, min_size=least, max_size=most).map(tuple)


watermarks = st.builds(Watermark, position=positions())
files = st.builds(
    DataFile,
    key=texts,
    rows=counts,
    bytes=counts,
    digest=texts,
    memory=counts,
    run_id=texts,
    ordinal=counts,
    fingerprint=texts,
    reaches=st.none() | watermarks,
    adjusted=st.builds(Adjusted, nulled_dates=counts, truncated_texts=counts, stripped_texts=counts),
    null_horizon=st.none() | values,
)
pages = st.builds(
    Page,
    key=texts,
    digest=texts,
    run_id=texts,
    skip=counts,
    files=counts,
    rows=counts,
    bytes=counts,
    reached=st.none() | watermarks,
)
loads = st.builds(
    Load,
    load_id=texts,
    run_id=texts,
    rows=counts,
    files=counts,
    merged=counts,
    loaded_at=times,
    repeated=st.booleans(),
    seconds=st.dictionaries(texts, st.floats(0, 1e6), max_size=2),
)


@st.composite
def runs(draw: st.DrawFn) -> OpenRun:
    run_id, window = draw(texts), draw(st.builds(Window, after=watermarks, upto=watermarks, whole=st.booleans()))
    columns = tuple(draw(st.lists(texts, min_size=1, max_size=3)))
    bound = st.none() | positions(len(columns), least=1)
    horizon = draw(st.none() | values)
    count = draw(st.integers(0, 3))
    nulls = draw(st.integers(0, 2)) if horizon is not None else 0
    first = draw(st.integers(0, 9))
    chunks = tuple(
        Chunk(
            run_id=run_id,
            ordinal=first + ordinal,
            range=KeyRange(columns=columns, after=draw(bound), upto=draw(bound)),
            window=window if ordinal < count else replace(window, null_horizon=horizon),
            rows=draw(counts),
            cuts=tuple(draw(st.lists(st.builds(Cut, at=positions(len(columns), least=1), rows=counts), max_size=2))),
        )
        for ordinal in range(count + nulls)
    )
    return OpenRun(
        run_id=run_id,
        window=window,
        order=draw(st.sampled_from(RangeOrder)),
        fingerprint=draw(texts),
        strategy=draw(texts),
        chunks=chunks,
        planned=draw(st.booleans()),
        files=tuple(draw(st.lists(files, max_size=2))),
        consumed=draw(counts),
        null_horizon=horizon,
        first=first,
        paged_rows=draw(counts),
        reached=draw(st.none() | watermarks),
    )


def _few(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=2).map(tuple)


states = st.builds(
    TableState,
    table=names,
    generation=texts,
    source=texts,
    target=texts,
    follows=texts,
    mode=st.none() | st.sampled_from(Mode),
    refresh=st.none() | st.builds(Refresh, run_id=texts, extracted=st.booleans()),
    extracted=watermarks,
    loaded=watermarks,
    run=st.none() | runs(),
    backlog=_few(files | pages),
    sealed=st.none()
    | st.builds(
        Sealed,
        load_id=texts,
        run_id=texts,
        mode=st.sampled_from(Mode),
        keys=_few(texts),
        rows=counts,
        reaches=st.none() | watermarks,
    ),
    lease=st.none() | st.builds(Lease, holder=texts, host=texts, pid=counts, since=times, renewed=times),
    loads=_few(loads),
    backup_strategy=texts,
    extracted_at=st.none() | times,
    loaded_at=st.none() | times,
    mysql_status=texts,
    redshift_status=texts,
    rows_extracted=counts,
    rows_loaded=counts,
    files_written=counts,
    recent_files=_few(texts),
    recent_changes=_few(texts),
    last_run_id=texts,
    created_at=times,
    updated_at=times,
)

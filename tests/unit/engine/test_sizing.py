"""How large chunks and slices are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.engine.sizing import (
    FILE_BYTES,
    LEAST_FILE_BYTES,
    LEAST_SLOW_FILE_BYTES,
    MOST_FILE_BYTES,
    SLICE_BYTES,
    ChunkSizer,
    chunk_sizer,
)
from s3rs_ray.model import ChunkSize, DataFile
from tests.support import build

MB = 2**20


def sizer(window_rows: int, readers: int = 2, row_file_bytes: float = 160, row_memory: float = 550) -> ChunkSizer:
    return ChunkSizer(row_memory=row_memory, row_file_bytes=row_file_bytes, window_rows=window_rows, readers=readers)


@pytest.mark.parametrize(
    ("file_mb", "readers", "files"),
    [
        (1, 8, 1),  # a small table is one file
        (59, 2, 1),
        (130, 2, 2),  # every reader has one
        (300, 2, 4),
        (300, 8, 5),  # not smaller than the least
        (1000, 8, 16),
        (880, 2, 8),
        (1100, 2, 10),  # a multiple of the readers
        (100_000, 2, 894),
    ],
)
def test_files_are_alike_in_size_and_as_many_as_the_readers_share_well(file_mb: int, readers: int, files: int) -> None:
    window_rows = file_mb * MB // 160
    rows = sizer(window_rows, readers)().rows
    assert -(-window_rows // rows) == files


def test_a_table_a_little_larger_than_guessed_needs_no_file_more() -> None:
    guessed = 135 * MB // 160
    rows = sizer(guessed)().rows
    assert -(-int(1.07 * guessed) // rows) == -(-guessed // rows) == 2


def test_a_small_table_is_one_file_even_if_it_was_taken_for_a_smaller_one() -> None:
    assert sizer(25_000)().rows >= 50_000


@given(st.integers(1, 10**9), st.integers(1, 64), st.floats(1, 10**6), st.floats(1, 10**7))
def test_no_file_is_larger_than_wanted_and_no_slice_than_memory_allows(
    window_rows: int, readers: int, row_file_bytes: float, row_memory: float
) -> None:
    size = sizer(window_rows, readers, row_file_bytes, row_memory)()
    assert 1 <= size.slice_rows <= size.rows
    assert size.rows == 1 or (size.rows - 1) * row_file_bytes <= FILE_BYTES
    assert size.slice_rows == 1 or size.slice_rows * row_memory <= SLICE_BYTES
    assert (size.rows + 1) * row_file_bytes >= LEAST_FILE_BYTES


def test_a_window_of_unknown_rows_is_cut_into_whole_files() -> None:
    assert sizer(0)().rows == FILE_BYTES // 160


def test_what_was_measured_replaces_what_was_guessed() -> None:
    learning = sizer(0)
    chunk = build.run_chunks("r1", [None, (10, 0)], of=build.window((), (10, 0)))[0]
    file = replace(build.data_file(chunk, reaches=None, rows=1000), bytes=1000 * 40_000, memory=1000 * 200_000)
    learning.record(file)
    assert learning() == ChunkSize(
        FILE_BYTES // 40_000, SLICE_BYTES // 200_000, LEAST_FILE_BYTES // 40_000, MOST_FILE_BYTES // 40_000
    )
    learning.record(replace(file, rows=3000, bytes=0, memory=0))
    assert learning() == ChunkSize(
        FILE_BYTES // 10_000, SLICE_BYTES // 50_000, LEAST_FILE_BYTES // 10_000, MOST_FILE_BYTES // 10_000
    )


def test_an_empty_file_teaches_nothing() -> None:
    learning = sizer(0)
    before = learning()
    chunk = build.run_chunks("r1", [None, (10, 0)], of=build.window((), (10, 0)))[0]
    learning.record(replace(build.data_file(chunk, reaches=None, rows=0), bytes=1000, memory=0))
    assert learning() == before


@pytest.mark.parametrize(
    ("batch", "count", "window_rows", "rows"),
    [("200", "", 1000, 200), ("200", "4", 1000, 250), ("", "4", 1001, 251), ("", "4", 0, 1)],
)
def test_a_setting_says_how_many_rows_or_chunks(batch: str, count: str, window_rows: int, rows: int) -> None:
    settings = Settings.load(environment={"BACKUP_BATCH_SIZE": batch, "BACKUP_NUM_CHUNKS": count})
    assert chunk_sizer(build.table(), settings, window_rows=window_rows, readers=2)().rows == rows


def test_wide_rows_shrink_slices_however_many_rows_a_setting_asks_for() -> None:
    settings = Settings.load(environment={"BACKUP_BATCH_SIZE": "1000000"})
    wide = replace(build.table(), average_row_bytes=100_000)
    size = chunk_sizer(wide, settings, window_rows=10**6, readers=2)()
    assert size.rows == 1_000_000
    assert size.slice_rows * 100_000 <= SLICE_BYTES


def timed(rows: int, seconds: float) -> DataFile:
    chunk = build.run_chunks("r1", [None, (10, 0)], of=build.window((), (10, 0)))[0]
    return replace(
        build.data_file(chunk, reaches=None, rows=rows), bytes=rows * 160, memory=rows * 550, seconds=seconds
    )


def in_time(rows: int = 0) -> ChunkSizer:
    return replace(sizer(0), seconds=60, rows=rows)


def test_chunks_of_a_slow_source_are_as_large_as_can_be_read_in_the_time_and_grow_back() -> None:
    learning = in_time()
    whole = learning().rows
    learning.record(timed(whole, 20))
    assert learning().rows == whole
    for _ in range(12):
        learning.record(timed(learning().rows, learning().rows / 5000))
    assert learning().rows == pytest.approx(60 * 5000, rel=0.01)
    for _ in range(12):
        learning.record(timed(learning().rows, learning().rows / 50_000))
    assert learning().rows == whole


def test_no_file_is_made_tiny_however_slow_the_source() -> None:
    learning = in_time()
    for _ in range(5):
        learning.record(timed(learning().rows, 10_000))
    assert learning().rows == LEAST_SLOW_FILE_BYTES // 160


def test_a_batch_size_is_the_most_rows_and_may_be_smaller_than_the_least_file() -> None:
    learning = in_time(rows=100)
    learning.record(timed(100, 600))
    assert learning().rows == 100
    learning = in_time(rows=500_000)
    learning.record(timed(500_000, 600))
    assert LEAST_SLOW_FILE_BYTES // 160 <= learning().rows < 500_000


def test_a_small_file_says_nothing_of_the_time_of_a_row() -> None:
    learning = in_time()
    whole = learning().rows
    learning.record(timed(10, 2))
    assert learning().rows == whole


def test_the_time_of_a_chunk_may_be_left_out_of_account() -> None:
    learning = replace(sizer(0), seconds=0)
    whole = learning().rows
    learning.record(timed(whole, 10_000))
    assert learning().rows == whole

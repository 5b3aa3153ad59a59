"""How large chunks and slices are: files of like size that COPY likes, slices that memory holds; pure.

Source of the sizes: Amazon Redshift Database Developer Guide, "Amazon Redshift best practices for loading data"
(files of like size, 1 MB to 1 GB after compression, a multiple of the slices in number).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config import Settings
from ..model import ChunkSize, DataFile, Table

FILE_BYTES, LEAST_FILE_BYTES = 112 * 2**20, 64 * 2**20
"""A file of a large table, and the least one where that gives every reader one."""
MOST_FILE_BYTES = 122 * 2**20
"""The largest file at a window's end. Arrow's buffers grow by doubling: beyond 128 MB a worker would hold a copy of the
file for a moment (measured: 800 MB instead of 670), and what a row takes is known to a few percent."""
SLICE_BYTES = 64 * 2**20
"""Arrow bytes of one slice; a reader holds some three slices and its file."""
MARGIN = 1.08
"""InnoDB's guesses of whole tables are a few percent off. Where no reader has a second file, one too low would leave a
tiny one behind the others; else what is left at the end is shared anew (``source.cutting.evened``)."""
LEAST_SLOW_FILE_BYTES = 8 * 2**20
"""The least file of a source so slow that larger ones take too long: COPY likes none of a few KB."""
FILES_A_READER = 2
"""So that readers that end early find another chunk."""


@dataclass(slots=True)
class ChunkSizer:
    """The sizes of a run's chunks, from estimates first and from the files written once there are some.

    Attributes:
        row_memory, row_file_bytes: of one row, as Arrow holds it and in the file.
        window_rows: estimated; 0 when unknown.
        readers: chunks read at the same time.
        rows: of a chunk, when a setting says so; 0 otherwise.
        seconds: a chunk shall take no longer than about so much; 0 for no such bound.
        row_seconds: what a row took lately; 0 before a chunk was measured.
    """

    row_memory: float
    row_file_bytes: float
    window_rows: int
    readers: int
    rows: int = 0
    measured_rows: int = 0
    measured_memory: int = 0
    measured_file_bytes: int = 0
    seconds: float = 0.0
    row_seconds: float = 0.0

    def __call__(self) -> ChunkSize:
        wanted = self.rows or self._rows_by_bytes()
        rows = self._rows_in_time(wanted)
        slice_rows = max(1, min(rows, int(SLICE_BYTES / self.row_memory)))
        if self.rows:
            return ChunkSize(rows, slice_rows)
        least, most = (max(1, int(size / self.row_file_bytes)) for size in (LEAST_FILE_BYTES, MOST_FILE_BYTES))
        return (
            ChunkSize(rows, slice_rows, least, most)
            if rows == wanted
            else ChunkSize(rows, slice_rows, max(1, rows // 2), rows)
        )

    def record(self, file: DataFile) -> None:
        """Learns from a file; what was guessed no longer counts."""
        if not file.rows:
            return
        self.measured_rows += file.rows
        self.measured_memory += file.memory
        self.measured_file_bytes += file.bytes
        self.row_memory = max(1.0, self.measured_memory / self.measured_rows)
        self.row_file_bytes = max(1.0, self.measured_file_bytes / self.measured_rows)
        # Of a small file a good part of the time is its own, not its rows'.
        if file.seconds > self.seconds or 2 * file.rows >= self().rows:
            row = file.seconds / file.rows
            self.row_seconds = (self.row_seconds + row) / 2 if self.row_seconds else row

    def _rows_in_time(self, rows: int) -> int:
        """So many rows, or only what a slow source gives in the time that a chunk may take."""
        if not self.seconds or not self.row_seconds:
            return rows
        least = min(rows, int(LEAST_SLOW_FILE_BYTES / self.row_file_bytes))
        return max(1, least, min(rows, int(self.seconds / self.row_seconds)))

    def _rows_by_bytes(self) -> int:
        if not self.window_rows:
            return max(1, int(FILE_BYTES / self.row_file_bytes))
        rows: float = self.window_rows
        if self._files(rows) <= self.readers:
            rows *= MARGIN
        least = int(LEAST_FILE_BYTES / self.row_file_bytes)  # the guess may be far too low
        return max(1, math.ceil(rows / self._files(rows)), least)

    def _files(self, rows: float) -> int:
        """Of a window of so many rows: no file too large, one or two for a reader, none that is left without work."""
        whole = rows * self.row_file_bytes
        files = max(math.ceil(whole / FILE_BYTES), min(FILES_A_READER * self.readers, int(whole / LEAST_FILE_BYTES)), 1)
        return files if files <= self.readers else math.ceil(files / self.readers) * self.readers


def chunk_sizer(table: Table, settings: Settings, *, window_rows: int, readers: int) -> ChunkSizer:
    """The sizer of a run.

    Args:
        window_rows: the optimizer's guess.
        readers: chunks read at the same time.
    """
    rows = settings.backup_batch_size
    if settings.backup_num_chunks:
        rows = max(1, -(-window_rows // settings.backup_num_chunks))
    # InnoDB's average counts pages, blobs beside the rows included; in Arrow each column adds its offsets or width.
    # Parquet takes a third to a half of what InnoDB takes (measured on narrow rows and on the 51-column table: 0.46).
    row = max(table.average_row_bytes, 1)
    return ChunkSizer(
        row_memory=row + 12 * len(table.columns),
        row_file_bytes=max(0.42 * row, 1),
        window_rows=window_rows,
        readers=readers,
        rows=rows,
        seconds=settings.backup_chunk_seconds,
    )

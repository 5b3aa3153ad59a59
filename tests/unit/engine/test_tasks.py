"""What S3 keeps with an object is enough to describe the file, and a foreign one is never taken for ours."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.config import Settings
from s3rs_ray.engine.tasks import WrittenFile, _object_metadata, _own_file, _range_digest, data_key, describe_file
from s3rs_ray.errors import IntegrityError
from s3rs_ray.model import Chunk, DataFile, KeyRange, Watermark
from s3rs_ray.storage.layout import DataKey, parse_data_key
from s3rs_ray.storage.s3 import StoredObject
from tests.support import build
from tests.support.build import NOON
from tests.support.memory_store import MemoryStore
from tests.support.states import files, positions

TABLE = build.table()
CHUNK = build.run_chunks("20260131T120000Z-abcdef", [None, (1,), (2,)], of=build.window((), (2,)), columns=("c",))[1]
FILE = replace(build.data_file(CHUNK, reaches=Watermark(position=(2,))), fingerprint=TABLE.fingerprint)
NOTHING = MemoryStore()
"""A store of no objects: none is read to know what one holds."""


def stored(file: DataFile, chunk: Chunk) -> StoredObject:
    return StoredObject(
        key=file.key, version="v", size=file.bytes, modified=NOON, metadata=_object_metadata(file, chunk)
    )


@given(files, positions())
def test_any_file_is_described_by_its_metadata_alone(file: DataFile, after: tuple[int, ...]) -> None:
    chunk = replace(CHUNK, window=build.window(after, (2,)))
    described = describe_file(NOTHING, stored(file, chunk))
    assert described == WrittenFile(file=file, range_digest=_range_digest(chunk.range), window_after=after)


@given(positions(), st.none() | positions())
def test_metadata_values_are_of_characters_that_a_header_takes(
    after: tuple[int, ...], reached: tuple[int, ...] | None
) -> None:
    file = replace(FILE, reaches=None if reached is None else Watermark(position=reached))
    metadata = _object_metadata(file, replace(CHUNK, window=build.window(after, (2,))))
    assert all(value.isascii() and value.isprintable() for value in metadata.values())


@pytest.mark.parametrize("name", sorted(_object_metadata(FILE, CHUNK)))
def test_an_object_that_lacks_a_part_of_its_description_is_refused(name: str) -> None:
    whole = stored(FILE, CHUNK)
    with pytest.raises(IntegrityError, match="does not say what it holds"):
        describe_file(NOTHING, replace(whole, metadata={k: v for k, v in whole.metadata.items() if k != name}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("s3rs-rows", "many"), ("s3rs-reaches", "%7B"), ("s3rs-reaches", "7"), ("s3rs-window-after", "%5B1.5%5D")],
)
def test_an_object_whose_description_is_damaged_is_refused(name: str, value: str) -> None:
    whole = stored(FILE, CHUNK)
    with pytest.raises(IntegrityError):
        describe_file(NOTHING, replace(whole, metadata={**whole.metadata, name: value}))


def test_a_description_never_exceeds_what_s3_takes() -> None:
    long = Watermark(position=(dt.datetime(2026, 1, 1), "\u00e9" * 768))
    metadata = _object_metadata(replace(FILE, reaches=long), replace(CHUNK, window=build.window(long.position, (2,))))
    assert sum(len(name) + len(value) for name, value in metadata.items()) < 2048


def test_the_file_of_an_earlier_attempt_is_taken_as_it_is() -> None:
    assert _own_file(NOTHING, stored(FILE, CHUNK), TABLE, CHUNK) == FILE


@pytest.mark.parametrize(
    "chunk",
    [
        replace(CHUNK, run_id="another"),
        replace(CHUNK, ordinal=0),
        replace(CHUNK, range=KeyRange(columns=("c",), after=(1,), upto=(3,))),
        replace(CHUNK, range=KeyRange(columns=("d",), after=(1,), upto=(2,))),
    ],
    ids=["run", "ordinal", "bounds", "columns"],
)
def test_the_file_of_another_chunk_is_refused(chunk: Chunk) -> None:
    with pytest.raises(IntegrityError, match="belongs to chunk 1"):
        _own_file(NOTHING, stored(FILE, CHUNK), TABLE, chunk)


def test_the_file_of_another_contract_is_refused() -> None:
    with pytest.raises(IntegrityError):
        _own_file(NOTHING, stored(replace(FILE, fingerprint="other"), CHUNK), TABLE, CHUNK)


def test_a_chunk_has_the_same_key_however_often_it_is_tried() -> None:
    settings = Settings.load(environment={"S3_INCREMENTAL_PATH": "daily"})
    key = data_key(settings, TABLE.name, CHUNK.run_id, 7)
    assert key == data_key(settings, TABLE.name, CHUNK.run_id, 7)
    assert parse_data_key("daily/", key) == DataKey(TABLE.name, dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), 7)

"""The state's JSON: nothing is lost in it, people's scripts can read it, and nothing else is taken for it."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3rs_ray.errors import LedgerError
from s3rs_ray.ledger.changes import Acquire, AddChunks, AddFiles, Identify
from s3rs_ray.ledger.document import cursor_text, format_state, parse_state
from s3rs_ray.ledger.state import FORMAT_VERSION, TableState
from s3rs_ray.model import Watermark
from s3rs_ray.positions import KeyValue, Position, format_position, parse_position
from tests.support import build
from tests.support.build import NOON, Applied, lease
from tests.support.golden import assert_golden
from tests.support.states import positions, states

KEY = "watermark/tables/a.b.json"
PEOPLES_FIELDS = [
    "table_name",
    "last_mysql_extraction_time",
    "last_mysql_data_timestamp",
    "mysql_rows_extracted",
    "mysql_status",
    "last_redshift_load_time",
    "redshift_rows_loaded",
    "redshift_status",
    "backup_strategy",
    "s3_file_count",
    "processed_s3_files",
    "created_at",
    "updated_at",
]


@given(states)
def test_any_state_comes_back_as_it_was(state: TableState) -> None:
    assert parse_state(format_state(state), KEY) == state


@given(positions())
def test_any_position_comes_back_with_its_types(position: Position) -> None:
    back = parse_position(orjson.loads(orjson.dumps(format_position(position))))
    assert back == position
    assert [type(v) for v in back] == [type(v) for v in position]


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (7, 7),
        (2**64 - 1, 2**64 - 1),
        ("a", "a"),
        (Decimal("1.50"), {"decimal": "1.50"}),
        (b"\x00\xff", {"bytes": "00ff"}),
        (dt.datetime(2026, 1, 31, 1, 2, 3), {"datetime": "2026-01-31 01:02:03.000000"}),
        (dt.date(2026, 1, 31), {"date": "2026-01-31"}),
    ],
)
def test_a_key_value_has_one_json_form(value: KeyValue, json: object) -> None:
    assert format_position((value,)) == [json]


@pytest.mark.parametrize("value", [1.5, None, {}, {"decimal": 1}, {"float": "1"}, [1], {"date": "x"}, {"decimal": "x"}])
def test_what_is_no_key_value_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a|Invalid"):
        parse_position([value])


@pytest.mark.parametrize("value", [1.5, None])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        format_position((cast(KeyValue, value),))


def sample() -> TableState:
    """A state in the middle of everything."""
    of = build.window((dt.datetime(2026, 1, 30, 8, 0, 0), 5), (dt.datetime(2026, 1, 31, 9, 30, 0, 123456), 9))
    middle = (dt.datetime(2026, 1, 31, 0, 0, 0), 7)
    chunks = build.run_chunks(
        "20260131T120000Z-abcdef", [of.after.position, middle, of.upto.position], of=of, columns=("update_at", "ID")
    )
    made = Applied(dataclasses.replace(build.fresh_state(), extracted=of.after, loaded=of.after))
    made.commit(
        Acquire(lease=lease("host/1/2")),
        Identify(source="mysql://h:3306/settlement.parcels", target="redshift://r:5439/d/public.parcels"),
        build.begin("20260131T120000Z-abcdef", of),
        AddChunks(run_id="20260131T120000Z-abcdef", chunks=chunks, planned=True),
        AddFiles(
            run_id="20260131T120000Z-abcdef",
            files=(build.data_file(chunks[0], reaches=Watermark(position=middle)),),
            at=NOON,
        ),
        holder="host/1/2",
    )
    return dataclasses.replace(
        made.state, recent_files=("incremental/old.parquet",), loads=(build.loaded("load 0"),), loaded_at=NOON
    )


def test_the_document_reads_as_it_was_reviewed() -> None:
    assert_golden(Path(__file__).with_name("golden") / "state.json", format_state(sample()).decode() + "\n")


def test_the_first_fields_are_those_peoples_scripts_read() -> None:
    assert list(orjson.loads(format_state(sample())))[: len(PEOPLES_FIELDS)] == PEOPLES_FIELDS


def test_every_field_of_the_state_is_in_the_document() -> None:
    document = orjson.loads(format_state(sample()))
    renamed = {
        "table": "table_name",
        "rows_extracted": "mysql_rows_extracted",
        "rows_loaded": "redshift_rows_loaded",
        "extracted_at": "last_mysql_extraction_time",
        "loaded_at": "last_redshift_load_time",
        "files_written": "s3_file_count",
        "recent_files": "processed_s3_files",
    }
    fields = {renamed.get(f.name, f.name) for f in dataclasses.fields(TableState)}
    assert fields <= set(document)


@pytest.mark.parametrize(
    ("position", "text"),
    [
        ((), None),
        ((dt.datetime(2026, 1, 31, 9, 30), 1), "2026-01-31 09:30:00"),
        ((dt.datetime(2026, 1, 31, 9, 30, 0, 120000),), "2026-01-31 09:30:00.120000"),
        ((dt.date(2026, 1, 31),), "2026-01-31"),
    ],
)
def test_the_cursor_is_written_as_people_write_it(position: Position, text: str | None) -> None:
    assert cursor_text(Watermark(position=position)) == text


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{}", b"not json", b"\xff", b"2026-01-31 00:00:00", b'{"format_version": 1}'],
)
def test_what_is_no_state_is_refused_and_named(body: bytes) -> None:
    with pytest.raises(LedgerError) as refused:
        parse_state(body, KEY)
    assert KEY in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, "1", None])
def test_another_format_version_is_refused_with_the_remedy(version: object) -> None:
    document = orjson.loads(format_state(sample()))
    with pytest.raises(LedgerError, match=f"format version {version}") as refused:
        parse_state(orjson.dumps({**document, "format_version": version}), KEY)
    assert "use the version of s3rs-ray that wrote it" in refused.value.hint


def places(document: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside a document."""
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


DOCUMENT = orjson.loads(format_state(sample()))
garbage: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        1.5,
        "",
        "x",
        [],
        [1],
        [[]],
        {},
        {"x": 1},
        [{}],
        {"decimal": "x"},
        [{"decimal": "x"}],
        "2026-01-31",
    ]
)


@settings(max_examples=400)
@given(st.sampled_from(list(places(DOCUMENT))), garbage)
def test_a_document_with_one_wrong_value_is_a_state_or_refused_and_nothing_else(
    path: tuple[Any, ...], value: object
) -> None:
    document = copy.deepcopy(DOCUMENT)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        state = parse_state(orjson.dumps(document), KEY)
    except LedgerError:
        return
    assert parse_state(format_state(state), KEY) == state


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(TableState) if f.name in DOCUMENT])
def test_a_document_without_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(LedgerError):
        parse_state(orjson.dumps({k: v for k, v in DOCUMENT.items() if k != name}), KEY)


@pytest.mark.parametrize(
    "path",
    [
        ("created_at",),
        ("updated_at",),
        ("last_mysql_extraction_time",),
        ("lease", "renewed"),
        ("loads", 0, "loaded_at"),
    ],
)
def test_a_time_without_a_zone_is_refused_because_it_cannot_be_compared(path: tuple[Any, ...]) -> None:
    document = copy.deepcopy(DOCUMENT)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "2026-01-31T12:00:00"
    with pytest.raises(LedgerError, match="no time zone"):
        parse_state(orjson.dumps(document), KEY)

"""Key names: every pair of format and parse is exact, and no two tables share a place."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3rs_ray.model import TableName
from s3rs_ray.storage import layout
from s3rs_ray.storage.layout import DataKey

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
tables = st.builds(TableName, names, names)
times = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31), timezones=st.just(dt.UTC)).map(
    lambda t: t.replace(microsecond=0)
)
data_keys = st.builds(DataKey, tables, times, st.integers(0, 10**7))

PLAIN = TableName("settlement", "parcels")
KEY = "incremental/settlement.parcels/year=2026/month=01/day=31/hour=23/2026-01-31_23-59-59_batch_0007.parquet"


@given(tables)
def test_any_table_name_comes_back_from_its_folder(table: TableName) -> None:
    folder = layout.format_table(table)
    assert layout.parse_table(folder) == table
    assert re.fullmatch(r"[A-Za-z0-9_$!-]*\.[A-Za-z0-9_$!-]*", folder)


@given(tables, tables)
def test_no_tables_prefix_contains_anothers(one: TableName, other: TableName) -> None:
    prefixes = [layout.table_prefix("incremental/", t) for t in (one, other)]
    assert (one == other) == prefixes[0].startswith(prefixes[1])


@pytest.mark.parametrize("other", ["parcels2", "parcels/x", "parcel", "PARCELS", "parcels.x", "parcels!2E", "parcels "])
def test_a_name_that_begins_like_another_has_a_folder_of_its_own(other: str) -> None:
    mine, theirs = (layout.table_prefix("p/", TableName("s", n)) for n in ("parcels", other))
    assert not theirs.startswith(mine)
    assert not mine.startswith(theirs)


def test_a_dot_in_the_schema_is_no_dot_of_the_name() -> None:
    assert layout.format_table(TableName("a.b", "c")) != layout.format_table(TableName("a", "b.c"))


@given(data_keys, st.sampled_from(["incremental/", "a/b/", "x"]))
def test_a_data_key_comes_back(key: DataKey, prefix: str) -> None:
    text = layout.format_data_key(prefix, key)
    assert layout.parse_data_key(prefix, text) == key
    assert text.startswith(layout.table_prefix(prefix, key.table))


def test_the_data_key_is_the_path_people_know() -> None:
    key = DataKey(PLAIN, dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC), 7)
    assert layout.format_data_key("incremental/", key) == KEY


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "incremental/",
        KEY.removeprefix("incremental/"),
        KEY + ".gz",
        KEY.replace("day=31", "day=30"),
        KEY.replace("_23-59-59", "_23-59-61"),
        KEY.replace("2026-01-31", "2026-02-31"),
        KEY.replace("_0007", "_007"),
        KEY.replace("_0007", "_00007"),
        KEY.replace("_0007", "_\u0660\u0660\u0660\u0667"),
        KEY.replace("settlement.parcels", "parcels"),
        KEY.replace("settlement.parcels", "a.b.c"),
        KEY.replace("settlement.parcels", "settlement.par cels"),
        KEY.replace("settlement.parcels", "settlement.par!63els"),
        KEY.replace("settlement.parcels", "settlement.!FF"),
        KEY.replace("settlement.parcels", "settlement.!2e"),
        KEY.replace("/year", "/old/year"),
        KEY + "\n",
    ],
)
def test_a_key_that_nobody_wrote_here_is_no_data_key(foreign: str) -> None:
    assert layout.parse_data_key("incremental/", foreign) is None


@given(st.text())
def test_no_text_is_read_as_another_keys_table(text: str) -> None:
    table = layout.parse_table(text)
    assert table is None or layout.format_table(table) == text


@given(tables)
def test_a_state_key_comes_back(table: TableName) -> None:
    assert layout.parse_state_key(layout.format_state_key(table)) == table


def test_the_state_key_is_the_path_people_know() -> None:
    assert layout.format_state_key(PLAIN) == "watermark/tables/settlement.parcels.json"


@pytest.mark.parametrize(
    "foreign",
    [
        "watermark/last_run_timestamp.txt",
        "watermark/tables/",
        "watermark/tables/a.json.bak",
        "watermark/tables/a.b.c.json",
    ],
)
def test_a_foreign_object_is_no_state(foreign: str) -> None:
    assert layout.parse_state_key(foreign) is None


@given(times, st.from_regex(r"[0-9a-f]{6}", fullmatch=True))
def test_a_run_id_holds_its_second(moment: dt.datetime, suffix: str) -> None:
    assert layout.parse_run_time(layout.format_run_id(moment, suffix)) == moment


@given(st.lists(times, min_size=2, max_size=5))
def test_run_ids_sort_by_time(moments: list[dt.datetime]) -> None:
    ids = {layout.format_run_id(m, "000000"): m for m in moments}
    assert [ids[i] for i in sorted(ids)] == sorted(set(moments))


def test_manifests_and_run_objects_lie_in_the_tables_own_folder() -> None:
    assert layout.format_manifest_key(PLAIN, "20260131T235959Z-1a2b3c", "0123456789abcdef") == (
        "manifests/settlement.parcels/20260131T235959Z-1a2b3c_0123456789ab.manifest"
    )
    assert layout.format_run_key(PLAIN, "20260131T235959Z-1a2b3c", "table.json") == (
        "runs/settlement.parcels/20260131T235959Z-1a2b3c/table.json"
    )


@given(tables, st.sampled_from(["p/", "incremental/", "x" * 200 + "/"]))
def test_a_table_whose_keys_fit_has_no_longer_one_than_s3_takes(table: TableName, prefix: str) -> None:
    assert layout.long_keys(prefix, table) == ""
    run_id = layout.format_run_id(dt.datetime(2026, 1, 31, tzinfo=dt.UTC), "1a2b3c")
    moment = layout.parse_run_time(run_id)
    keys = [
        layout.format_data_key(prefix, layout.DataKey(table, moment, 10**9)),
        layout.format_state_key(table),
        layout.format_manifest_key(table, run_id, "0" * 64),
        layout.format_run_key(table, run_id, "files.json"),
    ]
    longest = max(len(prefix), len(layout.STATE_PREFIX)) + len(layout.format_table(table)) + layout._BEHIND_TABLE
    assert all(len(key) <= longest for key in keys)


def test_a_table_whose_keys_would_be_longer_is_told_so() -> None:
    long = TableName("\u5305" * 64, "\u88f9" * 64)
    assert "S3's longest has 1024" in layout.long_keys("incremental/", long)

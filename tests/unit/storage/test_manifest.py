"""The load id, and the manifest that COPY reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from s3rs_ray.model import DataFile, TableName
from s3rs_ray.storage.manifest import copy_manifest, load_id
from tests.support import build

CHUNKS = build.run_chunks("r", [None, (1,), (2,)], of=build.window((), (2,)))
FILES = tuple(build.data_file(c, reaches=None) for c in CHUNKS)
GIVEN: dict[str, Any] = {"generation": "g0", "table": build.NAME, "target": "t", "files": FILES}


def test_the_load_id_is_the_same_for_the_same_load_in_every_process() -> None:
    assert load_id(**GIVEN) == load_id(**GIVEN)
    assert load_id(**GIVEN) == "6bb94668660c3bc87eaa2a5b26772ba134b7ffa3fa4e9d86a9cafc300f55b81e"


@pytest.mark.parametrize(
    "change",
    [
        {"generation": "g1"},
        {"table": TableName("settlement", "other")},
        {"target": "u"},
        {"files": FILES[:1]},
        {"files": FILES[::-1]},
        {"files": (FILES[0], FILES[0])},
        {"files": (FILES[0], replace(FILES[1], key="other"))},
        {"files": (FILES[0], replace(FILES[1], digest="other"))},
        {"files": (FILES[0], replace(FILES[1], rows=11))},
    ],
    ids=["generation", "table", "target", "fewer files", "order", "a file twice", "key", "digest", "rows"],
)
def test_another_load_has_another_id(change: dict[str, Any]) -> None:
    assert load_id(**{**GIVEN, **change}) != load_id(**GIVEN)


def test_parts_of_names_do_not_run_into_each_other() -> None:
    ids = {
        load_id(generation=g, table=TableName("a", "b"), target=t, files=())
        for g, t in (("g", "1t"), ("g1", "t"), ("", "g1t"))
    }
    assert len(ids) == 3


def parsed(*files: DataFile) -> Any:
    return orjson.loads(copy_manifest(files, "my-lake"))


def test_every_file_is_listed_once_mandatory_and_with_its_exact_size() -> None:
    assert parsed(*FILES) == {
        "entries": [
            {"url": f"s3://my-lake/{f.key}", "mandatory": True, "meta": {"content_length": f.bytes}} for f in FILES
        ]
    }


def test_a_file_without_rows_is_left_out() -> None:
    listed = parsed(FILES[0], replace(FILES[1], rows=0))["entries"]
    assert [e["url"] for e in listed] == [f"s3://my-lake/{FILES[0].key}"]


def test_the_manifest_is_one_json_object_in_utf_8() -> None:
    body = copy_manifest((replace(FILES[0], key="包裹.parquet"),), "my-lake")
    assert orjson.loads(body)["entries"][0]["url"] == "s3://my-lake/包裹.parquet"
    assert "包裹".encode() in body

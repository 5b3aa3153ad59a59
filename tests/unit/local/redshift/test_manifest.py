"""The rules of a COPY manifest. Source: redshift.md, "COPY ... FORMAT AS PARQUET", Manifest."""

from __future__ import annotations

import json

import pytest

from s3rs_ray.local.redshift.loaderror import LoadError
from s3rs_ray.local.redshift.manifest import ManifestEntry, parse_manifest

ENTRY = {"url": "s3://b/a//k.parquet", "mandatory": True, "meta": {"content_length": 3}}


def manifest(*entries: object) -> bytes:
    return json.dumps({"entries": list(entries)}).encode()


def test_entries_come_in_order_and_twice_when_listed_twice() -> None:
    entry = ManifestEntry(bucket="b", key="a//k.parquet", mandatory=True, content_length=3)
    assert parse_manifest(manifest(ENTRY, ENTRY)) == [entry, entry]


def test_mandatory_defaults_to_false() -> None:
    (entry,) = parse_manifest(manifest({"url": "s3://b/k", "meta": {"content_length": 3}}))
    assert entry.mandatory is False


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"{", b"\xff", b'"entries"'])
def test_what_is_no_json_object(data: bytes) -> None:
    with pytest.raises(LoadError, match=r"^Parsed manifest is not a valid JSON object\.$") as caught:
        parse_manifest(data)
    assert caught.value.code == 15003


def test_a_missing_meta_key() -> None:
    with pytest.raises(LoadError, match=r"^File entry does not have 'meta' key\.$") as caught:
        parse_manifest(manifest({"url": "s3://b/k", "mandatory": True}))
    assert caught.value.code == 15003


@pytest.mark.parametrize(
    "entry",
    [
        1,
        {},
        {"url": 1, "meta": {"content_length": 3}},
        {"url": "https://b/k", "meta": {"content_length": 3}},
        {"url": "s3://b", "meta": {"content_length": 3}},
        {"url": "s3://b/k", "meta": {}},
        {"url": "s3://b/k", "meta": {"content_length": "3"}},
        {"url": "s3://b/k", "meta": {"content_length": True}},
        {"url": "s3://b/k", "meta": {"content_length": -1}},
        {"url": "s3://b/k", "meta": {"content_length": 3}, "mandatory": "yes"},
    ],
)
def test_malformed_entries(entry: object) -> None:
    with pytest.raises(LoadError) as caught:
        parse_manifest(manifest(entry))
    assert caught.value.code == 15003


def test_the_client_is_told_a_block_of_details() -> None:
    with pytest.raises(LoadError) as caught:
        parse_manifest(b"[]")
    told = caught.value.tell(query_id=7, pid=8)
    assert (told.sqlstate, told.message) == ("XX000", "Parsed manifest is not a valid JSON object.")
    assert "\n  code:      15003\n" in told.detail
    assert "\n  process:   padbmaster [pid=8]\n" in told.detail

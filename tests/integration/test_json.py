"""JSON as text, byte for byte, and parsed into SUPER on request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from s3rs_ray.policies import JsonForm

if TYPE_CHECKING:
    from .conftest import World

DOCUMENTS = ['{"b": 1, "a": 1.10}', '[1, 12345678901234567890, "é🚚\\n"]', "null", '"text"', "{}", None]


def make(world: World) -> None:
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, doc JSON, note LONGTEXT, update_at DATETIME NOT NULL, KEY (update_at))"
    )
    rows = [(i, doc, "no json {", "2026-01-01") for i, doc in enumerate(DOCUMENTS)]
    world.execute("INSERT INTO t VALUES (%s, %s, %s, %s)", rows)


def test_json_text_arrives_byte_for_byte(world: World) -> None:
    make(world)
    world.sync_one("t")
    assert [doc for (doc,) in world.target_rows("t", "doc", "ORDER BY id")] == DOCUMENTS


@pytest.mark.parametrize("own_column", [False, True], ids=["inserted", "updated in place"])
def test_json_is_parsed_into_super_on_request_and_other_text_is_not(world: World, own_column: bool) -> None:
    make(world)
    settings = world.settings.model_copy(update={"backup_json_form": JsonForm.SUPER})
    world.sync_one("t", settings)
    if own_column:
        world.warehouse.execute(f'ALTER TABLE "{world.schema}"."t" ADD COLUMN ours INTEGER'.encode())
        world.execute("UPDATE t SET update_at = '2026-02-01'")
        assert world.sync_one("t", settings).rows_loaded == len(DOCUMENTS)
    found = world.target_rows("t", "JSON_SERIALIZE(doc), note", "ORDER BY id")
    assert [json.loads(doc) if doc else None for doc, _ in found] == [json.loads(d) if d else None for d in DOCUMENTS]
    assert {note for _, note in found} == {"no json {"}
    with world.warehouse.cursor() as cursor:
        cursor.execute(
            b"SELECT data_type FROM svv_columns WHERE table_schema = '%s' AND column_name = 'doc'"
            % world.schema.encode()
        )
        assert cursor.fetchall() == [("super",)]

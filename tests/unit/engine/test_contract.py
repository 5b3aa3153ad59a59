"""A table's contract survives its JSON, and nothing else is taken for one."""

from __future__ import annotations

import orjson
import pytest

from s3rs_ray.engine.contract import format_contract, parse_contract
from s3rs_ray.errors import SchemaDrift
from s3rs_ray.model import Table, TableName
from tests.support import build

TABLES = [
    build.table(),
    build.table(cursor_index=None, key_index="", key=("day", "ID"), name=TableName("a.b", "包裹 📦")),
    build.table(of=[]),
]


@pytest.mark.parametrize("table", TABLES)
def test_a_contract_comes_back_as_it_was(table: Table) -> None:
    assert parse_contract(format_contract(table), "key") == table


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"7", b'{"name": {"schema": "a"}}'])
def test_what_is_no_contract_is_refused_by_its_key(body: bytes) -> None:
    with pytest.raises(SchemaDrift, match=r"runs/a\.b/r1/table\.json does not describe a table"):
        parse_contract(body, "runs/a.b/r1/table.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [("columns", 7), ("columns", [{}]), ("columns", [None]), ("name", None), ("key", None), ("more", 1)],
)
def test_a_contract_with_a_wrong_part_is_refused(field: str, value: object) -> None:
    document = orjson.loads(format_contract(build.table()))
    with pytest.raises(SchemaDrift):
        parse_contract(orjson.dumps({**document, field: value}), "key")

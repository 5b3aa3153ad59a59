"""Table <-> JSON: the contract a run's files were written under, kept beside the run.

With it a warehouse can be loaded from S3 alone, without asking the source.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from ..errors import SchemaDrift
from ..model import Column, Table, TableName
from ..policies import Comparison, LongText, NulBytes, TextForm, Treatment, ZeroDates


def format_contract(table: Table) -> bytes:
    """The table as indented JSON."""
    document = dataclasses.asdict(table)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def parse_contract(body: bytes, key: str) -> Table:
    """The table in an object's body.

    Raises:
        SchemaDrift: the object does not hold one.
    """
    try:
        d = orjson.loads(body)
        return Table(
            name=TableName(**d.pop("name")),
            columns=tuple(_column(c) for c in d.pop("columns")),
            key=tuple(d.pop("key")),
            key_collations=tuple(d.pop("key_collations")),
            **d,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise SchemaDrift(
            f"{key} does not describe a table: {exc!r}",
            hint="restore the object from the bucket's versions, or extract the table anew",
        ) from exc


def _column(d: dict[str, Any]) -> Column:
    kinds = {
        "comparison": Comparison,
        "text_form": TextForm,
        "treatment": Treatment,
        "zero_dates": ZeroDates,
        "long_text": LongText,
        "nul_bytes": NulBytes,
    }
    for name, kind in kinds.items():
        d[name] = None if d[name] is None else kind(d[name])
    return Column(**d)

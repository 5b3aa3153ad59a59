"""Where the columns of a table's files, of its source and of its target are no longer the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..config import DB_NAMES, Settings
from ..errors import S3rsError
from ..model import Table
from ..source.catalog import Endpoint, open_catalog
from ..tunnel import open_source_tunnel
from ..warehouse.drift import holds, parse_type
from ..warehouse.modes import target_columns
from .loading import open_session, target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """A column that is another one elsewhere than in the newest file.

    Attributes:
        where: ``file``, ``source`` or ``redshift``.
        file: the key of the older file, where it is one.
        newest: its type in the newest file, in the words of ``where``; empty where that file does not have it.
        found: its type there; empty where it is not there.
    """

    column: str
    where: str
    newest: str
    found: str
    file: str = ""

    @property
    def kind(self) -> str:
        """``type``, ``missing`` (there) or ``new`` (in no newest file)."""
        return "missing" if not self.found else "type" if self.newest else "new"


def file_drift(newest: pa.Schema, older: pa.Schema, key: str) -> Iterator[ColumnDrift]:
    """What an older file holds otherwise, by Arrow's types."""
    types, others = ({f.name: str(f.type) for f in schema} for schema in (newest, older))
    yield from _differences(types, others, "file", key)


def source_drift(settings: Settings, contract: Table) -> list[ColumnDrift]:
    """What MySQL's table has otherwise now; columns that the settings leave out are no part of it.

    Raises:
        ConfigError, SourceError: the source could not be asked. PlanError: its table can no longer be carried.
    """
    settings.require(*DB_NAMES)
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        present = {c.name: c.source_type for c in catalog.discover(contract.name).columns}
    return list(_differences({c.name: c.source_type for c in contract.columns}, present, "source"))


def target_drift(settings: Settings, contract: Table) -> list[ColumnDrift]:
    """Columns of the files that the target does not hold exactly; nothing where there is no target yet.

    Raises:
        ConfigError, WarehouseError: the warehouse could not be asked.
    """
    settings.require(*settings.redshift_names)
    with open_session(settings) as warehouse:
        present = target_columns(warehouse, target_of(contract, settings))
    found = []
    for column in contract.columns if present else ():
        actual = present.get(column.name.lower())
        if actual is None or not holds(actual, parse_type(column.redshift_type)):
            there = "" if actual is None else str(actual)
            found.append(ColumnDrift(column=column.name, where="redshift", newest=column.redshift_type, found=there))
    return found


def both_ends(settings: Settings, contract: Table | None) -> tuple[list[ColumnDrift], dict[str, str]]:
    """The drift against source and target, and why one of them was not asked."""
    found: list[ColumnDrift] = []
    unasked: dict[str, str] = {}
    if contract is None:
        return [], dict.fromkeys(("source", "redshift"), "the contract of the newest file's run is not on S3")
    for where, look in (("source", source_drift), ("redshift", target_drift)):
        try:
            found += look(settings, contract)
        except S3rsError as exc:
            unasked[where] = exc.message
    return found, unasked


def same_columns(one: pa.Schema, other: pa.Schema) -> bool:
    """Whether batches of both can be looked at as one: the same names and types in the same order."""
    return _columns(one) == _columns(other)


def _columns(schema: pa.Schema) -> Sequence[tuple[str, str]]:
    return [(f.name, str(f.type)) for f in schema]


def _differences(
    newest: Mapping[str, str], others: Mapping[str, str], where: str, file: str = ""
) -> Iterator[ColumnDrift]:
    for name in dict.fromkeys((*newest, *others)):
        if newest.get(name) != others.get(name):
            yield ColumnDrift(
                column=name, where=where, newest=newest.get(name, ""), found=others.get(name, ""), file=file
            )

"""The target as it is against the contract: what has to be altered, and what cannot be.

Source of the rules: Amazon Redshift Database Developer Guide, "ALTER TABLE" (only the size of a VARCHAR may be changed
in place, not inside a transaction; one ADD COLUMN at a time). A number that outgrew its column moves to a wider one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import SchemaDrift
from ..model import Column
from ..table_settings import DELETED_COLUMN, LOAD_COLUMNS
from .sql import Target, quote_name

MAX_DECIMAL = 38

_NAMES = {
    "character varying": "VARCHAR",
    "numeric": "DECIMAL",
    "timestamp without time zone": "TIMESTAMP",
    "binary varying": "VARBYTE",
}
_INTEGER_DIGITS = {"SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}


@dataclass(frozen=True, slots=True)
class RedshiftType:
    """A column type: its name, and size or precision and scale where it has them."""

    name: str
    size: int = 0
    scale: int = 0

    def __str__(self) -> str:
        match self.name:
            case "DECIMAL":
                return f"DECIMAL({self.size},{self.scale})"
            case "VARCHAR" | "VARBYTE":
                return f"{self.name}({self.size})"
        return self.name


def parse_type(text: str) -> RedshiftType:
    """A type as this program writes it, e.g. ``DECIMAL(10,2)``."""
    match = re.fullmatch(r"([A-Z ]+?)(?:\((\d+)(?:,(\d+))?\))?", text)
    if match is None:
        raise ValueError(f"not a Redshift type: {text!r}")
    return RedshiftType(match[1], int(match[2] or 0), int(match[3] or 0))


def catalog_type(data_type: str, length: int | None, precision: int | None, scale: int | None) -> RedshiftType:
    """A type as SVV_COLUMNS tells it."""
    name = _NAMES.get(data_type.lower(), data_type.upper())
    if name == "DECIMAL":
        return RedshiftType(name, precision or 0, scale or 0)
    return RedshiftType(name, length or 0) if name in {"VARCHAR", "VARBYTE"} else RedshiftType(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """One change to the target.

    Attributes:
        statements: in order; together in one transaction where ``atomic``.
        says: what it does, for people.
        added: the column is new, so rows loaded before hold NULL in it.
    """

    statements: tuple[str, ...]
    says: str
    atomic: bool = False
    added: str = ""


def alterations(target: Target, present: dict[str, RedshiftType], *, anew: bool = False) -> list[Alteration]:
    """What makes the target hold every value of the contract. Columns only the target has are left alone.

    Args:
        present: the target's columns by folded name.
        anew: all rows will be replaced, so columns that cannot be altered are left to :func:`retypings`.

    Raises:
        SchemaDrift: naming each column whose type cannot become one that holds the contract's.
    """
    changes = [_add(target, name, kind) for name, kind in target.own_columns.items() if name not in present]
    refused: list[str] = []
    for column in target.columns:
        wanted = parse_type(column.redshift_type)
        actual = present.get(column.name.lower())
        if actual is None:
            changes.append(replace(_add(target, column.name, column.redshift_type), added=column.name))
        elif not holds(actual, wanted):
            wider = _wider(actual, wanted)
            if wider is None:
                refused.append(f"{column.name} is {actual} there, and {column.source_type} needs {wanted}")
            elif wider.name == "VARCHAR":
                changes.append(_widen(target, column, actual, wider))
            else:
                changes.append(_move(target, column, actual, wider))
    if refused and not anew:
        raise SchemaDrift(
            f"{target.qualified} does not fit the source: {'; '.join(refused)}",
            hint="`sync --full-refresh` changes these columns together with all rows; or rename them in Redshift",
        )
    return changes


def retypings(target: Target, present: dict[str, RedshiftType]) -> list[Alteration]:
    """What gives the columns that cannot be altered their new type, at the price of their values.

    Source: Amazon Redshift Database Developer Guide, "ALTER TABLE": DROP COLUMN is refused while a view depends on the
    column, or when it is a distribution or sort key.
    """
    changed = []
    for column in target.columns:
        actual, wanted = present.get(column.name.lower()), parse_type(column.redshift_type)
        if actual is not None and not holds(actual, wanted) and _wider(actual, wanted) is None:
            drop = f"ALTER TABLE {target.qualified} DROP COLUMN {quote_name(column.name)}"
            added = _add(target, column.name, column.redshift_type)
            says = f"makes {column.name} {wanted} instead of {actual}"
            changed.append(Alteration(statements=(drop, *added.statements), says=says))
    return changed


def holds(actual: RedshiftType, wanted: RedshiftType) -> bool:
    """Whether every value of ``wanted`` is exact in ``actual``."""
    if actual.name == wanted.name:
        if actual.name == "DECIMAL":
            return actual.scale >= wanted.scale and actual.size - actual.scale >= wanted.size - wanted.scale
        return actual.size >= wanted.size
    if wanted.name in _INTEGER_DIGITS:
        digits = _INTEGER_DIGITS[wanted.name]
        if actual.name in _INTEGER_DIGITS:
            return _INTEGER_DIGITS[actual.name] >= digits
        return actual.name == "DECIMAL" and actual.size - actual.scale >= digits
    return (actual.name, wanted.name) == ("DOUBLE PRECISION", "REAL")


def _wider(actual: RedshiftType, wanted: RedshiftType) -> RedshiftType | None:
    """A type that holds what is there and what comes, of the same kind; None when there is none."""
    if actual.name == wanted.name and actual.name in {"VARCHAR", "VARBYTE"}:
        return wanted
    if (actual.name, wanted.name) == ("REAL", "DOUBLE PRECISION"):
        return wanted
    left, right = _digits(actual), _digits(wanted)
    if left is None or right is None:
        return None
    if actual.name in _INTEGER_DIGITS and wanted.name in _INTEGER_DIGITS:
        return wanted
    whole, scale = max(left[0], right[0]), max(left[1], right[1])
    return RedshiftType("DECIMAL", whole + scale, scale) if whole + scale <= MAX_DECIMAL else None


def _digits(kind: RedshiftType) -> tuple[int, int] | None:
    """Digits before and behind the decimal point."""
    if kind.name in _INTEGER_DIGITS:
        return _INTEGER_DIGITS[kind.name], 0
    return (kind.size - kind.scale, kind.scale) if kind.name == "DECIMAL" else None


def _add(target: Target, name: str, kind: str) -> Alteration:
    return Alteration(
        statements=(f"ALTER TABLE {target.qualified} ADD COLUMN {quote_name(name)} {kind}",),
        says=f"adds the column {name} {kind}",
    )


def _widen(target: Target, column: Column, actual: RedshiftType, wider: RedshiftType) -> Alteration:
    return Alteration(
        statements=(f"ALTER TABLE {target.qualified} ALTER COLUMN {quote_name(column.name)} TYPE {wider}",),
        says=f"widens {column.name} from {actual} to {wider}",
    )


def _move(target: Target, column: Column, actual: RedshiftType, wider: RedshiftType) -> Alteration:
    """Through a new column, because Redshift changes no other type in place."""
    table, name, new = target.qualified, quote_name(column.name), quote_name(f"s3rs_new_{column.name}"[:127])
    return Alteration(
        statements=(
            f"ALTER TABLE {table} ADD COLUMN {new} {wider}",
            f"UPDATE {table} SET {new} = {name}",
            f"ALTER TABLE {table} DROP COLUMN {name}",
            f"ALTER TABLE {table} RENAME COLUMN {new} TO {name}",
        ),
        says=f"widens {column.name} from {actual} to {wider} through a new column",
        atomic=True,
    )


def only_in_target(target: Target, present: Sequence[str]) -> tuple[str, ...]:
    """Folded names of the columns no load writes: the merge must leave their values alone."""
    known = {c.name.lower() for c in target.columns} | {*LOAD_COLUMNS, *DELETED_COLUMN}
    return tuple(name for name in present if name not in known)

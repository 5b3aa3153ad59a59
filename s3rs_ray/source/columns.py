"""What becomes of each column of a table: carried, excluded, or refused with the reason. Pure.

Source of the rules for names: Amazon Redshift Database Developer Guide, "Names and identifiers" (at most 127 bytes;
folded to lower case, in quotes too) and PostgreSQL manual, "System Columns".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import ConfigError, UnsupportedTable, UnsupportedType
from ..model import Column, TableName
from ..policies import LongText, NulBytes, Policy, Treatment, ZeroDates
from ..table_settings import DELETED_COLUMN, LOAD_COLUMNS, TableSettings
from .types import SourceColumn, contract

MAX_NAME_BYTES = 127
SYSTEM_COLUMNS = frozenset({"oid", "tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"})
OWN_NAMES = frozenset({"s3rs_rank", *LOAD_COLUMNS, *DELETED_COLUMN})
"""Names this program's own statements use beside the table's columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnContract:
    """One column as ``--dry-run`` lists it.

    Attributes:
        source_type: MySQL's type, and the character set of a text.
        redshift_type: empty where the column is not carried.
        note: why it is not carried, or how it is read and what becomes of some of its values.
        column: the contract of a column that is carried.
    """

    name: str
    source_type: str
    treatment: Treatment
    redshift_type: str = ""
    note: str = ""
    column: Column | None = None


def describe_columns(
    columns: Sequence[SourceColumn], settings: TableSettings, policy: Policy
) -> tuple[ColumnContract, ...]:
    """The contract of every column of a table, in the table's order.

    Args:
        settings: the table's settings.
        policy: what holds for columns the settings say nothing of.
    """
    folded = Counter(c.name.lower() for c in columns if settings.carries(c.name))
    made = []
    for column in columns:
        if not settings.carries(column.name):
            made.append(_left_out(column, Treatment.EXCLUDED, "by the table's settings"))
            continue
        reason = refused_name(column.name)
        if folded[column.name.lower()] > 1:
            reason = f"another column is called {column.name.lower()} in Redshift too, where case does not count"
        made.append(
            _left_out(column, Treatment.REFUSED, reason)
            if reason
            else _describe(column, settings.policy(column.name, policy))
        )
    return tuple(made)


def _describe(column: SourceColumn, policy: Policy) -> ColumnContract:
    try:
        made = contract(column, policy)
    except UnsupportedType as exc:
        return _left_out(column, Treatment.REFUSED, exc.message)
    if made.long_text is LongText.EXCLUDE:
        return _left_out(column, Treatment.EXCLUDED, "it may hold texts over 65,535 bytes, and long_text is exclude")
    return ColumnContract(
        name=column.name,
        source_type=_source_type(column),
        treatment=made.treatment,
        redshift_type=made.redshift_type,
        note=_note(made),
        column=made,
    )


def _source_type(column: SourceColumn) -> str:
    """With the character set, which decides the bytes of a VARCHAR."""
    return f"{column.column_type} {column.character_set}" if column.character_set else column.column_type


def _note(column: Column) -> str:
    """What its reader must know, and which of its values are changed or refused."""
    notes = [column.note] if column.note else []
    if column.zero_dates:
        notes.append({"null": "zero dates become NULL", "refuse": "zero dates are refused"}[column.zero_dates])
    if column.max_bytes:
        cut = "cut" if column.long_text is LongText.TRUNCATE else "refused"
        notes.append(f"values over {column.max_bytes:,} bytes are {cut}")
    if column.nul_bytes:
        notes.append({"refuse": "NUL bytes are refused", "remove": "NUL bytes are removed"}[column.nul_bytes])
    if column.unmapped:
        notes.append("characters that are not in Unicode are refused")
    return "; ".join(notes)


def _left_out(column: SourceColumn, treatment: Treatment, note: str) -> ColumnContract:
    return ColumnContract(name=column.name, source_type=_source_type(column), treatment=treatment, note=note)


def refused_name(name: str) -> str:
    """Why Redshift cannot have a column of this name; empty when it can."""
    folded = name.lower()
    if folded in SYSTEM_COLUMNS:
        return "the name belongs to a system column of Redshift"
    if folded in OWN_NAMES:
        return "the name is used by this program"
    return long_name(name)


def long_name(name: str) -> str:
    """Why a name is too long for Redshift; empty when it is not."""
    size = len(name.lower().encode())
    if size > MAX_NAME_BYTES:
        return f"the name has {size} bytes; Redshift's longest has {MAX_NAME_BYTES}"
    return ""


def require_fit_name(name: TableName, alike: Sequence[str]) -> None:
    """Raises UnsupportedTable for a name Redshift cannot have, or that another of ``alike`` has there too.

    For tables whose target is called as they are.
    """
    too_long = long_name(name.name)
    if too_long:
        raise UnsupportedTable(
            f"{name} cannot be carried: {too_long}",
            hint=f"give it another name there: `target` in the settings of {name}",
        )
    twins = [other for other in alike if other != name.name and other.lower() == name.name.lower()]
    if twins:
        raise UnsupportedTable(
            f"{name} and {', '.join(twins)} are one table in Redshift, where case does not count",
            hint="give one of them another name there: `target` in its settings",
        )


def carried_columns(name: TableName, contracts: Sequence[ColumnContract]) -> tuple[Column, ...]:
    """The columns of a table that are carried.

    Raises:
        UnsupportedType: naming every column that is refused, its type and the reason.
    """
    refused = [c for c in contracts if c.treatment is Treatment.REFUSED]
    if refused:
        raise UnsupportedType(
            f"{name} cannot be carried: " + "; ".join(f"column {c.name} ({c.source_type}): {c.note}" for c in refused),
            hint=f"exclude: [{', '.join(c.name for c in refused)}] in the settings of {name} leaves them out; or give"
            " them another name or type at the source",
            context={"column": ", ".join(c.name for c in refused)},
        )
    return tuple(c.column for c in contracts if c.column is not None)


def require_known(name: TableName, columns: Sequence[SourceColumn], settings: TableSettings) -> None:
    """Raises ConfigError when a table's own settings name a column the table does not have."""
    known = {c.name.lower() for c in columns}
    unknown = [n for n in settings.named_columns if n.lower() not in known]
    if unknown:
        raise ConfigError(
            f"the settings of {name} name columns it does not have: {', '.join(unknown)}",
            hint=f"its columns are {', '.join(c.name for c in columns)}",
        )


def require_carried(name: TableName, contracts: Sequence[ColumnContract], needed: Sequence[str]) -> None:
    """Raises ConfigError when a key or cursor column is excluded."""
    missing = [c for c in contracts if c.treatment is Treatment.EXCLUDED and c.name in needed]
    if missing:
        raise ConfigError(
            f"{name}: {', '.join(c.name for c in missing)} cannot be excluded ({missing[0].note}): the table's rows are"
            " told apart and followed by its key and cursor columns",
            hint="take it out of `exclude`, add it to `include`, or name another cursor or key",
        )


def keep_keys(columns: Sequence[Column], key: Sequence[str]) -> tuple[Column, ...]:
    """The columns with the key's guarded: a key value that a policy changed would no longer find its row."""
    return tuple(_strict(c) if c.name in key else c for c in columns)


def _strict(column: Column) -> Column:
    return replace(
        column,
        zero_dates=column.zero_dates and ZeroDates.REFUSE,
        long_text=column.long_text and LongText.REFUSE,
        nul_bytes=column.nul_bytes and NulBytes.REFUSE,
    )

"""PostgreSQL's errors and notices in Redshift's words."""

from __future__ import annotations

from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.sqlerror import SqlError

__all__ = ["BackendError", "conflict", "translate_error", "translate_notice"]

_KEPT = ("S", "C", "M", "D", "H")


class BackendError(SqlError):
    """An error PostgreSQL itself reported; its transaction has failed already."""


def conflict(pid: int, table_id: int = 0) -> SqlError:
    """The serializable isolation violation, code 1023.

    Source: AWS documentation, "Serializable isolation" (text of the error and its detail).
    """
    return SqlError(
        "XX000",
        "1023",
        detail=f"Serializable isolation violation on table - {table_id}, transactions forming the cycle are: "
        f"{pid}, {pid} (pid:{pid})",
    )


def _plain(text: str) -> str:
    return text.replace(f"{INTERNAL_SCHEMA}.varchar", "character varying").replace(f"{INTERNAL_SCHEMA}.", "")


def translate_error(fields: dict[str, str], pid: int) -> BackendError:
    """The error with these fields, as a client of Redshift would see it.

    Positions, contexts and source lines are left out: they speak of the rewritten statement.
    """
    code, text = fields.get("C", "XX000"), _plain(fields.get("M", ""))
    detail, hint = _plain(fields.get("D", "")), _plain(fields.get("H", ""))
    if code == "40001":
        told = conflict(pid)
        code, text, detail, hint = told.sqlstate, told.message, told.detail, ""
    elif code == "21000" and text.startswith("MERGE"):
        # The text of AWS documentation, error_on_nondeterministic_update.
        code, text, detail, hint = "XX000", "Found multiple matches to update the same tuple.", "", ""
    elif code == "23502":
        text, detail = f"Cannot insert a NULL value into column {fields.get('c', '')}", ""
    elif code == "23514" and fields.get("n", "").startswith("decimal19_rule_"):
        code, text, detail = "XX000", "Numeric data overflow (result precision)", "64 bit overflow"
    elif code == "23514" and fields.get("n", "").startswith("char_rule_"):
        code, text, detail = "22021", "CHAR can only contain single-byte characters", ""
    return BackendError(code, text, detail=detail, hint=hint, severity=fields.get("S", "ERROR"))


def translate_notice(fields: dict[str, str]) -> bytes:
    """The body of a notice for the client."""
    kept = {key: _plain(fields[key]) for key in _KEPT if key in fields}
    return b"".join(key.encode() + value.encode() + b"\0" for key, value in kept.items()) + b"\0"

"""What the session's user may do in the warehouse, asked before a load finds out.

Source: Amazon Redshift Database Developer Guide, "HAS_SCHEMA_PRIVILEGE", "HAS_TABLE_PRIVILEGE", "CREATE TABLE".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import WarehouseError
from .redshift import Warehouse
from .sql import create_schema_sql, find_schema_sql, quote_name, quote_text

PROBE = "s3rs_probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something a load needs that is not there, and the statement that mends it; serious where a load would fail."""

    message: str
    remedy: str
    serious: bool = True


def missing_rights(warehouse: Warehouse, schema: str) -> Iterator[Lack]:
    """What a load into a schema needs and the user lacks."""
    try:
        warehouse.execute(f"CREATE TEMP TABLE {PROBE} (x INTEGER)")
        warehouse.execute(f"DROP TABLE {PROBE}")
    except WarehouseError as exc:
        yield Lack(
            message=f"no temporary table can be made: {exc.message}",
            remedy=f"GRANT TEMP ON DATABASE … TO {_user(warehouse)}",
        )
    if not warehouse.query(find_schema_sql(schema)):
        yield Lack(
            message=f"there is no schema {schema}: the first load makes it, which needs CREATE on the database",
            remedy=f"CREATE SCHEMA {quote_name(schema)}",
            serious=False,
        )
        return
    asked = f"has_schema_privilege({quote_text(schema.lower())}, "
    lacking = ", ".join(r for r in ("USAGE", "CREATE") if not _has(warehouse, f"{asked}{quote_text(r)})"))
    if lacking:
        grant = f"GRANT {lacking} ON SCHEMA {quote_name(schema)} TO {_user(warehouse)}"
        yield Lack(message=f"no {lacking} on schema {schema}", remedy=grant)


def create_missing_schema(warehouse: Warehouse, schema: str) -> None:
    """Makes a schema that is not there. IF NOT EXISTS alone would ask for CREATE on the database in any case."""
    if not warehouse.query(find_schema_sql(schema)):
        warehouse.execute(create_schema_sql(schema))


def missing_table_rights(warehouse: Warehouse, schema: str, table: str) -> Iterator[Lack]:
    """The same for a target table; nothing where it is still to be created."""
    found = warehouse.query(
        "SELECT tablename FROM pg_tables"
        f" WHERE schemaname = {quote_text(schema.lower())} AND tablename = {quote_text(table.lower())}"
    )
    qualified = f"{quote_name(schema.lower())}.{quote_name(table.lower())}"
    asked = f"has_table_privilege({quote_text(qualified)}, "
    rights = ("SELECT", "INSERT", "DELETE") if found else ()
    lacking = ", ".join(r for r in rights if not _has(warehouse, f"{asked}{quote_text(r)})"))
    if lacking:
        grant = f"GRANT {lacking} ON {qualified} TO {_user(warehouse)}"
        yield Lack(message=f"no {lacking} on {qualified}", remedy=grant)


def _user(warehouse: Warehouse) -> str:
    return quote_name(str(warehouse.query("SELECT current_user")[0][0]))


def _has(warehouse: Warehouse, question: str) -> bool:
    return bool(warehouse.query(f"SELECT {question}")[0][0])

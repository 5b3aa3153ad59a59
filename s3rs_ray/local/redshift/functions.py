"""The functions a statement may call: an allow-list, with Redshift's meaning where PostgreSQL's differs.

Source: AWS documentation, "SQL functions reference". A function that is not listed is refused. An upper-case
``TARGET`` in :data:`FUNCTIONS` names a function of the stand-in's own (``catalog``), any other one of PostgreSQL's.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported

__all__ = [
    "AGGREGATES",
    "BIT_AGGREGATES",
    "DATE_PARTS",
    "FRAMED_WINDOW_FUNCTIONS",
    "RANK_FUNCTIONS",
    "Function",
    "find_function",
]

_OWN = INTERNAL_SCHEMA + "."


@dataclass(frozen=True, slots=True)
class Function:
    """A callable function: what it is called in PostgreSQL and how many arguments it takes."""

    target: str
    least: int
    most: int


def _same(names: str, least: int, most: int | None = None) -> dict[str, Function]:
    return {name: Function(name, least, least if most is None else most) for name in names.split()}


def _own(names: str, least: int, most: int | None = None) -> dict[str, Function]:
    return {name: Function(_OWN + name, least, least if most is None else most) for name in names.split()}


AGGREGATES = frozenset({"count", "sum", "min", "max", "avg", "bool_and", "bool_or"})
# They are no window functions (AWS documentation, "Window functions").
BIT_AGGREGATES = frozenset({"bit_and", "bit_or"})
RANK_FUNCTIONS = frozenset({"row_number", "rank", "dense_rank", "lag", "lead", "ntile", "percent_rank", "cume_dist"})
# With ORDER BY these need an explicit frame (AWS documentation, "Window functions", frame_clause).
FRAMED_WINDOW_FUNCTIONS = AGGREGATES | {"first_value", "last_value"}

_ANY = 1000
_FUNCTIONS: dict[str, Function] = {
    **_same("count min max bool_and bool_or bit_and bit_or", 1),
    **_own("sum avg", 1),
    **_same("row_number rank dense_rank percent_rank cume_dist", 0),
    **_same("lag lead", 1, 2),
    **_same("ntile first_value last_value", 1),
    **_same("coalesce greatest least", 1, _ANY),
    "nvl": Function("coalesce", 1, _ANY),
    **_same("nullif", 2),
    **_own("nvl2", 3),
    **_same("abs ceil ceiling floor sign sqrt exp ln", 1),
    **_same("mod power", 2),
    **_own("trunc round", 1, 2),
    **_own("upper lower", 1),
    **_own("ltrim rtrim btrim", 1, 2),
    **_own("len length char_length character_length octet_length", 1),
    **_own("left right repeat", 2),
    **_own("replace lpad translate", 3),
    **_own("substring substr", 2, 3),
    **_own("strpos charindex", 2),
    **_own("split_part", 3),
    **_own("concat", 2),
    **_own("md5", 1),
    **_own("sha2", 2),
    **_own("strtol", 2),
    **_own("to_hex", 1),
    **_own("from_hex hex_to_bin", 1),
    **_own("from_varbyte to_varbyte", 2),
    **_own("sha sha1 func_sha1", 1),
    **_own("crc32", 1),
    **_own("fnv_hash", 1, 2),
    **_own("convert_timezone", 2, 3),
    **_own("to_date to_timestamp", 2),
    **_same("date_trunc", 2),
    **_own("last_day", 1),
    **_own("getdate", 0),
    **_own("json_parse json_serialize is_valid_json", 1),
    **_own("pg_last_copy_count pg_last_copy_id", 0),
    **_same("pg_backend_pid current_database current_schema", 0),
    **_own("version", 0),
    **_own("pg_cancel_backend pg_terminate_backend", 1),
    **_own("has_table_privilege", 2, 3),
    **_own("has_schema_privilege", 2, 3),
}

# Known to PostgreSQL and to people; Redshift runs them on the leader node only, so a query on user tables fails.
_LEADER_ONLY = frozenset({"now", "generate_series", "random_between", "array_agg", "string_agg", "clock_timestamp"})

DATE_PARTS: dict[str, str] = {
    "year": "year", "years": "year", "yr": "year", "yrs": "year", "y": "year",
    "quarter": "quarter", "quarters": "quarter", "qtr": "quarter", "qtrs": "quarter",
    "month": "month", "months": "month", "mon": "month", "mons": "month",
    "week": "week", "weeks": "week", "w": "week",
    "day": "day", "days": "day", "d": "day",
    "hour": "hour", "hours": "hour", "hr": "hour", "hrs": "hour", "h": "hour",
    "minute": "minute", "minutes": "minute", "min": "minute", "mins": "minute", "m": "minute",
    "second": "second", "seconds": "second", "sec": "second", "secs": "second", "s": "second",
    "millisecond": "millisecond", "milliseconds": "millisecond", "ms": "millisecond", "msec": "millisecond",
    "microsecond": "microsecond", "microseconds": "microsecond", "us": "microsecond", "usec": "microsecond",
    "epoch": "epoch", "dow": "dow", "dayofweek": "dow", "doy": "doy", "dayofyear": "doy",
}  # fmt: skip


def find_function(name: str, arguments: int) -> Function:
    """The function called ``name`` when it may be called with that many arguments.

    Raises:
        SqlError: 0A000 for one that is not on the list, 42883 for a wrong number of arguments.
    """
    function = _FUNCTIONS.get(name)
    if function is None:
        if name in _LEADER_ONLY:
            # Redshift's text for a leader-node function in a query that runs on the compute nodes.
            raise SqlError(
                "0A000",
                "Specified types or functions (one per INFO message) not supported on Redshift tables.",
                detail=f'Function "{name}" not supported.',
            )
        raise not_supported(f"function {name} is not supported")
    if not function.least <= arguments <= function.most:
        raise SqlError("42883", f"function {name} does not take {arguments} arguments")
    return function

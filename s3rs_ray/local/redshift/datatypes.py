"""Redshift's data types as the stand-in keeps them in PostgreSQL.

Source: AWS documentation, "Data types"; redshift.md, "Types and names".
VARCHAR, VARBYTE and SUPER are types of the stand-in's own (see ``catalog``): VARCHAR counts bytes and ignores
trailing blanks when compared, VARBYTE shows as plain hex, SUPER has its own type code on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported

__all__ = ["MAX_VARCHAR", "DataType", "data_type"]

MAX_VARCHAR = 65535
_MAX_CHAR = 4096
_MAX_VARBYTE = 16777216
_MAX_PRECISION = 38
_MAX_SCALE = 37

_SIMPLE: dict[str, str] = {
    "smallint": "smallint",
    "int2": "smallint",
    "integer": "integer",
    "int": "integer",
    "int4": "integer",
    "bigint": "bigint",
    "int8": "bigint",
    "real": "real",
    "float4": "real",
    "double precision": "double precision",
    "float8": "double precision",
    "float": "double precision",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "time": "time",
    "time without time zone": "time",
    "timetz": "timetz",
    "time with time zone": "timetz",
}
_VARCHAR_NAMES = frozenset({"varchar", "character varying", "nvarchar", "text"})
_CHAR_NAMES = frozenset({"char", "character", "nchar", "bpchar"})
_VARBYTE_NAMES = frozenset({"varbyte", "varbinary", "binary varying"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A type as declared.

    Attributes:
        name: Redshift's name of it, without arguments.
        postgres: what stands for it in PostgreSQL, with arguments.
        length: the declared length in bytes of VARCHAR, CHAR and VARBYTE, else None.
        precision: the precision of DECIMAL, else None.
        scale: the scale of DECIMAL, else None.
    """

    name: str
    postgres: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None


def data_type(name: str, arguments: list[str], *, column: bool) -> DataType:
    """The type called ``name`` (lower case, words joined by one blank) with its arguments as written.

    Args:
        column: of a column definition; there a VARCHAR without length has 256 bytes, in a cast it has no limit.

    Raises:
        SqlError: 0A000 for a type Redshift does not have, 42601 for wrong arguments.
    """
    if name in _SIMPLE:
        if arguments:
            raise not_supported(f'type "{name}" takes no arguments here')
        postgres = _SIMPLE[name]
        return DataType(name=postgres, postgres=postgres)
    if name in _VARCHAR_NAMES:
        return _varchar(name, arguments, column=column)
    if name in _CHAR_NAMES:
        length = _length(name, arguments, 256 if name == "bpchar" else 1, _MAX_CHAR)
        return DataType(name="character", postgres=f"character({length})", length=length)
    if name in _VARBYTE_NAMES:
        length = _length(name, arguments, 64000, _MAX_VARBYTE)
        return DataType(name="varbyte", postgres=f"{INTERNAL_SCHEMA}.varbyte({length})", length=length)
    if name in {"decimal", "numeric"}:
        return _decimal(arguments)
    if name == "super" and not arguments:
        return DataType(name="super", postgres=f"{INTERNAL_SCHEMA}.super")
    raise not_supported(f'type "{name}" is not supported')


def _varchar(name: str, arguments: list[str], *, column: bool) -> DataType:
    if not arguments and not column:
        # AWS documentation, VARCHAR: in an expression the length is that of the input.
        return DataType(name="character varying", postgres=f"{INTERNAL_SCHEMA}.varchar")
    length = 256 if name == "text" or not arguments else _length(name, arguments, 256, MAX_VARCHAR)
    return DataType(name="character varying", postgres=f"{INTERNAL_SCHEMA}.varchar({length})", length=length)


def _length(name: str, arguments: list[str], default: int, most: int) -> int:
    if not arguments:
        return default
    if len(arguments) != 1:
        raise SqlError("42601", f"type {name} takes one length")
    if arguments[0] == "max":
        return most
    length = int(arguments[0])
    if not 1 <= length <= most:
        raise SqlError("22023", f"length for type {name} must be between 1 and {most}")
    return length


def _decimal(arguments: list[str]) -> DataType:
    precision = int(arguments[0]) if arguments else 18
    scale = int(arguments[1]) if len(arguments) > 1 else 0
    if len(arguments) > 2 or not 1 <= precision <= _MAX_PRECISION:
        raise SqlError("22023", f"NUMERIC precision {precision} must be between 1 and {_MAX_PRECISION}")
    if not 0 <= scale <= min(precision, _MAX_SCALE):
        raise SqlError("22023", f"NUMERIC scale {scale} must be between 0 and precision {precision}")
    return DataType(name="numeric", postgres=f"numeric({precision},{scale})", precision=precision, scale=scale)

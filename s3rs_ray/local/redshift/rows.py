"""Row descriptions and rows on their way to the client: type codes and the text of VARBYTE."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from s3rs_ray.local.redshift.longnames import LongNames

__all__ = ["Codes", "Columns"]

_VARBYTE = 6551
_AFTER_NAME = struct.Struct("!ihihih")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a result: their description for the client, and which of them are VARBYTE."""

    description: bytes
    varbytes: frozenset[int]

    def row(self, body: bytes) -> bytes:
        """A row for the client: PostgreSQL writes bytes as ``\\x6162``, Redshift as ``6162``."""
        if not self.varbytes:
            return body
        out = bytearray(body[:2])
        at = 2
        for index in range(int.from_bytes(body[:2], "big")):
            length = int.from_bytes(body[at : at + 4], "big", signed=True)
            at += 4
            value = body[at : at + max(length, 0)]
            at += len(value)
            if index in self.varbytes and value.startswith(b"\\x"):
                value, length = value[2:], length - 2
            out += length.to_bytes(4, "big", signed=True) + value
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Codes:
    """What must be told differently: type codes of the stand-in's own types, names PostgreSQL had to cut.

    Attributes:
        known: type code in PostgreSQL -> type code of Redshift.
        names: the names that were too long.
    """

    known: dict[int, int]
    names: LongNames

    def columns(self, body: bytes) -> Columns:
        """Reads and rewrites a RowDescription."""
        out = bytearray(body[:2])
        varbytes: set[int] = set()
        at = 2
        for index in range(int.from_bytes(body[:2], "big")):
            end = body.index(b"\0", at) + 1
            table, number, code, size, modifier, form = _AFTER_NAME.unpack_from(body, end)
            code = self.known.get(code, code)
            if code == _VARBYTE:
                varbytes.add(index)
            out += (
                self.names.label(body[at : end - 1])
                + b"\0"
                + _AFTER_NAME.pack(table, number, code, size, modifier, form)
            )
            at = end + _AFTER_NAME.size
        return Columns(bytes(out), frozenset(varbytes))

    def parameters(self, body: bytes) -> bytes:
        """Rewrites a ParameterDescription."""
        count = int.from_bytes(body[:2], "big")
        codes = struct.unpack_from(f"!{count}i", body, 2)
        return body[:2] + struct.pack(f"!{count}i", *(self.known.get(code, code) for code in codes))

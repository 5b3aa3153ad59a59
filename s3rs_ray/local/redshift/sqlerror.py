"""The errors told to a client, with the texts and codes Redshift uses."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["SqlError", "not_supported", "syntax_error"]


class SqlError(Exception):
    """An error as it goes over the wire.

    Args:
        sqlstate: five characters, for instance ``0A000``.
        message: one line, the field ``M``.
        detail: the field ``D``, empty when there is none.
        hint: the field ``H``, empty when there is none.
        severity: ``ERROR`` leaves the session alive, ``FATAL`` ends it.
    """

    def __init__(
        self, sqlstate: str, message: str, *, detail: str = "", hint: str = "", severity: str = "ERROR"
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint
        self.severity = severity

    def fields(self, restore: Callable[[str], str] = str) -> bytes:
        """The body of an ErrorResponse: one letter and a text for each field, then a zero byte.

        Args:
            restore: applied to the texts, for names that are kept under shorter ones.
        """
        texts = [("M", restore(self.message)), ("D", restore(self.detail)), ("H", restore(self.hint))]
        pairs = [("S", self.severity), ("C", self.sqlstate), *texts]
        return b"".join(k.encode() + v.encode() + b"\0" for k, v in pairs if v) + b"\0"


def not_supported(message: str) -> SqlError:
    """What Redshift does not have, or what nobody confirmed that it has (SQLSTATE 0A000)."""
    return SqlError("0A000", message)


def syntax_error(near: str) -> SqlError:
    """A statement outside the grammar (SQLSTATE 42601), told the way PostgreSQL and Redshift tell it."""
    return SqlError("42601", f'syntax error at or near "{near}"' if near else "syntax error at end of input")

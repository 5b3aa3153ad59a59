"""Names of 64 to 127 bytes, which Redshift has and PostgreSQL cuts at 63.

A long name is kept under a short one (see ``tokens.stored_name``); this is the way back, for result columns, catalog
views and errors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from s3rs_ray.local.redshift.backend import Backend
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.tokens import Kind, Token, quote_literal, stored_name

__all__ = ["LongNames"]


class LongNames:
    """All long names any client has used; safe to use from many sessions at once.

    Args:
        open_admin: opens a session that may write the table behind the catalog views.
    """

    def __init__(self, open_admin: Callable[[], Backend]) -> None:
        self._open_admin = open_admin
        self._lock = threading.Lock()
        admin = open_admin()
        try:
            rows = admin.query(f"SELECT short, long FROM {INTERNAL_SCHEMA}.long_names")
        finally:
            admin.close()
        self._long = {str(short): str(long) for short, long in rows}

    def note(self, tokens: Iterable[Token]) -> None:
        """Remembers the long names among these tokens."""
        for token in tokens:
            if token.kind in {Kind.WORD, Kind.NAME}:
                short = stored_name(token.value)
                if short != token.value and short not in self._long:
                    self._add(short, token.value)

    def restore(self, text: str) -> str:
        """The text with every short name replaced by the long one it stands for."""
        for short, long in list(self._long.items()):
            if short in text:
                text = text.replace(short, long)
        return text

    def label(self, name: bytes) -> bytes:
        """The name of a result column as the client knows it."""
        long = self._long.get(name.decode()) if self._long else None
        return name if long is None else long.encode()

    def _add(self, short: str, long: str) -> None:
        with self._lock:
            admin = self._open_admin()
            try:
                admin.query(
                    f"INSERT INTO {INTERNAL_SCHEMA}.long_names VALUES ({quote_literal(short)}, {quote_literal(long)}) "
                    "ON CONFLICT DO NOTHING"
                )
            finally:
                admin.close()
            self._long[short] = long

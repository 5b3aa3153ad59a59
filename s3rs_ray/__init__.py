"""s3rs-ray: very large MySQL tables into Amazon Redshift by way of Parquet on S3, with Ray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .config import Settings
    from .engine.context import Request
    from .engine.driver import backup, plan, sync
    from .errors import S3rsError

__all__ = ["Request", "S3rsError", "Settings", "__version__", "backup", "plan", "sync"]

_HOMES = {
    "Request": ".engine.context",
    "S3rsError": ".errors",
    "Settings": ".config",
    "backup": ".engine.driver",
    "plan": ".engine.driver",
    "sync": ".engine.driver",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: no part of the package waits for drivers that it does not use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)

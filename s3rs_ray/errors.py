"""Every exception this package raises on purpose.

Third-party exceptions are translated at the one seam where their driver lives, so a caller needs this tree only::

    S3rsError
    ├── ConfigError              a setting is missing, unknown or wrong                       exit 2
    ├── UsageError               the command's words are off                                   exit 2
    ├── PlanError                the table cannot be moved, said before any work               exit 1
    │   ├── TableNotFound        the source has no such table                                  exit 2
    │   ├── UnsupportedType      a column that cannot be carried exactly
    │   ├── UnsupportedTable     no usable key or cursor column
    │   └── SchemaDrift          source, state, files and warehouse no longer agree
    ├── SourceError              MySQL refused, failed or went away
    │   ├── SourceUnavailable    it could not be reached or did not let us in
    │   ├── SourceStalled        it took a query and did not answer in time
    │   ├── SourceTimeout        it ended a read at the statement time limit
    │   └── WorkerLost           a worker that read it is gone, with its process or its node
    ├── StorageError             S3 refused, failed or went away
    │   ├── StorageUnavailable   it could not be reached, or the bucket is not there
    │   ├── ObjectNotFound       no object under that key
    │   ├── PreconditionFailed   somebody else wrote first (HTTP 412)
    │   ├── ConditionalConflict  two conditional writes met (HTTP 409): try again
    │   └── StorageUnknown       the reply was lost: the write may or may not have happened
    ├── WarehouseError           Redshift refused, failed or went away
    │   ├── WarehouseUnavailable it could not be reached or did not let us in
    │   ├── LoadConflict         1023 / 1018: the whole transaction may be tried again
    │   ├── CommitUnknown        the connection died at COMMIT: look the load id up
    │   └── CopyInterrupted      S3 failed a COPY into staging for a moment: the load may be tried again
    ├── LedgerError              the state of a table does not allow the change
    │   ├── TableBusy            another run holds the table                                   exit 5
    │   └── LeaseLost            this run no longer holds the table                          exit 5
    ├── ClusterLost              the Ray cluster went away under a run
    ├── IntegrityError           two counts that must be equal are not                         exit 4
    │   └── DoubtfulDeletes      more rows seem gone from the source than is believed          exit 4
    ├── LocalStackError          the embedded stack could not be brought up
    └── Interrupted              a signal asked the run to stop                                exit 130 / 143

*Failed* (nothing happened) and *unknown* (it may have happened) are told apart, because only the first may be
tried again without looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "ClusterLost",
    "CommitUnknown",
    "ConditionalConflict",
    "ConfigError",
    "CopyInterrupted",
    "DoubtfulDeletes",
    "IntegrityError",
    "Interrupted",
    "LeaseLost",
    "LedgerError",
    "LoadConflict",
    "LocalStackError",
    "ObjectNotFound",
    "PlanError",
    "PreconditionFailed",
    "S3rsError",
    "SchemaDrift",
    "SourceError",
    "SourceStalled",
    "SourceTimeout",
    "SourceUnavailable",
    "StorageError",
    "StorageUnavailable",
    "StorageUnknown",
    "TableBusy",
    "TableNotFound",
    "UnsupportedTable",
    "UnsupportedType",
    "UsageError",
    "WarehouseError",
    "WarehouseUnavailable",
    "WorkerLost",
]


class S3rsError(Exception):
    """The root: a message, a hint that names the remedy, and the values it speaks of.

    Args:
        message: what is wrong, with the value it is wrong about.
        hint: what to do, naming the setting or command to use; empty when there is nothing to do.
        context: further facts for logs and JSON (never secrets).

    Every task error crosses Ray, so every class here survives ``pickle``: the three values above are its whole
    state, and no subclass has a constructor of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", context: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context: dict[str, str] = dict(context or {})

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.context))

    def __str__(self) -> str:
        return self.message

    def to_json(self) -> dict[str, object]:
        """An error in every document alike."""
        return {"type": type(self).__name__, "message": self.message, "hint": self.hint, "context": self.context}


def _rebuild(kind: type[S3rsError], message: str, hint: str, context: dict[str, str]) -> S3rsError:
    return kind(message, hint=hint, context=context)


class ConfigError(S3rsError):
    """A setting is missing, unknown or wrong."""

    exit_code = 2


class UsageError(S3rsError):
    """The command's words are off."""

    exit_code = 2


class PlanError(S3rsError):
    """The table cannot be moved; said before any work."""


class TableNotFound(PlanError):
    """The source has no such table."""

    exit_code = 2


class UnsupportedType(PlanError):
    """A column that cannot be carried exactly."""


class UnsupportedTable(PlanError):
    """No usable key or cursor column."""


class SchemaDrift(PlanError):
    """Source, state, files and warehouse no longer agree on the table."""


class SourceError(S3rsError):
    """MySQL refused, failed or went away."""


class SourceUnavailable(SourceError):
    """MySQL could not be reached or did not let us in."""


class SourceStalled(SourceError):
    """MySQL took a query and did not answer in time."""


class SourceTimeout(SourceError):
    """The server ended a read at the statement time limit: fewer rows at a time may be read in it."""


class WorkerLost(SourceError):
    """A worker that read the source is gone: its process or node died, memory ran out, its result cannot be fetched."""


class StorageError(S3rsError):
    """S3 refused, failed or went away."""


class StorageUnavailable(StorageError):
    """S3 could not be reached, did not let us in, or the bucket is not there."""


class ObjectNotFound(StorageError):
    """No object under that key."""


class PreconditionFailed(StorageError):
    """A conditional write lost: somebody else wrote first (HTTP 412)."""


class ConditionalConflict(StorageError):
    """Two conditional writes met (HTTP 409): nothing is known to have happened, and it may be tried again."""


class StorageUnknown(StorageError):
    """The reply to a write was lost: it may or may not have happened."""


class WarehouseError(S3rsError):
    """Redshift refused, failed or went away."""


class WarehouseUnavailable(WarehouseError):
    """Redshift could not be reached or did not let us in."""


class LoadConflict(WarehouseError):
    """Serializable isolation violation (1023) or a like conflict: the whole transaction may be tried again."""


class CommitUnknown(WarehouseError):
    """The connection died at COMMIT: only the load ledger knows whether it happened."""


class CopyInterrupted(WarehouseError):
    """S3 failed a COPY into staging for a moment; nothing came of it, so the load may be tried again whole."""


class LedgerError(S3rsError):
    """The state of a table does not allow the change."""


class TableBusy(LedgerError):
    """Another run holds the table."""

    exit_code = 5


class LeaseLost(LedgerError):
    """This run no longer holds the table; another has taken it over."""

    exit_code = 5


class ClusterLost(S3rsError):
    """The Ray cluster's head is gone, or another one that knows nothing of the run; what was finished is kept."""


class IntegrityError(S3rsError):
    """Two counts or checksums that must be equal are not; nothing was committed."""

    exit_code = 4


class DoubtfulDeletes(IntegrityError):
    """More rows seem gone from the source than is believed without a word; none was deleted or marked."""


class LocalStackError(S3rsError):
    """The embedded stack could not be brought up."""


class Interrupted(S3rsError):
    """A signal asked the run to stop; what was finished is kept."""

    exit_code = 130

"""The errors of a COPY, in the form Redshift tells them.

Source: the detail block as seen in public reports of live warehouses (amazon-redshift-python-driver issue 107,
rudder-server pull request 3178, aws-lambda-redshift-loader pull request 221); codes and texts: redshift.md, "COPY".
"""

from __future__ import annotations

from dataclasses import dataclass

from s3rs_ray.local.redshift.sqlerror import SqlError

__all__ = ["LoadError", "manifest_error", "s3_error", "scan_error"]

# Errors of the files and values; the others are of access (8001, 9001, 30000) and of the manifest (15003).
_WHILE_LOADING = frozenset({15001, 15007})
_RULE = "-----------------------------------------------"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where in the data the error was found, for SYS_LOAD_ERROR_DETAIL."""

    file: str = ""
    column: str = ""
    type: str = ""
    length: str = ""


class LoadError(SqlError):
    """A COPY that failed.

    Args:
        error: the short text, the message of the error.
        code: Redshift's own number.
        context: the long text.
        location: the source file Redshift names.
        spot: where in the data it was found.
    """

    def __init__(self, error: str, code: int, context: str, location: str, spot: Spot | None = None) -> None:
        super().__init__("XX000", error)
        self.code = code
        self.context = context
        self.location = location
        self.spot = spot or Spot()

    @property
    def began(self) -> bool:
        """Whether the load itself had begun: a manifest was read and the credentials were good."""
        return self.code in _WHILE_LOADING

    def tell(self, query_id: int, pid: int) -> SqlError:
        """The error as the client sees it, with the block of details."""
        process = "padbmaster" if self.location.startswith("spectrum_manifest") else "worker_thread"
        lines = [
            "",
            _RULE,
            f"error:  {self.message}",
            f"code:      {self.code}",
            f"context:   {self.context}",
            f"query:     {query_id}",
            f"location:  {self.location}",
            f"process:   {process} [pid={pid}]",
            _RULE,
            "",
        ]
        return SqlError(self.sqlstate, self.message, detail="\n  ".join(lines))


def manifest_error(text: str) -> LoadError:
    """Something is wrong with the manifest (15003)."""
    return LoadError(text, 15003, "", "spectrum_manifest.cpp:204")


def scan_error(context: str, *, file: str, column: str = "", type_name: str = "", length: str = "") -> LoadError:
    """Something is wrong with a Parquet file or a value in it (15007)."""
    spot = Spot(file=file, column=column, type=type_name, length=length)
    return LoadError("Spectrum Scan Error", 15007, context, "dory_util.cpp:1450", spot)


def s3_error(error: str, code: int, context: str, file: str = "") -> LoadError:
    """S3 did not give what was asked for."""
    return LoadError(error, code, context, "dory_util.cpp:1450", Spot(file=file))

"""The completion marker of a table: written last, and only when its part of a command ended well.

A sensor waits for ``runs/<schema.table>/<execution_id>/_SUCCESS``; execution ids begin with the UTC time at which the
command started. A command that found nothing to do leaves one as well: the table is up to date.
"""

from __future__ import annotations

import logging

import orjson

from ..errors import PreconditionFailed, S3rsError
from ..storage.layout import SUCCESS, format_run_key
from .context import Run
from .events import TableResult

log = logging.getLogger(__name__)


def mark_success(run: Run, result: TableResult) -> str:
    """Writes the marker; returns why it could not be, or an empty text.

    The rows have been moved all the same, so that is a warning and no failure.
    """
    request = run.request
    body = {
        "table": str(result.table),
        "execution_id": run.execution_id,
        "status": result.status.value,
        "stages": [stage for stage, asked in (("extract", request.extract), ("load", request.load)) if asked],
        "limit": request.limit,
        "started": run.started.isoformat(),
        "ended": run.clock().isoformat(),
        "rows_extracted": result.rows_extracted,
        "rows_loaded": result.rows_loaded,
        "files_created": result.files_created,
        "bytes": result.bytes,
        "watermark": result.watermark,
        "verified_rows": result.verified_rows,
    }
    key = format_run_key(result.table, run.execution_id, SUCCESS)
    try:
        run.store.put_new(key, orjson.dumps(body))
    except PreconditionFailed:
        return ""  # a try whose reply was lost wrote it: no other command has this id
    except S3rsError as exc:
        log.warning("%s: %s", result.table, exc)
        return f"the completion marker {run.store.url(key)} could not be written: {exc}"
    return ""

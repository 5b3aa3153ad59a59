"""The marker of a table: written last, ``_SUCCESS`` when its part of a command ended well, ``_FAILED`` when not.

A sensor waits for ``runs/<schema.table>/<execution_id>/_SUCCESS``; execution ids begin with the UTC time at which the
command started. A command that found nothing to do leaves one as well: the table is up to date. A command that failed
before its first table leaves ``_FAILED`` for the tables it was asked for by name, and for those its globs match of the
tables S3 knows.
"""

from __future__ import annotations

import logging

import orjson

from ..errors import PreconditionFailed, S3rsError
from ..storage.layout import FAILED, SUCCESS, format_run_key
from .context import Run
from .events import Status, TableResult

log = logging.getLogger(__name__)


def mark_end(run: Run, result: TableResult) -> str:
    """Writes the marker; returns why it could not be, or an empty text.

    What was done with the rows stands all the same, so that is a warning and no failure.
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
        "error": result.error or None,
        "hint": result.hint or None,
        "exit_code": result.exit_code,
    }
    well = result.status in (Status.SUCCESS, Status.NOTHING)
    key = format_run_key(result.table, run.execution_id, SUCCESS if well else FAILED)
    try:
        if not well:
            run.store.check()  # S3 may be why it failed: asked briefly, so that the end of the command is not held up
        run.store.put_new(key, orjson.dumps(body))
    except PreconditionFailed:
        return ""  # a try whose reply was lost wrote it: no other command has this id
    except S3rsError as exc:
        log.warning("%s: %s", result.table, exc)
        return f"the marker {run.store.url(key)} could not be written: {exc}"
    return ""

"""What stays of a run when it has left the state: its plan and files, in an object of its own.

With it the state does not grow with every file ever written, and what lies on S3 can be told from what nobody owns.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from ..errors import LedgerError, PreconditionFailed
from ..ledger.document import format_run, parse_run
from ..ledger.state import OpenRun
from ..model import TableName
from ..storage.layout import RUN_PREFIX, format_run_key, format_table
from ..storage.s3 import ObjectStore

RECORD = "files.json"


def write_record(store: ObjectStore, table: TableName, run: OpenRun) -> None:
    """Keeps a run that ends; a second call, after a crash in between, finds the first one's."""
    try:
        store.put_new(format_run_key(table, run.run_id, RECORD), orjson.dumps(format_run(run)))
    except PreconditionFailed:
        return


def read_records(store: ObjectStore, table: TableName) -> Iterator[OpenRun]:
    """The runs of a table that have ended, oldest first."""
    for item in store.list(f"{RUN_PREFIX}{format_table(table)}/"):
        if item.key.endswith(f"/{RECORD}"):
            body = store.get(item.key).body
            try:
                yield parse_run(orjson.loads(body))
            except (KeyError, TypeError, ValueError) as exc:
                raise LedgerError(
                    f"{item.key} is not the record of a run: {exc!r}",
                    hint="restore the object from the bucket's versions",
                ) from exc

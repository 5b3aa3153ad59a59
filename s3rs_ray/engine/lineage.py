"""OpenLineage: START and COMPLETE, FAIL or ABORT of each table, with its datasets and their columns.

Source: OpenLineage specification 2-0-2 (OpenLineage.json) and its facets, whose published classes the tests compare
every event with; "Naming conventions" for the names of datasets. Delivery is tried once for each event and never fails
a run.
"""

from __future__ import annotations

import datetime as dt
import http.client
import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import orjson

from ..config import Settings
from ..ledger.store import utc_now
from ..model import Column, TableName
from ..storage.layout import table_prefix
from ..version import __version__
from .context import Request
from .events import Status, TableResult

log = logging.getLogger(__name__)

PRODUCER = f"urn:s3rs-ray:{__version__}"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"
ENDPOINT = "/api/v1/lineage"
SECONDS = 5
"""How long a delivery may take."""

Json: TypeAlias = dict[str, Any]
_ENDS = {
    Status.SUCCESS: "COMPLETE",
    Status.NOTHING: "COMPLETE",
    Status.FAILED: "FAIL",
    Status.INTERRUPTED: "ABORT",
}


def _facet(version: str, name: str, **content: object) -> Json:
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{version}/{name}.json#/$defs/{name}", **content}


def run_event(settings: Settings, request: Request, execution_id: str, name: TableName, at: dt.datetime) -> Json:
    """The event that says that a table's work starts; the others are made from it."""
    run = str(uuid.uuid5(uuid.NAMESPACE_URL, f"s3rs-ray:{execution_id}:{name}"))
    s3 = {"namespace": f"s3://{settings.s3_bucket_name}", "name": _lake(settings, name)}
    mysql = {"namespace": f"mysql://{settings.db_host}:{settings.db_port}", "name": str(name)}
    outputs = [*([s3] if request.extract else []), *([_warehouse(settings, name)] if request.load else [])]
    kind = _facet("2-0-4", "JobTypeJobFacet", processingType="BATCH", integration="S3RS_RAY", jobType="JOB")
    return {
        "eventType": "START",
        "eventTime": at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "run": {"runId": run, "facets": {}},
        "job": {"namespace": settings.openlineage_namespace, "name": f"sync.{name}", "facets": {"jobType": kind}},
        "inputs": [mysql if request.extract else s3],
        "outputs": outputs,
    }


def end_event(started: Json, result: TableResult, at: dt.datetime) -> Json:
    """The event that says how it ended."""
    facets: Json = {}
    if result.error:
        facets["errorMessage"] = _facet(
            "1-0-1", "ErrorMessageRunFacet", message=result.error, programmingLanguage="PYTHON"
        )
    return {
        **started,
        "eventType": _ENDS[result.status],
        "eventTime": at.isoformat(),
        "run": {**started["run"], "facets": facets},
        "inputs": [_described(dataset, result) for dataset in started["inputs"]],
        "outputs": [{**_described(d, result), **_statistics(d, result)} for d in started["outputs"]],
    }


def _described(dataset: Json, result: TableResult) -> Json:
    if not result.columns:
        return dataset
    fields = _fields(result.columns, source=dataset["namespace"].startswith("mysql:"))
    return {**dataset, "facets": {"schema": _facet("1-2-0", "SchemaDatasetFacet", fields=fields)}}


def _fields(columns: Sequence[Column], *, source: bool) -> list[Json]:
    return [
        {"name": c.name, "type": c.source_type if source else c.redshift_type, "ordinal_position": place}
        for place, c in enumerate(columns, 1)
    ]


def _statistics(dataset: Json, result: TableResult) -> Json:
    lake = dataset["namespace"].startswith("s3:")
    counts = {"rowCount": result.rows_extracted, "size": result.bytes, "fileCount": result.files_created}
    if not lake:
        counts = {"rowCount": result.rows_loaded, "size": result.bytes_loaded}
    counted = _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", **counts)
    return {"outputFacets": {"outputStatistics": counted}}


def _lake(settings: Settings, name: TableName) -> str:
    return table_prefix(settings.s3_incremental_path, name).rstrip("/")


def _warehouse(settings: Settings, name: TableName) -> Json:
    """``redshift://{cluster}.{region}:{port}`` for a host name of AWS, the host itself for another."""
    schema, table = settings.target(name)
    host, parts = settings.redshift_host, settings.redshift_host.split(".")
    if host.endswith((".redshift.amazonaws.com", ".redshift-serverless.amazonaws.com")) and len(parts) > 5:
        host = f"{parts[0]}.{parts[-4]}"
    return {
        "namespace": f"redshift://{host}:{settings.redshift_port}",
        "name": f"{settings.redshift_database}.{schema}.{table}",
    }


@dataclass(slots=True)
class Lineage:
    """Sends the events of a command to OPENLINEAGE_URL, from several threads; does nothing where it is not set.

    After a delivery that failed nothing more is tried: a server that is down costs a command a few seconds once.
    """

    settings: Settings
    request: Request
    execution_id: str
    _started: dict[TableName, Json] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _given_up: bool = False

    def start(self, name: TableName) -> None:
        """A table's work starts."""
        if self.settings.openlineage_url:
            event = run_event(self.settings, self.request, self.execution_id, name, utc_now())
            with self._lock:
                self._started[name] = event
            self._send(event)

    def end(self, result: TableResult) -> None:
        """A table's work has ended."""
        started = self._started.get(result.table)
        if started is not None:
            self._send(end_event(started, result, utc_now()))

    def _send(self, event: Json) -> None:
        with self._lock:
            if self._given_up:
                return
            try:
                self._deliver(orjson.dumps(event))
            except (OSError, http.client.HTTPException) as exc:
                self._given_up = True
                log.warning("OPENLINEAGE_URL: an event was not delivered, no more are sent: %s", exc or repr(exc))

    def _deliver(self, body: bytes) -> None:
        parts = urlsplit(self.settings.openlineage_url)
        if parts.scheme == "file":
            with Path(parts.path).open("ab") as file:
                file.write(body + b"\n")
            return
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json"}
        if key := self.settings.openlineage_api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        try:
            connection.request("POST", parts.path.rstrip("/") + ENDPOINT, body, headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise http.client.HTTPException(f"HTTP {answer.status} {answer.reason}")
        finally:
            connection.close()

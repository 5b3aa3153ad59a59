"""OpenLineage events: their form, their delivery to a real server, and servers that fail."""

from __future__ import annotations

import http.server
import logging
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.context import Request
from s3rs_ray.engine.events import Status, TableResult
from s3rs_ray.engine.lineage import Lineage
from s3rs_ray.errors import ConfigError
from tests.support.build import NAME, columns

TOKEN = "Not-To-Be-Seen"
BASE = {
    "DB_HOST": "mysql.internal",
    "S3_BUCKET_NAME": "lake",
    "REDSHIFT_HOST": "warehouse.abc.eu-central-1.redshift.amazonaws.com",
    "REDSHIFT_DATABASE": "dev",
    "OPENLINEAGE_API_KEY": TOKEN,
}


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what is posted; answers with ``status``."""

    status = 201

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), orjson.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def lineage(url: str, **asked: Any) -> Lineage:
    settings = Settings.load(environment=BASE | {"OPENLINEAGE_URL": url})
    return Lineage(settings, Request(tables=("t",), **asked), "20260131T120000Z-abc")


def result(status: Status = Status.SUCCESS, error: str = "") -> TableResult:
    return TableResult(
        table=NAME,
        status=status,
        rows_extracted=7,
        bytes=700,
        files_created=3,
        rows_loaded=6,
        bytes_loaded=600,
        error=error,
        columns=columns(),
    )


def test_a_run_is_two_events_of_the_specification(receiver: Receiver) -> None:
    sent = lineage(f"http://127.0.0.1:{receiver.server_port}")
    sent.start(NAME)
    sent.end(result())
    assert [path for path, _, _ in receiver.taken] == ["/api/v1/lineage"] * 2
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for _, headers, _ in receiver.taken)
    start, end = (event for _, _, event in receiver.taken)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    for event in (start, end):
        assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        assert re.fullmatch(r"[a-z]+:.+", event["producer"])
        assert event["eventTime"].endswith("+00:00")
        assert uuid.UUID(event["run"]["runId"])
        assert {"namespace", "name"} <= set(event["job"])
        for facet in facets(event):
            assert {"_producer", "_schemaURL"} <= set(facet)
    assert start["run"]["runId"] == end["run"]["runId"]
    assert [(d["namespace"], d["name"]) for d in end["inputs"]] == [("mysql://mysql.internal:3306", str(NAME))]
    assert [(d["namespace"], d["name"]) for d in end["outputs"]] == [
        ("s3://lake", "incremental/settlement.parcels"),
        ("redshift://warehouse.eu-central-1:5439", "dev.public.parcels"),
    ]
    fields = [d["facets"]["schema"]["fields"] for d in (*end["inputs"], *end["outputs"])]
    assert [f[2] for f in fields] == [
        {"name": "amount", "type": "decimal(10,2)", "ordinal_position": 3},
        {"name": "amount", "type": "DECIMAL(10,2)", "ordinal_position": 3},
        {"name": "amount", "type": "DECIMAL(10,2)", "ordinal_position": 3},
    ]
    counted = [d["outputFacets"]["outputStatistics"] for d in end["outputs"]]
    assert [(c["rowCount"], c["size"], c.get("fileCount")) for c in counted] == [(7, 700, 3), (6, 600, None)]


def facets(event: Any) -> Iterator[Any]:
    for holder in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        yield from holder.get("facets", {}).values()
        yield from holder.get("outputFacets", {}).values()


@pytest.mark.parametrize(
    ("status", "kind"), [(Status.FAILED, "FAIL"), (Status.INTERRUPTED, "ABORT"), (Status.NOTHING, "COMPLETE")]
)
def test_every_end_has_its_own_event(tmp_path: Path, status: Status, kind: str) -> None:
    path = tmp_path / "events.ndjson"
    sent = lineage(f"file:{path}", extract=False)
    sent.start(NAME)
    sent.end(result(status, "why" if kind != "COMPLETE" else ""))
    start, end = map(orjson.loads, path.read_bytes().splitlines())
    assert (start["eventType"], end["eventType"]) == ("START", kind)
    assert [d["namespace"] for d in end["inputs"]] == ["s3://lake"]
    error = end["run"]["facets"].get("errorMessage")
    assert (error and error["message"]) == ("why" if kind != "COMPLETE" else None)


@pytest.mark.parametrize("status", [301, 401, 500])
def test_a_server_that_refuses_is_told_of_once_and_left_alone(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.status = status
    sent = lineage(f"http://127.0.0.1:{receiver.server_port}")
    with caplog.at_level(logging.WARNING):
        sent.start(NAME)
        sent.end(result())
    assert len(receiver.taken) == 1
    assert caplog.text.count("not delivered") == 1
    assert f"HTTP {status}" in caplog.text
    assert TOKEN not in caplog.text


def test_a_server_that_is_not_there_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sent = lineage("http://127.0.0.1:1")
    with caplog.at_level(logging.WARNING):
        sent.start(NAME)
        sent.end(result())
    assert caplog.text.count("not delivered") == 1


def test_without_a_url_nothing_is_sent() -> None:
    sent = lineage("")
    sent.start(NAME)
    sent.end(result())


@pytest.mark.parametrize("url", ["marquez:5000", "http://", "file:", "ftp://host/x"])
def test_a_url_that_leads_nowhere_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match="OPENLINEAGE_URL"):
        lineage(url)

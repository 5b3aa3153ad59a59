"""The link of bounded speed: what goes through, and how fast at most."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from benchmarks.link import Pace, open_link
from benchmarks.readme import rows

SENT = bytes(range(256)) * 2000


def test_bytes_wait_for_those_before_them_over_all_connections() -> None:
    pace = Pace(1000)
    assert pace.take(100) == pytest.approx(0.1, abs=0.05)
    assert pace.take(200) == pytest.approx(0.3, abs=0.05)
    pace.free_at = 0.0
    assert pace.take(100) == pytest.approx(0.1, abs=0.05), "what was not used is not saved up"


def test_everything_comes_through_and_no_faster_than_the_link() -> None:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            assert connection.recv(5) == b"hello"
            connection.sendall(SENT)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        with (
            open_link("127.0.0.1", server.getsockname()[1], 2e6) as port,
            socket.create_connection(("127.0.0.1", port), 10) as client,
        ):
            client.sendall(b"hello")
            with client.makefile("rb") as answer:
                assert answer.read() == SENT
        assert time.monotonic() - began > len(SENT) / 2e6 * 0.8


def test_the_readme_says_that_there_was_a_link() -> None:
    document = {"rows": 10, "link_bytes_per_second": 3e7, "ratios": [{"title": "a / b", "value": 0.9, "goal": 0.85}]}
    assert list(rows(document)) == [("a / b (10 rows, the source behind 30 MB/s)", "0.9", ">= 0.85", "reached")]

"""What went wrong elsewhere and no other test here shows; ``README.md`` has the whole table."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from s3rs_ray.engine import loading, tasks
from s3rs_ray.engine.events import Status
from s3rs_ray.engine.loading import open_session
from s3rs_ray.engine.tasks import open_store
from s3rs_ray.source.extract import read_chunk
from s3rs_ray.storage.layout import format_state_key

from .crashing import Point
from .ends import Ends
from .runs import Runs


def test_a_reader_that_ends_early_and_says_nothing_is_found_out(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*arguments: Any, **more: Any) -> Any:
        extract = read_chunk(*arguments, **more)
        return replace(extract, data=extract.data.slice(0, extract.data.num_rows - 1))

    monkeypatch.setattr(tasks, "read_chunk", short)
    (failed,) = ends.world.sync("t")
    assert failed.status is Status.FAILED
    assert "read 399 rows, the source counts 400" in failed.error
    assert (failed.rows_loaded, failed.exit_code) == (0, 4)
    assert ends.files() == []
    monkeypatch.undo()
    assert ends.world.sync_one("t").rows_loaded == 400
    ends.assert_settled()


def test_no_row_loaded_though_files_wait_is_a_failure(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.world.sync_one("t", load=False)
    monkeypatch.setattr(loading, "next_load", lambda *_: ())
    (failed,) = ends.world.sync("t", extract=False)
    assert failed.status is Status.FAILED
    assert "files wait to be loaded and none was" in failed.error
    monkeypatch.undo()
    assert ends.world.sync_one("t", extract=False).rows_loaded == 400
    ends.assert_settled()


def test_a_lease_removed_by_hand_stops_its_owner_and_doubles_nothing(ends: Ends, runs: Runs) -> None:
    first = runs.sync(point=Point("AddFiles.before", 2, "pause"))
    first.wait_paused()
    store, key = open_store(ends.world.settings), format_state_key(ends.world.name("t"))
    found = store.get(key)
    store.put_if(key, json.dumps({**json.loads(found.body), "lease": None}).encode(), found.version)
    second = runs.sync()
    assert second.wait() == 0, second.stderr
    first.go_on()
    assert first.wait() == 5, first.stderr
    ends.assert_settled()
    ends.assert_each_row_merged_once()


def test_a_state_is_not_shared_by_two_targets(ends: Ends, runs: Runs) -> None:
    runs.settle()
    ends.change(day=1)
    refused = runs.sync(change={"REDSHIFT_SCHEMA": "elsewhere"})
    assert refused.wait() == 1, refused.stderr
    assert "the state was made for the target" in refused.stderr
    runs.settle()
    ends.assert_settled()


def test_a_connection_whose_other_end_is_gone_is_given_up(ends: Ends) -> None:
    """The reply to a COPY may be lost on the way: the kernel asks after the peer, and Redshift stops by itself."""
    with open_session(ends.world.settings) as session:
        peer: socket.socket = session._connection._usock
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, interval, count = (
            peer.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + interval * count <= 120
        (limit,) = session.query("SHOW statement_timeout")[0]
    assert limit not in ("0", 0)


def test_the_source_is_read_by_no_more_than_max_workers(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    now, most = 0, 0

    def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        try:
            return read_chunk(*arguments, **more)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(tasks, "read_chunk", counted)
    settings = ends.world.settings.model_copy(update={"backup_batch_size": 20, "backup_max_workers": 3})
    assert ends.world.sync_one("t", settings).files_created == 20
    assert most == 3


def test_rows_that_keep_leaving_their_chunk_are_explained(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hot table: between the plan and every read, and right after every read, rows are updated out of the window."""
    plain = ends.world.settings.model_copy(update={"backup_batch_size": 100, "backup_max_workers": 1})
    left = iter(ends.world.source_rows("t", "id", "ORDER BY update_at, id"))

    def leave() -> None:
        for (key,) in itertools.islice(left, 3):
            ends.world.execute(f"UPDATE t SET update_at = UTC_TIMESTAMP() + INTERVAL 1 DAY WHERE id = {key}")

    def hot(*arguments: Any, **more: Any) -> Any:
        leave()
        extract = read_chunk(*arguments, **more)
        leave()
        return extract

    monkeypatch.setattr(tasks, "read_chunk", hot)
    result = ends.world.sync_one("t", plain)
    assert 350 < result.rows_loaded < 400
    gone = 400 - result.rows_loaded
    assert ends.world.target_rows("t", "count(*), count(distinct id)") == [(400 - gone, 400 - gone)]


def test_a_listing_goes_on_behind_its_first_page(ends: Ends) -> None:
    """S3 returns at most a thousand objects at once; here it is asked for ten."""
    store = open_store(ends.world.settings)
    keys = [f"listing/{ends.world.schema}/{n:05d}" for n in range(25)]
    for key in keys:
        store.put_new(key, b"")
    asked: list[object] = []

    def ten_at_once(params: dict[str, object], **_: object) -> None:
        params["MaxKeys"] = 10
        asked.append(params.get("ContinuationToken"))

    events = store._client.meta.events
    events.register("provide-client-params.s3.ListObjectsV2", ten_at_once)
    try:
        assert [o.key for o in store.list(f"listing/{ends.world.schema}/")] == keys
    finally:
        events.unregister("provide-client-params.s3.ListObjectsV2", ten_at_once)
    assert len(asked) == 3


def test_a_busy_table_ends_the_run(ends: Ends, runs: Runs) -> None:
    """Rows written while a run goes on belong to the next one."""
    run = runs.sync(point=Point("AddFiles.before", 3, "pause"))
    run.wait_paused()
    ends.change(day=1)
    run.go_on()
    assert run.wait() == 0, run.stderr
    assert runs.result(run)["rows_loaded"] <= 400
    runs.settle()
    ends.assert_settled()


def test_a_killed_run_whose_rows_change_before_the_next(ends: Ends, runs: Runs) -> None:
    """The plan is kept; rows that left its window meanwhile come with the next one."""
    killed = runs.sync(point="AddFiles.after:2")
    assert killed.wait() == -signal.SIGKILL
    ends.change(day=1)
    later = runs.settle()
    assert len(later) == 2
    ends.assert_settled()

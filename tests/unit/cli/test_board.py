"""The lines of progress: what they count, how they fit, and when they say how long it still takes."""

from __future__ import annotations

import pytest

from s3rs_ray.cli.board import Board
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.model import TableName
from tests.support.build import NAME, NOON


def event(kind: EventKind, table: TableName | None = NAME, **facts: str | int | float) -> Event:
    return Event(kind=kind, at=NOON, table=table, facts=facts)


def plan(chunks: int, rows: int, estimated: int, complete: int = 0) -> Event:
    return event(EventKind.PLANNED, chunks=chunks, rows=rows, estimated_rows=estimated, complete=complete)


def chunk(rows: int, size: int = 1_000_000) -> Event:
    return event(EventKind.CHUNK_DONE, chunk=0, rows=rows, bytes=size)


def taken(*events: tuple[float, Event]) -> Board:
    board = Board()
    for now, each in events:
        board.take(each, now)
    return board


STARTED = event(EventKind.CHUNK_STARTED, chunk=0, rows=1, attempt=1)


def test_rows_a_second_and_the_time_left_come_from_what_was_read_so_far() -> None:
    board = taken((0, plan(4, 400, 1000)), (0, STARTED), (10, chunk(100)), (20, chunk(100)))
    line = board.tables[str(NAME)]
    assert line.rate(20) == 10
    assert line.seconds_left(20) == 80  # 800 of the 1000 estimated rows, at 10 a second
    board.take(plan(3, 300, 1000, complete=1), 20)
    assert line.seconds_left(20) == 10  # the plan is complete: what it says counts, not the guess


def test_the_slower_stage_says_how_long_it_takes() -> None:
    board = taken(
        (0, plan(4, 400, 0, complete=1)),
        (0, STARTED),
        (10, chunk(200)),
        (10, event(EventKind.LOAD_STARTED, files=1, rows=200)),
        (20, event(EventKind.LOAD_DONE, files=1, rows=100)),
    )
    assert board.tables[str(NAME)].seconds_left(20) == 30  # 300 rows at 10 a second; reading needs 20


def test_nothing_is_said_of_the_time_left_before_a_chunk_ended_or_when_the_table_did() -> None:
    board = taken((0, plan(4, 400, 0)), (0, STARTED))
    line = board.tables[str(NAME)]
    assert (line.seconds_left(5), line.rate(0)) == (None, 0)
    board.take(chunk(100), 10)
    board.take(event(EventKind.TABLE_DONE, status="success"), 10)
    assert line.seconds_left(10) is None
    assert line.rate(1000) == 10  # the clock stops with the table


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 200])
@pytest.mark.parametrize("retries", [0, 3])
def test_no_line_is_longer_than_the_terminal(width: int, retries: int) -> None:
    names = [TableName("settlement", f"settlement_normal_delivery_detail_{i}") for i in range(3)]
    board = Board(wanted=5)
    for name in names:
        for kind, facts in (
            (EventKind.PLANNED, {"chunks": 1234, "rows": 123_456_789, "estimated_rows": 0, "complete": 1}),
            (EventKind.CHUNK_STARTED, {}),
            (EventKind.CHUNK_DONE, {"rows": 98_765_432, "bytes": 12_345_678_901}),
            *[(EventKind.CHUNK_RETRIED, {})] * retries,
            (EventKind.LOAD_STARTED, {"rows": 1}),
        ):
            board.take(event(kind, name, **facts), 0)
    lines = board.lines(100, width=width)
    assert len(lines) == 5
    assert max(map(len, lines)) <= width
    assert all(line.split()[0].endswith(f"_{i}") for i, line in enumerate(lines[1:-1]))
    if width >= 80:
        assert ("retries" in lines[0]) == bool(retries)
    if width >= 120:
        assert "98,765,432" in lines[1]
        assert "total: 0 of 5 tables" in lines[-1]
    if width >= 80:
        assert "0:00:25" in lines[1]


@pytest.mark.parametrize(("width", "size"), [(200, "7.3 kB"), (80, "7,312")])
def test_the_size_of_a_small_file_is_not_zero(width: int, size: str) -> None:
    board = taken((0, plan(1, 5, 5)), (0, STARTED), (1, chunk(5, size=7312)))
    heads, line, _ = board.lines(2, width=width)
    assert line[: heads.index("size") + 4].endswith(f" {size}")


def test_open_tables_stay_in_sight_where_the_terminal_is_short() -> None:
    board = Board(wanted=30)
    for i in range(30):
        name = TableName("s", f"t{i}")
        board.take(event(EventKind.TABLE_STARTED, name), 0)
        if i != 29:
            board.take(event(EventKind.TABLE_FAILED if i == 7 else EventKind.TABLE_DONE, name, status="success"), 1)
    lines = board.lines(2, width=80, height=8)
    assert len(lines) <= 8
    assert {"s.t29", "s.t7"} <= {line.split()[0] for line in lines}
    assert lines[-1] == "… and 25 more tables"


def test_a_table_that_was_only_verified_is_done() -> None:
    board = taken((0, event(EventKind.VERIFY_STARTED)), (2, event(EventKind.VERIFIED, rows=5)))
    _, line, total = board.lines(3, width=80)
    assert line.split() == [str(NAME), "verified"]
    assert total == "total: 1 of 1 table"


def test_the_board_says_why_the_source_is_spared_until_it_has_recovered() -> None:
    board = taken((0, plan(4, 400, 0)), (0, STARTED))
    reason = "Threads_running is 41, over 30"
    board.take(event(EventKind.PACED, None, readers=2, reason=reason, spared=True), 1)
    assert board.lines(2, width=80)[-1] == f"the source is spared: 2 readers; {reason}"
    board.take(event(EventKind.PACED, None, readers=0, reason=reason, spared=True), 3)
    assert board.lines(4, width=80)[-1] == f"the source is spared: paused; {reason}"
    assert len(board.lines(4, width=40)[-1]) == 40
    board.take(event(EventKind.PACED, None, readers=1, reason="the source has recovered", spared=False), 5)
    assert board.lines(6, width=80)[-1].startswith("total")


def test_the_board_says_why_tasks_wait_until_a_node_has_come() -> None:
    board = taken((0, plan(4, 400, 0)), (0, STARTED))
    reason = "a task needs 0.5 CPU; its only node has 0 CPU"
    board.take(event(EventKind.WAITING, None, reason=reason, waits=True), 1)
    assert board.lines(2, width=80)[-1] == f"waiting for nodes: {reason}"
    board.take(event(EventKind.WAITING, None, reason="a node has come", waits=False), 3)
    assert board.lines(4, width=80)[-1].startswith("total")


def test_a_board_without_events_shows_nothing() -> None:
    assert Board().lines(0, width=80) == []

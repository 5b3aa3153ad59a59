"""The lines of progress on a terminal."""

from __future__ import annotations

import datetime as dt
import io

from rich.console import Console

from s3rs_ray.cli.progress import Lines
from s3rs_ray.engine.events import Event, EventKind
from s3rs_ray.model import TableName


def test_what_the_terminal_echoes_of_a_signal_finds_room_behind_every_line() -> None:
    lines = Lines()
    name = TableName("settlement", "settlement_normal_delivery_detail_of_many_partners")
    lines.board.take(Event(kind=EventKind.TABLE_STARTED, at=dt.datetime.now(dt.UTC), table=name), 0)
    console = Console(width=80, file=io.StringIO())
    with console.capture() as drawn:
        console.print(lines)
    text = drawn.get()
    assert max(map(len, text.splitlines())) <= 78
    assert "settle…many_partners" in text

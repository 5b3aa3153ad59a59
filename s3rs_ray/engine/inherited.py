"""The old global watermark: how far a program before this one carried all tables, for a table that has no state yet.

It is one moment for every table, told in a zone that nobody knows, and often the greatest cursor of a range. So it is
believed only of a table whose target holds as many rows before it as the source does, and the day before it is read
again. Where it is not believed the table is carried from its beginning, which is right in any case.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from ..errors import ObjectNotFound
from ..ledger.apply import apply
from ..ledger.changes import SetWatermark
from ..ledger.state import TableState
from ..model import Table, Watermark, Window
from ..source.catalog import Catalog
from ..source.chunks import window_range
from ..warehouse import sql
from ..warehouse.modes import target_columns, with_marks
from ..wording import counted
from .by_hand import cursor_at
from .context import Hold, Run
from .loading import open_session, target_of
from .plan import SECONDS_A_DAY, window_start
from .planning import wants_refresh

INHERITED = "inherited"
"""What ``backup_strategy`` says of such a watermark until the first run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What the old watermark means for a table.

    Attributes:
        change: moves the watermark there; None where the table begins as any other.
        note: what somebody should know of it.
    """

    change: SetWatermark | None = None
    note: str = ""

    def over(self, state: TableState) -> TableState:
        """The state that a run starts from."""
        return apply(state, self.change, state.updated_at) if self.change else state

    def commit(self, hold: Hold) -> None:
        """Makes it durable, unless somebody else began the table meanwhile: there is no more than the lease then."""
        if self.change is not None and len(hold.load().recent_changes) == 1:
            hold.commit(self.change)


def find_inherited(run: Run, catalog: Catalog, table: Table, state: TableState) -> Inherited:
    """Where the first run of a table starts. Reads and loads alone ask: without the target nothing can be believed."""
    first = not state.is_kept and run.request.extract and run.request.load
    if not first or not table.cursor or wants_refresh(run, table.name):
        return Inherited()
    text = _old_text(run)
    if not text:
        return Inherited()
    named = f"the old global watermark {text} ({run.store.url(run.settings.s3_high_watermark_key)})"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return Inherited(note=f"{named} is no time: the table is carried from its beginning")
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    unit = run.settings.backup_cursor_unit
    place = Watermark(position=(cursor_at(table, moment, unit),))
    start = window_start(place, SECONDS_A_DAY, unit)
    there = _rows_before(run, table, start)
    if not there:
        return Inherited()
    before = Window(after=Watermark.START, upto=start)
    here = catalog.count(table, before, window_range(table, before))
    held = f"its target holds {counted(there, 'row')} up to the day before, the source {here:,}"
    if there < here:
        return Inherited(note=f"{named} is not believed, because {held}: the table is carried from its beginning")
    return Inherited(
        change=SetWatermark(watermark=start, generation=secrets.token_hex(6), strategy=INHERITED),
        note=f"there is no state: carried on from the day before {named}, because {held};"
        f" `s3rs-ray verify -t {table.name}` compares what lies before",
    )


def _old_text(run: Run) -> str:
    """What the object says; empty where there is none."""
    try:
        body = run.store.get(run.settings.s3_high_watermark_key).body
    except ObjectNotFound:
        return ""
    return body.decode(errors="replace").strip().strip("\"'")[:64]


def _rows_before(run: Run, table: Table, place: Watermark) -> int:
    """How many rows the target holds before a place; 0 where it is not there or has no such column."""
    target = target_of(table, run.settings)
    with open_session(run.settings) as warehouse:
        present = target_columns(warehouse, target)
        if table.cursor.lower() not in present:
            return 0
        asked = sql.count_between_sql(with_marks(target, present), low=False, closed=False)
        return warehouse.number(asked, place.position[:1])

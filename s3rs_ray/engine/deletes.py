"""Rows that are gone from the source, followed in the target: found by their keys, doubted, looked up again, removed.

Keys alone are compared, counts and checksums of segments in both databases. Every key that only the target holds is
looked up at the source again just before its row goes: see :func:`follow_deletes` for what may happen in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from ..errors import DoubtfulDeletes, UnsupportedTable
from ..ledger.state import TableState
from ..model import KeyRange, Table, TableName
from ..policies import Deletes, Mode
from ..positions import Position
from ..source.catalog import Catalog
from ..warehouse import sql
from ..warehouse.checksums import asked_sql
from ..warehouse.redshift import Warehouse
from ..warehouse.removal import Removal, count_loads, remove
from .compare import Asked, Comparison, compare_table, open_comparison
from .context import Hold, Run
from .differences import Difference, Finding, SegmentResult
from .events import EventKind
from .loading import open_session, target_identity
from .mending import Gone
from .planning import open_source, wants_refresh
from .segments import find_within, plain_key

log = logging.getLogger(__name__)

BATCH_KEYS = 50_000
"""Keys that go in one transaction; so many are in memory."""
LOOKED_UP = 500
"""Keys that one query looks up at the source."""
EVERY_ROW = Asked(tables=())
CANDIDATES = (Difference.EXTRA, Difference.TWICE)
"""What a key may be that the source does not hold: one that the target holds twice is said to be that."""


def wanted_deletes(run: Run, table: Table) -> Deletes | None:
    """How rows gone from the source are followed after a sync; None where they are not.

    Raises:
        UnsupportedTable: they cannot be.
    """
    how = run.settings.deletes(table.name)
    if how is Deletes.KEEP or not run.request.load or wants_refresh(run, table.name):
        return None  # what replaces the whole table leaves none
    require_deletable(table.name, run.settings.mode(table.name), table)
    return how


def require_deletable(name: TableName, mode: Mode, table: Table) -> None:
    """Raises UnsupportedTable for a table whose rows cannot be followed when they are deleted at the source."""
    if mode is Mode.MERGE and table.key:
        return
    why = "it has no key" if mode is Mode.MERGE else f"its mode is {mode}"
    raise UnsupportedTable(
        f"{name}: rows that are gone from the source cannot be removed, because {why}",
        hint=f"leave --deletes out, or give `deletes: keep` in the settings of {name}",
    )


def follow_deletes(hold: Hold, how: Deletes, ranges: Sequence[KeyRange] = (), asked: Asked = EVERY_ROW) -> Gone:
    """Deletes or marks the rows of a table that are gone from the source.

    A row may be inserted again at the source with the key of one that is about to go. Looked up before that, it stays
    away from here; inserted afterwards, it is newer than any horizon a sync has had, because a cursor grows on every
    insert, and the next sync carries it.

    Args:
        ranges: only these, in the order of the key; empty for all rows.
        asked: of the rows that may go, their condition and their least cursor.

    Raises:
        DoubtfulDeletes: more rows seem gone than is believed; none was removed.
        IntegrityError: another run loaded the table meanwhile.
    """
    run = hold.run
    state, opened = hold.load(), _keys_alone(run, hold.table, asked)
    target, identity = opened.compared.target.target, target_identity(hold.table, run.settings)
    with open_session(run.settings) as warehouse:
        known = count_loads(warehouse, target, hold.table, identity)
    if ranges and not opened.compared.parts:
        opened = replace(opened, chosen=tuple(ranges))
    results = [r for r in compare_table(run, opened, listed=0) if r.counts]
    found = sum(r.counts.get(Difference.EXTRA, 0) for r in results)
    gone = Gone(how=how, found=found)
    if any(r.counts.get(kind) for r in results for kind in CANDIDATES):
        _require_believable(run, opened, found)
        removing = _Removing(hold=hold, state=state, opened=opened, how=how, known=known)
        gone = replace(gone, removed=removing.carry_out(results), back=removing.back)
    run.say(EventKind.DELETED, hold.table, deletes=how.value, found=found, rows=gone.removed)
    return gone


def _keys_alone(run: Run, name: TableName, asked: Asked) -> Comparison:
    """Every key of the source counts, also of rows that are not synced yet."""
    opened = open_comparison(run, replace(asked, keys=True), name)
    compared = opened.compared
    require_deletable(name, compared.target.mode, opened.table)
    source = replace(compared.source, upto=None, nulls=False)
    return replace(opened, compared=replace(compared, source=source))


def _require_believable(run: Run, opened: Comparison, found: int) -> None:
    """A source that is empty all of a sudden, or another table by that name, must not empty the target."""
    name, target = opened.table.name, opened.compared.target.target
    most = run.settings.max_delete_percent(name)
    with open_session(run.settings) as warehouse:
        rows = warehouse.number(sql.count_live_sql(target))
    if found * 100 <= most * rows:
        return
    share = found * 100 / rows
    raise DoubtfulDeletes(
        f"{name}: {found:,} of the {rows:,} rows of {target.qualified} ({share:.4g} %) seem gone from the source, more"
        f" than BACKUP_MAX_DELETE_PERCENT = {most} allows; none was deleted or marked",
        hint=f"look whether {name} at the source is the table it should be, and whole; if the rows are gone on purpose,"
        f" run once with --max-delete-percent {min(100, int(share) + 1)}",
        context={"gone": str(found), "rows": str(rows)},
    )


@dataclass(slots=True, kw_only=True)
class _Removing:
    """The removal of a table's rows, a batch after the other.

    Attributes:
        known: rows of the load ledger that are no surprise.
        back: keys that the source held again.
    """

    hold: Hold
    state: TableState
    opened: Comparison
    how: Deletes
    known: int
    back: int = 0

    def carry_out(self, results: Sequence[SegmentResult]) -> int:
        """Removes what is still gone; returns the rows."""
        run, removed, unkeyed = self.hold.run, 0, False
        with open_source(run) as catalog, open_session(run.settings) as warehouse:
            candidates = self._candidates(catalog, warehouse, results)
            while batch := tuple(islice(candidates, BATCH_KEYS)):
                self.hold.check()
                keyed = [(f, f.position) for f in batch if f.position is not None]
                unkeyed = unkeyed or len(keyed) < len(batch)
                absent = self._absent(catalog, keyed)
                if absent:
                    removed += self._remove(tuple(absent))
        if unkeyed:
            self.hold.check()
            removed += self._remove((), unkeyed=True)
        return removed

    def _candidates(
        self, catalog: Catalog, warehouse: Warehouse, results: Sequence[SegmentResult]
    ) -> Iterator[Finding]:
        for result in results:
            if result.buckets is None or not any(result.counts.get(kind) for kind in CANDIDATES):
                continue
            for finding in find_within(self.opened.compared, catalog, warehouse, result, result.buckets):
                if finding.kind in CANDIDATES:
                    yield finding

    def _absent(self, catalog: Catalog, batch: Sequence[tuple[Finding, Position]]) -> list[Position]:
        """The keys of a batch that the source does not hold now."""
        of, absent = self.opened.compared, []
        for start in range(0, len(batch), LOOKED_UP):
            some = batch[start : start + LOOKED_UP]
            found = catalog.cursors(self.opened.table, [key for _, key in some])
            present = {plain_key(of, cast(Position, row[1:])) for row in found}
            for finding, key in some:
                if plain_key(of, key) not in present:
                    absent.append(key)
                elif finding.kind is Difference.EXTRA:
                    self.back += 1
        return absent

    def _remove(self, keys: tuple[Position, ...], *, unkeyed: bool = False) -> int:
        settings, table = self.hold.run.settings, self.opened.table
        removal = Removal(
            table=table.name,
            target=self.opened.compared.target.target,
            identity=target_identity(table.name, settings),
            generation=self.state.generation,
            run_id=self.hold.run.execution_id,
            keys=keys,
            unkeyed=asked_sql(self.opened.compared.target) if unkeyed else "",
            soft=self.how is Deletes.SOFT,
            known=self.known,
        )
        removed = remove(lambda: open_session(settings), removal)
        self.known += 1
        return removed

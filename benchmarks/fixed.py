"""What a run costs however few rows there are, and what planning costs for each million of index entries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from s3rs_ray.engine.events import EventKind
from s3rs_ray.policies import RangeOrder

from .case import Case, case_on, cut
from .commands import Finished, run
from .marks import Mark
from .sample import WrongResult
from .tables import ONE_ROW

RAY = ("raylet", "gcs_server")
"""Ray's own programs: seen below a command that starts it."""
NOTHING_S, NOTHING_INLINE_S, PLAN_S = 1.5, 1.0, 0.2
LEAST_PLANNED_ROWS = 500_000
"""Below it a few round trips count for more than the steps along the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """One cost, each round's."""

    title: str
    seconds: Sequence[float]
    goal: float | None = None

    @property
    def mark(self) -> Mark:
        return Mark(title=self.title, value=median(self.seconds), most=self.goal, unit="s")


def fixed_costs(case: Case, rounds: int) -> list[Fixed]:
    """All of them, medians of ``rounds``."""
    with case.stack.mariadb.connect() as connection:
        ONE_ROW.fill(connection, 1)
    with case_on(case.stack, ONE_ROW, case.environment) as small:
        rows = [_commands(small) for _ in range(rounds)]
    rows = [{**taken, **_first_read(case), **_planning(case)} for taken in rows]
    goals = {NOTHING: NOTHING_S, NOTHING_INLINE: NOTHING_INLINE_S}
    if case.rows >= LEAST_PLANNED_ROWS:
        goals |= {_planning_title(case, order): PLAN_S for order in RangeOrder}
    return [Fixed(title=t, seconds=[row[t] for row in rows], goal=goals.get(t)) for t in rows[0]]


NOTHING = "`sync` with nothing to do, Ray not started"
NOTHING_INLINE = "`sync --inline` with nothing to do"


def _commands(case: Case) -> Mapping[str, float]:
    """Whole commands on a table of one row."""
    name = case.kind.full_name
    taken = {}
    with case.place() as place:
        started = run(case, place, "backup", "-t", name)
        _require_ray(started, True)
        taken["`backup` of one row, Ray started and ended"] = started.whole_seconds
    with case.place() as place:
        taken["`backup --inline` of one row"] = run(case, place, "backup", "--inline", "-t", name).whole_seconds
    with case.place() as place:
        taken["`sync --inline` of one row, its table made"] = run(
            case, place, "sync", "--inline", "-t", name
        ).whole_seconds
        for title, options in ((NOTHING, ()), (NOTHING_INLINE, ("--inline",))):
            idle = run(case, place, "sync", "-t", name, *options)
            _require_ray(idle, False)
            if idle.result["status"] != "nothing_to_do":
                raise WrongResult(f"a second sync found work: {idle.result['status']}")
            taken[title] = idle.whole_seconds
    return taken


def _require_ray(finished: Finished, wanted: bool) -> None:
    seen = any(name.startswith(RAY) for name in finished.seen.names.values())
    if finished.seen.names and seen is not wanted:
        raise WrongResult(f"Ray was {'' if seen else 'not '}started")


def _first_read(case: Case) -> Mapping[str, float]:
    """How long the whole table's backup takes to make its first chunks known, which starts their readers."""
    with case.place() as place:
        done = run(case, place, "backup", "--inline", "-t", case.kind.full_name)
    planned = done.events.first[EventKind.PLANNED]
    return {
        f"`backup --inline` of {case.rows:,} rows: program started until the first read": planned - done.started,
        "— of it: discovery, plan and the first boundaries": planned - done.events.first[EventKind.TABLE_STARTED],
    }


def _planning(case: Case) -> Mapping[str, float]:
    taken = {}
    for order in RangeOrder:
        started = time.perf_counter()
        chunks = cut(case, order)
        seconds = time.perf_counter() - started
        if sum(c.rows for c in chunks) != case.rows:
            raise WrongResult(f"{sum(c.rows for c in chunks)} rows planned, the source holds {case.rows}")
        taken[_planning_title(case, order)] = seconds / case.rows * 1e6
    return taken


def _planning_title(case: Case, order: RangeOrder) -> str:
    columns = case.plan.table.key if order is RangeOrder.KEY else case.plan.table.order_columns
    return f"boundaries by ({', '.join(columns)}), for a million index entries"

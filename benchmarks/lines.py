"""The lines of the result: what is measured, in the order in which each round does it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from . import commands, reading
from .case import Case
from .peers import PEERS, measure_peer, peer_missing
from .sample import Measure, Measured, Ratio, WrongResult, ratio
from .watch import wait_for_quiet

LINES: tuple[Measure, ...] = (
    Measure(
        name="mariadb-client",
        title="`mariadb -q > /dev/null`, 1 process",
        run=reading.read_with_client,
        missing=reading.client_missing,
    ),
    Measure(
        name="connectorx-1",
        title="ConnectorX read only, 1 process",
        run=functools.partial(reading.read_with_connectorx, processes=1),
    ),
    Measure(
        name="connectorx-2",
        title="ConnectorX read only, 2 processes",
        run=functools.partial(reading.read_with_connectorx, processes=2),
    ),
    Measure(name="backup", title="`s3rs-ray backup`", run=commands.backup),
    Measure(name="load", title="`s3rs-ray sync --redshift-only`", run=commands.load),
    Measure(name="sync", title="`s3rs-ray sync`", run=commands.sync),
)

PEER_LINES: tuple[Measure, ...] = tuple(
    Measure(
        name=peer.name,
        title=peer.title,
        run=functools.partial(measure_peer, peer=peer),
        missing=functools.partial(peer_missing, peer),
        optional=True,
    )
    for peer in PEERS
)


def measure_all(
    case: Case, lines: Sequence[Measure], *, rounds: int, patience: float, say: Callable[[str], None]
) -> dict[str, Measured]:
    """Every line once in each round, after a warm-up; by name.

    Args:
        patience: how many seconds to wait, before each line, for other programs to leave the machine alone.
        say: told what is done.
    """
    say("warming up")
    reading.read_with_connectorx(case, 2)
    commands.warm_up(case)
    measured = {line.name: Measured(name=line.name, title=line.title, missing=line.missing()) for line in lines}
    if "mariadb-client" in measured and not measured["mariadb-client"].missing:
        reading.check_client(case)
    for number in range(1, rounds + 1):
        for line in lines:
            if not measured[line.name].missing and not (line.optional and is_slow(measured, line.name)):
                if patience and not wait_for_quiet(patience):
                    say(f"other programs keep the machine busy; {line.name} is measured beside them")
                measured[line.name] = done = _measure_once(case, line, measured[line.name])
                said = done.missing or f"{done.samples[-1].rows_per_second:,.0f} rows/s"
                say(f"round {number}: {line.title}: {said}")
    return measured


SLOW = 4
"""How many times as long as ``backup`` another tool may take and be measured again."""


def is_slow(measured: Mapping[str, Measured], name: str) -> bool:
    """Whether one measurement of a line is enough."""
    own, other = measured.get("backup"), measured[name]
    return bool(own and own.samples and other.samples and other.seconds > SLOW * own.seconds)


def _measure_once(case: Case, line: Measure, so_far: Measured) -> Measured:
    try:
        return replace(so_far, samples=(*so_far.samples, line.run(case)))
    except WrongResult as exc:
        if not line.optional:
            raise
        return replace(so_far, samples=(), missing=str(exc).strip().splitlines()[-1])


def ratios(measured: Mapping[str, Measured], most: Mapping[str, float]) -> list[Ratio]:
    """The comparisons that can be made of what was measured.

    Args:
        most: rows a second that a line could do at most, by its name.
    """
    there = {name: m for name, m in measured.items() if m.samples}
    wanted: list[tuple[str, str, tuple[str, ...], float | None]] = [
        ("ConnectorX: 2 processes / 1 process", "connectorx-2", ("connectorx-1",), None),
        ("backup / ConnectorX 2 processes", "backup", ("connectorx-2",), 0.75),
        ("sync / the slower of backup alone and load alone", "sync", ("backup", "load"), 0.85),
    ]
    found = [
        ratio(title, there[above], [there[b] for b in below], goal, most.get(above))
        for title, above, below, goal in wanted
        if above in there and all(b in there for b in below)
    ]
    peers = [there[line.name] for line in PEER_LINES if line.name in there and not is_slow(there, line.name)]
    if peers and "backup" in there:
        best = max(peers, key=lambda m: m.rows_per_second)
        found.append(ratio(f"backup / the best peer ({best.name})", there["backup"], [best], 1.5, most.get("backup")))
    return found

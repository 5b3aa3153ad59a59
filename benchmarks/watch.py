"""Memory and CPU time of process trees, sampled from ``/proc``; nothing is seen where there is none (macOS)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_S = 0.2
"""The kernel keeps each process's own peak, so only one that ends sooner than this can be missed."""
QUIET_S, QUIET_CORES = 1.5, 0.25
_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
CURVE_POINTS = 120


@dataclass(frozen=True, slots=True)
class Process:
    """One process as ``/proc/PID/stat`` shows it: CPU seconds of its own, and with its ended children.

    Attributes:
        name: of its program, at most 15 characters (proc(5), ``comm``).
        resident: bytes of memory, those shared with others among them.
    """

    name: str
    parent: int
    resident: int
    own_seconds: float
    all_seconds: float


def processes() -> dict[int, Process]:
    """All processes of the machine by id."""
    found = {}
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            head, _, tail = (entry / "stat").read_text().rpartition(")")
            words = tail.split()
            own, ended = (int(words[11]) + int(words[12])) / _TICKS, (int(words[13]) + int(words[14])) / _TICKS
            found[int(entry.name)] = Process(
                head.partition("(")[2], int(words[1]), int(words[21]) * _PAGE, own, own + ended
            )
    return found


def tree(roots: Sequence[int], known: Mapping[int, Process]) -> set[int]:
    """The roots that live and everything below them."""
    members = {pid for pid in roots if pid in known}
    while new := {pid for pid, p in known.items() if p.parent in members} - members:
        members |= new
    return members


def cpu_seconds(roots: Sequence[int]) -> float:
    """CPU seconds of the trees below ``roots`` since they started, ended children included."""
    known = processes()
    return sum(known[pid].all_seconds for pid in tree(roots, known))


def machine_seconds() -> float:
    """CPU seconds that all processes of the machine used since it was started; 0 where there is no ``/proc``."""
    with suppress(OSError):
        user, nice, system, _, _, irq, softirq = map(int, (_PROC / "stat").read_text().split(maxsplit=8)[1:8])
        return (user + nice + system + irq + softirq) / _TICKS
    return 0.0


def wait_for_quiet(seconds: float) -> bool:
    """Waits until the machine is all but idle for a moment; returns whether it was, within ``seconds``."""
    ends = time.monotonic() + seconds
    while True:
        before = machine_seconds()
        time.sleep(QUIET_S)
        if machine_seconds() - before <= QUIET_CORES * QUIET_S:
            return True
        if time.monotonic() >= ends:
            return False


def peak_bytes(pid: int) -> int:
    """The most resident memory a process ever had; 0 when it is gone."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCurve:
    """Resident memory while a command ran, in three columns of one length.

    Attributes:
        seconds: since the watching began.
        driver: bytes of the process that was started.
        worker: bytes of the largest process below it at that time.
    """

    seconds: tuple[float, ...] = ()
    driver: tuple[int, ...] = ()
    worker: tuple[int, ...] = ()

    def thinned(self, points: int = CURVE_POINTS) -> MemoryCurve:
        """At most so many points, each the highest of those it stands for: no peak is lost."""
        step = -(-len(self.seconds) // points) or 1
        starts = range(0, len(self.seconds), step)
        return MemoryCurve(
            seconds=tuple(round(self.seconds[i], 2) for i in starts),
            driver=tuple(max(self.driver[i : i + step]) for i in starts),
            worker=tuple(max(self.worker[i : i + step]) for i in starts),
        )


@dataclass(slots=True)
class Seen:
    """What was seen of the watched processes.

    Attributes:
        peaks: bytes by process id.
        seconds: CPU seconds by process id.
        server_seconds: CPU seconds of the servers by party, and of all the machine's other processes.
        names: programs by process id.
        looks: time, bytes of the roots' largest and of the largest process below them, at each look.
    """

    roots: tuple[int, ...]
    peaks: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    server_seconds: dict[str, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    looks: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def largest_bytes(self) -> int | None:
        return max(self.peaks.values(), default=0) or None

    @property
    def driver_bytes(self) -> int | None:
        return max((self.peaks.get(pid, 0) for pid in self.roots), default=0) or None

    @property
    def worker_bytes(self) -> int | None:
        """The highest peak below the roots."""
        return max((peak for pid, peak in self.peaks.items() if pid not in self.roots), default=0) or None

    @property
    def curve(self) -> MemoryCurve:
        """Driver and largest worker over time."""
        if not self.looks:
            return MemoryCurve()
        times, driver, worker = zip(*self.looks, strict=True)
        return MemoryCurve(seconds=tuple(t - times[0] for t in times), driver=driver, worker=worker).thinned()

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """By party, see ``sample.PARTIES``; empty where nothing could be seen."""
        return {"client": sum(self.seconds.values()), **self.server_seconds} if self.seconds else {}

    def look(self) -> None:
        known = processes()
        members = tree(self.roots, known)
        for pid in members:
            # The kernel keeps the peak and the size of now in counters that may differ by some pages.
            self.peaks[pid] = max(self.peaks.get(pid, 0), peak_bytes(pid), known[pid].resident)
            self.seconds[pid] = known[pid].own_seconds
            self.names[pid] = known[pid].name
        if members:
            driver, workers = members & set(self.roots), members - set(self.roots)
            largest = [max((known[pid].resident for pid in pids), default=0) for pids in (driver, workers)]
            self.looks.append((time.monotonic(), largest[0], largest[1]))


@contextmanager
def watching(roots: Sequence[int], servers: Mapping[str, Sequence[int]]) -> Iterator[Seen]:
    """Watches the trees below ``roots`` while the block runs.

    Args:
        servers: whose CPU time in the block is told as well, by party.
    """
    seen = Seen(tuple(roots))
    before = {pid: p.own_seconds for pid, p in processes().items()}
    machine_before = machine_seconds()
    servers_before = {party: cpu_seconds(pids) for party, pids in servers.items()}
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(seen, ended), name="watch", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
        seen.look()
        for pid in seen.seconds:
            seen.seconds[pid] -= before.get(pid, 0.0)
        for party, pids in servers.items():
            seen.server_seconds[party] = cpu_seconds(pids) - servers_before[party]
        told = sum(seen.seconds.values()) + sum(seen.server_seconds.values())
        seen.server_seconds["others"] = max(0.0, machine_seconds() - machine_before - told)


def _watch(seen: Seen, ended: threading.Event) -> None:
    while True:
        seen.look()
        if ended.wait(INTERVAL_S):
            return

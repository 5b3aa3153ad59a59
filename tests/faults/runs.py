"""Runs of the program in processes of their own: started, watched, killed, and never left behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from .crashing import Point, run

PATIENCE = 60.0
"""Seconds after which a process that should have ended is taken to hang."""

_PRELOADED = ["tests.faults.crashing", "boto3", "connectorx", "pyarrow.parquet", "pymysql", "redshift_connector"]


class _Process(Protocol):
    """What ``subprocess`` and ``multiprocessing`` have in common here."""

    @property
    def pid(self) -> int | None: ...


class Run:
    """One process of the program; ``directory`` holds what it wrote."""

    def __init__(self, process: _Process, directory: Path, poll: Callable[[], int | None]) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self.directory = directory
        self._process = process  # kept: a process object that is collected waits for its process
        self._poll = poll

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._poll()

    @property
    def stdout(self) -> str:
        return _text(self.directory / "stdout")

    @property
    def stderr(self) -> str:
        return _text(self.directory / "stderr")

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def reads(self) -> list[tuple[str, int]]:
        """Run id and ordinal of every chunk that this process began to read."""
        lines = _text(self.directory / "trace").splitlines()
        return [(run_id, int(ordinal)) for run_id, ordinal in map(str.split, lines)]

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code. Raises AssertionError when it hangs."""
        wait_for(lambda: self.exit_code is not None, "the run ends", seconds, self)
        code = self.exit_code
        assert code is not None
        return code

    def wait_paused(self) -> None:
        """Waits until it has reached the point where it pauses."""
        wait_for(lambda: (self.directory / "paused").exists() or self.exit_code is not None, "the run pauses", run=self)
        assert (self.directory / "paused").exists(), f"it ended with {self.exit_code} before its point\n{self.stderr}"

    def go_on(self) -> None:
        """Lets a paused process go on."""
        (self.directory / "go").touch()

    def wait_said(self, text: str) -> None:
        """Waits until stderr holds a text."""
        wait_for(lambda: text in self.stderr or self.exit_code is not None, f"the run says {text!r}", run=self)
        assert text in self.stderr, f"it ended with {self.exit_code} and never said {text!r}\n{self.stderr}"

    def signal(self, number: signal.Signals) -> None:
        """To its whole process group, as a terminal does."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        os.kill(self.pid, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """Every living process of its session, and the command lines."""
        return {pid: command for pid, session, command in _processes() if session == self.pid}

    def clear(self) -> None:
        """Ends everything that still runs in its session."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.01)
        wait_for(lambda: self.exit_code is not None, "a killed process is reaped", 10, self)


@dataclass(slots=True)
class Runs:
    """Starts runs on one world and ends them all.

    Attributes:
        environment: the variables that lead to the world.
        table: what is synced.
        nothing_left: carries out one more sync in this process, and says whether it had nothing to do.
    """

    environment: Mapping[str, str]
    table: str
    directory: Path
    nothing_left: Callable[[], bool]
    started: list[Run] = field(default_factory=list)
    _scratch: TemporaryDirectory[str] | None = None

    def sync(
        self,
        *more: str,
        point: Point | str | None = None,
        change: Mapping[str, str] | None = None,
        command: tuple[str, ...] = ("sync", "--batch-size", "50"),
    ) -> Run:
        """Starts ``sync --inline -o json`` of the table in a forked process."""
        directory, environment = self._prepare(change)
        if isinstance(point, str):
            point = Point.parse(point)
        words = [*command, "-t", self.table, "--inline", "-o", "json", *more]
        process = _forkserver().Process(target=run, args=(words, environment, point, directory), daemon=False)
        process.start()
        started = Run(process, directory, lambda: process.exitcode)
        wait_for(lambda: started.exit_code is not None or _leads(started.pid), "the process has a session", 20)
        self.started.append(started)
        return started

    def sync_with_ray(self, *more: str, change: Mapping[str, str] | None = None) -> Run:
        """Starts ``python -m s3rs_ray sync`` with Ray."""
        directory, environment = self._prepare(change)
        words = ["sync", "--batch-size", "50", "-t", self.table, "-o", "json", *more]
        with (directory / "stdout").open("wb") as stdout, (directory / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "s3rs_ray", *words],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        started = Run(process, directory, process.poll)
        self.started.append(started)
        return started

    def settle(self, **asked: Any) -> list[Run]:
        """Runs the plain command until it has nothing to do; returns the runs that had something to do."""
        done: list[Run] = []
        for _ in range(6):
            if done and self.nothing_left():
                return done
            started = self.sync(**asked)
            done.append(started)
            assert started.wait() == 0, started.stderr
        raise AssertionError(f"still something to do after {len(done)} runs\n{done[-1].stderr}")

    def result(self, finished: Run) -> dict[str, Any]:
        """What the finished run says of the table."""
        result: dict[str, Any] = finished.document["table_results"][self.table]
        return result

    def clear(self) -> None:
        """Ends everything that was started and removes what it left."""
        for started in self.started:
            started.clear()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _temporary(self) -> str:
        """A directory for what a killed run leaves behind, Ray's above all; its sockets need a short path."""
        if self._scratch is None:
            self._scratch = TemporaryDirectory(prefix="s3f-", dir="/tmp", ignore_cleanup_errors=True)
        return self._scratch.name

    def _prepare(self, change: Mapping[str, str] | None) -> tuple[Path, dict[str, str]]:
        directory = self.directory / f"run-{len(self.started)}"
        directory.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "BACKUP_SETTLE_SECONDS": "0",
            "BACKUP_MAX_WORKERS": "2",
            "TMPDIR": self._temporary(),
            **self.environment,
            **(change or {}),
        }
        return directory, environment


def wait_for(
    ready: Callable[[], bool], what: str, seconds: float = PATIENCE, run: Run | None = None, pause: float = 0.005
) -> None:
    """Waits until ``ready()``; a hang fails with what was waited for and what the run said."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            said = f"; the run said:\n{run.stderr}" if run is not None else ""
            raise AssertionError(f"not so after {seconds:g} s: {what}{said}")
        time.sleep(pause)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _forkserver() -> Any:
    """Forks of one clean process that has the program's modules: a run starts in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _processes() -> list[tuple[int, int, str]]:
    """pid, session and command line of all processes but zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it ended meanwhile
        if fields[0] != "Z":
            found.append((int(entry.name), int(fields[3]), command))
    return found

"""What the servers of the stack have in common: started, stopped, killed and started again, on one port."""

from __future__ import annotations

import json
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from ..errors import LocalStackError
from .process import Launch, Process, Startup, bring_up, free_port, until_ready

__all__ = ["Server"]

_STARTS = 5
_PORT_TAKEN = "Address already in use"  # strerror(EADDRINUSE), which every server logs


class Server(ABC):
    """A server with a directory of its own below the stack's.

    Args:
        directory: an existing directory of the stack.

    Attributes:
        port: on 127.0.0.1; 0 until it has been started, then the same for its whole life.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        self._directory = directory / self.folder
        self._process: Process | None = None
        self._ready = False
        self.port = 0

    @property
    def host(self) -> str:
        """127.0.0.1: nothing of the stack can be reached from another machine."""
        return "127.0.0.1"

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            LocalStackError: it is not running.
        """
        if self._process is None:
            raise LocalStackError(f"{self.name} is not running")
        return self._process.pid

    @property
    def ready(self) -> bool:
        """True while it runs and has served since it was started."""
        return self._ready and self._process is not None and self._process.exit_code is None

    @property
    def log_file(self) -> Path:
        """What the server wrote, of all its starts."""
        return self._directory / f"{self.folder}.log"

    @abstractmethod
    def starting(self) -> Startup:
        """``start`` for ``bring_up``: yields while it waits."""

    def start(self) -> None:
        """Starts it and waits until it serves; a second start is on the port and the data of the first.

        It dies with the thread that calls this.

        Raises:
            LocalStackError: something it needs is missing, or it failed; with the end of its log.
        """
        bring_up(self.starting())

    def stop(self) -> None:
        """Stops it in good order. Nothing happens when it is not running."""
        if self._process:
            self._process.stop(self.stop_signal)
            self._forget()

    def kill(self) -> None:
        """Kills it (SIGKILL), as a crash would; ``start`` brings it back."""
        if self._process:
            self._process.kill()
            self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _forget(self) -> None:
        self._process = None
        self._ready = False

    def _spawn(self, launch: Launch) -> Process:
        if self._process is not None and self._process.exit_code is None:
            raise LocalStackError(f"{self.name} is running already")
        self.kill()  # what is left of one that died by itself
        self._process = Process(launch)
        return self._process

    def _await(self, ready: Callable[[], bool]) -> Startup:
        """Waits for the spawned process; one that fails is gone afterwards."""
        if self._process is None:
            raise LocalStackError(f"{self.name} is not running")
        try:
            yield from until_ready(self._process, ready)
        except LocalStackError:
            self.kill()
            raise

    def _start_on_a_port(self, attempt: Callable[[int], Startup]) -> Startup:
        """Tries one free port after the other, as somebody may take the port meanwhile; a port once had is kept."""
        for left in reversed(range(_STARTS)):
            port = self.port or free_port()
            try:
                yield from attempt(port)
            except LocalStackError as error:
                if self.port or not left or _PORT_TAKEN not in error.message:
                    raise
            else:
                self.port = port
                self._ready = True
                return

    def _serve_with(self, process: Process, settings: Mapping[str, object]) -> Startup:
        """Hands its settings to a Python server (never by argv: they hold secrets) and waits for its answer."""
        process.send(json.dumps(settings).encode())
        yield from self._await(lambda: process.answer() is not None)

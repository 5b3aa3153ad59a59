"""What every command is given: where its settings come from, how it speaks, how it logs."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from ..config import Settings
from ..engine.effective import Effective, read_effective
from ..engine.permissions import loose_files
from ..storage.references import References
from .logs import set_up_logging
from .output import Output
from .progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The common options of one command."""

    config_file: Path | None
    log_file: Path | None
    debug: bool
    output: Output
    progress: str

    def settings(self, **flags: object) -> Settings:
        """The effective settings, with logging set up by them.

        Args:
            flags: by field name; None is not given.
        """
        given = {**flags, "debug": True if self.debug else None}
        dotenv = Path(".env")
        settings = Settings.load(config_file=self.config_file, dotenv=dotenv, flags=given, resolve=References())
        self.set_up_logging(settings)
        for warning in loose_files(settings, config_file=self.config_file, dotenv=dotenv):
            log.warning("%s", warning)
        return settings

    def effective(self, *, resolve: bool) -> Effective:
        """The settings as far as they are right, each with its origin, and what is wrong with them.

        Args:
            resolve: references are looked up, so that those that lead nowhere are told as well.
        """
        return read_effective(
            config_file=self.config_file,
            dotenv=Path(".env"),
            flags={"debug": True if self.debug else None},
            resolve=References() if resolve else None,
        )

    def open_progress(self, settings: Settings) -> Progress:
        return Progress(style=self._style(settings), console=self.output.errors)

    def set_up_logging(self, settings: Settings) -> None:
        """Log lines on stderr or into the log file."""
        style = self._style(settings)
        set_up_logging(settings, log_file=self.log_file, console=self.output.errors, style=style)

    def _style(self, settings: Settings) -> str:
        """``auto`` is lines on a terminal, unless JSON logs go there, and log lines elsewhere."""
        if self.progress != "auto":
            return self.progress
        shared = settings.log_format == "json" and self.log_file is None
        return "rich" if sys.stderr.isatty() and not shared else "log"

"""What every command is given: where its settings come from, how it speaks, how it logs."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.logging import RichHandler

from ..config import Settings
from ..errors import ConfigError
from .output import Output
from .progress import Progress, open_progress

NOISY = ("botocore", "boto3", "urllib3", "paramiko", "sshtunnel", "redshift_connector", "ray", "s3transfer")


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
        settings = Settings.load(config_file=self.config_file, dotenv=Path(".env"), flags=given)
        self.set_up_logging(settings)
        return settings

    def open_progress(self) -> Progress:
        return open_progress(self.progress)

    def set_up_logging(self, settings: Settings) -> None:
        """Log lines on stderr or into the log file, at the settings' level; the libraries' only from WARNING."""
        level = "DEBUG" if settings.debug else settings.log_level
        handler: logging.Handler
        if self.log_file is not None:
            try:
                handler = logging.FileHandler(self.log_file, encoding="utf-8")
            except OSError as exc:
                raise ConfigError(f"cannot write the log file {self.log_file}: {exc}") from exc
        elif sys.stderr.isatty():
            handler = RichHandler(show_path=False, console=self.output.errors)
        else:
            handler = logging.StreamHandler(sys.stderr)
        if not isinstance(handler, RichHandler):
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(level)
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)

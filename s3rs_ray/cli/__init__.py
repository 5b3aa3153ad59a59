"""The command line: one file for each family of commands. The only place where errors become exit codes."""

from .app import main

__all__ = ["main"]

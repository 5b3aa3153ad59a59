"""Files that a command writes at its end, refused before its work where they cannot be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class NewFile(click.Path):
    """A file that may be there or not, in a folder that is there and may be written to."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        folder = path.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            self.fail(f"{value!r}: there is no folder {folder} that you may write to.", param, ctx)
        return path

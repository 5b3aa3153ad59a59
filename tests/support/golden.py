"""Golden texts: statements by name in one file, which people review as they review code.

``S3RS_UPDATE_GOLDEN=1`` writes the files anew; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def assert_golden(path: Path, texts: Mapping[str, str]) -> None:
    """Compares the texts with those of the file, all at once."""
    written = "".join(f"-- {name}\n{text}\n\n" for name, text in texts.items())
    if os.environ.get("S3RS_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")

"""Golden texts: files that people review as they review code.

``S3RS_UPDATE_GOLDEN=1`` writes the files anew; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Compares a text with a file's."""
    if os.environ.get("S3RS_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def assert_golden_sql(path: Path, statements: Mapping[str, str]) -> None:
    """Compares statements with those of a file, all at once."""
    assert_golden(path, "".join(f"-- {name}\n{sql}\n\n" for name, sql in statements.items()))

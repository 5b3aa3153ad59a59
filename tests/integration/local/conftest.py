"""A directory for servers that are started, killed and started again by one test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def server_directory() -> Iterator[Path]:
    """Short enough for sockets, and open to servers that refuse root."""
    directory = Path(tempfile.mkdtemp(prefix="s3rs-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)

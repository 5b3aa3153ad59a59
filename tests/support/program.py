"""The program in a process of its own: the one these tests lie beside, whichever is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TREE = str(Path(__file__).parents[2])
PROGRAM = (sys.executable, "-m", "s3rs_ray")


def program_environment(home: Path | str = "/") -> dict[str, str]:
    """What a process of it needs of this one's environment."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": TREE, "HOME": str(home)}

"""What the numbers were measured on: never a name or a path of the machine."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from .case import ROOT, Case

RESULTS = "benchmarks/results"
PACKAGES = ("s3rs-ray", "connectorx", "pyarrow", "ray", "boto3", "moto", "polars", "dlt", "pandas", "pymysql")


def facts(case: Case) -> dict[str, str | int]:
    """Cores, memory, versions and date."""
    found: dict[str, str | int] = {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
        "python": platform.python_version(),
        "mariadb": case.server,
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """What was measured, ``-dirty`` when anything but results had changed; empty outside a git clone."""
    try:
        commit, changed = (
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
            for words in (["describe", "--always"], ["status", "--porcelain", "--", ":/", f":(exclude,top){RESULTS}"])
        )
    except OSError:
        return ""
    return f"{commit}-dirty" if commit and changed else commit

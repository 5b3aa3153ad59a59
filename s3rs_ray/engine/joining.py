"""Whether a running cluster answers and lets a driver in, before Ray is asked to join it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

from ..errors import ConfigError

CONNECT_SECONDS = 8.0
ASK_SECONDS = 30.0
ASK_HEAD = """
import sys
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient

GcsClient(address=canonicalize_bootstrap_address(sys.argv[1]))
"""


def require_address(address: str) -> None:
    """Refuses an address of a cluster that Ray would try for more than a minute.

    Raises:
        ConfigError: nobody answers there.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as exc:
        raise ConfigError(
            f"no Ray cluster answers at {address}: {exc}", hint="check RAY_ADDRESS and that the cluster runs"
        ) from exc


def require_token(address: str) -> None:
    """Asks the head once whether it lets this driver in.

    ``ray.init`` tries a wrong token for 20 seconds, each with a line on stderr, and Ray's core aborts the process where
    one is missing; so a process of its own asks. What else may be wrong is left to ``ray.init``.

    Raises:
        ConfigError: the token is missing or not the right one.
    """
    command = [sys.executable, "-c", ASK_HEAD, address]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, cwd="/", check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    if asked.returncode and re.search("authentication ?token", asked.stderr, re.IGNORECASE):
        raise ConfigError(
            f"the Ray cluster at {address} asks for a token, which is missing or not the right one",
            hint="set RAY_AUTH_MODE=token, and the cluster's token in ~/.ray/auth_token (RAY_AUTH_TOKEN_PATH) or"
            " RAY_AUTH_TOKEN",
        )

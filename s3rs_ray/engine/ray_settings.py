"""Ray's own settings for a driver, unless the environment says otherwise. Ray reads them when it is imported."""

from __future__ import annotations

import os

DRIVER = {
    # A driver waits on the connection to a task's worker. Where packets are lost without a word (a cut link, a host
    # that vanished) only this ends the wait, however early the head knows that the node is dead. Ray's default is
    # 5 minutes; measured: after 2 minutes nothing had been tried elsewhere, with these 10 s it is within half a minute.
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
}


def prepare_driver() -> None:
    """To be called before Ray is imported."""
    for name, value in DRIVER.items():
        os.environ.setdefault(name, value)

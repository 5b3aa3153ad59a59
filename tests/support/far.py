"""A far host: a network namespace behind a link with latency and loss, made by a relay between two TUN devices.

The kernel's own means (``tc … netem``) is missing in many kernels of containers and small machines. Here every packet
passes through this process, which holds it back or drops it; TCP on both sides is the kernel's and sees the true thing.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import secrets
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET = 2048


@dataclass(slots=True)
class Far:
    """The far host.

    Attributes:
        address: of the far host.
        delay: seconds a packet takes one way.
        loss: the share of packets that are lost.
        lost: how many were.
    """

    address: str
    namespace: str
    delay: float
    loss: float
    lost: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def listen(self) -> socket.socket:
        """A listener on the far host, served by this process."""
        return _inside(self.namespace, lambda: socket.create_server((self.address, 0)))

    def carry(self, ends: tuple[int, int], stop: int) -> None:
        """Moves packets between two devices until ``stop`` can be read."""
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, end, packet = heapq.heappop(waiting)
                os.write(end, packet)
            rest = waiting[0][0] - now if waiting else None
            ready, _, _ = select.select([*ends, stop], [], [], rest)
            if stop in ready:
                return
            for end in ready:
                packet = os.read(end, PACKET)
                if self._random.random() < self.loss:
                    self.lost += 1
                    continue
                number += 1
                other = ends[1] if end == ends[0] else ends[0]
                heapq.heappush(waiting, (time.monotonic() + self.delay, number, other, packet))


@contextmanager
def open_far(*, round_trip: float, loss: float) -> Iterator[Far]:
    """A far host; skips the test where there cannot be one.

    Args:
        round_trip: seconds.
        loss: the share of packets lost on each way.
    """
    number, tag = secrets.randbelow(250) + 1, secrets.token_hex(3)
    namespace, network = f"s3rs-far-{tag}", f"10.214.{number}"
    far = Far(f"{network}.2", namespace, round_trip / 2, loss)
    with ExitStack() as undo:
        try:
            _ip("netns", "add", namespace)
            undo.callback(_ip, "netns", "del", namespace)
            near_end = _tun(f"n{tag}")
            undo.callback(os.close, near_end)
            far_end = _inside(namespace, lambda: _tun("far0"))
            undo.callback(os.close, far_end)
        except (OSError, subprocess.CalledProcessError) as exc:
            said = exc.stderr.strip() if isinstance(exc, subprocess.CalledProcessError) else exc
            pytest.skip(f"no far host can be made here (that takes root, iproute2 and /dev/net/tun): {said}")
        for inside, device, address in (((), f"n{tag}", f"{network}.1"), (("-n", namespace), "far0", far.address)):
            _ip(*inside, "addr", "add", f"{address}/24", "dev", device)
            _ip(*inside, "link", "set", device, "up")
        stop, stopped = os.pipe()
        relay = threading.Thread(target=far.carry, args=((near_end, far_end), stop), name="far link")
        relay.start()
        try:
            yield far
        finally:
            os.close(stopped)
            relay.join()
            os.close(stop)


def _tun(name: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


def _inside(namespace: str, make: Callable[[], Made]) -> Made:
    """What a thread makes in a namespace; sockets and devices stay there, whoever uses them."""
    made: list[Made] = []

    def enter() -> None:
        with Path("/run/netns", namespace).open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0):
                return
        made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not made:
        raise OSError(f"cannot enter the namespace {namespace}")
    return made[0]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

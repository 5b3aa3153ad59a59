"""Hosts of their own on one machine: network namespaces on a bridge, each with an address and a link that can be cut.

Everything stays on this machine: the bridge has no way out, and its addresses (10.213.0.0/16) are nobody else's here.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest


@dataclass(frozen=True, slots=True)
class Host:
    """One host: what is run with ``prefix`` before its words runs there."""

    namespace: str
    address: str
    link: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        """Pulls the plug: packets are lost both ways, and nobody is told."""
        _ip("link", "set", self.link, "down")

    def restore(self) -> None:
        _ip("link", "set", self.link, "up")


@dataclass(slots=True)
class Lan:
    """A network of this machine, under ``address``, and hosts of their own."""

    tag: str
    network: str
    hosts: list[Host] = field(default_factory=list)
    _undo: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        return f"{self.network}.1"

    def add(self) -> Host:
        """One more host."""
        number = len(self.hosts) + 2
        host = Host(f"s3rs-{self.tag}-{number}", f"{self.network}.{number}", f"v{self.tag}{number}")
        _ip("netns", "add", host.namespace)
        self._undo.callback(_ip, "netns", "del", host.namespace)
        _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        _ip("link", "set", host.link, "master", f"b{self.tag}", "up")
        inside = ("-n", host.namespace)
        _ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")
        self.hosts.append(host)
        return host


@contextmanager
def open_lan() -> Iterator[Lan]:
    """A network without hosts as yet; skips the test where there cannot be one."""
    number = secrets.randbelow(250) + 1
    tag = f"{number:02x}{secrets.token_hex(2)}"
    with ExitStack() as undo:
        try:
            _ip("netns", "add", f"s3rs-{tag}")
            undo.callback(_ip, "netns", "del", f"s3rs-{tag}")
            _ip("link", "add", f"b{tag}", "type", "bridge")
        except (OSError, subprocess.CalledProcessError) as exc:
            said = exc.stderr.strip() if isinstance(exc, subprocess.CalledProcessError) else exc
            pytest.skip(f"no network namespaces can be made here (that takes root, and iproute2): {said}")
        undo.callback(_ip, "link", "del", f"b{tag}")
        lan = Lan(tag, f"10.213.{number}")
        _ip("addr", "add", f"{lan.address}/24", "dev", f"b{tag}")
        _ip("link", "set", f"b{tag}", "up")
        undo.push(lan._undo)
        yield lan


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

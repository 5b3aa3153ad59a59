"""Whether any node of a cluster could ever take a task, and what is to be said while none could. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Resources = Mapping[str, float]
"""Amounts by Ray's names: ``CPU``, ``memory`` in bytes, custom ones."""

FIRST_SECONDS = 10.0
"""How long tasks wait without a word: a node may be on its way."""
AGAIN_SECONDS = 300.0
"""How often it is said again."""


@dataclass(slots=True, kw_only=True)
class Shortage:
    """Tasks that wait for a node. An autoscaler may still bring one, so nothing ends by it, but it is said.

    Attributes:
        needs: of one task.
    """

    needs: Resources
    _since: float | None = field(default=None, init=False)
    _looked: float = field(default=0.0, init=False)
    _said: float | None = field(default=None, init=False)

    def look(self, nodes: Sequence[Resources], now: float) -> str | None:
        """What is to be said by whoever waits for tasks; empty when a node has come; None for nothing.

        Args:
            nodes: what each node that is alive has in all, taken or free.
            now: seconds of any steady clock.
        """
        lapsed, self._looked = now - self._looked > FIRST_SECONDS, now
        if any(self._fits(node) for node in nodes):
            said, self._since, self._said = self._said, None, None
            return None if said is None else ""
        if self._since is None or lapsed:  # nobody has waited for tasks meanwhile
            self._since = now
        if now - (self._since if self._said is None else self._said) < self._patience:
            return None
        self._said = now
        return self._reason(nodes, now - self._since)

    @property
    def _patience(self) -> float:
        return FIRST_SECONDS if self._said is None else AGAIN_SECONDS

    def _fits(self, node: Resources) -> bool:
        return all(node.get(name, 0.0) >= amount for name, amount in self.needs.items())

    def _reason(self, nodes: Sequence[Resources], waited: float) -> str:
        needed = ", ".join(_amount(name, amount) for name, amount in self.needs.items())
        most = ", ".join(_amount(name, max((n.get(name, 0.0) for n in nodes), default=0.0)) for name in self.needs)
        which = "its only node has" if len(nodes) == 1 else f"its {len(nodes)} nodes have at most"
        return (
            f"for {waited:.0f} s tasks have waited for a node that can take one: a task needs {needed}; {which} {most}"
        )


def _amount(name: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB of memory" if name == "memory" else f"{amount:g} {name}"

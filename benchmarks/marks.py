"""The marks: what has to be reached, and what a result says of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WORKER_BYTES, DRIVER_BYTES = 768_000_000, 400_000_000
"""The most that the largest worker and the driver may hold, however many rows there are."""
LEAST_FILE_BYTES, MOST_FILE_BYTES = 64_000_000, 256_000_000
"""Files of a large table."""
ROW_GROUP_BYTES = 128_000_000
"""The most one row group may take (Amazon Redshift Database Developer Guide, "COPY from columnar data formats")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A number beside its bounds.

    Attributes:
        value: None where it could not be measured.
        least, most: None where there is no such bound.
        unit: of value and bounds, as it is written behind them.
    """

    title: str
    value: float | None
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def bounded(self) -> bool:
        return self.least is not None or self.most is not None

    @property
    def missed(self) -> bool:
        """What was not measured has not reached a mark either."""
        if self.value is None:
            return self.bounded
        return (self.least is not None and self.value < self.least) or (
            self.most is not None and self.value > self.most
        )

    @property
    def verdict(self) -> str:
        return "" if not self.bounded else "missed" if self.missed else "reached"


def missed(marks: Iterable[Mark]) -> list[Mark]:
    """Those that were not reached."""
    return [mark for mark in marks if mark.missed]

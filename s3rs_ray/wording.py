"""Numbers as people read them. Pure."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``2,000 rows``.

    Args:
        plural: the noun for any number but one, where an ``s`` does not make it.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size_text(size: float) -> str:
    """Bytes for people, in powers of 1000: ``0 B``, ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.95:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


class Size(int):
    """A number of bytes, which a table shows by :func:`size_text` and lines up as a number."""

    def __str__(self) -> str:
        return size_text(self)


def duration_text(seconds: float) -> str:
    """A time that was guessed, no finer than it deserves: ``40 seconds``, ``12.5 minutes``, ``3.2 hours``."""
    if round(seconds) < 100:
        return counted(max(1, round(seconds)), "second")
    return f"{seconds / 60:,.1f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:,.1f} hours"

"""What MySQL's collations make equal, as far as Redshift can follow. Pure.

Source of the rules: MySQL manual, "Collation Naming Conventions" (``_ci`` ignores case) and "The binary Collation
Compared to _bin Collations" (trailing blanks: all collations pad but ``binary`` and those of UCA 9.0.0); MariaDB
manual, "Supported Character Sets and Collations" (``nopad``).
"""

from __future__ import annotations


def ignores_case(collation: str) -> bool:
    """Whether A-Z equal a-z. In Turkish collations ``I`` and ``i`` are two letters."""
    return collation.endswith("_ci") and "turkish" not in collation and "_tr_" not in collation


def ignores_blanks(collation: str) -> bool:
    """Whether trailing blanks do not count."""
    return not (collation in {"", "binary"} or "nopad" in collation or "_0900_" in collation)


def ignores_more(collation: str) -> bool:
    """Whether texts are equal that differ in more than the case of A-Z and in trailing blanks, such as ``é`` and ``e``.

    Redshift has no comparison like it.
    """
    return not (collation == "" or collation.endswith(("_bin", "binary")))

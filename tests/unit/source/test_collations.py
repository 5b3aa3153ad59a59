"""What MySQL's collations make equal."""

from __future__ import annotations

import pytest

from s3rs_ray.source.collations import ignores_blanks, ignores_case, ignores_more


@pytest.mark.parametrize(
    ("collation", "case", "blanks", "more"),
    [
        ("", False, False, False),
        ("binary", False, False, False),
        ("utf8mb4_bin", False, True, False),
        ("utf8mb4_0900_bin", False, False, False),
        ("utf8mb4_nopad_bin", False, False, False),
        ("utf8mb4_general_ci", True, True, True),
        ("utf8mb4_0900_ai_ci", True, False, True),
        ("utf8mb4_0900_as_cs", False, False, True),
        ("latin1_general_cs", False, True, True),
        ("utf8mb4_uca1400_ai_ci", True, True, True),
        ("uca1400_nopad_as_ci", True, False, True),
        ("utf8mb4_turkish_ci", False, True, True),
        ("utf8mb4_tr_0900_ai_ci", False, False, True),
    ],
)
def test_what_a_collation_ignores(collation: str, case: bool, blanks: bool, more: bool) -> None:
    assert (ignores_case(collation), ignores_blanks(collation), ignores_more(collation)) == (case, blanks, more)

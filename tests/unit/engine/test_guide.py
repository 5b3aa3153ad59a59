"""``info`` knows every choice there is."""

from __future__ import annotations

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.engine.guide import members, policies, topics
from s3rs_ray.policies import Deletes, Mode, RangeOrder, Strategy


def test_every_choice_is_explained() -> None:
    shown = {topic.name: {c.name for c in topic.choices} for topic in topics()}
    assert shown == {
        "strategies": set(Strategy), "modes": set(Mode), "chunk orders": set(RangeOrder), "deletes": set(Deletes),
    }  # fmt: skip
    assert all(c.what and c.when for topic in topics() for c in topic.choices)


def test_texts_come_from_the_docstrings() -> None:
    assert members(Mode)["MERGE"] == "the newest version of each key stays"
    assert members(RangeOrder)["KEY"].endswith("with the last of them")


@pytest.mark.parametrize("name", policies())
def test_policies_are_those_of_the_settings(name: str) -> None:
    what, values = policies()[name]
    assert what
    assert Settings.model_fields[name.lower()].get_default() in values

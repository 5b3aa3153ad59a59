"""Fixtures for a module that needs servers of its own: imported there, they take the place of the session's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.local.stack import LocalStack


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """All servers, started once for the module."""
    with LocalStack() as running:
        yield running


@pytest.fixture(scope="module")
def settings(stack: LocalStack) -> Settings:
    """The settings that lead the product to ``stack``."""
    return stack.settings

"""Shared fixtures: one embedded stack for the whole session, and a MariaDB database of its own for a test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.local.settlement import Connection
from s3rs_ray.local.stack import LocalStack


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: many tests wait for servers, locks and nodes rather than compute."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that in the end no worker has to wait for another's."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/unit/"))


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """All servers, started once; a test that kills or freezes one starts a stack of its own."""
    with LocalStack() as running:
        yield running


@pytest.fixture(scope="session")
def settings(stack: LocalStack) -> Settings:
    """The settings that lead the product to ``stack``."""
    return stack.settings


@pytest.fixture
def connection(stack: LocalStack) -> Iterator[Connection]:
    """A MariaDB connection of the stack's user: autocommit, UTC, utf8mb4."""
    with stack.mariadb.connect() as opened:
        yield opened


@pytest.fixture
def source_schema(stack: LocalStack) -> Iterator[str]:
    """The name of an empty MariaDB database, dropped after the test."""
    name = f"test_{secrets.token_hex(6)}"
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}`")
    yield name
    with stack.mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout = 10")  # a test that left a transaction open is told so
        cursor.execute(f"DROP DATABASE `{name}`")

"""Questions to a source through a bastion, and refusals of one."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from s3rs_ray.config import Settings
from s3rs_ray.errors import S3rsError
from s3rs_ray.local.stack import LocalStack
from s3rs_ray.source.catalog import Endpoint, open_catalog
from s3rs_ray.tunnel import open_source_tunnel

from .bastion import BastionServer


def through(stack: LocalStack, bastion: BastionServer, **change: str) -> Settings:
    return Settings.load(environment=stack.environment() | bastion.settings() | change)


def ask(settings: Settings) -> int:
    """Asks the server something through the tunnel; returns the local port."""
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        assert catalog.query("SELECT 1") == [(1,)]
        return port


def refused(settings: Settings, error: type[S3rsError]) -> S3rsError:
    tunnel: AbstractContextManager[object] = open_source_tunnel(settings)
    with pytest.raises(error) as raised, tunnel:
        pass
    return raised.value

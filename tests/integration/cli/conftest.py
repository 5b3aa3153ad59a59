"""Commands run in this process, with nothing but the world's settings around them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from s3rs_ray.cli.app import run
from s3rs_ray.config import Settings
from s3rs_ray.engine.tasks import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def command(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Command]:
    """Runs a command line; keyword arguments are variables of its environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in (world.environment | {"BACKUP_SETTLE_SECONDS": "0", "LOG_LEVEL": "WARNING"}).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str, **variables: str) -> Outcome:
        with pytest.MonkeyPatch.context() as changed:
            for name, value in variables.items():
                changed.setenv(name, value)
            capfd.readouterr()
            try:
                code = run(list(arguments))
            except SystemExit as ended:  # how a command gives its own code back
                code = int(str(ended.code or 0))
            return Outcome(code, *capfd.readouterr())

    assert os.environ["S3_BUCKET_NAME"]
    yield call


@pytest.fixture
def keys(world: World) -> Callable[[str], list[str]]:
    """The keys of a table's files that are on S3 now."""

    def found(table: str) -> list[str]:
        prefix = f"{world.settings.s3_incremental_path}{world.schema}.{table}/"
        return [o.key for o in open_store(world.settings).list(prefix)]

    return found

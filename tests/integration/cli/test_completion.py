"""TAB behind ``-t``, as bash asks: from all three places, and in silence where two of them are."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

from s3rs_ray.engine.tasks import open_ledger
from s3rs_ray.ledger.store import Holder
from tests.support.program import PROGRAM, program_environment

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World


def pressed(words: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """What is offered for the last of the words; nothing may be said beside it."""
    asked = {"_S3RS_RAY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        PROGRAM,
        env=program_environment(folder) | environment | asked,
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


def test_names_come_from_the_file_from_s3_and_from_the_source(world: World, tmp_path: Path) -> None:
    world.execute("CREATE TABLE parcels (id INT PRIMARY KEY)")
    holder = Holder.here()
    ledger = open_ledger(world.settings)
    ledger.acquire(world.name("parcels_old"), holder)
    ledger.release(world.name("parcels_old"), holder)
    (tmp_path / "s.yaml").write_text(f"tables: {{{world.schema}.parcels_new: {{mode: append}}, '*.parcels_x': {{}}}}")
    stored = [f"{world.schema}.parcels_new", f"{world.schema}.parcels_old"]
    both = [f"{world.schema}.parcels", *stored]
    group = "s3rs-ray --config-file s.yaml"
    for words, offered in {
        f"sync -t {world.schema}.par": both,
        f"sync -t {world.schema}.parcels --exclude {world.schema}.parcels_": stored,
        f"status -t {world.schema}.parcels_o": stored[1:],
        f"s3clean clean -t {world.schema}.par": stored,
        "watermark get -t parcels_": ["parcels_new", "parcels_old"],
    }.items():
        assert pressed(f"{group} {words}", tmp_path, world.environment) == offered, words
    behind = f"s3rs-ray sync --config-file s.yaml -t {world.schema}.parcels_n"
    assert pressed(behind, tmp_path, world.environment) == stored[:1]


def test_where_nobody_answers_the_file_alone_is_offered(world: World, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("tables: {a.parcels: {mode: append}}")
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says nothing
        port = deaf.getsockname()[1]
        silent = {
            "DB_PORT": str(port),
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "DB_CONNECT_TIMEOUT_SECONDS": "500",
        }
        offered = pressed("s3rs-ray --config-file s.yaml sync -t a", tmp_path, world.environment | silent)
        assert offered == ["a.parcels"]
    wrong = {"DB_PASSWORD": "wrong", "S3_SECRET_KEY": "wrong", "BACKUP_MAX_WORKERS": "x"}
    assert pressed("s3rs-ray --config-file s.yaml sync -t a", tmp_path, world.environment | wrong) == ["a.parcels"]

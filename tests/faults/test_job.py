"""``ray job submit`` on a cluster that asks for a token: the run ends well, and no secret shows in the cluster."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import pytest
import yaml

from tests.support.ray_nodes import ended_process, session_processes
from tests.support.s3_proxy import S3Fault, S3Proxy

from .ends import Ends
from .runs import Runs, wait_for

HERE = "127.0.0.4"
PAGES = (
    *("/api/jobs/", "/nodes?view=summary", "/logical/actors"),
    *(f"/api/v0/{kind}?detail=1&limit=1000" for kind in ("actors", "tasks", "workers", "nodes", "objects")),
    *("/api/v0/runtime_envs?detail=1", "/api/v0/tasks/summarize", "/api/v0/actors/summarize"),
)
"""Where Ray's dashboard and its state API tell what runs, and with what."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A cluster of one node, with a dashboard, that asks for a token."""

    address: str
    dashboard: str
    token: str
    leader: int
    directory: Path

    @property
    def login(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def page(self, path: str, token: str = "") -> str:
        """What the dashboard answers."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with urllib.request.urlopen(urllib.request.Request(self.dashboard + path, headers=headers), timeout=30) as got:
            return str(got.read().decode())


@pytest.fixture
def guarded(runs: Runs) -> Iterator[Guarded]:
    """Started by ``ray start`` in a process of its own: Ray keeps authentication on in a process that had it once."""
    token = secrets.token_hex(32)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="s3j-", dir="/tmp")))
        port, dashboard, agent, client = (_free_port() for _ in range(4))
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
        words += [f"--node-ip-address={HERE}", "--num-cpus=2", f"--temp-dir={directory}", "--include-dashboard=true"]
        words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        words += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"]
        words += ["--min-worker-port=0", "--max-worker-port=0"]
        clean = {"PATH": os.environ["PATH"], "HOME": str(directory), "RAY_USAGE_STATS_ENABLED": "0"}
        login = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        said = stack.enter_context(TemporaryFile())
        process = stack.enter_context(ended_process(words, said, clean | login))
        cluster = Guarded(f"{HERE}:{port}", f"http://127.0.0.1:{dashboard}", token, process.pid, directory)

        def is_up() -> bool:
            said.seek(0)
            assert process.poll() is None, said.read().decode()
            try:
                return bool(cluster.page("/api/version"))
            except OSError:
                return False

        wait_for(is_up, "the dashboard answers", pause=0.2)
        yield cluster


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        return int(free.getsockname()[1])


def test_a_job_on_a_guarded_cluster_shows_no_secret(
    ends: Ends, runs: Runs, proxy: S3Proxy, guarded: Guarded, tmp_path: Path
) -> None:
    logins = (
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")},
    )
    strangers = [runs.sync_with_ray("--address", guarded.address, change=login) for login in logins]
    with pytest.raises(urllib.error.HTTPError):
        guarded.page("/api/jobs/", token=secrets.token_hex(32))

    for stranger in strangers:
        assert stranger.wait() == 2, stranger.stderr
        assert f"the Ray cluster at {guarded.address} asks for a token" in stranger.stderr
        assert "Traceback" not in stranger.stderr
        assert "gcs_client" not in stranger.stderr  # nor anything else that Ray says

    settings = tmp_path / "settings.yaml"
    settings.touch(mode=0o600)
    settings.write_text(yaml.safe_dump({**runs.environment, "BACKUP_SETTLE_SECONDS": 0, "BACKUP_BATCH_SIZE": 50}))
    hidden = [value for name, value in runs.environment.items() if "PASSWORD" in name or "SECRET" in name]
    assert len(hidden) == 3
    held = S3Fault(key=r"_batch_0003\.parquet", hold=threading.Event())
    proxy.set(held)
    job = _submit(guarded, "sync", "--config-file", str(settings), "-t", runs.table, "-o", "json")
    wait_for(lambda: bool(held.struck) or _status(guarded, job) in {"FAILED", "SUCCEEDED"}, "a worker writes its file")
    shown = {page: guarded.page(page) for page in PAGES}
    shown |= {f"environment and command of {pid}": text for pid, text in session_processes(guarded.leader).items()}
    proxy.set()
    wait_for(lambda: _status(guarded, job) in {"FAILED", "SUCCEEDED"}, "the job ends", pause=0.2)
    log = guarded.page(f"/api/jobs/{job}/logs")
    assert _status(guarded, job) == "SUCCEEDED", log
    shown |= {f"{page}, after it": guarded.page(page) for page in PAGES}
    shown |= {"the job's log": log}
    files = [path for path in guarded.directory.rglob("*") if path.is_file()]
    shown |= {str(path): path.read_bytes().decode(errors="replace") for path in files}
    runs.settle()
    ends.assert_settled()
    ends.assert_each_row_merged_once()
    assert "s3rs_ray sync" in shown["/api/jobs/"], "the pages do not show the job"
    assert "LedgerActor" in shown["/api/v0/actors?detail=1&limit=1000"], "the pages do not show the coordinator"
    assert "_extract" in shown["/api/v0/tasks?detail=1&limit=1000"], "the pages do not show the chunks"
    assert any(str(settings) in text for name, text in shown.items() if name.startswith("environment")), "nor processes"
    assert any("python-core-driver" in name for name in shown), "nor logs"
    told = {name for name, text in shown.items() for secret in hidden if secret in text or json.dumps(secret) in text}
    assert not told


def _submit(guarded: Guarded, *words: str) -> str:
    """The job's id."""
    job = f"s3rs-{secrets.token_hex(4)}"
    submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", guarded.dashboard]
    submit += ["--no-wait", "--submission-id", job, "--", sys.executable, "-m", "s3rs_ray", *words]
    done = subprocess.run(submit, env={**os.environ, **guarded.login}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return job


def _status(guarded: Guarded, job: str) -> str:
    return str(json.loads(guarded.page(f"/api/jobs/{job}"))["status"])

"""The examples for schedulers are at least well-formed, and name options that exist."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from s3rs_ray.cli.app import cli, hoist
from s3rs_ray.config import Settings
from s3rs_ray.storage.layout import MANIFEST_PREFIX

EXAMPLES = Path(__file__).parent.parent / "examples"


def command_lines() -> list[list[str]]:
    """The words behind `s3rs-ray` in every example."""
    dag = ast.parse((EXAMPLES / "airflow_dag.py").read_text(encoding="utf-8"))
    (command,) = (
        ast.literal_eval(node.value)
        for node in dag.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMAND"
    )
    cron = (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines()[-1].partition(" > ")[0]
    unit = (EXAMPLES / "s3rs-ray.service").read_text(encoding="utf-8")
    lines = [command, cron, *re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)]
    return [shlex.split(line[line.rindex("s3rs-ray -") :])[1:] for line in lines]


@pytest.mark.parametrize("words", command_lines(), ids=["airflow", "cron", "systemd"])
def test_every_option_of_the_examples_is_one(words: list[str]) -> None:
    words = hoist(words)
    place = words.index("sync")
    with cli.make_context("s3rs-ray", words[: place + 1]) as context:
        cli.commands["sync"].make_context("sync", words[place + 1 :], parent=context)


def test_the_dag_is_python() -> None:
    compile((EXAMPLES / "airflow_dag.py").read_text(encoding="utf-8"), "airflow_dag.py", "exec")


def test_the_cron_line_has_five_fields_a_user_and_no_percent_sign() -> None:
    line = (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines()[-1]
    assert re.match(r"([\d*,/-]+\s+){5}s3rs ", line)
    assert "%" not in line  # cron takes it for the end of the line


def test_cron_finds_the_program() -> None:
    """cron's own PATH is /usr/bin:/bin (crontab(5)), and pip installs elsewhere."""
    text = (EXAMPLES / "crontab").read_text(encoding="utf-8")
    assert "/usr/local/bin" in re.findall(r"^PATH=(.*)$", text, re.MULTILINE)[0].split(":")


def test_variables_named_in_the_examples_are_settings() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in EXAMPLES.iterdir() if p.is_file())
    named = set(re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)=", text))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units() -> None:
    units = [str(EXAMPLES / name) for name in ("s3rs-ray.service", "s3rs-ray.timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "s3rs-ray" not in done.stderr


README = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
S3_ACTIONS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "delete_objects": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
    "head_bucket": "s3:ListBucket",
}
"""What a call needs (Amazon S3 API Reference, "Permissions" of each)."""


def allowed(name: str) -> dict[str, set[str]]:
    """The actions of a policy, by the resource they are allowed on."""
    found: dict[str, set[str]] = {}
    for statement in json.loads((EXAMPLES / "iam" / name).read_text(encoding="utf-8"))["Statement"]:
        resources, actions = (
            [value] if isinstance(value, str) else value for value in (statement["Resource"], statement["Action"])
        )
        for resource in resources:
            found.setdefault(resource.removeprefix("arn:aws:s3:::settlement-lake"), set()).update(actions)
    return found


def test_the_policy_of_the_process_allows_what_it_calls_and_no_more() -> None:
    source = (EXAMPLES.parent / "s3rs_ray" / "storage" / "s3.py").read_text(encoding="utf-8")
    called = set(re.findall(r"_client\.([a-z_0-9]+)\(", source)) - {"get_paginator"}
    called |= set(re.findall(r"get_paginator\(\"([a-z_0-9]+)\"\)", source))
    policy = allowed("process.json")
    assert policy[""] | policy["/*"] == {S3_ACTIONS[call] for call in called}
    assert policy[""] == {"s3:ListBucket"}


def test_the_policy_of_the_copy_role_reaches_what_a_copy_reads() -> None:
    settings = Settings.load(environment={})
    assert allowed("copy-role.json") == {
        "": {"s3:ListBucket"},
        f"/{settings.s3_incremental_path}*": {"s3:GetObject"},
        f"/{MANIFEST_PREFIX}*": {"s3:GetObject"},
    }


@pytest.mark.parametrize(("name", "who"), [("process.json", "the process, S3"), ("copy-role.json", "the COPY role")])
def test_the_readme_tells_the_actions_of_the_policies(name: str, who: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| {who}"))
    assert set(re.findall(r"`(s3:\w+)`", row)) == set().union(*allowed(name).values())
    assert "examples/iam" in README


def test_the_trust_is_redshifts() -> None:
    trust = json.loads((EXAMPLES / "iam" / "copy-role-trust.json").read_text(encoding="utf-8"))["Statement"][0]
    assert trust["Principal"]["Service"] in README

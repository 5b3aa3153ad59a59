"""cluster.yaml against Ray's own schema and rules; the KubeRay examples by their structure."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.autoscaler._private.aws.config import DEFAULT_AMI_NAME
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME

from s3rs_ray.cli.app import cli, hoist
from s3rs_ray.config import Settings
from s3rs_ray.engine.cluster import source_resource

ROOT = Path(__file__).parents[2]
KUBERAY = ROOT / "examples" / "kuberay"
SOURCE = source_resource(Settings.load(environment={"DB_HOST": "mysql.internal"}))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture
def config() -> dict[str, Any]:
    return load(ROOT / "cluster.yaml")


def test_ray_accepts_the_cluster_file(config: dict[str, Any]) -> None:
    validate_config(prepare_config(config))


def test_a_cluster_file_with_a_misspelt_field_would_be_refused(config: dict[str, Any]) -> None:
    config["idle_timeout_minute"] = 5
    with pytest.raises(jsonschema.ValidationError, match="idle_timeout_minute"):
        validate_config(prepare_config(config))


def test_readers_are_spot_instances_and_the_head_is_none_and_holds_no_reader(config: dict[str, Any]) -> None:
    head, reader = config["available_node_types"]["head"], config["available_node_types"]["reader"]
    assert head["resources"] == {"CPU": 0, SOURCE: 1}  # the cap is known before a reader has started
    assert "InstanceMarketOptions" not in head["node_config"]
    assert reader["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert (reader["min_workers"], reader["max_workers"]) == (0, config["max_workers"])
    assert reader["resources"][SOURCE] > 0


def test_no_node_is_given_rays_default_image(config: dict[str, Any]) -> None:
    """Ray's default is of Ubuntu 18.04, which nobody mends any more."""
    assert "18.04" in DEFAULT_AMI_NAME
    for kind in config["available_node_types"].values():
        assert kind["node_config"]["ImageId"].startswith("ami-")


def test_every_node_has_its_rights_from_an_instance_profile_and_no_key_is_in_the_file(config: dict[str, Any]) -> None:
    roles = {
        name: kind["node_config"]["IamInstanceProfile"]["Arn"].replace(":instance-profile/", ":role/")
        for name, kind in config["available_node_types"].items()
    }
    assert roles["head"] != roles["reader"]  # only the head may start and end instances
    policy = json.loads((ROOT / "examples" / "iam" / "ray-head.json").read_text(encoding="utf-8"))
    granted = {
        action: statement
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert granted["iam:PassRole"]["Resource"] == roles["reader"]
    [(tag, cluster)] = granted["ec2:TerminateInstances"]["Condition"]["StringEquals"].items()
    assert (tag, cluster) == (f"aws:ResourceTag/{TAG_RAY_CLUSTER_NAME}", config["cluster_name"])
    assert granted.keys() == {
        "ec2:DescribeInstances", "ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances", "iam:PassRole"
    }  # fmt: skip
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    assert not re.search(r"AKIA|password\s*:|secret_key|access_key|DB_PASSWORD", text, re.IGNORECASE)


def test_rays_ports_ask_for_a_token_that_every_node_has(config: dict[str, Any]) -> None:
    assert "/home/ray/.ray/auth_token" in config["file_mounts"]
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        [start] = [c for c in commands if "ray start" in c]
        assert "RAY_AUTH_MODE=token ray start" in start.replace("RAY_USAGE_STATS_ENABLED=0 ", "")


def test_one_version_of_ray_everywhere(config: dict[str, Any]) -> None:
    files = [ROOT / "cluster.yaml", *sorted(KUBERAY.iterdir()), ROOT / "README.md"]
    pattern = r"ray:(\d[\d.]*\d)|rayVersion: (\S+)|ray\[default\]==([\d.]+\d)"
    named = {next(filter(None, m)) for file in files for m in re.findall(pattern, file.read_text(encoding="utf-8"))}
    assert named == {ray.__version__}


def clusters() -> list[dict[str, Any]]:
    return [load(KUBERAY / "raycluster.yaml")["spec"], load(KUBERAY / "rayjob.yaml")["spec"]["rayClusterSpec"]]


def test_both_kuberay_examples_have_the_same_pods() -> None:
    standing, own = clusters()
    assert standing["workerGroupSpecs"] == own["workerGroupSpecs"]
    assert standing["headGroupSpec"]["template"] == own["headGroupSpec"]["template"]


@pytest.mark.parametrize("spec", clusters(), ids=["RayCluster", "RayJob"])
def test_kuberay_pods_are_complete_and_hold_no_secret(spec: dict[str, Any]) -> None:
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["authOptions"] == {"mode": "token"}
    head, [group] = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert yaml.safe_load(shlex.split(head["rayStartParams"]["resources"])[0]) == {SOURCE: 1}
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    # The operator puts the value into a shell command as it is.
    [resources] = shlex.split(group["rayStartParams"]["resources"])
    assert yaml.safe_load(resources)[SOURCE] > 0
    for template in (head["template"], group["template"]):
        pod = template["spec"]
        assert pod["serviceAccountName"]
        [container] = pod["containers"]
        assert container["image"]
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "env" not in container  # a container's variables show in its description
        mounted = {m["name"] for m in container.get("volumeMounts", ())}
        assert mounted == {v["name"] for v in pod.get("volumes", ())}
        for volume in pod.get("volumes", ()):  # its files are root's: the image's user reads them by the group
            assert volume["secret"]["defaultMode"] == 0o440
            assert pod["securityContext"]["fsGroup"]


def test_the_jobs_entrypoint_is_a_command_of_ours() -> None:
    job = load(KUBERAY / "rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    python, flag, module, *words = shlex.split(job["spec"]["entrypoint"])
    assert (python, flag, module) == ("python", "-m", "s3rs_ray")
    words = hoist(words)
    context = cli.make_context("s3rs-ray", words[: words.index("sync")])
    command = cli.get_command(context, "sync")
    assert command is not None
    assert command.make_context("sync", words[words.index("sync") + 1 :], parent=context).params["tables"]

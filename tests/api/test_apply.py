"""Server-side apply, and what kubectl reads before it sends anything: the machine's kubectl against a server in this process."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybernetes import testing
from pybernetes.testing import RunningCluster

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "web:1", "env": [{"name": "A", "value": "b"}]}]},
        },
    },
}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCluster]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    with testing.cluster() as cluster:
        yield cluster


@pytest.fixture
def kubectl(running: RunningCluster, tmp_path: Path) -> Any:
    """A function of kubectl's arguments, and of what it reads; it has nothing cached."""
    environment = {**os.environ, "KUBECONFIG": running.kubeconfig, "HOME": str(tmp_path)}

    def run(*arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        text = None if stdin is None else json.dumps(stdin)
        return subprocess.run(
            ["kubectl", *arguments], input=text, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def deployment(image: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(DEPLOYMENT))
    made["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return made


def test_apply_conflict_force_and_what_others_keep(kubectl: Any) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert kubectl(*apply, stdin=deployment("web:1")).stdout == "deployment.apps/web serverside-applied\n"
    assert kubectl("scale", "deployment/web", "--replicas=5").returncode == 0
    other = kubectl(*apply, "--field-manager=other", stdin=deployment("web:2"))
    assert other.returncode == 1
    assert 'conflicts with "kubectl":\n- .spec.template.spec.containers[name="c"].image' in other.stderr
    assert 'conflicts with "kubectl" with subresource "scale" using apps/v1:\n- .spec.replicas' in other.stderr
    forced = deployment("web:2")
    del forced["spec"]["replicas"]
    assert kubectl(*apply, "--field-manager=other", "--force-conflicts", stdin=forced).returncode == 0
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields").stdout)
    assert found["spec"]["replicas"] == 5
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    entries = {(e["manager"], e["operation"]) for e in found["metadata"]["managedFields"]}
    assert entries == {("kubectl", "Apply"), ("other", "Apply"), ("kubectl", "Update")}


def test_client_side_apply_moves_to_server_side(kubectl: Any) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "moved"}, "data": {"k": "v", "gone": "x"}}
    assert kubectl("apply", "-f", "-", stdin=config).returncode == 0
    config["data"] = {"k": "w"}
    assert kubectl("apply", "--server-side", "-f", "-", stdin=config).returncode == 0
    assert json.loads(kubectl("get", "configmap", "moved", "-o", "json").stdout)["data"] == {"k": "w"}


def test_diff_and_dry_run_change_nothing(kubectl: Any) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "same"}, "data": {"k": "v"}}
    assert kubectl("apply", "--server-side", "-f", "-", stdin=config).returncode == 0
    assert kubectl("diff", "--server-side", "-f", "-", stdin=config).returncode == 0
    config["data"] = {"k": "w"}
    assert "+  k: w" in kubectl("diff", "--server-side", "-f", "-", stdin=config).stdout
    assert kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=config).returncode == 0
    assert kubectl("get", "configmap", "same", "-o", "jsonpath={.data.k}").stdout == "v"


def test_unknown_and_duplicate_fields_are_refused(kubectl: Any, tmp_path: Path) -> None:
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong"}, "dat": {"k": "v"}}
    assert 'unknown field "dat"' in kubectl("create", "-f", "-", stdin=wrong).stderr
    body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{"k":"v"},"data":{"k":"w"}}'
    (tmp_path / "twice.json").write_text(body)
    target = "/api/v1/namespaces/default/configmaps?fieldValidation=Strict"
    assert 'duplicate field "data"' in kubectl("create", "--raw", target, "-f", str(tmp_path / "twice.json")).stderr


def test_explain(kubectl: Any) -> None:
    text = kubectl("explain", "deployment.spec.strategy.rollingUpdate.maxSurge").stdout
    assert "IntOrString" in text and "maximum number of pods" in text

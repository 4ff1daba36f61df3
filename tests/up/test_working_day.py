"""A day with kubectl, old and new, on a real cluster."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.clients import Kubectl


def eventually(check: Callable[[], bool], seconds: float = 180.0) -> None:
    """Asks again until it holds."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.1)


def pod(kubectl: Kubectl) -> str:
    """A pod of hello that runs and is to stay."""
    found = json.loads(kubectl("get", "pods", "-l", "app=hello", "--field-selector=status.phase=Running", "-o", "json"))
    return next(p["metadata"]["name"] for p in found["items"] if "deletionTimestamp" not in p["metadata"])


def test_apply_again_changes_nothing(kubectl: Kubectl) -> None:
    assert "deployment.apps/hello unchanged" in kubectl("apply", "-f", "examples/hello")


def test_get(kubectl: Kubectl) -> None:
    wide = kubectl("get", "pods", "-l", "app=hello", "-o", "wide").splitlines()
    assert wide[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert sum("1/1" in line and "Running" in line for line in wide) == 3
    assert kubectl("get", "deployment", "hello", "-o", "jsonpath={.status.readyReplicas}") == "3"
    assert kubectl("get", "svc", "-o", "custom-columns=N:.metadata.name", "--no-headers").split() == [
        "hello",
        "hello-balanced",
        "hello-nodeport",
    ]
    assert "kind: Deployment" in kubectl("get", "deployment/hello", "-o", "yaml")
    assert json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    assert "Error from server (NotFound)" in kubectl("get", "pod", "nobody", code=1)


def test_describe(kubectl: Kubectl) -> None:
    expected = ("Successfully assigned", "Container created", "Container started", r"Ready\s+True")
    name, text = pod(kubectl), ""

    def described() -> bool:
        nonlocal text
        text = kubectl("describe", "pod", name)
        return all(re.search(words, text) for words in expected)

    eventually(described)  # events come after what they tell
    assert re.search(r"Endpoints:\s+\d+\.\d+\.\d+\.\d+:8080", kubectl("describe", "service", "hello"))
    assert "ScalingReplicaSet" in kubectl("describe", "deployment", "hello")
    assert "KubeletReady" in kubectl("describe", "nodes")


def test_exec_without_and_with_a_terminal(kubectl: Kubectl) -> None:
    name = pod(kubectl)
    assert kubectl("exec", name, "--", "cat", "/www/index.html") == "hello from pybernetes\n"
    assert "command terminated with exit code 3" in kubectl("exec", name, "--", "sh", "-c", "exit 3", code=3)
    assert kubectl("exec", "-i", name, "--", "cat", stdin="typed\n") == "typed\n"
    assert "6" in kubectl.on_a_terminal("exec", "-it", name, "--", "sh", typed="echo is-$((2*3))\n", until="is-6")


def test_copy_there_and_back(kubectl: Kubectl, tmp_path: Path) -> None:
    name = pod(kubectl)
    content = bytes(range(256)) * 1000
    (tmp_path / "there").write_bytes(content)
    kubectl("cp", str(tmp_path / "there"), f"{name}:/tmp/copied")
    kubectl("cp", f"{name}:/tmp/copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_port_forward(kubectl: Kubectl) -> None:
    process = kubectl.start("port-forward", f"pod/{pod(kubectl)}", ":8080")
    try:
        assert process.stdout
        line = process.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+) -> 8080", line)
        assert port, line
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=30) as answer:
            assert answer.read() == b"hello from pybernetes\n"
    finally:
        process.kill()
        process.communicate()


def test_run_and_follow_its_log(kubectl: Kubectl) -> None:
    kubectl(
        "run", "counter", "--image=pybernetes:local", "--image-pull-policy=Never", "--restart=Never", "--command", "--",
        "sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.3; done",
    )  # fmt: skip
    eventually(lambda: kubectl("get", "pod", "counter", "-o", "jsonpath={.status.phase}") in ("Running", "Succeeded"))
    assert kubectl("logs", "-f", "counter") == "line 1\nline 2\nline 3\n"
    assert kubectl("logs", "--tail=1", "counter") == "line 3\n"
    eventually(lambda: kubectl("get", "pod", "counter", "-o", "jsonpath={.status.phase}") == "Succeeded")
    kubectl("delete", "pod", "counter")


def test_run_and_remove_on_a_terminal(kubectl: Kubectl) -> None:
    arguments = (
        "run",
        "shell",
        "--rm",
        "-it",
        "--image=pybernetes:local",
        "--image-pull-policy=Never",
        "--restart=Never",
    )
    kubectl.on_a_terminal(*arguments, "--command", "--", "sh", typed="echo is-$((2*3))\n", until="is-6")
    eventually(lambda: "shell" not in kubectl("get", "pods", "-o", "name"))


def test_scale(kubectl: Kubectl) -> None:
    kubectl("scale", "deployment/hello", "--replicas=1")
    eventually(lambda: len(kubectl("get", "pods", "-l", "app=hello", "-o", "name").split()) == 1)
    kubectl("scale", "deployment/hello", "--replicas=3")
    kubectl("rollout", "status", "deployment/hello", "--timeout=180s")


def test_rollout_and_back(kubectl: Kubectl) -> None:
    kubectl("set", "env", "deployment/hello", "COLOUR=green")
    kubectl("rollout", "status", "deployment/hello", "--timeout=180s")
    assert kubectl("exec", pod(kubectl), "--", "sh", "-c", "echo $COLOUR") == "green\n"
    kubectl("set", "image", "deployment/hello", "web=registry.invalid/none:1")
    eventually(lambda: "registry.invalid/none:1" in kubectl("get", "rs", "-l", "app=hello", "-o", "wide"))
    history = kubectl("rollout", "history", "deployment/hello")
    assert "REVISION" in history
    kubectl("rollout", "undo", "deployment/hello")
    kubectl("rollout", "status", "deployment/hello", "--timeout=180s")
    assert kubectl("get", "deployment/hello", "-o", "jsonpath={..image}") == "pybernetes:local"


def test_edit_label_annotate_expose(kubectl: Kubectl) -> None:
    kubectl("edit", "configmap", "hello", KUBE_EDITOR="sed -i s/pybernetes$/Python/")
    assert "hello from Python" in kubectl("get", "configmap", "hello", "-o", "yaml")
    name = pod(kubectl)
    eventually(lambda: "Python" in kubectl("exec", name, "--", "cat", "/www/index.html"), 120)
    kubectl("apply", "-f", "examples/hello")
    kubectl("label", "deployment/hello", "tier=front")
    kubectl("annotate", "deployment/hello", "note=one")
    assert "hello" in kubectl("get", "deployments", "-l", "tier=front", "-o", "name")
    kubectl("expose", "deployment/hello", "--name=again", "--port=81", "--target-port=8080")
    eventually(
        lambda: bool(
            kubectl("get", "endpoints", "again", "--ignore-not-found", "-o", "jsonpath={.subsets[*].addresses[*].ip}")
        )
    )
    kubectl("delete", "service", "again")


def test_what_one_may_and_what_there_is(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "delete", "nodes") == "yes\n" or "yes" in kubectl(
        "auth", "can-i", "delete", "nodes"
    )
    assert "no" in kubectl("auth", "can-i", "list", "secrets", "--as=system:serviceaccount:default:default", code=1)
    assert "FIELD" in kubectl("explain", "deployment.spec.replicas").upper()
    resources = kubectl("api-resources")
    for name in ("deployments", "pods", "networkpolicies", "clusterroles", "leases"):
        assert name in resources
    assert "apps/v1" in kubectl("api-versions")
    assert re.search(r"GitVersion|Server Version", kubectl("version"))


def test_wait_and_events(kubectl: Kubectl) -> None:
    kubectl("wait", "--for=condition=available", "deployment/hello", "--timeout=180s")
    assert "SuccessfulCreate" in kubectl("get", "events")
    if "kubectl-old" not in kubectl.binary:  # 1.20 has no such command yet
        assert "SuccessfulCreate" in kubectl("events", "--types=Normal")
        assert "ScalingReplicaSet" in kubectl("events", "--for=deployment/hello")


def test_validation_finds_what_is_misspelt(kubectl: Kubectl) -> None:
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong"}, "dta": {}}
    text = kubectl("apply", "-f", "-", stdin=json.dumps(wrong), code=1)
    assert "dta" in text


def test_job(kubectl: Kubectl) -> None:
    kubectl("create", "job", "once", "--image=pybernetes:local", "--", "sh", "-c", "echo done")
    kubectl("patch", "job", "once", "-p", '{"spec":{"ttlSecondsAfterFinished":600}}')
    kubectl("wait", "--for=condition=complete", "job/once", "--timeout=180s")
    assert kubectl("logs", "job/once") == "done\n"
    kubectl("delete", "job", "once")
    eventually(lambda: "once" not in kubectl("get", "pods", "-o", "name"))


def test_cordon_and_drain(kubectl: Kubectl) -> None:
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    kubectl("cordon", node)
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    drained = ("drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--pod-selector=app=hello")
    kubectl(*drained, "--timeout=180s")
    kubectl("uncordon", node)
    kubectl("rollout", "status", "deployment/hello", "--timeout=180s")


def test_delete_the_namespace_last(kubectl: Kubectl) -> None:
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=180s")
    assert "NotFound" in kubectl("get", "namespace", kubectl.namespace, code=1)

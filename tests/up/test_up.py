"""What `up`, `status`, `logs` and `down` promise, on a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pybernetes.cluster import state
from pybernetes.cluster.layout import Layout
from tests import clients
from tests.clients import Kubectl

from .conftest import pybernetes


@pytest.fixture
def kubectl(layout: Layout) -> Kubectl:
    binary = clients.found().get("kubectl") or clients.found().get("kubectl-new")
    if binary is None:
        pytest.skip("no kubectl: run tools/clients.sh")
    return Kubectl(binary, str(layout.kubeconfig("admin")))


def pids(layout: Layout) -> dict[str, int]:
    found = state.read(layout)
    assert found is not None
    return {part.name: part.pid for part in found.parts}


def test_status_says_that_all_is_well(layout: Layout) -> None:
    lines = json.loads(pybernetes("status", f"--data-dir={layout.root}", "--json"))
    assert [line for line in lines if not line["ok"]] == []
    kinds = {line["kind"] for line in lines}
    assert kinds == {"part", "node", "add-on", "certificate"}


def test_up_again_changes_nothing(layout: Layout) -> None:
    before = pids(layout)
    pybernetes("up", f"--data-dir={layout.root}")
    assert pids(layout) == before


def test_logs(layout: Layout) -> None:
    assert "serving" in pybernetes("logs", f"--data-dir={layout.root}", "kube-apiserver")
    assert "name one of: " in pybernetes("logs", f"--data-dir={layout.root}", "nobody", code=2)


def test_dns_from_inside_a_pod(kubectl: Kubectl) -> None:
    pod = kubectl("get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[0].metadata.name}")
    for name in ("hello", "hello.default", "hello.default.svc.cluster.local"):
        assert kubectl("exec", pod, "--", "wget", "-q", "-O", "-", f"http://{name}/") == "hello from pybernetes\n"
    assert "10.96.0.1" in kubectl("exec", pod, "--", "nslookup", "kubernetes.default.svc.cluster.local")


@pytest.mark.parametrize(
    "part",
    [
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
        *("kube-network-policies", "service-load-balancer"),
    ],
)
def test_a_killed_part_comes_back(layout: Layout, kubectl: Kubectl, part: str) -> None:
    containers = kubectl("get", "pods", "-A", "-o", "jsonpath={..containerID}")
    old = pids(layout)[part]
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 180
    while pids(layout)[part] in (0, old) or subprocess.run(status(layout), capture_output=True).returncode:
        assert time.monotonic() < end, pybernetes("status", f"--data-dir={layout.root}", code=1)
        time.sleep(0.2)
    assert kubectl("get", "pods", "-A", "-o", "jsonpath={..containerID}") == containers


def status(layout: Layout) -> list[str]:
    return [sys.executable, "-m", "pybernetes", "status", f"--data-dir={layout.root}"]


def test_down_leaves_nothing_and_up_resumes_with_all_objects(layout: Layout, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "kept", "--from-literal=a=b")
    processes = [pid for pid in pids(layout).values() if pid]
    uids = kubectl("get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}").split()
    assert uids and {name.rpartition("_")[2] for name in os.listdir("/var/log/pods")} >= set(uids)
    pybernetes("down", f"--data-dir={layout.root}")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in processes)
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "pyb0" not in links and "veth" not in links
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert "KUBE-" not in saved and "PYBERNETES" not in saved
    assert str(layout.root) not in Path("/proc/mounts").read_text()
    assert not {name.rpartition("_")[2] for name in os.listdir("/var/log/pods")} & set(uids)
    pybernetes("up", f"--data-dir={layout.root}")
    assert kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"


def test_a_supervisor_killed_outright_is_replaced_by_the_next_up(layout: Layout, kubectl: Kubectl) -> None:
    found = state.read(layout)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    pybernetes("up", f"--data-dir={layout.root}")
    assert kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"
    assert json.loads(pybernetes("status", f"--data-dir={layout.root}", "--json"))

"""Upstream's kube-controller-manager and kube-scheduler of 1.20 on our API server and hollow nodes: they do all their work, and their
logs complain of nothing that the server has not or does not understand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .parts import Cluster, cluster, wait, why_not

WHY_NOT = why_not("kube-controller-manager", "kube-scheduler", "kubeadm", "kubectl")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all of it is there")
WORKLOADS = (Path(__file__).parent / "workloads.yaml").read_text()
# What they would say of an API that is not what they expect.
COMPLAINTS = re.compile(
    r"Failed to (watch|list)|could not find the requested resource|no matches for|is invalid|unknown field|cannot unmarshal|"
    r"couldn't get resource list|forbidden: User|unable to decode|panic"
)
# Of metrics there are none here; events whose series has one event only were refused by servers of 1.20, too.
EXPECTED = re.compile(r"metrics\.k8s\.io|series\.count: Invalid value")
TESTS: dict[str, Callable[[Cluster], bool]] = {
    "web's pods are available": lambda c: replicas(c, "deployment", "web", "availableReplicas") == 3,
    "agent's pods are ready": lambda c: replicas(c, "daemonset", "agent", "numberReady") == 2,
    "db's pod has its volume": lambda c: replicas(c, "statefulset", "db", "readyReplicas") >= 1,
    "the claim is bound": lambda c: c.get("pv", "disk")["status"].get("phase") == "Bound",
    "good is complete": lambda c: "Complete" in ended(c, "good"),
    "late has failed": lambda c: "Failed" in ended(c, "late"),
    "often has run": lambda c: any(one["metadata"]["name"].startswith("often-") for one in c.items("-nw", "jobs")),
    "db is scaled": lambda c: c.get("-nw", "statefulset", "db")["spec"]["replicas"] == 2,
    "web has endpoints": lambda c: len(subsets(c)) == 1 and len(subsets(c)[0]["addresses"]) == 3,
    "web has slices": lambda c: sum(len(one["endpoints"]) for one in slices(c)) == 3,
    "the budget counts": lambda c: replicas(c, "pdb", "web", "disruptionsAllowed") == 1,
    "the quota counts": lambda c: (
        c.get("-nw", "quota", "quota")["status"].get("used", {}).get("count/deployments.apps") == "1"
    ),
    "the namespace has its authority": lambda c: bool(c.get("-nw", "cm", "kube-root-ca.crt")),
}


def replicas(one: Cluster, kind: str, name: str, column: str) -> int:
    return int(one.get("-nw", kind, name).get("status", {}).get(column) or 0)


def ended(one: Cluster, name: str) -> list[str]:
    return [c["type"] for c in one.get("-nw", "job", name).get("status", {}).get("conditions", ())]


def subsets(one: Cluster) -> list[dict[str, list[object]]]:
    return list(one.get("-nw", "endpoints", "web").get("subsets") or ())


def slices(one: Cluster) -> list[dict[str, list[object]]]:
    return one.items("-nw", "endpointslices", "-lkubernetes.io/service-name=web")


def complaints(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if COMPLAINTS.search(line) and not EXPECTED.search(line)]


def test_they_do_all_their_work(tmp_path: Path) -> None:
    with cluster(tmp_path) as one:
        one.api_server()
        logs = (one.controller_manager(), one.scheduler())
        one.hollow_nodes(2)
        wait("the nodes", lambda: len(one.items("nodes")) == 2)
        one.kubectl("apply", "-f", "-", stdin=WORKLOADS)
        token = wait("a token", lambda: one.get("-nw", "serviceaccount", "default").get("secrets"))[0]["name"]
        assert set(one.get("-nw", "secret", token)["data"]) == {"ca.crt", "namespace", "token"}
        for what, condition in TESTS.items():
            wait(what, lambda condition=condition: condition(one))  # type: ignore[misc]
        one.kubectl("-nw", "delete", "deployment", "web", "--cascade=foreground", "--timeout=60s")
        assert one.items("-nw", "pods", "-lapp=web") == one.items("-nw", "rs") == []
        one.kubectl("delete", "namespace", "w", "--timeout=80s")
        wait("the volume", lambda: one.get("pv", "disk")["status"]["phase"] == "Released")
        assert [line for log in logs for line in complaints(log)] == []

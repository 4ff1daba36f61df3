"""Pods that nobody else deletes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.controllers.podgc.plan import Quarantine, failed_status, out_of_service, surplus, unscheduled

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(
    name: str, phase: str = "Succeeded", age: int = 0, node: str = "n", reason: str = "", deleting: bool = False
) -> core.Pod:
    created = NOW - timedelta(seconds=age)
    deleted = NOW if deleting else None
    return core.Pod(
        metadata=meta.ObjectMeta(name=name, uid=name, creation_timestamp=created, deletion_timestamp=deleted),
        spec=core.PodSpec(node_name=node),
        status=core.PodStatus(phase=phase, reason=reason),
    )


def test_surplus_takes_evicted_ones_and_then_the_oldest() -> None:
    pods = [
        pod("young", age=1),
        pod("old", age=9),
        pod("evicted", "Failed", 2, reason="Evicted"),
        pod("runs", "Running", 99),
        pod("going", age=50, deleting=True),
    ]
    assert [d.pod.metadata.name for d in surplus(pods, 1)] == ["evicted", "old"]
    assert surplus(pods, 3) == [] and surplus(pods, 0) == [] and surplus(pods, -1) == []


def test_unscheduled() -> None:
    pods = [pod("a", "Pending", node="", deleting=True), pod("b", "Pending", node=""), pod("c", deleting=True)]
    assert [d.pod.metadata.name for d in unscheduled(pods)] == ["a"]


def node(ready: str, *taints: str) -> core.Node:
    return core.Node(
        metadata=meta.ObjectMeta(name="n"),
        spec=core.NodeSpec(taints=[core.Taint(key=key, effect="NoExecute") for key in taints]),
        status=core.NodeStatus(conditions=[core.NodeCondition(type="Ready", status=ready)]),
    )


def test_out_of_service() -> None:
    pods = [pod("a", "Running", deleting=True), pod("b", "Running")]
    key = "node.kubernetes.io/out-of-service"
    assert [d.pod.metadata.name for d in out_of_service(pods, {"n": node("Unknown", key)})] == ["a"]
    assert out_of_service(pods, {"n": node("True", key)}) == []
    assert out_of_service(pods, {"n": node("Unknown")}) == []
    assert out_of_service(pods, {}) == []


def test_quarantine() -> None:
    quarantine = Quarantine()
    assert quarantine.ripe(["x"], 0.0) == []
    assert quarantine.ripe(["x", "y"], 30.0) == []
    assert quarantine.ripe(["x", "y"], 40.0) == ["x"]
    assert quarantine.ripe(["y"], 60.0) == []
    assert quarantine.ripe(["x", "y"], 80.0) == ["y"]  # x was there in between


def test_what_ran_is_marked_failed() -> None:
    found = failed_status(pod("a", "Running"), "PodGC: node no longer exists", NOW)
    assert found is not None
    assert found["status"]["phase"] == "Failed"
    assert found["status"]["conditions"][0] == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    assert failed_status(pod("a", "Failed"), "x", NOW) is None

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.pods import qos_class, resources_of
from pybernetes.apiserver.kinds.core.pod import (
    RESOURCE,
    graceful,
    prepare_create,
    prepare_status,
    prepare_update,
    selectable,
)
from pybernetes.apiserver.kinds.core.poddefaults import default_pod, pull_policy
from pybernetes.apiserver.kinds.core.podtable import row, row_conditions
from pybernetes.apiserver.kinds.core.podupdate import validate_ephemeral_containers, validate_resize

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def pod(**spec: Any) -> dict[str, Any]:
    containers = spec.pop("containers", [{"name": "c", "image": "x"}])
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": containers, "serviceAccountName": "default", **spec},
    }
    default_pod(made)
    prepare_create(made)
    return made


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("reg:5000/x", "Always"),
        ("reg:5000/x:1", "IfNotPresent"),
        ("ghcr.io/a/b:v1.2.3", "IfNotPresent"),
        ("x@sha256:" + "a" * 64, "IfNotPresent"),
        ("x:latest@sha256:" + "a" * 64, "Always"),
        ("Not An Image", "IfNotPresent"),
        ("r.io/" + "a" * 255, "Always"),
        ("r.io/" + "a" * 256, "IfNotPresent"),
        ("a/" * 1_000_000 + "a", "IfNotPresent"),  # longer than any reference
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
    ],
)
def test_class_of_service(resources: dict[str, Any], expected: str) -> None:
    assert qos_class(resources_of({"containers": [{"resources": resources}]})) == expected


def test_match_label_keys_become_requirements() -> None:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["hash"]}
    made = pod()
    made["metadata"]["labels"] = {"hash": "7"}
    made["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    prepare_create(made)
    assert term["labelSelector"]["matchExpressions"] == [{"key": "hash", "operator": "In", "values": ["7"]}]


def test_gated_pods_say_so() -> None:
    made = pod(schedulingGates=[{"name": "wait"}])
    assert made["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert row(made, NOW)[2] == "SchedulingGated"


@pytest.mark.parametrize(
    ("spec", "phase", "asked", "seconds"),
    [
        ({}, "Pending", None, 0),
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n"}, "Running", 5, 5),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n"}, "Running", -1, 1),
        ({"nodeName": "n"}, "Succeeded", 5, 0),
    ],
)
def test_graceful(spec: dict[str, Any], phase: str, asked: int | None, seconds: int) -> None:
    made = pod(**spec)
    made["status"]["phase"] = phase
    assert graceful(made, asked) == seconds


def test_selectable() -> None:
    assert selectable(pod(nodeName="n"))["spec.nodeName"] == "n"
    assert selectable(pod())["spec.hostNetwork"] == "false"


# --- updates ------------------------------------------------------------------------------------


def errors_of(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [str(e) for e in RESOURCE.validate_update(new, old)]


def test_images_tolerations_and_shorter_deadlines_may_change() -> None:
    old = pod(activeDeadlineSeconds=50)
    new = deepcopy(old)
    new["spec"]["containers"][0]["image"] = "y"
    new["spec"]["activeDeadlineSeconds"] = 40
    new["spec"]["tolerations"] = [{"key": "a", "operator": "Exists"}]
    assert errors_of(old, new) == []


def test_other_changes_are_refused_with_what_differs() -> None:
    old = pod()
    new = deepcopy(old)
    new["spec"]["containers"][0]["command"] = ["x"]
    (text,) = errors_of(old, new)
    assert text.startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert '+ \tcontainers[0].command: ["x"]' in text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"activeDeadlineSeconds": 60},
            "spec.activeDeadlineSeconds: Invalid value: 60: must be less than or equal to previous value",
        ),
        ({"containers": []}, "spec.containers: Forbidden: pod updates may not add or remove containers"),
        (
            {"tolerations": []},
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
    ],
)
def test_refused(change: dict[str, Any], expected: str) -> None:
    old = pod(activeDeadlineSeconds=50, tolerations=[{"key": "a", "operator": "Exists"}])
    new = deepcopy(old)
    new["spec"].update(change)
    assert expected in errors_of(old, new)


def test_gates_only_go_and_selectors_of_gated_pods_only_grow() -> None:
    old = pod(schedulingGates=[{"name": "a"}], nodeSelector={"k": "v"})
    new = deepcopy(old)
    new["spec"]["schedulingGates"] = []
    new["spec"]["nodeSelector"] = {"k": "v", "more": "x"}
    assert errors_of(old, new) == []
    new["spec"]["nodeSelector"] = {}
    assert "only additions to spec.nodeSelector" in errors_of(old, new)[0]
    new = deepcopy(old)
    new["spec"]["schedulingGates"] = [{"name": "b"}]
    assert "only deletion is allowed, but found new scheduling gate 'b'" in errors_of(old, new)[0]


def test_status_keeps_the_spec_and_the_class() -> None:
    old = pod(nodeName="n")
    new = deepcopy(old)
    new["spec"]["nodeName"] = "other"
    new["status"] = {"phase": "Running"}
    prepare_status(new, old)
    assert new["spec"]["nodeName"] == "n"
    assert new["status"] == {"phase": "Running", "qosClass": "BestEffort"}
    prepare_update(new, old)
    assert new["status"] == old["status"]


def test_terminated_containers_stay_so() -> None:
    old = pod(restartPolicy="Never")
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 0}}}]
    new = deepcopy(old)
    new["status"]["containerStatuses"] = [{"name": "c", "state": {"running": {}}}]
    assert [str(e) for e in RESOURCE.validate_status(new, old)] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


def test_ephemeral_containers_are_only_added() -> None:
    old = pod()
    new = deepcopy(old)
    debugger = {"name": "d", "image": "x", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
    new["spec"]["ephemeralContainers"] = [debugger]
    assert validate_ephemeral_containers(new, old) == []
    assert "may not be removed" in str(validate_ephemeral_containers(old, new)[0])
    new["spec"]["ephemeralContainers"] = [{**debugger, "ports": [{"containerPort": 1, "protocol": "TCP"}]}]
    assert "cannot be set for an Ephemeral Container" in str(validate_ephemeral_containers(new, old)[0])


def test_resize() -> None:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    old = pod(containers=[{"name": "c", "image": "x:1", "resources": resources}])
    new = deepcopy(old)
    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1500m"
    assert validate_resize(new, old) == []
    new["spec"]["containers"][0]["image"] = "y:1"
    assert "only cpu and memory resources are mutable" in str(validate_resize(new, old)[0])
    del new["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    assert any("resource requests cannot be removed" in str(e) for e in validate_resize(new, old))


# --- tables -------------------------------------------------------------------------------------


def statuses(*states: dict[str, Any], **status: Any) -> dict[str, Any]:
    made = pod(containers=[{"name": f"c{i}", "image": "x"} for i in range(max(len(states), 1))])
    made["status"] = {"phase": "Running", **status}
    made["status"]["containerStatuses"] = [{"name": f"c{i}", **state} for i, state in enumerate(states)]
    return made


RUNNING = {"ready": True, "state": {"running": {}}}
CRASHED = {"restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
DONE = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("made", "ready", "status", "restarts"),
    [
        (statuses(), "0/1", "Running", "0"),
        (statuses(RUNNING), "1/1", "Running", "0"),
        (statuses(CRASHED), "0/1", "CrashLoopBackOff", "7"),
        (
            statuses({**CRASHED, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:55:00Z"}}}),
            "0/1",
            "CrashLoopBackOff",
            "7 (5m ago)",
        ),
        (statuses({"state": {"terminated": {"exitCode": 3}}}), "0/1", "ExitCode:3", "0"),
        (statuses({"state": {"terminated": {"exitCode": 137, "signal": 9}}}), "0/1", "Signal:9", "0"),
        (statuses(DONE, RUNNING, conditions=READY), "1/2", "Running", "0"),
        (statuses(DONE, RUNNING), "1/2", "NotReady", "0"),
        (statuses(phase="Failed", reason="Evicted"), "0/1", "Evicted", "0"),
    ],
)
def test_row(made: dict[str, Any], ready: str, status: str, restarts: str) -> None:
    assert row(made, NOW)[:5] == ["a", ready, status, restarts, "60m"]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "Init:0/1"),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, "Init:ImagePullBackOff"),
        ({"state": {"terminated": {"exitCode": 2}}}, "Init:ExitCode:2"),
        ({"state": {"terminated": {"exitCode": 2, "reason": "Error"}}}, "Init:Error"),
        ({"state": {"running": {}}}, "Init:0/1"),
    ],
)
def test_row_while_initializing(state: dict[str, Any], word: str) -> None:
    made = pod(initContainers=[{"name": "i", "image": "x"}])
    made["status"] = {"phase": "Pending", "initContainerStatuses": [{"name": "i", **state}]}
    assert row(made, NOW)[2] == word


def test_row_counts_started_sidecars() -> None:
    made = pod(initContainers=[{"name": "i", "image": "x", "restartPolicy": "Always"}])
    sidecar = {"name": "i", "started": True, "ready": True, "restartCount": 2, "state": {"running": {}}}
    made["status"] = {"phase": "Running", "initContainerStatuses": [sidecar]}
    made["status"]["containerStatuses"] = [{"name": "c", **RUNNING}]
    assert row(made, NOW)[1:4] == ["2/2", "Running", "2"]


def test_row_of_a_pod_being_deleted() -> None:
    made = statuses(RUNNING)
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:59:00Z"
    assert row(made, NOW)[2] == "Terminating"
    made["status"]["reason"] = "NodeLost"
    assert row(made, NOW)[2] == "Unknown"


def test_row_conditions() -> None:
    assert row_conditions(statuses(phase="Failed"))[0]["message"] == "The pod failed."
    assert row_conditions(statuses()) == []

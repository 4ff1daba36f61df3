"""What objects use of a quota."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.quantity import Quantity
from pybernetes.api.quota import (
    claim_in_scope,
    claim_usage,
    counted_resource,
    counts,
    is_best_effort,
    is_claim_name,
    is_pod_name,
    pod_in_scope,
    pod_usage,
    scopes_of,
    service_usage,
    status_changes_usage,
    status_of,
    total,
)
from pybernetes.api.types import core_v1 as core

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def decoded(kind: Any, **fields: Any) -> Any:
    return types.decode(json.dumps(fields), kind)


def container(
    requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def pod(*containers: dict[str, Any], **spec: Any) -> core.Pod:
    return decoded(core.Pod, spec={"containers": list(containers), **spec})  # type: ignore[no-any-return]


def text(usage: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(quantity) for name, quantity in usage.items()}


def test_requests_count_by_both_names_and_limits_by_one() -> None:
    given = pod(
        container({"cpu": "100m", "memory": "1Gi", "example.com/gpu": "2"}, {"cpu": "1"}),
        container({"cpu": "200m", "hugepages-2Mi": "4Mi"}),
    )
    assert text(pod_usage(given, NOW)) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "300m",
        "requests.cpu": "300m",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "requests.example.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
        "limits.cpu": "1",
    }


def test_init_containers_count_by_the_largest_and_sidecars_always() -> None:
    one = pod(container({"cpu": "1"}), initContainers=[container({"cpu": "3"}), container({"cpu": "2"})])
    assert str(pod_usage(one, NOW)["cpu"]) == "3"
    sidecar = container({"cpu": "1"}, restartPolicy="Always")
    two = pod(container({"cpu": "1"}), initContainers=[sidecar, container({"cpu": "3"})])
    assert str(pod_usage(two, NOW)["cpu"]) == "4"  # the last step beside the sidecar
    three = pod(container({"cpu": "5"}), initContainers=[sidecar])
    assert str(pod_usage(three, NOW)["cpu"]) == "6"


def test_overhead_and_resources_of_the_pod() -> None:
    given = pod(container({"cpu": "1"}), overhead={"cpu": "100m", "memory": "1Mi"})
    usage = text(pod_usage(given, NOW))
    assert (usage["requests.cpu"], usage["requests.memory"]) == ("1100m", "1Mi")
    assert "limits.cpu" not in usage
    whole = pod(container({"cpu": "1"}), resources={"requests": {"cpu": "2"}})
    assert str(pod_usage(whole, NOW)["cpu"]) == "2"


def test_what_has_ended_counts_only_as_an_object() -> None:
    ended = pod(container({"cpu": "1"}))
    ended.status.phase = "Succeeded"
    assert text(pod_usage(ended, NOW)) == {"count/pods": "1"}


def test_a_terminating_pod_counts_until_its_grace_is_over() -> None:
    going = pod(container())
    going.metadata.deletion_timestamp, going.metadata.deletion_grace_period_seconds = NOW, 30
    assert counts(going, NOW + timedelta(seconds=30))
    assert not counts(going, NOW + timedelta(seconds=31))


@pytest.mark.parametrize(
    ("name", "of_pods", "of_claims"),
    [
        ("pods", True, False),
        ("requests.cpu", True, False),
        ("requests.hugepages-2Mi", True, False),
        ("requests.example.com/gpu", True, False),
        ("requests.storage", False, True),
        ("gold.storageclass.storage.k8s.io/requests.storage", False, True),
        ("services", False, False),
        ("count/deployments.apps", False, False),
    ],
)
def test_names(name: str, of_pods: bool, of_claims: bool) -> None:
    assert (is_pod_name(name), is_claim_name(name)) == (of_pods, of_claims)


def test_counted_resource() -> None:
    assert counted_resource("count/deployments.apps") == "deployments.apps"
    assert counted_resource("secrets") == "secrets"
    assert counted_resource("services.nodeports") == ""


def scope(name: str, operator: str = "Exists", *values: str) -> core.ScopedResourceSelectorRequirement:
    return core.ScopedResourceSelectorRequirement(scope_name=name, operator=operator, values=list(values))


PLAIN, BUSY = pod(container()), pod(container({"cpu": "1"}))
TERM = {"topologyKey": "k", "namespaces": ["x"]}


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        (PLAIN, scope("BestEffort"), True),
        (BUSY, scope("BestEffort"), False),
        (BUSY, scope("NotBestEffort"), True),
        (pod(activeDeadlineSeconds=5), scope("Terminating"), True),
        (PLAIN, scope("Terminating"), False),
        (PLAIN, scope("NotTerminating"), True),
        (pod(priorityClassName="p"), scope("PriorityClass", "In", "p", "q"), True),
        (pod(priorityClassName="r"), scope("PriorityClass", "In", "p", "q"), False),
        (pod(priorityClassName="r"), scope("PriorityClass", "NotIn", "p"), True),
        (PLAIN, scope("PriorityClass"), False),
        (PLAIN, scope("PriorityClass", "DoesNotExist"), True),
        (PLAIN, scope("CrossNamespacePodAffinity"), False),
        (
            pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}),
            scope("CrossNamespacePodAffinity"),
            True,
        ),
        (PLAIN, scope("Unknown"), False),
    ],
)
def test_pod_scopes(given: core.Pod, asked: core.ScopedResourceSelectorRequirement, expected: bool) -> None:
    assert pod_in_scope(given, asked) is expected


def test_best_effort_by_the_server_or_by_the_spec() -> None:
    told = pod(container({"cpu": "1"}))
    told.status.qos_class = "BestEffort"
    assert is_best_effort(told)
    assert not is_best_effort(pod(container(limits={"memory": "1"})))
    assert is_best_effort(pod(container({"example.com/gpu": "1"})))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "ClusterIP", "ports": [{"port": 1}]}, {}),
        ({"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}, {"services.nodeports": "2"}),
        (
            {"type": "LoadBalancer", "ports": [{"port": 1}]},
            {"services.loadbalancers": "1", "services.nodeports": "1"},
        ),
        (
            {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": False,
                "ports": [{"port": 1}, {"port": 2, "nodePort": 30000}],
            },
            {"services.loadbalancers": "1", "services.nodeports": "1"},
        ),
    ],
)
def test_service_usage(spec: dict[str, Any], expected: dict[str, str]) -> None:
    assert text(service_usage(decoded(core.Service, spec=spec))) == {
        "services": "1",
        "count/services": "1",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        **expected,
    }


def claim(**spec: Any) -> core.PersistentVolumeClaim:
    return decoded(core.PersistentVolumeClaim, spec={"resources": {"requests": {"storage": "2Gi"}}, **spec})  # type: ignore[no-any-return]


def test_claim_usage() -> None:
    assert text(claim_usage(claim(storageClassName="gold"))) == {
        "persistentvolumeclaims": "1",
        "count/persistentvolumeclaims": "1",
        "requests.storage": "2Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "2Gi",
    }
    grown = claim()
    grown.status.allocated_resources = {"storage": Quantity.parse("3Gi")}
    assert str(claim_usage(grown)["requests.storage"]) == "3Gi"


def test_claim_scopes() -> None:
    fast = claim(volumeAttributesClassName="fast")
    assert claim_in_scope(fast, scope("VolumeAttributesClass", "In", "fast"))
    assert not claim_in_scope(claim(), scope("VolumeAttributesClass", "In", "fast"))
    assert not claim_in_scope(claim(), scope("BestEffort"))


def quota(hard: dict[str, str], **spec: Any) -> core.ResourceQuota:
    return decoded(core.ResourceQuota, spec={"hard": hard, **spec})  # type: ignore[no-any-return]


def test_scopes_and_selector_are_one_list() -> None:
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["p"]}]}
    given = quota({}, scopes=["BestEffort"], scopeSelector=selector)
    assert scopes_of(given) == [scope("BestEffort"), scope("PriorityClass", "In", "p")]


def test_total_keeps_the_notation_of_what_is_summed() -> None:
    usages = [{"memory": Quantity.parse("1Gi"), "x": Quantity.parse("1")}, {"memory": Quantity.parse("1Gi")}]
    assert text(total(["memory", "cpu"], usages)) == {"memory": "2Gi", "cpu": "0"}


def test_status_is_written_once() -> None:
    given = quota({"pods": "5"})
    used = {"pods": Quantity.from_int(2), "services": Quantity.from_int(1)}
    status = status_of(given, used)
    assert status is not None and text(status.used) == {"pods": "2"} and text(status.hard) == {"pods": "5"}
    given.status = status
    assert status_of(given, used) is None
    given.spec.hard = {"pods": Quantity.from_int(6)}
    changed = status_of(given, {})
    assert changed is not None and text(changed.hard) == {"pods": "6"} and text(changed.used) == {"pods": "2"}


@pytest.mark.parametrize(
    ("name", "of_pods", "of_claims"),
    [
        ("requests.example.com/gpu", True, False),
        ("requests.my-kubernetes.io/gpu", False, False),  # native by upstream's substring
        ("requests.kubernetes.io/gpu", False, False),
        ("example.com/gpu", False, False),  # of extended resources only requests count
        ("requests.hugepages-2Mi", True, False),
        ("gold.storageclass.storage.k8s.io/requests.storage", False, True),
        ("gold.storageclass.storage.k8s.io/persistentvolumeclaims", False, True),
        ("gold.storageclass.storage.k8s.io/count/persistentvolumeclaims", False, False),
        ("gold.volumeattributesclass.storage.k8s.io/requests.storage", False, False),  # a scope, not a name
    ],
)
def test_what_pods_and_claims_count_for(name: str, of_pods: bool, of_claims: bool) -> None:
    assert (is_pod_name(name), is_claim_name(name)) == (of_pods, of_claims)


def test_a_resource_counts_for_pods_just_where_a_quota_can_name_it() -> None:
    for name in ("example.com/gpu", "my-kubernetes.io/gpu", "kubernetes.io/gpu"):
        pod = decoded(core.Pod, spec={"containers": [container({name: "1"}, {name: "1"})]})
        assert is_pod_name(f"requests.{name}") == (f"requests.{name}" in pod_usage(pod, NOW)), name


@pytest.mark.parametrize(
    ("requested", "allocated", "expected"),
    [("1Gi", None, "1Gi"), ("1Gi", "2Gi", "2Gi"), ("2Gi", "1Gi", "2Gi"), ("100m", None, "1"), ("1", "1500m", "2")],
)
def test_storage_counts_in_whole_bytes_and_by_what_was_granted(
    requested: str, allocated: str | None, expected: str
) -> None:
    claim = decoded(
        core.PersistentVolumeClaim,
        spec={"resources": {"requests": {"storage": requested}}},
        status={"allocatedResources": {"storage": allocated}} if allocated else {},
    )
    assert str(claim_usage(claim)["requests.storage"]) == expected


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ({}, False),
        ({"phase": "Bound"}, False),
        ({"allocatedResources": {"storage": "2Gi"}}, True),
        ({"currentVolumeAttributesClassName": "gold"}, True),
        ({"modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold", "status": "Pending"}}, True),
    ],
)
def test_which_writes_of_a_claims_status_count(status: dict[str, Any], changes: bool) -> None:
    old = decoded(core.PersistentVolumeClaim, spec={})
    assert status_changes_usage(decoded(core.PersistentVolumeClaim, spec={}, status=status), old) is changes

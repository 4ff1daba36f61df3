"""The old group-versions: their tables of conversions, and defaults and forms that differ from today's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pybernetes.api import protobuf
from pybernetes.apiserver import schema
from pybernetes.apiserver.kinds import RESOURCES, legacy
from pybernetes.apiserver.kinds.apps import legacy as apps
from pybernetes.apiserver.kinds.autoscaling import legacy as autoscaling
from pybernetes.apiserver.kinds.discovery import legacy as discovery
from pybernetes.apiserver.kinds.networking import legacy as networking
from pybernetes.apiserver.kinds.policy import legacy as policy
from pybernetes.apiserver.kinds.policy import podsecuritypolicy
from pybernetes.apiserver.kinds.rbac import legacy as rbac
from pybernetes.apiserver.resource import Object, Resource
from pybernetes.apiserver.runtimeconfig import key_of

OLD = {key_of(one): one for one in legacy.resources() if key_of(one) not in {key_of(known) for known in RESOURCES}}
MEMBERS = pytest.mark.parametrize("resource", OLD.values(), ids=lambda one: f"{one.api_version}.{one.name}")


def record(api_version: str, name: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    return OLD[group, version, name]


def test_no_object_is_in_a_category_twice() -> None:
    """The kind: what clients gather over groups (kubectl get all) has each object once, also where two groups serve it."""
    gathered: dict[tuple[str, str], set[str]] = {}
    for one in (*RESOURCES, *OLD.values()):
        for category in one.categories:
            gathered.setdefault((category, one.name), set()).add(one.group)
    assert ("all", "deployments") in gathered
    assert [place for place, groups in gathered.items() if len(groups) > 1] == []


@MEMBERS
def test_each_has_a_schema_and_a_message(resource: Resource) -> None:
    compiled = schema.compiled(resource)
    assert compiled.top_fields
    assert protobuf.message_of(resource.api_version, resource.kind)
    assert protobuf.message_of(resource.api_version, resource.list_kind) if "list" in resource.verbs else True


@MEMBERS
def test_what_becomes_the_hub_and_comes_back_is_the_same(resource: Resource) -> None:
    if resource.conversions is None:
        return
    made, _ = schema.compiled(resource).normalize({"metadata": {"name": "a"}, "spec": {}})
    made |= {"apiVersion": resource.api_version, "kind": resource.kind}
    resource.default(made)
    before, hub = copy.deepcopy(made), resource.conversions.hub
    stored = resource.conversions.converted(copy.deepcopy(made), hub)
    assert stored["apiVersion"] == hub
    again = resource.conversions.converted(stored, resource.api_version)
    resource.default(again)
    compiled = schema.compiled(resource)
    assert compiled.normalize(again)[0] == compiled.normalize(before)[0]


@MEMBERS
def test_defaults_are_set_once(resource: Resource) -> None:
    made, _ = schema.compiled(resource).normalize({"metadata": {"name": "a"}, "spec": {}})
    resource.default(made)
    once = copy.deepcopy(made)
    resource.default(made)
    assert made == once


TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.mark.parametrize(
    ("version", "name", "path", "value"),
    [
        ("extensions/v1beta1", "deployments", "spec.revisionHistoryLimit", 2**31 - 1),
        ("extensions/v1beta1", "deployments", "spec.progressDeadlineSeconds", 2**31 - 1),
        ("extensions/v1beta1", "deployments", "spec.strategy.rollingUpdate.maxSurge", 1),
        ("extensions/v1beta1", "deployments", "spec.selector.matchLabels.a", "b"),
        ("extensions/v1beta1", "deployments", "metadata.labels.a", "b"),
        ("apps/v1beta1", "deployments", "spec.revisionHistoryLimit", 2),
        ("apps/v1beta1", "deployments", "spec.progressDeadlineSeconds", 600),
        ("apps/v1beta1", "deployments", "spec.strategy.rollingUpdate.maxSurge", "25%"),
        ("apps/v1beta1", "deployments", "spec.selector.matchLabels.a", "b"),
        ("apps/v1beta2", "deployments", "spec.revisionHistoryLimit", 10),
        ("apps/v1beta2", "deployments", "spec.selector", None),
        ("extensions/v1beta1", "daemonsets", "spec.updateStrategy.type", "OnDelete"),
        ("apps/v1beta2", "daemonsets", "spec.updateStrategy.type", "RollingUpdate"),
        ("apps/v1beta1", "statefulsets", "spec.updateStrategy.type", "OnDelete"),
        ("apps/v1beta2", "statefulsets", "spec.updateStrategy.type", "RollingUpdate"),
        ("extensions/v1beta1", "replicasets", "spec.selector.matchLabels.a", "b"),
    ],
)
def test_defaults_of_workloads(version: str, name: str, path: str, value: Any) -> None:
    obj: Any = {"metadata": {"name": "a"}, "spec": {"template": copy.deepcopy(TEMPLATE)}}
    record(version, name).default(obj)
    for part in path.split("."):
        obj = (obj or {}).get(part)
    assert obj == value


def test_a_rollback_is_an_annotation_today() -> None:
    old = {"apiVersion": "extensions/v1beta1", "metadata": {"name": "a"}, "spec": {"rollbackTo": {"revision": 3}}}
    hub = apps.deployment_to_hub(old)
    assert hub["metadata"]["annotations"] == {"deprecated.deployment.rollback.to": "3"}
    assert "rollbackTo" not in hub["spec"]
    assert apps.deployment_from_hub("extensions/v1beta1")(hub) == old


@pytest.mark.parametrize(
    ("old", "hub"),
    [
        ({"serviceName": "s", "servicePort": 80}, {"service": {"name": "s", "port": {"number": 80}}}),
        ({"serviceName": "s", "servicePort": "http"}, {"service": {"name": "s", "port": {"name": "http"}}}),
        ({"resource": {"kind": "K", "name": "n"}, "servicePort": 0}, {"resource": {"kind": "K", "name": "n"}}),
    ],
)
def test_backends_of_ingresses(old: Object, hub: Object) -> None:
    obj = {"apiVersion": "extensions/v1beta1", "spec": {"backend": old}}
    assert networking.to_hub(obj)["spec"] == {"defaultBackend": hub}
    assert networking.from_hub("extensions/v1beta1")(networking.to_hub(obj)) == obj


MARK = {"key": policy.MARK, "operator": "Exists"}


@pytest.mark.parametrize(
    ("old", "hub"),
    [
        ({}, {"matchExpressions": [MARK]}),
        ({"matchExpressions": [{**MARK, "operator": "DoesNotExist"}]}, {}),
        ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}}),
    ],
)
def test_empty_selectors_of_budgets_select_nothing_and_all(old: Object, hub: Object) -> None:
    budget = {"apiVersion": "policy/v1beta1", "spec": {"selector": old}}
    assert policy.to_hub(budget)["spec"]["selector"] == hub
    assert policy.from_hub(policy.to_hub(budget))["spec"]["selector"] == old


@pytest.mark.parametrize(
    ("old", "hub"),
    [
        (
            {
                "topology": {"topology.kubernetes.io/zone": "z", "kubernetes.io/hostname": "n", "x": "y"},
                "nodeName": "n",
            },
            {"zone": "z", "nodeName": "n", "deprecatedTopology": {"x": "y"}},
        ),
        (
            {"topology": {"kubernetes.io/hostname": "other"}, "nodeName": "n"},
            {"nodeName": "n", "deprecatedTopology": {"kubernetes.io/hostname": "other"}},
        ),
    ],
)
def test_topology_of_endpoints(old: Object, hub: Object) -> None:
    slice_ = {"apiVersion": "discovery.k8s.io/v1beta1", "endpoints": [old]}
    assert discovery.from_beta(slice_)["endpoints"] == [hub]
    assert discovery.to_beta(discovery.from_beta(slice_)) == slice_


def test_everybody_is_a_group_today() -> None:
    binding = {"subjects": [{"kind": "User", "name": "*", "apiVersion": rbac.ALPHA}], "roleRef": {}}
    made = rbac.from_alpha(binding)["subjects"]
    assert made == [{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}]


METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}},
    {"type": "Pods", "pods": {"metricName": "m", "targetAverageValue": "1"}},
    {"type": "Object", "object": {"metricName": "o", "target": {"kind": "K", "name": "n"}, "targetValue": "7"}},
    {"type": "External", "external": {"metricName": "e", "targetAverageValue": "2"}},
]


def test_metrics_of_v2beta1() -> None:
    scaler: Object = {"apiVersion": autoscaling.BETA1, "metadata": {}, "spec": {"metrics": METRICS}}
    hub = autoscaling.to_v2(scaler)
    targets = [metric[metric["type"].lower()]["target"]["type"] for metric in hub["spec"]["metrics"]]
    assert targets == ["Utilization", "AverageValue", "Value", "AverageValue"]
    assert autoscaling.from_v2(hub)["spec"] == scaler["spec"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"volumes": ["odd"]}, "spec.volumes"),
        ({"allowedHostPaths": [{"pathPrefix": "/a/../b"}]}, "spec.allowedHostPaths[0]"),
        ({"allowedUnsafeSysctls": ["a.b", "*"]}, "spec.allowedUnsafeSysctls.items"),
        ({"allowedUnsafeSysctls": ["a.*"], "forbiddenSysctls": ["a.b"]}, "spec.forbiddenSysctls[0]"),
        (
            {"defaultAllowPrivilegeEscalation": True, "allowPrivilegeEscalation": False},
            "spec.defaultAllowPrivilegeEscalation",
        ),
        ({"runtimeClass": {"allowedRuntimeClassNames": ["a", "*"]}}, "spec.runtimeClass.allowedRuntimeClassNames"),
    ],
)
def test_policies_that_cannot_be(spec: Object, field: str) -> None:
    rules = {key: {"rule": "RunAsAny"} for key in ("seLinux", "runAsUser", "fsGroup", "supplementalGroups")}
    found = podsecuritypolicy.validate({"metadata": {"name": "p"}, "spec": {**rules, **spec}})
    assert [error.field for error in found] == [field]


@MEMBERS
def test_messages_are_whole(resource: Resource) -> None:
    waiting, seen = [protobuf.message_of(resource.api_version, resource.kind)], set[str]()
    scalars = {"string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "double"}
    while waiting:
        name = waiting.pop()
        if name not in seen | scalars and not name.endswith(".RawExtension"):
            seen.add(name)
            waiting += [kind for _, kind, _ in protobuf.fields_of(name).values()]

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.core.service import RESOURCE, default, prepare_create, prepare_update, row

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service(**spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"ports": [{"port": 80}], **spec}}
    default(made)
    prepare_create(made)
    return made


def allocated(**spec: Any) -> dict[str, Any]:
    made = service(clusterIP="10.0.0.1", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack", **spec)
    if made["spec"]["type"] in ("NodePort", "LoadBalancer"):
        made["spec"]["ports"][0]["nodePort"] = 30080
    return made


def changed(old: dict[str, Any], **spec: Any) -> tuple[dict[str, Any], list[str]]:
    new = deepcopy(old)
    for name, value in spec.items():
        if value is None:
            new["spec"].pop(name, None)
        else:
            new["spec"][name] = value
    default(new)
    prepare_update(new, old)
    return new["spec"], [str(e) for e in RESOURCE.validate_update(new, old)]


def test_defaults() -> None:
    spec = service(type="LoadBalancer", sessionAffinity="ClientIP")["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert (spec["externalTrafficPolicy"], spec["internalTrafficPolicy"]) == ("Cluster", "Cluster")
    assert spec["allocateLoadBalancerNodePorts"] is True


def test_what_was_allocated_is_kept_where_the_client_left_it_out() -> None:
    spec, errors = changed(allocated(type="NodePort"), clusterIP=None, clusterIPs=None, ports=[{"port": 80}])
    assert not errors
    assert spec["clusterIPs"] == ["10.0.0.1"]
    assert spec["ports"][0]["nodePort"] == 30080


def test_a_new_type_drops_what_it_has_no_use_for() -> None:
    spec, errors = changed(allocated(type="NodePort"), type="ClusterIP")
    assert not errors
    assert "nodePort" not in spec["ports"][0]
    assert "externalTrafficPolicy" not in spec
    spec, errors = changed(allocated(), type="ExternalName", externalName="example.org")
    assert not errors
    assert "clusterIP" not in spec


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"clusterIP": "10.0.0.2"}, 'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'),
        ({"ports": []}, "spec.ports: Required value"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name: Required value"),
        (
            {"loadBalancerClass": "a/b"},
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"trafficDistribution": "X"},
            'spec.trafficDistribution: Unsupported value: "X": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"',
        ),
    ],
)
def test_refused(spec: dict[str, Any], expected: str) -> None:
    assert expected in changed(allocated(), **spec)[1]


def test_the_same_port_twice() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 80}]
    (error,) = RESOURCE.validate(service(ports=ports))
    assert error.field == "spec.ports[1]"
    assert error.body.startswith('Duplicate value: {"Name":"","Protocol":"TCP"')


@pytest.mark.parametrize(
    ("made", "cells"),
    [
        (allocated(), ["a", "ClusterIP", "10.0.0.1", "<none>", "80/TCP", "<unknown>", "<none>"]),
        (
            allocated(type="LoadBalancer"),
            ["a", "LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP", "<unknown>", "<none>"],
        ),
        (
            service(type="ExternalName", externalName="b.c", ports=[]),
            ["a", "ExternalName", "<none>", "b.c", "<none>", "<unknown>", "<none>"],
        ),
    ],
)
def test_row(made: dict[str, Any], cells: list[str]) -> None:
    assert row(made, NOW) == cells


@pytest.mark.parametrize(
    ("old", "spec", "expected"),
    [
        # a headless service may change its families, and so may one that becomes headless
        (allocated(), {"clusterIP": "None", "clusterIPs": ["None"]}, ["spec.clusterIPs[0]: Invalid value"]),
        (
            service(clusterIP="None", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack"),
            {"ipFamilies": ["IPv6"]},
            [],
        ),
        (
            allocated(),
            {"ipFamilies": ["IPv6"]},
            ["spec.ipFamilies[0]: Invalid value", "spec.clusterIPs[0]: Invalid value"],
        ),
        # upstream looks at the class twice
        (
            allocated(type="LoadBalancer"),
            {"loadBalancerClass": "b@d"},
            [
                f"spec.loadBalancerClass: Invalid value: {text}"
                for text in ('"b@d": may not', '"b@d": name', '"b@d": name')
            ],
        ),
    ],
)
def test_what_stays(old: dict[str, Any], spec: dict[str, Any], expected: list[str]) -> None:
    found = changed(old, **spec)[1]
    assert len(found) == len(expected), found
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found


def test_annotations() -> None:
    made = allocated(type="LoadBalancer")
    ranges, mode = "service.beta.kubernetes.io/load-balancer-source-ranges", "service.kubernetes.io/topology-mode"
    made["metadata"]["annotations"] = {
        ranges: "10.0.0.0/8,",
        mode: "Auto",
        "service.kubernetes.io/topology-aware-hints": "Disabled",
    }
    assert [e.field for e in RESOURCE.validate(made)] == [
        f"metadata.annotations[{mode}]",
        f"metadata.annotations[{ranges}]",
    ]
    assert [e.field for e in RESOURCE.validate_update(made, made)] == [f"metadata.annotations[{mode}]"]

"""NetworkPolicy, Ingress, IngressClass, IPAddress, ServiceCIDR."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS
from pybernetes.apiserver.kinds.networking import ingress, ingressclass, ipaddress, networkpolicy, servicecidr

from ..tables import fields, refusals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = {"metadata": {"name": "a"}, "spec": {"podSelector": {}}}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
INGRESS = {"metadata": {"name": "a"}, "spec": {"defaultBackend": BACKEND}}


def test_policy_types_follow_the_rules() -> None:
    for spec, types in (({}, ["Ingress"]), ({"egress": [{"ports": [{"port": 1}]}]}, ["Ingress", "Egress"])):
        policy: Any = {"spec": spec}
        networkpolicy.default(policy)
        assert policy["spec"]["policyTypes"] == types
    assert policy["spec"]["egress"][0]["ports"][0]["protocol"] == "TCP"


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"egress": [{"to": [{}]}]}, ["spec.egress[0].to[0] Required"]),
        ({"ingress": [{"ports": [{"endPort": 5}]}]}, ["spec.ingress[0].ports[0].port Required"]),
        ({"ingress": [{"ports": [{"port": 9, "endPort": 5}]}]}, ["spec.ingress[0].ports[0].endPort Invalid"]),
        ({"ingress": [{"ports": [{"port": "http", "endPort": 5}]}]}, ["spec.ingress[0].ports[0].endPort Invalid"]),
        ({"ingress": [{"from": [{"ipBlock": {}}]}]}, ["spec.ingress[0].from[0].ipBlock.cidr Required"]),
        (
            {"ingress": [{"from": [{"ipBlock": {"cidr": "fd00::/8", "except": ["10.0.0.0/8"]}}]}]},
            ["spec.ingress[0].from[0].ipBlock.except[0] Invalid"],
        ),
        ({"policyTypes": ["Other"]}, ["spec.policyTypes[0] NotSupported"]),
    ],
)
def test_policies_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(networkpolicy.validate, POLICY, {"spec": spec}) == refused


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, []),
        ({"spec": {"defaultBackend": None}}, ["spec Invalid"]),
        ({"spec": {"defaultBackend": {"service": None, "resource": {"kind": "K", "name": "n"}}}}, []),
        ({"spec": {"defaultBackend": {"resource": {"kind": "K", "name": "n"}}}}, ["spec.defaultBackend Invalid"]),
        (
            {"spec": {"tls": [{"hosts": ["*.a.b", "*a"], "secretName": "A"}]}},
            ["spec.tls[0].hosts[1] Invalid", "spec.tls[0].secretName Invalid"],
        ),
        ({"spec": {"ingressClassName": "A"}}, ["spec.ingressClassName Invalid"]),
        (
            {"metadata": {"annotations": {ANNOTATION_INGRESS_CLASS: "x"}}, "spec": {"ingressClassName": "y"}},
            ["annotations.kubernetes.io/ingress.class Invalid"],
        ),
    ],
)
def test_ingresses_refused(change: Any, refused: list[str]) -> None:
    assert refusals(ingress.validate, INGRESS, change) == refused


@pytest.mark.parametrize(
    ("kind", "path", "count"),
    [
        ("Exact", "/a", 0),
        ("Exact", "", 1),
        ("Prefix", "/a/../b%2f", 2),
        ("Prefix", "/a/..", 1),
        ("ImplementationSpecific", "", 0),
    ],
)
def test_paths(kind: str, path: str, count: int) -> None:
    rule = {"http": {"paths": [{"pathType": kind, "path": path, "backend": BACKEND}]}}
    assert len(refusals(ingress.validate, INGRESS, {"spec": {"rules": [rule]}})) == count


def test_a_table_shows_three_hosts() -> None:
    made = {"metadata": {"name": "a"}, "spec": {"rules": [{"host": f"h{n}"} for n in range(5)], "tls": [{}]}}
    assert ingress.row(made, NOW)[1:5] == ["<none>", "h0,h1,h2 + 2 more...", "", "80, 443"]


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"kind": "K", "name": "n", "scope": "Cluster"}, []),
        ({"kind": "K", "name": "n", "scope": "Cluster", "namespace": "x"}, ["spec.parameters.namespace Forbidden"]),
        ({"kind": "K", "name": "n", "scope": "Namespace"}, ["spec.parameters.namespace Required"]),
        (
            {"kind": "K/", "name": "", "scope": "Other"},
            ["spec.parameters.kind Invalid", "spec.parameters.name Required", "spec.parameters.scope NotSupported"],
        ),
    ],
)
def test_ingress_classes_refused(parameters: Any, refused: list[str]) -> None:
    made = {"metadata": {"name": "a"}, "spec": {"controller": "a.b/c", "parameters": parameters}}
    assert fields(ingressclass.validate(made)) == refused


@pytest.mark.parametrize(
    ("name", "good"), [("10.0.0.1", True), ("010.0.0.1", False), ("fd00::1", True), ("FD00::1", False), ("x", False)]
)
def test_the_name_of_an_address_is_canonical(name: str, good: bool) -> None:
    assert (ipaddress.name_errors(name) == []) is good


def test_an_address_has_an_owner_that_stays() -> None:
    parent = {"resource": "services", "namespace": "a", "name": "b"}
    made = {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}}
    assert ipaddress.validate(made) == []
    assert ipaddress.row(made, NOW)[1] == "services/a/b"
    assert fields(ipaddress.validate({"spec": {}})) == ["spec.parentRef Required"]
    other = {**made, "spec": {"parentRef": {**parent, "name": "c"}}}
    assert fields(ipaddress.validate_update(other, made)) == ["spec.parentRef Invalid"]


@pytest.mark.parametrize(
    ("cidrs", "refused"),
    [
        (["10.0.0.0/24"], []),
        (["10.0.0.0/24", "fd00::/112"], []),
        ([], ["spec.cidrs Required"]),
        (["10.0.0.0/24", "10.1.0.0/24"], ["spec.cidrs Invalid"]),
        (["10.0.0.1/24"], ["spec.cidrs[0] Invalid"]),
        (["FD00::/112"], ["spec.cidrs[0] Invalid"]),
    ],
)
def test_service_ranges(cidrs: list[str], refused: list[str]) -> None:
    assert fields(servicecidr.validate({"spec": {"cidrs": cidrs}})) == refused


def test_a_service_range_only_grows() -> None:
    old, more, other = (
        {"spec": {"cidrs": c}} for c in (["10.0.0.0/24"], ["10.0.0.0/24", "fd00::/112"], ["10.1.0.0/24"])
    )
    assert servicecidr.validate_update(more, old) == []
    assert fields(servicecidr.validate_update(other, old)) == ["spec.cidrs[0] Invalid"]
    assert fields(servicecidr.validate_update(old, more)) == ["spec.cidrs Invalid"]

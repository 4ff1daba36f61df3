"""IP families of Services on clusters with one and with two."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.services import families

ONE, TWO = ["IPv4"], ["IPv4", "IPv6"]
S, P, R = "SingleStack", "PreferDualStack", "RequireDualStack"


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"type": "ClusterIP", **spec}}


@pytest.mark.parametrize(
    ("spec", "configured", "policy", "found"),
    [
        ({}, ONE, S, ["IPv4"]),
        ({}, ["IPv6"], S, ["IPv6"]),
        ({"ipFamilyPolicy": P}, ONE, P, ["IPv4"]),
        ({"ipFamilyPolicy": P}, TWO, P, ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": P, "ipFamilies": ["IPv6"]}, TWO, P, ["IPv6", "IPv4"]),
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}, TWO, S, ["IPv4"]),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, ONE, R, ["IPv4", "IPv6"]),
        ({"clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}, ONE, S, ["IPv4"]),
    ],
)
def test_new(spec: Any, configured: list[str], policy: str, found: list[str]) -> None:
    made = service(**spec)
    families.fill_in(made, None, configured)
    assert (made["spec"]["ipFamilyPolicy"], made["spec"]["ipFamilies"]) == (policy, found)


def test_external_names_have_none() -> None:
    made = service(type="ExternalName")
    families.fill_in(made, None, TWO)
    assert made["spec"] == {"type": "ExternalName"}


@pytest.mark.parametrize(
    ("spec", "configured", "place", "why"),
    [
        ({"ipFamilyPolicy": R}, ONE, "spec.ipFamilyPolicy", "not configured for dual-stack"),
        ({"ipFamilies": ["IPv6"]}, ONE, "spec.ipFamilies[0]", "not configured on this cluster"),
        ({"ipFamilies": ["IPv4", "IPv6"]}, TWO, "spec.ipFamilyPolicy", "multiple IP families"),
        ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}, ONE, "spec.clusterIPs[0]", "IPv6 is not configured"),
        ({"clusterIP": "x", "clusterIPs": ["x"]}, ONE, "spec.clusterIPs[0]", "must be a valid IP address"),
    ],
)
def test_refused(spec: Any, configured: list[str], place: str, why: str) -> None:
    with pytest.raises(StatusError) as refused:
        families.fill_in(service(**spec), None, configured)
    cause = refused.value.status["details"]["causes"][0]
    assert cause["field"] == place
    assert why in cause["message"]


BOTH = {
    "ipFamilyPolicy": P,
    "ipFamilies": ["IPv4", "IPv6"],
    "clusterIP": "10.0.0.1",
    "clusterIPs": ["10.0.0.1", "fd00::1"],
}


def test_a_single_stack_drops_the_second() -> None:
    made = service(**{**BOTH, "ipFamilyPolicy": S})
    families.fill_in(made, service(**BOTH), TWO)
    assert (made["spec"]["clusterIPs"], made["spec"]["ipFamilies"]) == (["10.0.0.1"], ["IPv4"])


def test_nothing_is_lost_without_a_word() -> None:
    made = service(**{**BOTH, "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"]})
    with pytest.raises(StatusError) as refused:
        families.fill_in(made, service(**BOTH), TWO)
    assert {c["field"] for c in refused.value.status["details"]["causes"]} == {"spec.ipFamilyPolicy"}


def test_two_stacks_stay_when_the_cluster_has_one() -> None:
    made = service(**BOTH)
    families.fill_in(made, service(**BOTH), ONE)
    assert made == service(**BOTH)

"""What is read of policies and pods."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from pybernetes.networkpolicy.pod import PolicyPod, policy_pod
from pybernetes.networkpolicy.policy import Ports, merged, outside, policy
from pybernetes.networkpolicy.rules import block_elements, policy_rules

from .world import as_pod, as_policy


def read(**spec: Any) -> Any:
    return policy(as_policy({"metadata": {"namespace": "x", "name": "p"}, "spec": spec}))


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, (), None),
        ({"policyTypes": ["Ingress"]}, (), None),
        ({"policyTypes": ["Egress"]}, None, ()),
        ({"egress": [{}]}, (), 1),
        ({"policyTypes": ["Egress"], "egress": [{}], "ingress": [{}]}, None, 1),
    ],
)
def test_directions(spec: dict[str, Any], ingress: Any, egress: Any) -> None:
    """Without policyTypes Ingress counts, and Egress where there are such rules."""
    found = read(podSelector={}, **spec)
    assert found.ingress == ingress
    assert found.egress == egress or len(found.egress) == egress


@pytest.mark.parametrize(
    ("block", "elements"),
    [
        ({"cidr": "10.0.0.0/30"}, ["10.0.0.0-10.0.0.3"]),
        ({"cidr": "10.0.0.1/32"}, ["10.0.0.1"]),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}, ["10.0.0.0", "10.0.0.2-10.0.0.3"]),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.0/31", "10.0.0.1/32"]}, ["10.0.0.2-10.0.0.3"]),
        ({"cidr": "10.0.0.0/30", "except": ["10.0.0.0/30"]}, []),
        ({"cidr": "0.0.0.0/0"}, ["0.0.0.0-255.255.255.255"]),
    ],
)
def test_blocks(block: dict[str, Any], elements: list[str]) -> None:
    rule = read(ingress=[{"from": [{"ipBlock": block}]}]).ingress[0]
    assert block_elements(rule.blocks[4], 4) == elements and not rule.blocks[6]


def test_what_one_block_leaves_out_another_may_let_in() -> None:
    first, second = {"cidr": "10.0.0.0/24", "except": ["10.0.0.128/25"]}, {"cidr": "10.0.0.128/26"}
    rule = read(ingress=[{"from": [{"ipBlock": first}, {"ipBlock": second}]}]).ingress[0]
    assert block_elements(rule.blocks[4], 4) == ["10.0.0.0-10.0.0.191"]


def test_ports_are_joined_by_protocol() -> None:
    ports = [{"port": 80}, {"port": 81, "endPort": 90}, {"protocol": "UDP"}, {"protocol": "TCP", "port": "http"}]
    (rule,) = read(ingress=[{"ports": ports}]).ingress
    assert rule.ports == (Ports("tcp", False, ((80, 90),), ("http",)), Ports("udp", True, (), ()))
    assert rule.any_peer


def test_rules_name_the_end_of_the_flow() -> None:
    egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "UDP", "port": 53}]}]
    (line,) = policy_rules("egress", read(policyTypes=["Egress"], egress=egress).egress).rules
    start, _, rest = line.partition("@")
    assert start == "meta l4proto udp ct reply proto-src 53 ct reply ip saddr " and rest.endswith("-v4 accept")


def test_what_cannot_be_read_lets_nobody_pass() -> None:
    bad = {"matchExpressions": [{"key": "a", "operator": "Near"}]}
    found = read(ingress=[{"from": [{"podSelector": bad}, {"ipBlock": {"cidr": "10.0.0"}}]}])
    assert found.problems == (
        '"Near" is not a valid label selector operator',
        "ipBlock: '10.0.0' does not appear to be an IPv4 or IPv6 network",
    )
    pod = PolicyPod("x", "a", "n", {}, ("10.0.0.1",), {})
    assert not found.ingress[0].any_peer and not any(peer.has(pod, {}) for peer in found.ingress[0].pods)


def test_ranges() -> None:
    assert merged([(5, 6), (1, 2), (3, 3), (8, 9), (8, 8)]) == ((1, 3), (5, 6), (8, 9))
    assert outside((1, 9), [(0, 1), (4, 5), (9, 20), (30, 40)]) == [(2, 3), (6, 8)]
    assert int(ip_address("0.0.0.9")) == 9


@pytest.mark.parametrize(
    ("spec", "status", "addresses"),
    [
        ({}, {"podIP": "10.0.0.1"}, ("10.0.0.1",)),
        ({}, {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "FD00:0::1"}]}, ("10.0.0.1", "fd00::1")),
        ({}, {}, None),
        ({}, {"podIP": "10.0.0.1", "phase": "Succeeded"}, None),
        ({"hostNetwork": True}, {"podIP": "10.0.0.1"}, None),
    ],
)
def test_pods(spec: dict[str, Any], status: dict[str, Any], addresses: Any) -> None:
    found = policy_pod(as_pod({"metadata": {"namespace": "x", "name": "a"}, "spec": spec, "status": status}))
    assert (found.addresses if found else None) == addresses


def test_named_ports_are_of_containers_and_sidecars() -> None:
    """The kind: a name that several containers of a pod give to different numbers meant the first of them alone, and the others were closed."""

    def container(port: int, **more: Any) -> dict[str, Any]:
        return {"name": f"c{port}", "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}], **more}

    spec = {"containers": [container(80), container(81)], "initContainers": [container(1)]}
    status = {"podIP": "10.0.0.1"}
    found = policy_pod(as_pod({"metadata": {"name": "a"}, "spec": spec, "status": status}))
    assert found is not None and found.ports == {("http", "tcp"): {80, 81}}
    spec = {"containers": [], "initContainers": [container(1), container(2, restartPolicy="Always")]}
    found = policy_pod(as_pod({"metadata": {"name": "a"}, "spec": spec, "status": status}))
    assert found is not None and found.ports == {("http", "tcp"): {2}}

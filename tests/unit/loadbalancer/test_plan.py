"""Which addresses Services get, and which node announces them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.loadbalancer import frames
from pybernetes.loadbalancer.plan import Refused, from_pools, holders, needs_cleanup, of_nodes, wants
from pybernetes.loadbalancer.pools import PoolError, parse

from .objects import node, service

POOLS = parse(["192.0.2.0/31", "192.0.2.8-192.0.2.9", "2001:db8::/64"])


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["192.0.2.0/33"], "want a CIDR, or FIRST-LAST"),
        (["192.0.2.1/24"], "has host bits set"),
        (["192.0.2.9-192.0.2.8"], "comes before"),
        (["192.0.2.9-2001:db8::1"], "comes before"),
        (["192.0.2.0/24", "192.0.2.255-192.0.3.4"], "overlaps"),
    ],
)
def test_pools_that_cannot_be(texts: list[str], problem: str) -> None:
    with pytest.raises(PoolError, match=problem):
        parse(texts)


def test_the_first_free_address_is_next() -> None:
    assert POOLS.free(4, ()) == "192.0.2.0"
    assert POOLS.free(4, {"192.0.2.0", "192.0.2.1"}) == "192.0.2.8"
    assert POOLS.free(4, {"192.0.2.0", "192.0.2.1", "192.0.2.8", "192.0.2.9"}) is None
    assert POOLS.free(6, {"2001:db8::"}) == "2001:db8::1"
    assert "192.0.2.9" in POOLS and "192.0.2.7" not in POOLS


@pytest.mark.parametrize(
    ("ingress", "spec", "others", "addresses"),
    [
        ((), {}, (), ["192.0.2.0"]),
        (("192.0.2.9",), {}, (), ["192.0.2.9"]),  # what it has it keeps
        (("192.0.2.9",), {}, ("192.0.2.9",), ["192.0.2.0"]),
        (("198.51.100.1",), {}, (), ["192.0.2.0"]),  # of a pool that is no more
        (("192.0.2.9",), {"loadBalancerIP": "192.0.2.8"}, (), ["192.0.2.8"]),
        ((), {"ipFamilies": ["IPv6"]}, (), ["2001:db8::"]),
        ((), {"ipFamilies": ["IPv4", "IPv6"]}, (), ["192.0.2.0", "2001:db8::"]),
    ],
)
def test_addresses_of_pools(ingress: tuple[str, ...], spec: dict[str, Any], others: Any, addresses: list[str]) -> None:
    assert from_pools(service("a", *ingress, **spec), POOLS, others) == addresses


FULL = ("192.0.2.0", "192.0.2.1", "192.0.2.8", "192.0.2.9")


@pytest.mark.parametrize(
    ("spec", "others", "problem"),
    [
        ({}, FULL, "no IPv4 address is free"),
        ({"loadBalancerIP": "192.0.2.7"}, (), "is in none of the pools"),
        ({"loadBalancerIP": "192.0.2.8"}, ("192.0.2.8",), "is another service's"),
        ({"loadBalancerIP": "here"}, (), "is no IP address"),
        ({"loadBalancerIP": "2001:db8::1"}, (), "none of the service's IP families"),
        ({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"}, FULL, "no IPv4 address is free"),
    ],
)
def test_refusals(spec: dict[str, Any], others: Any, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        from_pools(service("a", **spec), POOLS, others)


def test_a_second_family_is_no_must() -> None:
    spec = {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}
    assert from_pools(service("a", **spec), POOLS, FULL) == ["2001:db8::"]


@pytest.mark.parametrize(
    ("spec", "balancer_class", "ours"),
    [
        ({}, "", True),
        ({"loadBalancerClass": "x.io/y"}, "", False),
        ({"loadBalancerClass": "x.io/y"}, "x.io/y", True),
        ({}, "x.io/y", False),
        ({"type": "NodePort"}, "", False),
    ],
)
def test_whose_it_is(spec: dict[str, Any], balancer_class: str, ours: bool) -> None:
    assert wants(service("a", **spec), balancer_class) is ours


def test_what_is_no_balancer_any_more_is_cleaned_up() -> None:
    ours = ("service.kubernetes.io/load-balancer-cleanup",)
    assert needs_cleanup(service("a", type="ClusterIP", finalizers=ours), "")
    assert not needs_cleanup(service("a", type="ClusterIP"), "")
    assert not needs_cleanup(service("a", finalizers=ours), "")
    ending = service("a", finalizers=ours)
    ending.metadata.deletion_timestamp = datetime(2026, 1, 1, tzinfo=UTC)
    assert needs_cleanup(ending, "") and not needs_cleanup(ending, "x.io/y")  # that one is another controller's


NODES = [
    node("b", "192.0.2.20"),
    node("a", "192.0.2.3"),
    node("down", "192.0.2.4", ready="False"),
    node("out", "192.0.2.5", **{"node.kubernetes.io/exclude-from-external-load-balancers": ""}),
]


def test_addresses_of_nodes() -> None:
    mine = service("a")
    assert of_nodes(mine, NODES, [mine], {22}) == ["192.0.2.3", "192.0.2.20"]
    with pytest.raises(Refused, match="no node has an address"):
        of_nodes(mine, NODES[2:], [mine], ())
    with pytest.raises(Refused, match="port 22 of the nodes is not for services"):
        of_nodes(service("a", ports=[{"port": 22}]), NODES, (), {22})


def test_a_port_of_the_nodes_is_that_of_the_older_service() -> None:
    first, second, other = service("a"), service("b"), service("c", ports=[{"port": 80, "protocol": "UDP"}])
    everybody = [second, first, other]
    assert of_nodes(first, NODES, everybody, ()) and of_nodes(other, NODES, everybody, ())
    with pytest.raises(Refused, match="port 80/TCP of the nodes is that of service default/a"):
        of_nodes(second, NODES, everybody, ())


def test_an_address_has_one_holder_and_moves_only_when_that_goes() -> None:
    dice = random.Random(1)
    services = [service(f"s{n}", f"2001:db8::{n:x}") for n in range(300)]
    nodes = [f"n{n}" for n in range(5)]
    before = holders(services, {}, nodes, POOLS)
    dice.shuffle(nodes)
    assert holders(services, {}, nodes, POOLS) == before and set(before.values()) == set(nodes)
    after = holders(services, {}, set(nodes) - {"n3"}, POOLS)
    assert {address for address in before if before[address] != after[address]} == {
        address for address, holder in before.items() if holder == "n3"
    }


def test_local_services_are_announced_where_endpoints_are() -> None:
    local = service("a", "192.0.2.0", externalTrafficPolicy="Local")
    key = ("default", "a")
    assert holders([local], {key: {"n2", "n9"}}, {"n1", "n2"}, POOLS) == {"192.0.2.0": "n2"}
    assert holders([local], {key: {"n9"}}, {"n1", "n2"}, POOLS) == {}
    assert holders([service("b", "198.51.100.1")], {}, {"n1"}, POOLS) == {}  # somebody else's


def test_arp() -> None:
    mac, other = bytes.fromhex("02aabbccddee"), bytes.fromhex("020000000001")
    question = bytes.fromhex("ffffffffffff02000000000108060001080006040001020000000001c0000207000000000000c0000208")
    asked = frames.arp_request(question)
    assert asked == frames.Asked("192.0.2.8", "192.0.2.7", other)
    assert frames.arp_reply(mac, "192.0.2.8", asked) == bytes.fromhex(
        "02000000000102aabbccddee0806000108000604000202aabbccddeec0000208020000000001c0000207"
    )
    request, reply = frames.gratuitous_arp(mac, "192.0.2.8")
    own = frames.arp_request(request)
    assert own is not None and own.target == own.sender == "192.0.2.8" and frames.arp_request(reply) is None
    for length in range(len(question)):
        assert frames.arp_request(question[:length]) is None


def test_neighbour_discovery() -> None:
    solicitation = bytes.fromhex("870000000000000020010db8000000000000000000000abc")
    assert frames.solicited(solicitation) == "2001:db8::abc"
    assert frames.solicited(solicitation[:-1]) is None and frames.solicited(b"\x88" + solicitation[1:]) is None
    assert frames.solicited_node_group("2001:db8::1:2abc") == "ff02::1:ff01:2abc"
    answer = frames.advertisement(bytes.fromhex("02aabbccddee"), "2001:db8::1", True)
    assert answer == bytes.fromhex("880000006000000020010db8000000000000000000000001020102aabbccddee")

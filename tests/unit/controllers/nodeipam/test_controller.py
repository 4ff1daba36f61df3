"""Pod networks of nodes: the set of parts and the options."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.nodeipam.cidrset import CIDRSet, Exhausted
from pybernetes.controllers.nodeipam.controller import NodeIPAMController
from pybernetes.controllers.nodeipam.plan import cidrs_of, mask_of, sets_of
from pybernetes.controllers.options import Options


def test_parts_go_round() -> None:
    cidrs = CIDRSet(ip_network("10.0.0.0/22"), 24)
    assert [str(cidrs.allocate()) for _ in range(4)] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
    with pytest.raises(Exhausted):
        cidrs.allocate()
    cidrs.release(ip_network("10.0.2.0/24"))
    assert str(cidrs.allocate()) == "10.0.2.0/24"


def test_a_freed_part_is_not_given_at_once() -> None:
    cidrs = CIDRSet(ip_network("10.0.0.0/22"), 24)
    first = cidrs.allocate()
    cidrs.release(first)
    assert cidrs.allocate() != first


def test_occupied_parts_are_left_alone() -> None:
    cidrs = CIDRSet(ip_network("10.0.0.0/22"), 24)
    cidrs.occupy(ip_network("10.0.0.0/23"))
    cidrs.occupy(ip_network("10.0.3.128/25"))
    assert str(cidrs.allocate()) == "10.0.2.0/24"
    with pytest.raises(Exhausted):
        cidrs.allocate()
    cidrs = CIDRSet(ip_network("10.0.0.0/22"), 24)
    cidrs.occupy(ip_network("10.0.0.0/8"))
    with pytest.raises(Exhausted):
        cidrs.allocate()


def test_what_lies_outside_is_refused() -> None:
    cidrs = CIDRSet(ip_network("10.0.0.0/22"), 24)
    for text in ("10.1.0.0/24", "fd00::/64"):
        with pytest.raises(ValueError, match="out the range of cluster cidr"):
            cidrs.occupy(ip_network(text))


@pytest.mark.parametrize(("network", "mask"), [("10.0.0.0/24", 22), ("10.0.0.0/8", 25), ("fd00::/40", 64)])
def test_masks_must_fit(network: str, mask: int) -> None:
    with pytest.raises(ValueError, match="node CIDR size is too big"):
        CIDRSet(ip_network(network), mask)


def test_two_families() -> None:
    options = Options(cluster_cidr="10.244.0.0/16,fd00:10::/56", service_cluster_ip_range="10.244.0.0/23")
    sets = sets_of(options)
    assert [str(cidrs.allocate()) for cidrs in sets] == ["10.244.2.0/24", "fd00:10::/64"]
    assert mask_of(ip_network("10.0.0.0/8"), Options(node_cidr_mask_size=20)) == 20
    with pytest.raises(ValueError, match="one network is needed"):
        sets_of(Options())


def test_cidrs_of() -> None:
    assert cidrs_of(core.Node()) == []
    assert cidrs_of(core.Node(spec=core.NodeSpec(pod_cidr="10.0.0.0/24"))) == [ip_network("10.0.0.0/24")]


def test_it_says_what_it_lacks() -> None:
    assert NodeIPAMController.lacks(Options()) == "--allocate-node-cidrs is false"
    assert NodeIPAMController.lacks(Options(allocate_node_cidrs=True)) == "--cluster-cidr is not set"
    assert NodeIPAMController.lacks(Options(allocate_node_cidrs=True, cluster_cidr="10.0.0.0/8")) == ""


@given(st.lists(st.integers(0, 15), max_size=40))
def test_parts_are_given_round_and_never_twice(steps: list[int]) -> None:
    """Against a plain list: below 8 a part is given, from 8 on one is given back."""
    cidrs, free, following = CIDRSet(ip_network("10.0.0.0/24"), 27), set(range(8)), 0
    for step in steps:
        if step >= 8:
            free.add(step - 8)
            cidrs.release(ip_network(f"10.0.0.{(step - 8) * 32}/27"))
            continue
        order = [(following + offset) % 8 for offset in range(8)]
        expected = next((number for number in order if number in free), None)
        if expected is None:
            with pytest.raises(Exhausted):
                cidrs.allocate()
            continue
        assert cidrs.allocate() == ip_network(f"10.0.0.{expected * 32}/27")
        free.discard(expected)
        following = (expected + 1) % 8


def test_parts_of_large_networks() -> None:
    cidrs = CIDRSet(ip_network("fd00::/48"), 64)
    assert [str(cidrs.allocate()) for _ in range(2)] == ["fd00::/64", "fd00:0:0:1::/64"]
    cidrs.occupy(ip_network("fd00::/16"))  # all of it, and what lies around
    with pytest.raises(Exhausted):
        cidrs.allocate()
    with pytest.raises(ValueError, match="too big"):
        CIDRSet(ip_network("fd00::/16"), 64)

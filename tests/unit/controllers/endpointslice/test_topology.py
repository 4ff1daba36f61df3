"""Topology-aware hints. The kind: an annotation of a Service that upstream acts on was taken, and nothing came of it, nor was that told."""

from __future__ import annotations

from collections import Counter

import pytest

from pybernetes.api.quantity import parse_quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import ANNOTATION_TOPOLOGY_MODE, LABEL_TOPOLOGY_ZONE
from pybernetes.controllers.endpointslice import slices, topology
from pybernetes.controllers.endpointslice.plan import plan

from ..objects import LABELS, meta, pod

KEY = ("ns", "s")


def node(name: str, zone: str = "", cpu: str = "", ready: str = "True", **labels: str) -> core.Node:
    every = {
        **({LABEL_TOPOLOGY_ZONE: zone} if zone else {}),
        **{f"node-role.kubernetes.io/{k}": v for k, v in labels.items()},
    }
    made = core.Node(metadata=meta(name, labels=every))
    made.status.allocatable = {"cpu": parse_quantity(cpu)} if cpu else {}
    made.status.conditions = [core.NodeCondition(type="Ready", status=ready)] if ready else []
    return made


def cluster(**cpu: str) -> topology.Topology:
    """A node in each zone a, b, c."""
    result = topology.Topology()
    for zone, amount in cpu.items():
        result.zones.change(None, node(zone, zone, amount))
    return result


def slice_of(name: str, zones: str, hints: str = "") -> discovery.EndpointSlice:
    """Endpoints by their zones, a capital letter for one that is not ready; `hints`: a letter for each, `-` for none."""
    endpoints = []
    for number, zone in enumerate(zones):
        hint = hints[number] if hints else "-"
        endpoints.append(
            discovery.Endpoint(
                addresses=[f"10.0.0.{number}"],
                zone=None if zone == "?" else zone.lower(),
                conditions=discovery.EndpointConditions(ready=zone == zone.lower()),
                hints=None if hint == "-" else discovery.EndpointHints(for_zones=[discovery.ForZone(name=hint)]),
            )
        )
    return discovery.EndpointSlice(metadata=meta(name), address_type="IPv4", endpoints=endpoints)


def shown(present: discovery.EndpointSlice) -> str:
    return "".join(e.hints.for_zones[0].name if e.hints else "-" for e in present.endpoints)


@pytest.mark.parametrize(
    ("nodes", "shares"),
    [
        ([], {}),
        ([node("1", "a", "1"), node("2", "a", "1")], {}),  # one zone
        ([node("1", "a", "1"), node("2", "b", "3")], {"a": 0.25, "b": 0.75}),
        ([node("1", "a", "1500m"), node("2", "b", "500m"), node("3", "b", "1")], {"a": 0.5, "b": 0.5}),
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", "", "1")], {}),  # whose zone?
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", "b")], {}),  # how much?
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", "b", "0")], {}),
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", ready="False")], {"a": 0.5, "b": 0.5}),
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", ready="")], {"a": 0.5, "b": 0.5}),
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", **{"control-plane": ""})], {"a": 0.5, "b": 0.5}),
        ([node("1", "a", "1"), node("2", "b", "1"), node("3", master="")], {"a": 0.5, "b": 0.5}),
    ],
)  # fmt: skip
def test_shares_are_those_of_ready_workers(nodes: list[core.Node], shares: dict[str, float]) -> None:
    zones = topology.Zones()
    assert all(zones.change(None, each) == (topology.capacity_of(each) is not None) for each in nodes)
    assert zones.shares == shares
    for each in nodes:
        zones.change(each, None)
    assert zones.shares == {}


@pytest.mark.parametrize(
    ("cpu", "zones", "hints"),
    [
        ({"a": "45", "b": "55"}, "ab", "ab"),
        ({"a": "45", "b": "55"}, "abBB", "ab--"),
        ({"a": "1", "b": "1"}, "aaaa", "bbaa"),  # half of them for who has none
        ({"a": "1", "b": "3"}, "aaaa", "bbba"),
        ({"a": "35", "b": "35", "c": "30"}, "abccaaabca", "bbccaaabca"),  # upstream's case: one of a's five goes to b
        ({"a": "1", "b": "1"}, "aaab", "baab"),
        ({"a": "1", "b": "1"}, "cccc", "cccc"),  # a zone without CPU of its own gives nothing, as upstream's
    ],
)
def test_endpoints_are_for_their_zone_or_for_one_that_lacks_them(cpu: dict[str, str], zones: str, hints: str) -> None:
    world, changes = cluster(**cpu), slices.Changes(create=[slice_of("new", zones)])
    world.hint(KEY, "IPv4", changes, [])
    assert shown(changes.create[0]) == hints
    assert changes.events == [
        ("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled, addressType: IPv4")
    ]
    assert changes.create[0].endpoints != slice_of("new", zones).endpoints
    again = slices.Changes()
    world.hint(KEY, "IPv4", again, changes.create)
    assert again.events == []  # told once


NODES = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
FEW = "Insufficient number of endpoints (2 endpoints, 3 zones)"
MUCH = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 3 zones)"
NO_ZONE = "One or more endpoints do not have a zone specified"


@pytest.mark.parametrize(
    ("cpu", "zones", "words"),
    [
        ({}, "ab", NODES),
        ({"a": "1"}, "ab", NODES),
        ({"a": "3", "b": "4", "c": "3"}, "ab", FEW),
        ({"a": "3", "b": "4", "c": "3"}, "abC", FEW),  # only those that are ready count
        ({"a": "6", "b": "6", "c": "2"}, "abc", MUCH),
        ({"a": "1", "b": "1"}, "abb?", NO_ZONE),
    ],
)
def test_where_hints_would_be_wrong_there_are_none_and_an_event_says_why(
    cpu: dict[str, str], zones: str, words: str
) -> None:
    world = cluster(**cpu)
    stale, bare = slice_of("stale", "A", "a"), slice_of("bare", "")
    changes = slices.Changes(create=[slice_of("new", zones, "a" * len(zones))])
    world.hint(KEY, "IPv4", changes, [stale, bare])
    assert changes.events == [("Warning", "TopologyAwareHintsDisabled", f"{words}, addressType: IPv4")]
    assert set("".join(map(shown, (*changes.create, *changes.update)))) == {"-"}
    assert [one.metadata.name for one in changes.update] == ["stale"]
    assert shown(stale) == "a"  # the cache's copy stays as it is
    assert world.overloaded() == []


@pytest.mark.parametrize(
    ("present", "given", "counts"),
    [
        (slice_of("s", "ab", "ab"), {}, {"a": 1, "b": 1}),
        (slice_of("s", "abB", "ab-"), {}, {"a": 1, "b": 1}),
        (slice_of("s", "", ""), {}, {}),
        (slice_of("s", "ab", "a-"), {}, None),  # one has none
        (slice_of("s", "ab", "ac"), {}, None),  # for a zone that is gone
        (slice_of("s", "aa", "aa"), {}, {"a": 2}),
        (slice_of("s", "aa", "aa"), {"a": 1}, None),  # more than a may have
    ],
)
def test_slices_stay_as_they_are_where_they_can(
    present: discovery.EndpointSlice, given: dict[str, int], counts: dict[str, int] | None
) -> None:
    allocations = {"a": topology.Allocation(1, 2, 1.5), "b": topology.Allocation(1, 2, 1.5)}
    assert topology.settled(present, given, allocations) == (counts if counts is None else Counter(counts))


def test_a_node_that_comes_has_services_looked_at_again() -> None:
    world = cluster(a="1", b="1")
    world.hint(KEY, "IPv4", slices.Changes(create=[slice_of("s", "aabb")]), [])
    assert world.overloaded() == []
    assert world.zones.change(None, node("n", "b", "2"))
    assert world.overloaded() == [KEY]  # b has three of four parts, and two of four endpoints
    world.forget(KEY)
    assert world.overloaded() == []
    world.hint(KEY, "IPv4", slices.Changes(create=[slice_of("s", "aabb")]), [])
    assert world.zones.change(None, node("z", "", "1"))
    assert world.overloaded() == [KEY]  # nobody knows shares any more


def service(**notes: str) -> core.Service:
    spec = core.ServiceSpec(
        ports=[core.ServicePort(port=80, protocol="TCP")],
        cluster_ip="10.96.0.1",
        ip_families=["IPv4"],
        selector=dict(LABELS),
    )
    return core.Service(metadata=meta("s", annotations=notes), spec=spec)


@pytest.mark.parametrize(
    ("value", "enabled"), [("Auto", True), ("auto", True), ("AUTO", False), ("Disabled", False), ("", False)]
)
def test_who_asks(value: str, enabled: bool) -> None:
    assert topology.asked(service(**{ANNOTATION_TOPOLOGY_MODE: value})) is enabled


def test_the_annotation_comes_and_goes() -> None:
    """No write more than it takes, and none where nothing changes."""
    world, auto = cluster(a="1", b="1"), service(**{ANNOTATION_TOPOLOGY_MODE: "Auto"})
    nodes = {"na": node("na", "a", "1"), "nb": node("nb", "b", "1")}
    pods = [pod(f"p{n}", ip=f"10.1.0.{n}", node="na" if n < 3 else "nb", ready=10) for n in range(1, 5)]

    def planned(which: core.Service, existing: list[discovery.EndpointSlice]) -> slices.Changes:
        return plan(which, pods, nodes.get, existing, 100, world)[0]

    plain = planned(service(), []).create
    plain[0].metadata.name = "s-1"
    (hinted,) = planned(auto, plain).update
    assert shown(hinted) == "aabb" and shown(plain[0]) == "----"
    assert planned(auto, [hinted]) == slices.Changes()
    away = planned(service(), [hinted])
    assert shown(away.update[0]) == "----"
    assert [(kind, reason) for kind, reason, _ in away.events] == [("Warning", "TopologyAwareHintsDisabled")]
    assert planned(service(), away.update) == slices.Changes()

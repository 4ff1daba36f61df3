"""Endpoints and their slices."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import (
    ANNOTATION_TOPOLOGY_AWARE_HINTS,
    ANNOTATION_TOPOLOGY_MODE,
    ENDPOINTS_LABEL_MANAGED_BY,
    ENDPOINTS_LAST_CHANGE_TRIGGER_TIME,
    ENDPOINTS_OVER_CAPACITY,
    LABEL_SERVICE_NAME,
    LABEL_SKIP_MIRROR,
    LABEL_TOPOLOGY_ZONE,
    LEADER_ELECTION_RECORD_ANNOTATION,
)
from pybernetes.client.informer import Cache
from pybernetes.controllers.endpoint import plan as endpoints
from pybernetes.controllers.endpointslice import endpoints as util
from pybernetes.controllers.endpointslice import plan as endpointslice
from pybernetes.controllers.endpointslice import slices
from pybernetes.controllers.endpointslice.topology import Topology
from pybernetes.controllers.endpointslicemirroring import plan as endpointslicemirroring

from ..objects import LABELS, NOW, ago, meta, pod

NODE = core.Node(metadata=meta("n", labels={LABEL_TOPOLOGY_ZONE: "z"}))


def service(*ports: core.ServicePort, **spec: Any) -> core.Service:
    values = {"cluster_ip": "10.96.0.1", "ip_families": ["IPv4"], "selector": dict(LABELS), **spec}
    return core.Service(
        metadata=meta("s", labels={"l": "1"}),
        spec=core.ServiceSpec(ports=list(ports) or [core.ServicePort(port=80, protocol="TCP")], **values),
    )


def member(number: int, **fields: Any) -> core.Pod:
    return pod(f"p{number}", ip=f"10.1.{number // 250}.{number % 250 + 1}", node="n", **{"ready": 10, **fields})


def addresses(found: list[core.EndpointSubset]) -> list[tuple[list[str], list[str]]]:
    return [([a.ip for a in s.addresses], [a.ip for a in s.not_ready_addresses]) for s in found]


@pytest.mark.parametrize(
    ("pods", "spec", "expected"),
    [
        ([member(0), member(1, ready=None)], {}, [(["10.1.0.1"], ["10.1.0.2"])]),
        ([member(0, ready=None)], {"publish_not_ready_addresses": True}, [(["10.1.0.1"], [])]),
        ([pod("a", ready=1)], {}, []),
        ([member(0, phase="Succeeded")], {}, []),
        ([member(0, deleted=True)], {}, []),
        ([], {}, []),
    ],
)
def test_addresses(pods: list[core.Pod], spec: dict[str, Any], expected: list[Any]) -> None:
    assert addresses(endpoints.subsets_of(service(**spec), pods)) == expected


def test_named_ports_are_those_of_each_pod() -> None:
    port = core.ServicePort(port=80, protocol="TCP", target_port="http")
    first, second, third = member(0), member(1), member(2)
    for found, number in ((first, 8080), (second, 9090)):
        container = core.Container(ports=[core.ContainerPort(name="http", container_port=number, protocol="TCP")])
        found.spec.containers = [container]
    subsets = endpoints.subsets_of(service(port), [first, second, third])
    assert sorted((s.ports[0].port, len(s.addresses)) for s in subsets) == [(8080, 1), (9090, 1)]


def test_ports_stand_in_upstreams_order() -> None:
    ports = [
        core.ServicePort(name=n, port=p, protocol=q)
        for n, p, q in (("a", 80, "TCP"), ("b", 8081, "TCP"), ("u", 53, "UDP"))
    ]
    subset = endpoints.subsets_of(service(*ports), [member(0)])[0]
    assert [port.name for port in subset.ports] == ["b", "a", "u"]


def test_headless_without_ports() -> None:
    headless = service(cluster_ip="None")
    headless.spec.ports = []
    found = member(0)
    found.spec.hostname, found.spec.subdomain = "h", "s"
    subset = endpoints.subsets_of(headless, [found])[0]
    assert (subset.ports, subset.addresses[0].hostname) == ([], "h")


def test_what_is_right_is_not_written() -> None:
    given, pods = service(), [member(0)]
    made = endpoints.desired(given, None, pods, NOW)
    assert made is not None
    assert made.metadata.labels == {"l": "1", ENDPOINTS_LABEL_MANAGED_BY: endpoints.MANAGER}
    assert made.metadata.annotations == {ENDPOINTS_LAST_CHANGE_TRIGGER_TIME: "2026-01-01T12:00:00Z"}
    assert endpoints.desired(given, made, pods, None) is None
    changed = endpoints.desired(given, made, [], None)
    assert changed is not None and changed.metadata.annotations == {}


def test_too_many() -> None:
    ready, unready = [member(n) for n in range(900)], [member(n, ready=None) for n in range(900, 1400)]
    made = endpoints.desired(service(), None, [*ready, *unready], None)
    assert made is not None
    assert [(len(a), len(b)) for a, b in addresses(made.subsets)] == [(900, 100)]
    assert made.metadata.annotations[ENDPOINTS_OVER_CAPACITY] == "truncated"


def test_not_ready_wins() -> None:
    address = core.EndpointAddress(ip="10.0.0.1")
    port = core.EndpointPort(port=1)
    both = [
        core.EndpointSubset(addresses=[address], ports=[port]),
        core.EndpointSubset(not_ready_addresses=[address], ports=[port]),
    ]
    assert addresses(util.repack(both)) == [([], ["10.0.0.1"])]


def test_trigger_times() -> None:
    times, given = util.TriggerTimes(), service()
    assert times.compute(given, [member(0, ready=5)]) == ago(1000)  # the service is the oldest change
    assert times.compute(given, [member(0, ready=5)]) is None
    assert times.compute(given, [member(0, ready=5), member(1, ready=3)]) == ago(3)


# --- which services


def informer(*objects: Any) -> Cache:
    cache = Cache()
    cache.add_index(util.BY_SELECTOR, util.index_by_selector)
    for obj in objects:
        cache.change((obj.metadata.namespace, obj.metadata.name), obj)
    return cache


def test_whom_a_pod_concerns() -> None:
    services = informer(service())
    key = {("ns", "s")}
    assert util.services_to_tell(services, None, member(0)) == key
    assert util.services_to_tell(services, member(0), None) == key
    assert util.services_to_tell(services, member(0), member(0)) == set()
    assert util.services_to_tell(services, member(0), member(0, ready=None)) == key
    assert util.services_to_tell(services, member(0), member(0, labels={})) == key
    assert util.services_to_tell(services, member(0, labels={}), member(0, labels={"x": "y"})) == set()
    assert util.services_to_tell(services, None, pod("no-address")) == set()


# --- slices


def planned(pods: list[core.Pod], existing: list[discovery.EndpointSlice] | None = None, most: int = 100, **spec: Any):
    nodes = {"n": NODE}
    return endpointslice.plan(service(**spec), pods, nodes.get, existing or [], most, Topology())


def stored(*made: discovery.EndpointSlice) -> list[discovery.EndpointSlice]:
    for number, known in enumerate(made):
        known.metadata.name = known.metadata.name or f"s-{number}"
    return list(made)


def test_an_endpoint() -> None:
    changes, missing = planned([member(0), member(1, ready=None), member(2, deleted=True)])
    made = changes.create[0]
    assert (made.address_type, made.metadata.generate_name) == ("IPv4", "s-")
    assert made.metadata.labels == {"l": "1", LABEL_SERVICE_NAME: "s", slices.MANAGED_BY: endpointslice.MANAGER}
    shown = [(e.conditions.ready, e.conditions.serving, e.conditions.terminating) for e in made.endpoints]
    assert shown == [(True, True, False), (False, False, False), (False, True, True)]
    assert {(e.zone, e.node_name) for e in made.endpoints} == {("z", "n")}
    assert missing == []


@pytest.mark.parametrize(
    ("distribution", "notes", "nodes", "zones"),
    [
        (None, {}, [], []),
        ("PreferClose", {}, [], ["z"]),
        ("PreferSameZone", {}, [], ["z"]),
        ("PreferSameNode", {}, ["n"], ["z"]),
        ("PreferSameZone", {ANNOTATION_TOPOLOGY_MODE: "Auto"}, [], []),
        ("PreferSameZone", {ANNOTATION_TOPOLOGY_MODE: "Disabled"}, [], ["z"]),
        ("PreferSameZone", {ANNOTATION_TOPOLOGY_MODE: "Auto", ANNOTATION_TOPOLOGY_AWARE_HINTS: "Disabled"}, [], ["z"]),
    ],
)
def test_hints_are_those_of_the_traffic_distribution(
    distribution: str | None, notes: dict[str, str], nodes: list[str], zones: list[str]
) -> None:
    """The kind: a Service's trafficDistribution was taken, and nobody told proxies of it. A change of it changes slices that are right else."""
    some = service(traffic_distribution=distribution)
    some.metadata.annotations = notes
    pods = [member(0), member(1, ready=None), member(2, deleted=True)]
    before = stored(*planned(pods)[0].create)
    changes, _ = endpointslice.plan(some, pods, {"n": NODE}.get, before, 100, Topology())
    assert bool(changes.update) is bool(nodes or zones) and not changes.create and not changes.delete
    (written,) = changes.update or before
    ready, *others = [endpoint.hints for endpoint in written.endpoints]
    assert [one.name for one in ready.for_nodes] == nodes if ready else not nodes
    assert [one.name for one in ready.for_zones] == zones if ready else not zones
    assert others == [None, None]
    again, _ = endpointslice.plan(some, pods, {"n": NODE}.get, [written], 100, Topology())
    assert again == slices.Changes(events=again.events)
    back, _ = endpointslice.plan(service(), pods, {"n": NODE}.get, [written], 100, Topology())
    assert all(endpoint.hints is None for one in back.update for endpoint in one.endpoints)


def test_a_node_without_a_zone_gives_no_zone() -> None:
    bare = core.Node(metadata=meta("n"))
    (made,) = endpointslice.plan(
        service(traffic_distribution="PreferSameNode"), [member(0)], {"n": bare}.get, [], 9, Topology()
    )[0].create
    assert made.endpoints[0].hints == discovery.EndpointHints(for_nodes=[discovery.ForNode(name="n")])
    (made,) = endpointslice.plan(
        service(traffic_distribution="PreferClose"), [member(0)], {"n": bare}.get, [], 9, Topology()
    )[0].create
    assert made.endpoints[0].hints is None


def test_no_pods_leave_one_empty_slice() -> None:
    empty = planned([])[0].create
    assert [(len(s.endpoints), s.ports) for s in empty] == [(0, [])]
    assert planned([], stored(*empty))[0] == slices.Changes()


def test_a_pod_on_a_missing_node_waits() -> None:
    lost = member(0)
    lost.spec.node_name = "gone"
    changes, missing = planned([lost])
    assert missing == ["skipping Pod p0 for Service ns/s: Node gone Not Found"] and changes.create[0].endpoints == []
    assert planned([lost], publish_not_ready_addresses=True)[1] == []


def test_slices_are_filled() -> None:
    made = stored(*planned([member(n) for n in range(250)])[0].create)
    assert [len(s.endpoints) for s in made] == [100, 100, 50]
    changes, _ = planned([member(n) for n in range(251)], made)
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)
    assert len(changes.update[0].endpoints) == 51
    unchanged, _ = planned([member(n) for n in range(250)], made)
    assert unchanged == slices.Changes()


def test_a_slice_that_is_written_anyway_takes_new_ones() -> None:
    made = stored(*planned([member(n) for n in range(150)])[0].create)
    pods = [member(n) for n in range(1, 150)] + [member(500)]
    changes, _ = planned(pods, made)
    assert [len(s.endpoints) for s in changes.update] == [100] and not changes.create


def test_emptied_slices_go() -> None:
    made = stored(*planned([member(n) for n in range(120)])[0].create)
    changes, _ = planned([member(n) for n in range(100)], made)
    assert [s.metadata.name for s in changes.delete] == [made[1].metadata.name]


def test_former_services_slices_go() -> None:
    strange = stored(*planned([member(0)])[0].create)
    strange[0].metadata.owner_references[0].uid = "former"
    changes, _ = planned([member(0)], strange)
    assert len(changes.delete) == len(changes.create) == 1


def test_a_late_cache_is_noticed() -> None:
    tracker, key = slices.Tracker(), ("ns", "s")
    known = discovery.EndpointSlice(metadata=meta("a", generation=2))
    tracker.wrote(key, known)
    assert tracker.stale(key, []) and not tracker.stale(key, [known])
    assert tracker.stale(key, [discovery.EndpointSlice(metadata=meta("a", generation=1))])
    assert tracker.expected(key, "a", 2) and not tracker.expected(key, "a", 3)
    tracker.deleted(key, "a")
    assert tracker.stale(key, [known]) and not tracker.stale(key, [])


# --- mirroring


def test_mirroring() -> None:
    subset = core.EndpointSubset(
        addresses=[core.EndpointAddress(ip="10.0.0.1", hostname="h"), core.EndpointAddress(ip="fd00::1")],
        not_ready_addresses=[core.EndpointAddress(ip="10.0.0.2")],
        ports=[core.EndpointPort(port=80, protocol="TCP")],
    )
    given = core.Endpoints(metadata=meta("s", labels={"a": "b"}), subsets=[subset])
    changes, skipped = endpointslicemirroring.plan(given, [], 1000)
    shown = {s.address_type: [(e.addresses[0], e.conditions.ready) for e in s.endpoints] for s in changes.create}
    assert shown == {"IPv4": [("10.0.0.1", True), ("10.0.0.2", False)], "IPv6": [("fd00::1", True)]}
    assert skipped == 0 and endpointslicemirroring.plan(given, [], 1)[1] == 2
    made = stored(*changes.create)
    assert endpointslicemirroring.plan(given, made, 1000)[0] == slices.Changes()
    given.subsets = []
    assert len(endpointslicemirroring.plan(given, made, 1000)[0].delete) == 2


def test_what_is_not_mirrored() -> None:
    def given(**fields: Any) -> core.Endpoints:
        return core.Endpoints(metadata=meta("s", **fields))

    assert endpointslicemirroring.should_mirror(given())
    assert not endpointslicemirroring.should_mirror(given(labels={LABEL_SKIP_MIRROR: "true"}))
    assert not endpointslicemirroring.should_mirror(given(annotations={LEADER_ELECTION_RECORD_ANNOTATION: "{}"}))


@pytest.mark.parametrize(
    ("before", "after", "writes"),
    [(None, "PreferClose", 1), ("PreferClose", None, 1), ("PreferClose", "PreferSameZone", 0), (None, None, 0)],
)
def test_slices_follow_a_changed_preference(before: str | None, after: str | None, writes: int) -> None:
    pods = [member(0), member(1)]
    made, _ = endpointslice.plan(service(traffic_distribution=before), pods, lambda name: NODE, [], 100, Topology())
    changes, _ = endpointslice.plan(
        service(traffic_distribution=after), pods, lambda name: NODE, made.create, 100, Topology()
    )
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, writes, 0)
    for changed in changes.update:
        assert [e.hints is not None for e in changed.endpoints] == [after is not None] * 2

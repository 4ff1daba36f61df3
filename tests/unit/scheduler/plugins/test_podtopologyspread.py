"""PodTopologySpread."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core

from ..make import World, node, pod, typed

ZONE, HOST = "zone", "kubernetes.io/hostname"
APP = {"app": "web"}


def spread(skew: int, key: str, how: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": how,
        "labelSelector": {"matchLabels": APP},
        **more,
    }


def zones(**hosts: str) -> list[core.Node]:
    """Nodes by name with their zone."""
    return [node(name, labels={ZONE: zone} if zone else {}) for name, zone in hosts.items()]


def world(there: dict[str, int], **hosts: str) -> World:
    found = World(zones(**hosts))
    for name, count in there.items():
        for number in range(count):
            found.add(pod(f"{name}-{number}", labels=APP, node=name))
    return found


@pytest.mark.parametrize(
    ("there", "constraints", "nodes"),
    [
        ({"a": 1}, [spread(1, ZONE)], ["c"]),
        ({"a": 1, "c": 1}, [spread(1, ZONE)], ["a", "b", "c"]),
        ({"a": 2, "c": 1}, [spread(1, ZONE)], ["c"]),
        ({"a": 2, "c": 1}, [spread(2, ZONE)], ["a", "b", "c"]),
        ({"a": 1}, [spread(1, HOST)], ["b", "c", "d"]),
        ({"a": 1, "c": 1}, [spread(1, ZONE), spread(1, HOST)], ["b"]),
        ({"a": 1}, [spread(1, ZONE, minDomains=3)], ["c"]),
        ({"a": 1, "c": 1}, [spread(1, ZONE, minDomains=3)], []),
        ({}, [spread(1, "missing")], []),
    ],
)
def test_hard_constraints(there: dict[str, int], constraints: list[dict[str, Any]], nodes: list[str]) -> None:
    # d has no zone: it takes no pod that is spread by zone, and does not count.
    found = world(there, a="z1", b="z1", c="z2", d="")
    assert found.feasible(pod(labels=APP, topologySpreadConstraints=constraints)) == nodes


def test_reasons() -> None:
    found = world({"a": 1}, a="z1", b="z1", c="", d="z2")
    found.table.set_node(node("d", labels={ZONE: "z2"}, unschedulable=True))
    expected = (
        "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label),"
        " 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints."
    )
    assert found.place(pod(labels=APP, topologySpreadConstraints=[spread(1, ZONE)])) == expected


@pytest.mark.parametrize(
    ("more", "nodes"),
    [
        ({}, ["b"]),  # the zone that the pod may not use is no reason to keep it out of the others
        ({"nodeAffinityPolicy": "Ignore"}, []),
    ],
)
def test_node_affinity_decides_which_domains_count(more: dict[str, Any], nodes: list[str]) -> None:
    found = World([node("a", labels={ZONE: "z1"}), node("b", labels={ZONE: "z2", "use": "me"})])
    found.add(pod("o", labels=APP, node="b"))
    wanted = pod(labels=APP, nodeSelector={"use": "me"}, topologySpreadConstraints=[spread(1, ZONE, **more)])
    assert found.feasible(wanted) == nodes


@pytest.mark.parametrize(("policy", "nodes"), [("Ignore", []), ("Honor", ["b"])])
def test_taints_decide_where_that_is_asked_for(policy: str, nodes: list[str]) -> None:
    found = World([node("a", labels={ZONE: "z1"}, taints=["x=y:NoSchedule"]), node("b", labels={ZONE: "z2"})])
    found.add(pod("o", labels=APP, node="b"))
    wanted = pod(labels=APP, topologySpreadConstraints=[spread(1, ZONE, nodeTaintsPolicy=policy)])
    assert found.feasible(wanted) == nodes


def test_pods_that_go_away_and_those_of_other_namespaces_do_not_count() -> None:
    found = world({}, a="z1", c="z2")
    found.add(pod("o", labels=APP, node="a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    found.add(pod("p", labels=APP, node="a", namespace="other"))
    assert found.feasible(pod(labels=APP, topologySpreadConstraints=[spread(1, ZONE)])) == ["a", "c"]


def test_match_label_keys_narrow_the_selector() -> None:
    found = World(zones(a="z1", c="z2"))
    found.add(pod("old", labels={**APP, "rev": "1"}, node="a"))
    wanted = pod(labels={**APP, "rev": "2"}, topologySpreadConstraints=[spread(1, ZONE, matchLabelKeys=["rev"])])
    assert found.feasible(wanted) == ["a", "c"]


@pytest.mark.parametrize(
    ("there", "constraints", "scores"),
    [
        # One constraint over four hosts, weight log(6): 1.79, 3.58, 0, 5.38 are rounded to 2, 4, 0, 5.
        ({"a": 1, "b": 2, "c": 0, "d": 3}, [spread(1, HOST, "ScheduleAnyway")], {"a": 60, "b": 20, "c": 100, "d": 0}),
        ({}, [spread(1, HOST, "ScheduleAnyway")], {"a": 100, "b": 100, "c": 100, "d": 100}),
        # Over zones: z1 has 7 pods, z2 has 3: weight log(4), scores round(9.7)=10 and round(4.16)=4.
        ({"a": 3, "b": 4, "c": 2, "d": 1}, [spread(1, ZONE, "ScheduleAnyway")], {"a": 40, "b": 40, "c": 100, "d": 100}),
    ],
)
def test_soft_constraints(there: dict[str, int], constraints: list[dict[str, Any]], scores: dict[str, int]) -> None:
    found = world(there, a="z1", b="z1", c="z2", d="z2")
    weighted = found.scores(pod(labels=APP, topologySpreadConstraints=constraints), "PodTopologySpread")
    assert {name: score // 2 for name, score in weighted.items()} == scores


def test_pods_of_a_service_or_replica_set_are_spread_without_being_told() -> None:
    found = world({"a": 1}, a="z1", b="z1")
    assert found.scores(pod(labels=APP), "PodTopologySpread") == {}
    found.know("services", typed(core.Service, metadata={"name": "s", "namespace": "default"}, spec={"selector": APP}))
    # maxSkew 3 over hosts, weight log(4): 1.39 + 2 and 2 are rounded to 3 and 2, normalized to 66 and 100; weight 2.
    assert found.scores(pod(labels=APP), "PodTopologySpread") == {"a": 132, "b": 200}
    assert found.place(pod(labels=APP)) == "b"


def test_the_owner_says_who_the_siblings_are() -> None:
    found = world({"a": 1}, a="z1", b="z1")
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}
    wanted = pod(labels=APP, metadata={"labels": APP, "ownerReferences": [owner]})
    assert found.scores(wanted, "PodTopologySpread") == {}
    replica_set = typed(
        apps.ReplicaSet, metadata={"name": "r", "namespace": "default"}, spec={"selector": {"matchLabels": APP}}
    )
    found.know("replica_sets", replica_set)
    assert found.place(wanted) == "b"

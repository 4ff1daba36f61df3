"""Plug-ins that look at the nodes' objects: taints, cordons, affinity, names, ports, images."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.scheduler.profiles.config import ProfileOptions

from ..make import World, node, pod

MEBIBYTE = 1024 * 1024


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
        }
    }


def expressions(*items: tuple[str, str, list[str]], of: str = "matchExpressions") -> dict[str, Any]:
    return {of: [{"key": key, "operator": operator, "values": values} for key, operator, values in items]}


def preferred(*terms: tuple[int, str, str]) -> dict[str, Any]:
    return {
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": weight, "preference": expressions((key, "In", [value]))} for weight, key, value in terms
                ]
            }
        }
    }


@pytest.mark.parametrize(
    ("tolerations", "answer"),
    [
        ([], "0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
        ([{"key": "a", "value": "b"}], "n"),
        ([{"key": "a", "value": "c"}], "0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
        ([{"key": "a", "operator": "Exists"}], "n"),
        ([{"operator": "Exists"}], "n"),
        ([{"key": "a", "value": "b", "effect": "NoExecute"}], "0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
    ],
)  # fmt: skip
def test_taints(tolerations: list[dict[str, str]], answer: str) -> None:
    world = World([node("n", taints=["a=b:NoSchedule", "soft=x:PreferNoSchedule"])])
    assert world.place(pod(tolerations=tolerations)) == answer


def test_the_first_taint_of_each_node_is_told() -> None:
    nodes = [
        node("a", taints=["x=1:NoSchedule", "y=2:NoExecute"]),
        node("b", taints=["y=2:NoExecute"]),
        node("c", taints=["y=2:NoExecute"]),
    ]
    assert World(nodes).place(pod()) == "0/3 nodes are available: 3 node(s) had untolerated taint(s)."


def test_preferred_taints_are_counted_against_a_node() -> None:
    nodes = [
        node("a"),
        node("b", taints=["x=1:PreferNoSchedule"]),
        node("c", taints=["x=1:PreferNoSchedule", "y=2:PreferNoSchedule"]),
    ]
    world = World(nodes)
    assert world.scores(pod(), "TaintToleration") == {"a": 300, "b": 150, "c": 0}
    assert world.place(pod()) == "a"


def test_cordoned_nodes() -> None:
    world = World([node("n", unschedulable=True)])
    assert world.place(pod()) == "0/1 nodes are available: 1 node(s) were unschedulable."
    tolerated = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]
    assert world.place(pod(tolerations=tolerated)) == "n"


@pytest.mark.parametrize(
    ("spec", "nodes"),
    [
        ({"nodeSelector": {"d": "9"}}, ["a"]),
        ({"nodeSelector": {"d": "9", "e": "1"}}, []),
        (required(expressions(("d", "In", ["9", "x"]))), ["a"]),
        (required(expressions(("d", "NotIn", ["9"]))), ["b", "c"]),
        (required(expressions(("d", "Exists", []))), ["a", "b"]),
        (required(expressions(("d", "DoesNotExist", []))), ["c"]),
        (required(expressions(("d", "Gt", ["9"]))), ["b"]),
        (required(expressions(("d", "Lt", ["10"]))), ["a"]),
        (required(expressions(("d", "Exists", []), ("d", "NotIn", ["9"]))), ["b"]),
        (required(expressions(("d", "In", ["9"])), expressions(("d", "DoesNotExist", []))), ["a", "c"]),
        (required({}), []),
        (required(expressions(("metadata.name", "In", ["b"]), of="matchFields")), ["b"]),
        (required(expressions(("metadata.name", "NotIn", ["b"]), of="matchFields")), ["a", "c"]),
        ({**required(expressions(("d", "Exists", []))), "nodeSelector": {"d": "10"}}, ["b"]),
    ],
)
def test_node_affinity(spec: dict[str, Any], nodes: list[str]) -> None:
    world = World([node("a", labels={"d": "9"}), node("b", labels={"d": "10"}), node("c")])
    assert world.feasible(pod(**spec)) == nodes


def test_affinity_that_no_node_meets() -> None:
    expected = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    assert World([node("a"), node("b")]).place(pod(nodeSelector={"x": "y"})) == expected


def test_a_named_node_that_has_no_room_is_told_apart_from_the_others() -> None:
    wanted = pod(requests={"cpu": "5"}, **required(expressions(("metadata.name", "In", ["a"]), of="matchFields")))
    expected = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    assert World([node("a"), node("b"), node("c")]).place(wanted) == expected


def test_preferred_affinity_is_scored_by_weight() -> None:
    world = World([node("a", labels={"x": "1"}), node("b", labels={"y": "1"}), node("c")])
    wanted = pod(**preferred((20, "x", "1"), (80, "y", "1")))
    assert world.scores(wanted, "NodeAffinity") == {"a": 50, "b": 200, "c": 0}
    assert world.place(wanted) == "b"


def test_affinity_that_the_profile_adds() -> None:
    added = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [expressions(("x", "In", ["1"]))]}}
    options = ProfileOptions(arguments={"NodeAffinity": {"addedAffinity": added}})
    world = World([node("a", labels={"x": "1"}), node("b")], profile=options)
    assert world.feasible(pod()) == ["a"]
    expected = (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector,"
        " 1 node(s) didn't match scheduler-enforced node affinity."
    )
    assert world.place(pod(nodeSelector={"z": "z"})) == expected


@pytest.mark.parametrize(
    ("taken", "wanted", "fits"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 81}, True),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 80, "hostIP": "10.0.0.1"}, False),
        ({"containerPort": 80}, {"containerPort": 80}, True),
    ],
)
def test_host_ports(taken: dict[str, Any], wanted: dict[str, Any], fits: bool) -> None:
    world = World([node("n")], [pod("o", ports=[taken], node="n")])
    refused = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    assert world.place(pod(ports=[wanted])) == ("n" if fits else refused)
    world.table.remove_pod("default/o")
    assert world.place(pod(ports=[wanted])) == "n"


def test_nodes_with_the_image_are_better_by_its_size() -> None:
    # Upstream's TestImageLocalityPriority: 40 MB and 300 MB on one of two nodes each.
    nodes = [
        node("a", images={"gcr.io/40:latest": 40 * MEBIBYTE}),
        node("b", images={"gcr.io/300:latest": 300 * MEBIBYTE}),
    ]
    world = World(nodes)
    assert world.scores(pod(image="gcr.io/300"), "ImageLocality") == {"a": 0, "b": 12}
    assert world.scores(pod(image="gcr.io/40"), "ImageLocality") == {"a": 0, "b": 0}


def test_a_node_that_is_gone_takes_nothing_and_its_row_serves_the_next() -> None:
    world = World([node("a"), node("b", labels={"d": "1"})], [pod("o", {"cpu": "4"}, node="b")])
    world.table.remove_node("b")
    assert world.feasible(pod()) == ["a"]
    world.table.set_node(node("c"))
    assert world.feasible(pod(requests={"cpu": "4"})) == ["a", "c"]
    assert world.feasible(pod(nodeSelector={"d": "1"})) == []
    world.table.set_node(node("b"))  # its pod was kept in mind
    assert world.feasible(pod(requests={"cpu": "4"})) == ["a", "c"]
    assert world.table.node_of("default/o") == "b"

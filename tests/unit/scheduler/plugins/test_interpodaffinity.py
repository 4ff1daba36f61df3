"""InterPodAffinity."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core

from ..make import World, node, pod, typed

ZONE, HOST = "zone", "kubernetes.io/hostname"


def term(app: str, key: str, **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def affinity(kind: str, *terms: dict[str, Any], weight: int = 0) -> dict[str, Any]:
    """`kind` podAffinity or podAntiAffinity; preferred with a weight."""
    if weight:
        weighted = [{"weight": weight, "podAffinityTerm": t} for t in terms]
        return {"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}}


def three() -> list[core.Node]:
    return [node("a", labels={ZONE: "z1"}), node("b", labels={ZONE: "z1"}), node("c", labels={ZONE: "z2"})]


@pytest.mark.parametrize(
    ("there", "spec", "nodes"),
    [
        ([("db", "a", {})], affinity("podAffinity", term("db", HOST)), ["a"]),
        ([("db", "a", {})], affinity("podAffinity", term("db", ZONE)), ["a", "b"]),
        ([("db", "a", {})], affinity("podAffinity", term("no", ZONE)), []),
        ([("db", "a", {})], affinity("podAffinity", term("db", "missing")), []),
        ([("db", "a", {})], affinity("podAntiAffinity", term("db", HOST)), ["b", "c"]),
        ([("db", "a", {})], affinity("podAntiAffinity", term("db", ZONE)), ["c"]),
        # A group that wants to be together: the first of it goes anywhere with the label.
        ([], affinity("podAffinity", term("web", ZONE)), ["a", "b", "c"]),
        ([("web", "c", {})], affinity("podAffinity", term("web", ZONE)), ["c"]),
        # Those who are there keep out whom they do not want.
        ([("db", "a", affinity("podAntiAffinity", term("web", ZONE)))], {}, ["c"]),
        ([("db", "a", affinity("podAntiAffinity", term("other", ZONE)))], {}, ["a", "b", "c"]),
        # All terms must be met by the same pods.
        ([("db", "a", {}), ("x", "c", {})], affinity("podAffinity", term("db", ZONE), term("x", ZONE)), []),
    ],
)
def test_required_terms(there: list[tuple[str, str, dict[str, Any]]], spec: dict[str, Any], nodes: list[str]) -> None:
    others = [pod(f"o{i}", labels={"app": app}, node=on, **more) for i, (app, on, more) in enumerate(there)]
    world = World(three(), others)
    wanted = pod(labels={"app": "web"}, **spec)
    assert world.feasible(wanted) == nodes
    for other in others:  # and nothing of them is left when they are gone
        world.table.remove_pod(other.metadata.uid)
    assert len(world.feasible(pod(labels={"app": "web"}))) == 3


def test_reasons() -> None:
    world = World(three(), [pod("o", labels={"app": "db"}, node="a", **affinity("podAntiAffinity", term("web", HOST)))])
    both = affinity("podAntiAffinity", term("db", ZONE))
    expected = "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) didn't match pod anti-affinity rules."
    world.table.set_node(node("c", labels={ZONE: "z2"}))
    wanted = pod(labels={"app": "web"}, nodeSelector={ZONE: "z1"}, **both)
    assert world.place(wanted) == expected
    one = pod(labels={"app": "web"}, nodeSelector={HOST: "a"})
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in world.place(one)
    unmet = pod(labels={"app": "web"}, **affinity("podAffinity", term("none", HOST)))
    assert world.place(unmet) == "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({}, False),
        ({"namespaces": ["other"]}, True),
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "y"}}}, False),
    ],
)
def test_namespaces(more: dict[str, Any], fits: bool) -> None:
    world = World([node("a")], [pod("o", labels={"app": "db"}, namespace="other", node="a")])
    world.know("namespaces", typed(core.Namespace, metadata={"name": "other", "labels": {"team": "x"}}))
    wanted = pod(labels={"app": "web"}, **affinity("podAffinity", term("db", HOST, **more)))
    assert (world.place(wanted) == "a") is fits


def test_preferred_terms_of_the_pod() -> None:
    world = World(three(), [pod("o", labels={"app": "db"}, node="a")])
    near = pod(labels={"app": "web"}, **affinity("podAffinity", term("db", ZONE), weight=5))
    assert world.scores(near, "InterPodAffinity") == {"a": 200, "b": 200, "c": 0}
    far = pod(labels={"app": "web"}, **affinity("podAntiAffinity", term("db", ZONE), weight=5))
    assert world.scores(far, "InterPodAffinity") == {"a": 0, "b": 0, "c": 200}
    assert world.place(far) == "c"


def test_preferred_and_required_terms_of_those_who_are_there() -> None:
    liked = pod("o1", labels={"app": "db"}, node="a", **affinity("podAffinity", term("web", HOST), weight=3))
    needed = pod("o2", labels={"app": "x"}, node="c", **affinity("podAffinity", term("web", HOST)))
    world = World(three(), [liked, needed])
    # 3 for a, hardPodAffinityWeight 1 for c: normalized to 100 and 33, weight 2.
    assert world.scores(pod(labels={"app": "web"}), "InterPodAffinity") == {"a": 200, "b": 0, "c": 66}
    assert world.scores(pod(labels={"app": "q"}), "InterPodAffinity") == {}

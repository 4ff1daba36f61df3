"""Shared answers: what is kept from pod to pod is what would be worked out anew."""

from __future__ import annotations

import random

from pybernetes.api.types import core_v1 as core
from pybernetes.scheduler.profiles.profile import Placement, Profile

from ..make import World, node, pod

SHAPES = (
    {"cpu": "500m", "memory": "256Mi"},
    {"cpu": "1", "memory": "2Gi"},
    {},
)


def fresh(world: World) -> Profile:
    """A profile that remembers nothing."""
    known = world.built.profile
    return Profile(known.name, known.filters, known.scorers, known.gates, known.table, known.cluster)


def some_pod(dice: random.Random, number: int) -> core.Pod:
    more = {}
    if dice.random() < 0.3:
        constraint = {
            "maxSkew": 2,
            "topologyKey": "zone",
            "whenUnsatisfiable": dice.choice(["DoNotSchedule", "ScheduleAnyway"]),
        }
        more["topologySpreadConstraints"] = [{**constraint, "labelSelector": {"matchLabels": {"app": "a"}}}]
    if dice.random() < 0.2:
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": dice.choice("ab")}}}
        more["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if dice.random() < 0.2:
        more["nodeSelector"] = {"zone": f"z{dice.randrange(3)}"}
    ports = [{"hostPort": 80}] if dice.random() < 0.1 else []
    return pod(f"p{number}", dice.choice(SHAPES), labels={"app": dice.choice("ab")}, ports=ports, **more)


def some_node(dice: random.Random, number: int) -> core.Node:
    taints = dice.choice([[], [], ["a=b:NoSchedule"], ["a=b:PreferNoSchedule"]])
    size = dice.choice([("2", "4Gi"), ("8", "16Gi")])
    return node(
        f"n{number}", *size, labels={"zone": f"z{dice.randrange(3)}"}, taints=taints, unschedulable=dice.random() < 0.1
    )


def test_any_history_gives_the_answers_of_a_fresh_look() -> None:
    for seed in range(20):
        dice = random.Random(seed)
        world = World([some_node(dice, number) for number in range(12)])
        there: list[str] = []
        for number in range(80):
            if dice.random() < 0.15:
                world.table.set_node(some_node(dice, dice.randrange(14)))
            if dice.random() < 0.05:
                world.table.remove_node(f"n{dice.randrange(14)}")
            if there and dice.random() < 0.2:
                world.table.remove_pod(there.pop(dice.randrange(len(there))))
            wanted = some_pod(dice, number)
            info = world.shapes.info(wanted)
            kept, anew = (p.decide(info, {}, lambda n: n - 1) for p in (world.built.profile, fresh(world)))
            if isinstance(kept, Placement):
                assert kept == anew
                world.table.add_pod(info, kept.node)
                there.append(info.uid)
            else:
                assert not isinstance(anew, Placement)
                assert kept.text() == anew.text()


def test_the_choice_is_among_the_best_only() -> None:
    world = World([node("a"), node("b"), node("c", "8", "16Gi")])
    info = world.shapes.info(pod(requests={"cpu": "1", "memory": "1Gi"}))
    offered: list[int] = []

    def pick(count: int) -> int:
        offered.append(count)
        return 0

    assert world.built.profile.decide(info, {}, pick) == Placement("c", 3, 3)
    world.table.remove_node("c")
    assert world.built.profile.decide(info, {}, pick) == Placement("a", 2, 2)
    assert offered == [2]


def test_without_nodes() -> None:
    assert World().place(pod()) == "no nodes available to schedule pods"


def test_more_nodes_than_the_table_began_with() -> None:
    world = World([node(f"n{number:03}") for number in range(100)])
    for number in range(100):
        found = world.decide(pod(f"p{number}", {"cpu": "3"}))
        assert isinstance(found, Placement)
        world.add(pod(f"p{number}", {"cpu": "3"}, node=found.node))
    assert world.place(pod(requests={"cpu": "3"})) == "0/100 nodes are available: 100 Insufficient cpu."
    assert all(len(pods) == 1 for pods in world.table.pods)


def test_pods_may_be_told_of_before_their_nodes() -> None:
    world = World()
    for number in range(3):
        world.add(pod(f"p{number}", {"cpu": "3"}, node="a"))
    assert world.table.pod_total() == 0
    world.table.remove_pod("default/p0")
    world.add(pod("p1", {"cpu": "1"}, node="b"))  # it was elsewhere
    world.table.set_node(node("a"))
    world.table.set_node(node("b"))
    assert {uid: world.table.node_of(uid) for pods in world.table.pods for uid in pods} == {
        "default/p1": "b",
        "default/p2": "a",
    }
    assert world.feasible(pod(requests={"cpu": "2"})) == ["b"]

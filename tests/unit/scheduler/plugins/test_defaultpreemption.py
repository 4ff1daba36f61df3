"""DefaultPreemption: who goes, where, and what is said when nobody can."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import policy_v1 as policy
from pybernetes.scheduler.framework.diagnosis import Diagnosis
from pybernetes.scheduler.framework.interface import Failure, Nomination, NoNomination
from pybernetes.scheduler.plugins.defaultpreemption import DefaultPreemption

from ..make import World, node, pod, typed


def old(name: str, on: str, cpu: str, priority: int, start: str = "2026-01-01T00:00:00Z", **more: Any) -> core.Pod:
    return pod(name, {"cpu": cpu}, node=on, priority=priority, status={"startTime": start}, **more)


def preempt(world: World, wanted: core.Pod) -> Nomination | NoNomination:
    diagnosis = world.decide(wanted)
    assert isinstance(diagnosis, Diagnosis)
    plugin = world.built.plugins["DefaultPreemption"]
    assert isinstance(plugin, DefaultPreemption)
    before = {uid: world.table.node_of(uid) for pods in world.table.pods for uid in pods}
    requested = world.table.requested["cpu"].copy()
    failure = Failure(world.shapes.info(wanted), diagnosis, world.nominated, world.built.profile, lambda n: 0)
    found = plugin.post_filter(failure)
    assert found is not None
    assert {uid: world.table.node_of(uid) for pods in world.table.pods for uid in pods} == before
    assert (world.table.requested["cpu"] == requested).all()  # trying leaves no trace
    return found


def names(found: Nomination | NoNomination) -> tuple[str, list[str]]:
    assert isinstance(found, Nomination), found
    return found.node, [victim.pod.metadata.name for victim in found.victims]


@pytest.mark.parametrize(
    ("there", "cpu", "expected"),
    [
        ([old("a", "x", "4", 1)], "3", ("x", ["a"])),
        # Only as many as are needed, the least important first.
        ([old("a", "x", "2", 5), old("b", "x", "2", 1)], "2", ("x", ["b"])),
        ([old("a", "x", "2", 5), old("b", "x", "2", 1)], "3", ("x", ["a", "b"])),
        # Among equals the one that has run shorter goes.
        ([old("a", "x", "2", 1), old("b", "x", "2", 1, "2026-01-02T00:00:00Z")], "2", ("x", ["b"])),
        # The node whose highest victim is lowest; then the smaller sum; then fewer; then the later start.
        ([old("a", "x", "4", 5), old("b", "y", "4", 1)], "3", ("y", ["b"])),
        ([old("a", "x", "2", 5), old("b", "x", "2", 2), old("c", "y", "2", 5), old("d", "y", "2", 1)], "4", ("y", ["c", "d"])),
        ([old("a", "x", "2", 1), old("b", "x", "2", 1), old("c", "y", "4", 1)], "4", ("y", ["c"])),
        ([old("a", "x", "4", 1), old("b", "y", "4", 1, "2026-01-02T00:00:00Z")], "4", ("y", ["b"])),
    ],
)  # fmt: skip
def test_victims(there: list[core.Pod], cpu: str, expected: tuple[str, list[str]]) -> None:
    nodes = [node(name) for name in sorted({p.spec.node_name for p in there})]
    assert names(preempt(World(nodes, there), pod(requests={"cpu": cpu}, priority=10))) == expected


def test_a_budget_is_kept_where_another_node_will_do() -> None:
    world = World([node("x"), node("y")], [old("a", "x", "4", 1, labels={"app": "db"}), old("b", "y", "4", 5)])
    budget = typed(
        policy.PodDisruptionBudget,
        metadata={"name": "db", "namespace": "default"},
        spec={"selector": {"matchLabels": {"app": "db"}}},
        status={"currentHealthy": 1, "desiredHealthy": 1, "disruptionsAllowed": 0, "expectedPods": 1},
    )
    world.know("disruption_budgets", budget)
    assert names(preempt(world, pod(requests={"cpu": "3"}, priority=10))) == ("y", ["b"])
    world.table.remove_node("y")
    found = preempt(world, pod(requests={"cpu": "3"}, priority=10))
    assert isinstance(found, Nomination) and found.violations == 1


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            pod(requests={"cpu": "3"}),
            "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling,"
            " 2 No preemption victims found for incoming pod.",
        ),
        (
            pod(requests={"cpu": "9"}, priority=10),
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        ),
        (
            pod(requests={"cpu": "3"}, priority=10, preemptionPolicy="Never"),
            "preemption: not eligible due to preemptionPolicy=Never.",
        ),
    ],
)
def test_nobody_goes(wanted: core.Pod, message: str) -> None:
    there = [old("a", "x", "4", 3), old("b", "y", "4", 3)]
    world = World([node("x"), node("y"), node("z", taints=["a=b:NoSchedule"])], there)
    assert preempt(world, wanted) == NoNomination(message, hopeless="not eligible" not in message)


def test_the_event_has_both_parts() -> None:
    world = World([node("x")], [old("a", "x", "4", 0)])
    wanted = pod(requests={"cpu": "3"})
    diagnosis = world.decide(wanted)
    found = preempt(world, wanted)
    assert isinstance(found, NoNomination)
    assert diagnosis.text(found.text) == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available:"
        " 1 No preemption victims found for incoming pod."
    )


def test_who_waits_for_victims_that_are_on_their_way_out_takes_no_others() -> None:
    leaving = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    gone = pod(
        "a",
        {"cpu": "2"},
        node="x",
        status={"conditions": [leaving]},
        metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"},
    )
    world = World([node("x")], [gone, old("b", "x", "2", 0)])
    wanted = pod(requests={"cpu": "2"}, priority=10, status={"nominatedNodeName": "x"})
    expected = "preemption: not eligible due to a terminating pod on the nominated node."
    assert preempt(world, wanted) == NoNomination(expected, hopeless=False)


def test_room_that_is_promised_is_not_given_to_the_less_important() -> None:
    world = World([node("x")])
    promised = pod("first", {"cpu": "3"}, priority=10)
    world.nominated["x"] = [world.shapes.info(promised)]
    assert world.place(pod(requests={"cpu": "2"}, priority=5)) == "0/1 nodes are available: 1 Insufficient cpu."
    assert world.place(pod(requests={"cpu": "2"}, priority=11)) == "x"
    assert world.place(pod("first", {"cpu": "3"}, priority=10, status={"nominatedNodeName": "x"})) == "x"
    assert world.table.pod_total() == 0

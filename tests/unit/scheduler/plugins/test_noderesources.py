"""NodeResourcesFit and NodeResourcesBalancedAllocation; numbers are upstream's (plugins/noderesources/*_test.go)."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.scheduler.plugins.noderesourcesfit import broken_line
from pybernetes.scheduler.profiles.config import ProfileOptions

from ..make import World, node, pod

FIT, BALANCED = "NodeResourcesFit", "NodeResourcesBalancedAllocation"


def strategy(kind: str, **more: Any) -> ProfileOptions:
    scoring = {"type": kind, "resources": [{"name": "cpu"}, {"name": "memory"}], **more}
    return ProfileOptions(arguments={FIT: {"scoringStrategy": scoring}})


@pytest.mark.parametrize(
    ("wanted", "there", "message"),
    [
        ({"cpu": "5"}, [], "0/1 nodes are available: 1 Insufficient cpu."),
        ({"cpu": "2"}, [{"cpu": "3"}], "0/1 nodes are available: 1 Insufficient cpu."),
        ({"cpu": "1"}, [{"cpu": "3"}], "n"),
        ({"cpu": "1001m"}, [{"cpu": "3"}], "0/1 nodes are available: 1 Insufficient cpu."),
        ({"cpu": "9", "memory": "9Gi"}, [], "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."),
        ({"example.org/gpu": "1"}, [], "0/1 nodes are available: 1 Insufficient example.org/gpu."),
        ({"example.org/gpu": "0"}, [], "n"),
        ({}, [{"cpu": "4", "memory": "8Gi"}], "n"),
    ],
)
def test_what_does_not_fit_is_named(wanted: dict[str, str], there: list[dict[str, str]], message: str) -> None:
    others = [pod(f"o{i}", requests, node="n") for i, requests in enumerate(there)]
    assert World([node("n")], others).place(pod(requests=wanted)) == message


def test_too_many_pods_and_other_lacks_are_told_together() -> None:
    world = World([node("n", pods="1")], [pod("a", {"cpu": "4"}, node="n")])
    expected = "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods."
    assert world.place(pod(requests={"cpu": "1"})) == expected


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "3"}}}]}, True),
        ({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "5"}}}]}, False),
        (
            {"initContainers": [{"name": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "3"}}}]},
            False,
        ),
        ({"overhead": {"cpu": "3"}}, False),
        ({"resources": {"requests": {"cpu": "4"}}}, True),
        ({"resources": {"requests": {"cpu": "4100m"}}}, False),
    ],
)
def test_init_containers_sidecars_overhead_and_pod_level_requests(spec: dict[str, Any], fits: bool) -> None:
    world = World([node("n")])
    assert (world.place(pod(requests={"cpu": "2"}, **spec)) == "n") is fits


# Upstream's TestLeastAllocatedScoringStrategy, weights of 1: name, capacity, requests of pods that are there, of the pod, scores.
@pytest.mark.parametrize(
    ("nodes", "there", "wanted", "expected"),
    [
        (("4000m:10000", "4000m:10000"), {}, {"cpu": "0", "memory": "0"}, (100, 100)),
        (("4000m:10000", "6000m:10000"), {}, {"cpu": "3000m", "memory": "5000"}, (37, 50)),
        (("10000m:20000", "10000m:20000"), {"n1": ("6000m", "0"), "n2": ("6000m", "5000")}, {"cpu": "0", "memory": "0"}, (70, 57)),
        (("10000m:20000", "10000m:20000"), {"n1": ("3000m", "0"), "n2": ("3000m", "5000")}, {"cpu": "3000m", "memory": "5000"}, (57, 45)),
        (("10000m:20000", "10000m:50000"), {"n1": ("3000m", "0"), "n2": ("3000m", "5000")}, {"cpu": "3000m", "memory": "5000"}, (57, 60)),
    ],
)  # fmt: skip
def test_least_allocated(nodes: Any, there: Any, wanted: dict[str, str], expected: tuple[int, int]) -> None:
    sizes = [n.split(":") for n in nodes]
    world = World([node(f"n{i + 1}", cpu, memory) for i, (cpu, memory) in enumerate(sizes)])
    for name, (cpu, memory) in there.items():
        world.add(pod(f"on-{name}", {"cpu": cpu, "memory": memory}, node=name))
    found = world.scores(pod(requests=wanted), FIT)
    assert (found["n1"], found["n2"]) == expected


def test_pods_that_say_nothing_count_for_something_when_nodes_are_scored() -> None:
    # 100m of 1 CPU and 200 MiB of 1 GiB: (90 + 80) // 2, where 1 GiB - 200 MiB is 80.46 % and is cut to 80.
    world = World([node("n", "1", "1Gi")])
    assert world.scores(pod(), FIT) == {"n": 85}


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        (strategy("LeastAllocated"), {"a": 37, "b": 50}),
        (strategy("MostAllocated"), {"a": 62, "b": 50}),
        (strategy("MostAllocated", resources=[{"name": "cpu", "weight": 2}, {"name": "memory", "weight": 1}]), {"a": 66, "b": 50}),
        (
            strategy(
                "RequestedToCapacityRatio",
                requestedToCapacityRatio={"shape": [{"utilization": 0, "score": 10}, {"utilization": 100, "score": 0}]},
            ),
            {"a": 38, "b": 50},
        ),
    ],
)  # fmt: skip
def test_strategies(options: ProfileOptions, scores: dict[str, int]) -> None:
    world = World([node("a", "4000m", "10000"), node("b", "6000m", "10000")], profile=options)
    assert world.scores(pod(requests={"cpu": "3000m", "memory": "5000"}), FIT) == scores


@pytest.mark.parametrize(
    ("points", "at", "score"),
    [
        ([(0, 10), (100, 0)], 30, 70),
        ([(10, 1), (90, 9)], 5, 10),
        ([(10, 1), (90, 9)], 50, 50),
        ([(10, 1), (90, 9)], 100, 90),
        ([(0, 10), (100, 0)], 33, 67),
        ([(0, 0), (70, 10), (100, 0)], 85, 50),
        ([(0, 10), (3, 0)], 1, 67),
    ],
)
def test_a_shape_is_a_broken_line(points: list[tuple[int, int]], at: int, score: int) -> None:
    assert broken_line([{"utilization": x, "score": y} for x, y in points])[at] == score


@pytest.mark.parametrize(
    ("capacity", "used", "wanted", "score"),
    [
        # Upstream's TestNodeResourcesBalancedAllocation.
        (("4000m", "10000"), ("0", "0"), ("3000m", "5000"), 87),
        (("6000m", "10000"), ("0", "0"), ("3000m", "5000"), 100),
        (("10000m", "20000"), ("3000m", "0"), ("3000m", "5000"), 82),
        (("10000m", "20000"), ("3000m", "5000"), ("3000m", "5000"), 95),
        (("10000m", "50000"), ("3000m", "5000"), ("3000m", "5000"), 80),
    ],
)
def test_balanced_allocation(capacity: Any, used: Any, wanted: Any, score: int) -> None:
    world = World([node("n", *capacity)], [pod("o", {"cpu": used[0], "memory": used[1]}, node="n")])
    found = world.scores(pod(requests={"cpu": wanted[0], "memory": wanted[1]}), BALANCED)
    assert found == {"n": score}


def test_balance_of_three_resources_is_a_standard_deviation() -> None:
    names = [{"name": name, "weight": 1} for name in ("cpu", "memory", "example.org/gpu")]
    options = ProfileOptions(arguments={BALANCED: {"resources": names}})
    world = World([node("n", "3500m", "40", **{"example.org/gpu": "8"})], profile=options)
    # Fractions 3/3.5, 20/40, 4/8: deviation 0.16836.
    assert world.scores(pod(requests={"cpu": "3", "memory": "20", "example.org/gpu": "4"}), BALANCED) == {"n": 83}
    # A scalar that the pod does not ask for leaves the other two.
    assert world.scores(pod(requests={"cpu": "3500m", "memory": "20"}), BALANCED) == {"n": 75}


def test_a_pod_without_requests_is_not_scored_for_balance() -> None:
    assert World([node("n")]).scores(pod(), BALANCED) == {}


def test_ignored_resources() -> None:
    options = ProfileOptions(arguments={FIT: {"ignoredResources": ["a.org/x"], "ignoredResourceGroups": ["b.org"]}})
    world = World([node("n")], profile=options)
    assert world.place(pod(requests={"a.org/x": "1", "b.org/y": "1"})) == "n"
    assert world.place(pod(requests={"a.org/z": "1"})) == "0/1 nodes are available: 1 Insufficient a.org/z."


@pytest.mark.parametrize("name", ["cpu", "memory", "example.org/x"])
@pytest.mark.parametrize("amount", ["1e30", "9223372036854775807", "8Ei"])
def test_amounts_that_no_node_has_stop_nothing(name: str, amount: str) -> None:
    enormous = {name: amount}
    assert World([node("n")], []).place(pod(requests=enormous)) == f"0/1 nodes are available: 1 Insufficient {name}."
    # Put onto a node past the scheduler, they take its room, and leave the others' reckoning alone.
    there = [pod(f"o{number}", enormous, node="n") for number in range(3)]
    nodes = [node(letter, **({} if name in ("cpu", "memory") else {name: "4"})) for letter in "nm"]
    assert World(nodes, there).place(pod(requests={name: "1"})) == "m"

"""Spreading and pod affinity against loops over nodes and pods, written down as upstream's documentation tells them."""

from __future__ import annotations

import math
import random
from typing import Any

from pybernetes.api.types import core_v1 as core
from pybernetes.scheduler.profiles.profile import Placement

from .make import World, node, pod

KEYS = ("zone", "kubernetes.io/hostname")
Labels = dict[str, str]


class Reference:
    """Nodes by name with their labels, and the pods on them."""

    def __init__(self, nodes: dict[str, Labels]) -> None:
        self.nodes = nodes
        self.pods: list[core.Pod] = []

    # Spreading: one constraint on app=a, all nodes count.

    def spread_fits(self, key: str, skew: int, own: bool) -> set[str]:
        counts = {labels[key]: 0 for labels in self.nodes.values() if key in labels}
        for other in self.pods:
            labels = self.nodes[other.spec.node_name]
            if key in labels and other.metadata.labels["app"] == "a":
                counts[labels[key]] += 1
        least = min(counts.values(), default=0)
        return {n for n, labels in self.nodes.items() if key in labels and counts[labels[key]] + own - least <= skew}

    def spread_scores(self, key: str, skew: int) -> dict[str, int]:
        labelled = {n: labels[key] for n, labels in self.nodes.items() if key in labels}
        weight = math.log(len(set(labelled.values())) + 2)
        raw = {}
        for name, value in labelled.items():
            count = sum(labelled.get(o.spec.node_name) == value and o.metadata.labels["app"] == "a" for o in self.pods)
            raw[name] = math.floor(count * weight + skew - 1 + 0.5)
        highest, lowest = max(raw.values(), default=0), min(raw.values(), default=0)
        scores = {n: 100 * (highest + lowest - s) // highest if highest else 100 for n, s in raw.items()}
        return {name: 2 * scores.get(name, 0) for name in self.nodes}

    # Affinity: terms are (key, app).

    def near(self, name: str, key: str, app: str) -> list[core.Pod]:
        """Pods of an app in the node's domain."""
        value = self.nodes[name].get(key)
        if value is None:
            return []
        return [
            o for o in self.pods if self.nodes[o.spec.node_name].get(key) == value and o.metadata.labels["app"] == app
        ]

    def required_fits(self, app: str, key: str, wanted: str) -> set[str]:
        if not any(self.near(n, key, wanted) for n in self.nodes) and app == wanted:
            return {n for n, labels in self.nodes.items() if key in labels}
        return {n for n in self.nodes if self.near(n, key, wanted)}

    def anti_fits(self, key: str, unwanted: str) -> set[str]:
        return {n for n in self.nodes if not self.near(n, key, unwanted)}

    def preferred_scores(self, terms: list[tuple[str, str, int]]) -> dict[str, int]:
        raw = {n: sum(weight * len(self.near(n, key, app)) for key, app, weight in terms) for n in self.nodes}
        highest, lowest = max(raw.values()), min(raw.values())
        if highest == lowest:
            return dict.fromkeys(raw, 0)
        return {n: 2 * int(100 * ((s - lowest) / (highest - lowest))) for n, s in raw.items()}


def worlds(seed: int) -> tuple[random.Random, World, Reference]:
    """Nodes, some without a zone, and pods of apps a and b on them; none of the pods has terms of its own."""
    dice = random.Random(seed)
    nodes = {}
    for number in range(dice.randrange(2, 9)):
        zone = {"zone": f"z{dice.randrange(3)}"} if dice.random() < 0.8 else {}
        nodes[f"n{number}"] = {"kubernetes.io/hostname": f"n{number}", **zone}
    world, reference = World([node(n, labels=labels) for n, labels in nodes.items()]), Reference(nodes)
    for number in range(dice.randrange(12)):
        other = pod(f"o{number}", labels={"app": dice.choice("ab")}, node=dice.choice(list(nodes)))
        reference.pods.append(other)
        world.add(other)
    return dice, world, reference


def term(key: str, app: str) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}


def test_spreading() -> None:
    for seed in range(150):
        dice, world, reference = worlds(seed)
        key, skew, app = dice.choice(KEYS), dice.randrange(1, 4), dice.choice("ab")
        raw = {"maxSkew": skew, **term(key, "a")}
        hard = pod(labels={"app": app}, topologySpreadConstraints=[{**raw, "whenUnsatisfiable": "DoNotSchedule"}])
        fits = set(world.feasible(hard))
        assert fits == reference.spread_fits(key, skew, app == "a"), seed
        assert isinstance(world.decide(hard), Placement) is bool(fits)
        soft = pod(labels={"app": app}, topologySpreadConstraints=[{**raw, "whenUnsatisfiable": "ScheduleAnyway"}])
        assert world.scores(soft, "PodTopologySpread") == reference.spread_scores(key, skew), seed


def test_affinity() -> None:
    for seed in range(150):
        dice, world, reference = worlds(seed)
        key, app, other = dice.choice(KEYS), dice.choice("ab"), dice.choice("ab")

        def wanting(kind: str, app: str = app, key: str = key, other: str = other) -> core.Pod:
            terms = {"requiredDuringSchedulingIgnoredDuringExecution": [term(key, other)]}
            return pod(labels={"app": app}, affinity={kind: terms})

        assert set(world.feasible(wanting("podAffinity"))) == reference.required_fits(app, key, other), seed
        assert set(world.feasible(wanting("podAntiAffinity"))) == reference.anti_fits(key, other), seed


def test_preferred_affinity() -> None:
    for seed in range(150):
        dice, world, reference = worlds(seed)
        terms = [(dice.choice(KEYS), dice.choice("ab"), dice.choice([1, 7, -3])) for _ in range(dice.randrange(1, 4))]
        found: dict[str, list[Any]] = {"podAffinity": [], "podAntiAffinity": []}
        for key, app, weight in terms:
            kind = "podAffinity" if weight > 0 else "podAntiAffinity"
            found[kind].append({"weight": abs(weight), "podAffinityTerm": term(key, app)})
        affinity = {
            kind: {"preferredDuringSchedulingIgnoredDuringExecution": weighted} for kind, weighted in found.items()
        }
        scores = world.scores(pod(labels={"app": "c"}, affinity=affinity), "InterPodAffinity")
        assert scores in ({}, reference.preferred_scores(terms)), seed
        if not scores:  # nobody is meant at all
            assert not any(reference.near(n, key, app) for n in reference.nodes for key, app, _ in terms)

"""What is decided in worlds by dice, as JSON: `python -m tests.unit.scheduler.decisions NUMBER [lists]`; with `lists` as if numpy were not there."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from tests.without import NUMPY, hide

KEYS = ("zone", "kubernetes.io/hostname")
TOLERATION = {"key": "t", "operator": "Exists"}


def decided(seed: int) -> list[Any]:
    """Of twelve pods one after the other: nodes, messages and all scores."""
    from .make import World, node, pod

    dice = random.Random(seed)
    nodes = [
        node(
            f"n{number}",
            cpu=str(dice.randrange(1, 5)),
            pods=str(dice.choice([1, 3, 110])),
            labels={"zone": f"z{dice.randrange(3)}", "disk": str(dice.randrange(10))} if dice.random() < 0.8 else {},
            taints=[f"t=v:{dice.choice(['NoSchedule', 'PreferNoSchedule'])}"] if dice.random() < 0.3 else [],
            images={"i:latest": dice.randrange(1 << 30)} if dice.random() < 0.5 else None,
            unschedulable=dice.random() < 0.1,
            **({"example.com/gpu": "2"} if dice.random() < 0.3 else {}),
        )
        for number in range(dice.randrange(1, 9))
    ]
    world, answers = World(nodes), []
    for number in range(12):
        other = pod(f"p{number}", _requests(dice), **_wishes(dice))
        answers.append([world.place(other), world.built.profile.explain(world.shapes.info(other))])
        if answers[-1][0] not in world.table.rows:
            continue
        other.spec.node_name = answers[-1][0]
        world.add(other)
        if dice.random() < 0.2:
            world.table.remove_node(dice.choice(nodes).metadata.name)
    return answers


def _requests(dice: random.Random) -> dict[str, str]:
    amounts = {"cpu": ["0", "100m", "2"], "memory": ["0", "1Gi", "64Gi"], "example.com/gpu": ["1"]}
    return {
        name: dice.choice(values) for name, values in amounts.items() if dice.random() < (0.1 if "/" in name else 0.6)
    }


def _wishes(dice: random.Random) -> dict[str, Any]:
    wishes: dict[str, Any] = {"labels": {"app": dice.choice("ab")}}
    term = {"topologyKey": dice.choice(KEYS), "labelSelector": {"matchLabels": {"app": dice.choice("ab")}}}
    if dice.random() < 0.4:
        when = dice.choice(["DoNotSchedule", "ScheduleAnyway"])
        wishes["topologySpreadConstraints"] = [{"maxSkew": dice.randrange(1, 3), "whenUnsatisfiable": when, **term}]
    if dice.random() < 0.5:
        required, preferred = [f"{word}DuringSchedulingIgnoredDuringExecution" for word in ("required", "preferred")]
        terms = {required: [term]} if dice.random() < 0.5 else {preferred: [{"weight": 7, "podAffinityTerm": term}]}
        wishes["affinity"] = {dice.choice(["podAffinity", "podAntiAffinity"]): terms}
    if dice.random() < 0.3:
        expression = {"key": "disk", "operator": dice.choice(["Gt", "Lt"]), "values": ["4"]}
        terms = {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 3, "preference": {"matchExpressions": [expression]}}
            ]
        }
        wishes.setdefault("affinity", {})["nodeAffinity"] = terms
    if dice.random() < 0.2:
        wishes["nodeSelector"] = {"zone": f"z{dice.randrange(3)}"}
    if dice.random() < 0.5:
        wishes["tolerations"] = [TOLERATION]
    if dice.random() < 0.2:
        wishes["ports"] = [{"containerPort": 80, "hostPort": dice.choice([80, 81])}]
    return wishes


def main(number: int, form: str) -> None:
    if form == "lists":
        hide(NUMPY)
    from pybernetes.scheduler.model import arrays

    print(json.dumps({"numpy": arrays.VECTORIZED, "decided": [decided(seed) for seed in range(number)]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")

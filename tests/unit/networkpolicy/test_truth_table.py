"""Policies at random: all pairs of pods in three namespaces, on all protocols and ports, against what the API's words say."""

from __future__ import annotations

import random

import pytest

from pybernetes.networkpolicy.isolation import Isolation
from pybernetes.networkpolicy.pod import policy_pod
from pybernetes.networkpolicy.policy import policy as read

from .nft import Kernel
from .world import NAMES, NAMESPACES, NODES, Flow, World, as_pod, as_policy, flows, namespace, pod, policy, world


def told(some: World, node: str) -> Isolation:
    isolation = Isolation(node)
    for name, document in some.namespaces.items():
        isolation.set_namespace(name, document["metadata"]["labels"])
    for key, document in some.pods.items():
        isolation.set_pod(key, policy_pod(as_pod(document)))
    for key, document in some.policies.items():
        isolation.set_policy(key, read(as_policy(document)))
    return isolation


def differences(some: World, kernel: Kernel, node: str) -> list[tuple[Flow, bool]]:
    """Flows that the rules judge in another way than the oracle, with the rules' verdict."""
    judged = ((flow, kernel.passes(flow)) for flow in flows(some))
    return [(flow, passed) for flow, passed in judged if passed != some.allowed(flow, node)]


@pytest.mark.parametrize("seed", range(6))
def test_rules_say_what_policies_say(seed: int) -> None:
    dice = random.Random(seed)
    some = world(dice)
    for number in range(dice.randint(1, 6)):
        space = dice.choice(NAMESPACES)
        some.policies[space, f"p{number}"] = policy(dice, space, f"p{number}")
    for node in NODES:
        isolation, kernel = told(some, node), Kernel()
        kernel.apply(isolation.table.whole())
        assert differences(some, kernel, node) == [], some.policies


def test_changes_come_to_the_same_as_a_fresh_start() -> None:
    dice = random.Random(7)
    some = world(dice)
    isolation, kernel = told(some, "node-a"), Kernel()
    kernel.apply(isolation.table.whole())
    for step in range(400):
        change(dice, some, isolation)
        kernel.apply(isolation.table.transaction())
        if step % 20 == 19:
            fresh = Kernel()
            fresh.apply(told(some, "node-a").table.whole())
            assert kernel == fresh, step
    assert isolation.table.transaction() == ""
    assert differences(some, kernel, "node-a") == []


def change(dice: random.Random, some: World, isolation: Isolation) -> None:
    """One, of anything."""
    space, name = dice.choice(NAMESPACES), dice.choice(NAMES)
    match dice.randrange(6):
        case 0 | 1:
            key = (space, f"p{dice.randrange(3)}")
            some.policies[key] = policy(dice, *key)
            isolation.set_policy(key, read(as_policy(some.policies[key])))
        case 2:
            key = (space, f"p{dice.randrange(3)}")
            if some.policies.pop(key, None) is not None:
                isolation.set_policy(key, None)
        case 3:
            if some.pods.pop((space, name), None) is not None:
                isolation.set_pod((space, name), None)
        case 4:
            number = 10 + NAMESPACES.index(space) * 3 + NAMES.index(name)
            document = pod(space, name, number, dice.choice(NODES), tier=dice.choice(("front", "back")))
            some.pods[space, name] = document
            isolation.set_pod((space, name), policy_pod(as_pod(document)))
        case 5:
            some.namespaces[space] = namespace(space, dice.choice(("red", "blue")))
            isolation.set_namespace(space, some.namespaces[space]["metadata"]["labels"])

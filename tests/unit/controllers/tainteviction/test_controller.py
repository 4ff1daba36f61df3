"""When a pod has to leave a tainted node."""

from __future__ import annotations

import pytest

from pybernetes.api.nodes import tolerates
from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.tainteviction.plan import Eviction, plan, tolerated_for

UPTIME = 7000.0
TAINT = core.Taint(key="k", value="v", effect="NoExecute")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "k", "operator": "Equal", "value": "v"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, True),
    ],
)
def test_tolerates(toleration: dict[str, str], expected: bool) -> None:
    assert tolerates(core.Toleration(**toleration), TAINT) is expected


def exists(key: str, seconds: int | None = None) -> core.Toleration:
    return core.Toleration(key=key, operator="Exists", toleration_seconds=seconds)


def test_the_shortest_toleration_counts() -> None:
    taints = [TAINT, core.Taint(key="l", effect="NoExecute")]
    assert tolerated_for(taints, [exists("k", 30), exists("l", 10)]) == 10
    assert tolerated_for(taints, [exists("k", 30), exists("l")]) == 30
    assert tolerated_for(taints, [exists("k"), exists("l")]) is None
    assert tolerated_for(taints, [exists("k")]) == 0
    assert tolerated_for(taints, [exists("k", -5), exists("l")]) == 0
    assert tolerated_for([TAINT], [exists("k", 30), exists("k")]) == 30  # the first that matches


def test_plan() -> None:
    soon = UPTIME + 30
    assert plan([], [], Eviction(UPTIME, soon), UPTIME) is None
    assert plan([TAINT], [], None, UPTIME) == Eviction(UPTIME, UPTIME)
    assert plan([TAINT], [exists("k")], Eviction(UPTIME, soon), UPTIME) is None
    decided = plan([TAINT], [exists("k", 30)], None, UPTIME)
    assert decided == Eviction(UPTIME, soon)
    assert plan([TAINT], [exists("k", 30)], decided, UPTIME + 10) == decided

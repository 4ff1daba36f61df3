"""Disruption budgets: what may be evicted."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import policy_v1 as policy
from pybernetes.controllers.disruption import plan as disruption

from ..objects import NOW, ago, meta, pod, selector


def budget(**spec: Any) -> policy.PodDisruptionBudget:
    return policy.PodDisruptionBudget(
        metadata=meta("b", generation=3), spec=policy.PodDisruptionBudgetSpec(selector=selector(), **spec)
    )


@pytest.mark.parametrize(
    ("spec", "pods", "scale", "expected"),
    [
        ({"min_available": 1}, 3, 0, (3, 1)),
        ({"min_available": "50%"}, 2, 5, (5, 3)),
        ({"max_unavailable": 1}, 3, 5, (5, 4)),
        ({"max_unavailable": "30%"}, 3, 10, (10, 7)),
        ({"max_unavailable": 9}, 3, 5, (5, 0)),
    ],
)
def test_expected_and_desired(spec: dict[str, Any], pods: int, scale: int, expected: tuple[int, int]) -> None:
    assert disruption.expected_and_desired(budget(**spec), pods, scale) == expected


@pytest.mark.parametrize(
    ("healthy", "desired", "expected_pods", "allowed", "reason"),
    [(3, 1, 3, 2, "SufficientPods"), (1, 1, 3, 0, "InsufficientPods"), (2, 0, 0, 0, "InsufficientPods")],
)
def test_status(healthy: int, desired: int, expected_pods: int, allowed: int, reason: str) -> None:
    status = disruption.status_of(budget(), healthy, desired, expected_pods, {}, NOW)
    assert (status.disruptions_allowed, status.conditions[0].reason) == (allowed, reason)
    assert (status.observed_generation, status.disrupted_pods) == (3, None)
    assert status.conditions[0].status == ("True" if allowed else "False")


def test_evicted_pods_do_not_count_until_they_are_overdue() -> None:
    pdb = budget()
    pdb.status.disrupted_pods = {"a": ago(30), "late": ago(150), "gone": ago(1)}
    pods = [pod("a", ready=1), pod("late", ready=1), pod("b", ready=1), pod("c"), pod("d", ready=1, deleted=True)]
    found = disruption.disrupted(pdb, pods, NOW)
    assert found.pods == {"a": ago(30)}
    assert [p.metadata.name for p in found.overdue] == ["late"]
    assert found.recheck == ago(30) + disruption.DELETION_TIMEOUT
    assert disruption.count_healthy(pods, found.pods) == 2


def test_what_cannot_be_calculated_allows_nothing() -> None:
    pdb = budget()
    pdb.status = disruption.status_of(pdb, 3, 1, 3, {}, ago(100))
    failed = disruption.failed_status(pdb, "why", NOW)
    assert (failed.disruptions_allowed, failed.current_healthy) == (0, 3)
    known = failed.conditions[0]
    assert (known.reason, known.message, known.last_transition_time) == ("SyncFailed", "why", NOW)


@pytest.mark.parametrize(("since", "deleted", "expected"), [(30, False, 90.0), (300, False, 0.0), (30, True, None)])
def test_a_disruption_that_came_to_nothing(since: float, deleted: bool, expected: float | None) -> None:
    found = pod("a", deleted=deleted)
    target = core.PodCondition(type="DisruptionTarget", status="True", last_transition_time=ago(since))
    found.status.conditions.append(target)
    assert disruption.stale_disruption(found, NOW) == expected
    assert disruption.stale_disruption(pod("b"), NOW) is None

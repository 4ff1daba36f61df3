"""PodDisruptionBudget."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.policy import poddisruptionbudget as budget

from ..tables import fields, refusals

BASE = {"metadata": {"name": "a"}, "spec": {"minAvailable": 1, "selector": {}}}


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"minAvailable": "50%"}, []),
        ({"minAvailable": "101%"}, ["spec.minAvailable Invalid"]),
        ({"minAvailable": "x"}, ["spec.minAvailable Invalid"]),
        ({"minAvailable": -1}, ["spec.minAvailable Invalid"]),
        ({"maxUnavailable": 1}, ["spec Invalid"]),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            ["spec.selector.matchExpressions[0].values Required"],
        ),
        ({"unhealthyPodEvictionPolicy": "Never"}, ["spec.unhealthyPodEvictionPolicy NotSupported"]),
    ],
)
def test_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(budget.validate, BASE, {"spec": spec}) == refused


def test_status_starts_at_nothing_and_is_never_negative() -> None:
    made: Any = {**BASE, "status": {"disruptionsAllowed": 5}}
    budget.prepare_create(made)
    assert made["status"] == {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    bad = {"status": {"currentHealthy": -1, "conditions": [{"type": "A", "status": "Maybe", "reason": "R"}]}}
    assert fields(budget.validate_status(bad, made)) == [
        "status.conditions[0].status NotSupported",
        "status.conditions[0].lastTransitionTime Required",
        "status.currentHealthy Invalid",
    ]


def test_table() -> None:
    assert budget.row(BASE, datetime(2026, 1, 1, tzinfo=UTC))[1:4] == ["1", "N/A", 0]

"""Conditions, texts and waits of a namespace that is being deleted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.namespace.plan import (
    CONDITIONS,
    Emptied,
    conditions_of,
    failures,
    graceful_estimate,
    next_look,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def test_all_is_well() -> None:
    found = conditions_of([], failures(Emptied()), NOW)
    assert [c.type for c in found] == list(CONDITIONS)
    assert {c.status for c in found} == {"False"}
    assert found[3].message == "All content successfully removed"


def test_what_remains() -> None:
    emptied = Emptied(remaining={"pods.": 2, "deployments.apps": 1}, finalizers=Counter({"x/y": 2, "a/b": 1}))
    found = failures(emptied)
    assert found == {
        "NamespaceContentRemaining": (
            "SomeResourcesRemain",
            "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: "
            "a/b in 1 resource instances, x/y in 2 resource instances",
        ),
    }


def test_what_failed() -> None:
    emptied = Emptied(undiscovered={"x/v1": "no answer"}, errors=["one", "two", "one"])
    found = failures(emptied)
    assert emptied.failed
    assert found["NamespaceDeletionContentFailure"] == (
        "ContentDeletionFailed",
        "Failed to delete all resource types, 3 remaining: [one, two]",
    )
    reason, message = found["NamespaceDeletionDiscoveryFailure"]
    assert reason == "DiscoveryFailed" and message.startswith("Discovery failed for some groups, 1 failing: ")
    assert message.endswith("x/v1: no answer")


def test_a_time_moves_only_with_the_status() -> None:
    first = conditions_of([], {"NamespaceContentRemaining": ("SomeResourcesRemain", "one")}, NOW)
    second = conditions_of(first, {"NamespaceContentRemaining": ("SomeResourcesRemain", "two")}, LATER)
    third = conditions_of(second, {}, LATER)
    assert [c[3].last_transition_time for c in (first, second, third)] == [NOW, NOW, LATER]
    assert second[3].message == "two"


def test_others_conditions_stay() -> None:
    other = core.NamespaceCondition(type="Mine", status="True")
    assert conditions_of([other], {}, NOW)[0] == other


def pod(grace: int | None, phase: str = "Running") -> core.Pod:
    return core.Pod(spec=core.PodSpec(termination_grace_period_seconds=grace), status=core.PodStatus(phase=phase))


def test_graceful_estimate() -> None:
    pods = [pod(30), pod(10), pod(100, "Succeeded"), pod(None)]
    assert graceful_estimate(pods, NOW, NOW + timedelta(seconds=5)) == 30
    assert graceful_estimate(pods, NOW, NOW + timedelta(seconds=30)) == 0
    assert graceful_estimate([], NOW, NOW) == 0


def test_looks_get_rarer_up_to_half_the_estimate() -> None:
    assert [next_look(15, n) for n in range(6)] == [1, 2, 4, 8, 8, 8]
    assert [next_look(1, n) for n in range(2)] == [1, 1]


def test_a_namespace_that_never_empties_is_looked_at_for_ever() -> None:
    assert next_look(30, 5000) == 16
    assert next_look(2**63 - 1, 5000) == 2.0**30

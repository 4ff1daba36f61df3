"""PriorityClass and RuntimeClass, classes of pods."""

from typing import Any

import pytest

from pybernetes.apiserver.kinds.node import runtimeclass
from pybernetes.apiserver.kinds.scheduling import priorityclass

from ..tables import fields


@pytest.mark.parametrize(
    ("name", "value", "extra", "refused"),
    [
        ("a", 1, {}, []),
        ("a", 1_000_000_001, {}, ["value Forbidden"]),
        ("system-a", 1, {}, ["metadata.name Forbidden"]),
        ("system-node-critical", 2_000_001_000, {}, []),
        ("system-node-critical", 1, {}, ["metadata.name Forbidden"]),
        ("system-node-critical", 2_000_001_000, {"globalDefault": True}, ["metadata.name Forbidden"]),
        ("a", 1, {"preemptionPolicy": "Odd"}, ["preemptionPolicy NotSupported"]),
    ],
)
def test_refused(name: str, value: int, extra: Any, refused: list[str]) -> None:
    assert fields(priorityclass.validate({"metadata": {"name": name}, "value": value, **extra})) == refused


def test_value_and_policy_stay() -> None:
    old = {"value": 1, "preemptionPolicy": "Never"}
    new = {"value": 2, "preemptionPolicy": "PreemptLowerPriority"}
    assert fields(priorityclass.validate_update(new, old)) == ["Value Forbidden", "preemptionPolicy Invalid"]


def test_those_of_the_start_are_valid() -> None:
    assert [priorityclass.validate(made) for made in priorityclass.system_classes()] == [[], []]


def test_tolerations_of_a_runtime_are_there_once() -> None:
    toleration = {"key": "a", "operator": "Exists"}
    made = {"metadata": {"name": "r"}, "handler": "h", "scheduling": {"tolerations": [toleration, toleration]}}
    assert fields(runtimeclass.validate(made)) == ["scheduling.tolerations[1] Duplicate"]
    assert fields(runtimeclass.validate_update({"handler": "b"}, {"handler": "a"})) == ["handler Invalid"]

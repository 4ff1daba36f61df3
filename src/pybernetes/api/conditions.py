"""Conditions of a status, alike for all kinds (upstream: apimachinery/pkg/api/meta/conditions.go, pkg/api/v1/pod). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar


class Condition(Protocol):
    """What the condition types of all kinds have in common."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime | None


C = TypeVar("C", bound=Condition)


def condition(conditions: Iterable[C], type: str) -> C | None:
    """The condition of a type (FindStatusCondition)."""
    return next((c for c in conditions if c.type == type), None)


def is_true(conditions: Iterable[Condition], type: str) -> bool:
    """Whether there is one of the type that holds (IsStatusConditionTrue)."""
    return any(c.type == type and c.status == "True" for c in conditions)


def without_condition(conditions: Iterable[C], type: str) -> list[C]:
    """All but that of a type."""
    return [c for c in conditions if c.type != type]

"""One evaluation while it runs: the variables' values, and what it cost so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .values import Steps

PER_CALL_LIMIT = 1_000_000  # of one evaluation (apiserver/pkg/apis/cel/config.go)
FREE_STEPS = 10_000
COPIED = 16  # elements whose copying counts as one step: a sum of lists costs 1 whatever their size


class State:
    """One evaluation: the variables' values and what it cost so far."""

    __slots__ = ("cost", "limit", "steps", "variables")

    def __init__(self, variables: list[Any], limit: int) -> None:
        self.variables, self.limit, self.cost, self.steps = variables, limit, 0, Steps()

    def total(self) -> int:
        """The cost, with what was looked at far beyond what upstream charges for."""
        return self.cost + max(self.steps.taken - FREE_STEPS, 0)


Run = Callable[[State], Any]

"""matchConditions of a webhook (upstream: webhook/matchconditions/matcher.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.cel.errors import CompileError, CostExceeded, EvaluationError
from pybernetes.cel.state import PER_CALL_LIMIT

from ...cel import variables
from ...cel.authorizer import Answers, Unanswered

BUDGET = 2_500_000  # of all conditions of a webhook (apis/cel/config.go: RuntimeCELCostBudgetMatchConditions)


class Undecided(Exception):
    """Conditions that could not be evaluated, and none that says no."""


async def hold(conditions: Sequence[str], data: Mapping[str, Any], answers: Answers) -> bool:
    """Whether all expressions are true of the request. One that is false decides, whatever went wrong with others. Undecided."""
    while True:
        try:
            return _hold(conditions, data)
        except Unanswered as question:
            await answers.learn(question)


def _hold(conditions: Sequence[str], data: Mapping[str, Any]) -> bool:
    problems: list[str] = []
    left = BUDGET
    for expression in conditions:
        try:
            value, cost = variables.condition(expression).measure(data, min(left, PER_CALL_LIMIT))
            left -= cost
            if value is not True:
                return False
        except (CompileError, EvaluationError, CostExceeded) as error:
            left -= error.cost
            problems.append(f"expression '{expression}' resulted in error: {error}")
    if problems:
        raise Undecided(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True

"""matchConditions of a webhook (upstream: webhook/matchconditions/matcher.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.aio import apart
from pybernetes.cel.errors import CompileError, CostExceeded, EvaluationError
from pybernetes.cel.state import PER_CALL_LIMIT

from ...cel import variables
from ...cel.authorizer import Answers, Unanswered

BUDGET = 2_500_000  # of all conditions of a webhook (apis/cel/config.go: RuntimeCELCostBudgetMatchConditions)
LOOP_BUDGET = 50_000  # of them on the event loop: some 5 to 10 ms


class Undecided(Exception):
    """Conditions that could not be evaluated, and none that says no."""


async def hold(conditions: Sequence[str], data: Mapping[str, Any], answers: Answers) -> bool:
    """Whether all expressions are true of the request. One that is false decides, whatever went wrong with others. Undecided."""
    while True:
        try:
            return await apart.run(sum(map(len, conditions)), _hold, conditions, data)
        except Unanswered as question:
            await answers.learn(question)


def _hold(conditions: Sequence[str], data: Mapping[str, Any]) -> bool:
    """apart.Leave for conditions that are dear, where that is possible."""
    problems: list[str] = []
    left, here = BUDGET, LOOP_BUDGET if apart.may_leave() else BUDGET
    for expression in conditions:
        limit = min(left, PER_CALL_LIMIT)
        try:
            value, cost = variables.condition(expression).measure(data, min(limit, here))
            left, here = left - cost, here - cost
            if value is not True:
                return False
        except (CompileError, EvaluationError, CostExceeded) as error:
            if isinstance(error, CostExceeded) and here < limit:
                raise apart.Leave from None
            left, here = left - error.cost, here - error.cost
            problems.append(f"expression '{expression}' resulted in error: {error}")
    if problems:
        raise Undecided(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True

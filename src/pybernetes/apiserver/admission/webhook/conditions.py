"""matchConditions of a webhook (upstream: webhook/matchconditions/matcher.go)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.cel import types
from pybernetes.cel.environment import Program
from pybernetes.cel.errors import CompileError, CostExceeded, EvaluationError
from pybernetes.cel.evaluator import PER_CALL_LIMIT

from ...cel import variables
from ...cel.authorizer import Answers, Unanswered

BUDGET = 2_500_000  # of all conditions of a webhook (apis/cel/config.go: RuntimeCELCostBudgetMatchConditions)
PROGRAMS = 2000  # that stay compiled


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
            value, cost = compiled(expression).measure(data, min(left, PER_CALL_LIMIT))
            left -= cost
            if value is not True:
                return False
        except (CompileError, EvaluationError, CostExceeded) as error:
            left -= error.cost
            problems.append(f"expression '{expression}' resulted in error: {error}")
    if problems:
        raise Undecided(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True


@functools.lru_cache(maxsize=PROGRAMS)
def compiled(expression: str) -> Program:
    """A condition. CompileError, in the words that a configuration with it is refused with."""
    try:
        program = variables.admission().compile(expression)
    except CompileError as error:
        raise CompileError(f"compilation failed: {error}") from None
    if program.type != types.BOOL:
        raise CompileError("must evaluate to bool")
    return program

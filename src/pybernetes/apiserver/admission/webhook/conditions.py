"""matchConditions of a webhook (upstream: webhook/matchconditions/matcher.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...cel.environment import CompileError, EvaluationError, compiled, variables


class Undecided(Exception):
    """Conditions that could not be evaluated, and none that says no."""


def hold(conditions: Sequence[str], data: Mapping[str, Any]) -> bool:
    """Whether all expressions are true of the request. One that is false decides, whatever went wrong with others. Undecided."""
    problems: list[str] = []
    for expression in conditions:
        try:
            if compiled(expression, variables(data), "BOOL").evaluate(data) is not True:
                return False
        except (CompileError, EvaluationError) as error:
            problems.append(f"expression '{expression}' resulted in error: {error}")
    if problems:
        raise Undecided(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True

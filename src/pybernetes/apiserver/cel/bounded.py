"""Evaluates what configurations and users wrote on the event loop while it is cheap, and beside it when it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pybernetes.aio import apart
from pybernetes.cel.environment import Program
from pybernetes.cel.errors import CostExceeded, EvaluationError
from pybernetes.cel.state import PER_CALL_LIMIT

LOOP_BUDGET = 50_000  # of one piece of work on the event loop: some 5 to 10 ms


@dataclass
class Budget:
    """Of one piece of work, within `apart.run`."""

    here: int = field(default_factory=lambda: LOOP_BUDGET if apart.may_leave() else 1 << 62)

    def evaluate(self, program: Program, bindings: Mapping[str, Any]) -> Any:
        """The value. EvaluationError, CostExceeded; apart.Leave where it takes too long for the loop."""
        try:
            value, cost = program.measure(bindings, min(PER_CALL_LIMIT, self.here))
        except CostExceeded:
            if self.here < PER_CALL_LIMIT:
                raise apart.Leave from None
            raise
        except EvaluationError as error:
            self.here -= error.cost
            raise
        self.here -= cost
        return value

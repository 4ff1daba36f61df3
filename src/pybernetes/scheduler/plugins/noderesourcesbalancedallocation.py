"""NodeResourcesBalancedAllocation: nodes whose resources are used evenly (upstream: plugins/noderesources/balanced_allocation.go)."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any, TypeVar

from ..framework.interface import MAX_SCORE, Cycle, Depends, Handle, Plugin
from ..model.arrays import Bools, Floats, Ints, np
from ..model.requests import is_scalar
from ..model.table import Rows
from .noderesourcesfit import DEFAULT_STRATEGY, requested_amount, used_amounts, weights

C = TypeVar("C", Ints, Floats)


class NodeResourcesBalancedAllocation(Plugin):
    """(1 - standard deviation of the used fractions) * 100. A pod that requests nothing is not scored."""

    name = "NodeResourcesBalancedAllocation"
    weight = 1
    scores = Depends.ROW

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(arguments, handle)
        self._names = [name for name, _ in weights(arguments.get("resources") or DEFAULT_STRATEGY["resources"])]

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        table = cycle.table
        wants = {name: requested_amount(cycle, name, False) for name in self._names}
        if not any(wants.values()):
            return None
        fractions, counts = [], []
        for name, request in wants.items():
            if not request and is_scalar(name):
                continue
            capacity = table.resource(table.allocatable, name, rows)
            requested = used_amounts(table, name, False, rows) + request
            fractions.append(np.minimum(requested / np.maximum(capacity, 1), 1.0))
            counts.append(capacity > 0)
        return _balance(fractions, counts)


def _balance(fractions: list[Floats], counts: list[Bools]) -> Ints:
    """Resources that a node lacks altogether do not count; with two it is half their distance, as upstream computes it."""
    if len(fractions) == 2:
        deviation = np.abs((fractions[0] - fractions[1]) / 2)
        deviation[~(counts[0] & counts[1])] = 0.0
    else:
        number = _sum([here.astype(np.int64) for here in counts])
        parts = [np.where(here, fraction, 0.0) for here, fraction in zip(counts, fractions, strict=True)]
        mean = _sum(parts) / np.maximum(number, 1)
        squares = _sum(
            [np.where(here, (part - mean) * (part - mean), 0.0) for here, part in zip(counts, parts, strict=True)]
        )
        deviation = np.where(number > 2, np.sqrt(squares / np.maximum(number, 1)), 0.0)
        pairs = number == 2
        if pairs.any():
            high = reduce(np.maximum, [np.where(h, part, -1.0) for h, part in zip(counts, parts, strict=True)])
            low = reduce(np.minimum, [np.where(h, part, 2.0) for h, part in zip(counts, parts, strict=True)])
            deviation = np.where(pairs, np.abs((high - low) / 2), deviation)
    scores: Ints = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return scores


def _sum(columns: list[C]) -> C:
    return reduce(operator.add, columns)

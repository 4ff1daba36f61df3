"""NodeResourcesFit: what a pod requests must be left on the node; and how full it may get (upstream: plugins/noderesources/fit.go).

The scoring strategies are LeastAllocated (the default), MostAllocated and RequestedToCapacityRatio.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pybernetes.api.computeresources import CPU, MEMORY, is_extended
from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import MAX_SCORE, Cycle, Depends, Handle, Plugin, Verdict
from ..model.arrays import Bools, Ints, np
from ..model.pods import PodInfo
from ..model.requests import amounts, granted, is_scalar, names, pod_requests
from ..model.table import NodeTable, Rows

TOO_MANY = "Too many pods"
MAX_UTILIZATION = 100
SHAPE_UNIT = 10  # scores of a RequestedToCapacityRatio shape go from 0 to 10
DEFAULT_STRATEGY: dict[str, Any] = {
    "type": "LeastAllocated",
    "resources": [{"name": CPU, "weight": 1}, {"name": MEMORY, "weight": 1}],
}


def weights(resources: Any) -> tuple[tuple[str, int], ...]:
    """(resource, weight) of a configuration's list."""
    return tuple((r["name"], r.get("weight") or 1) for r in resources)


def requested_amount(cycle: Cycle, name: str, nonzero: bool) -> int:
    """What the pod asks for, cpu and memory with what a silent container counts for."""
    shape = cycle.info.shape
    if nonzero and name in (CPU, MEMORY):
        return shape.nonzero[0 if name == CPU else 1]
    return shape.requests.get(name, 0)


def used_amounts(table: NodeTable, name: str, nonzero: bool, rows: Rows) -> Ints:
    """What the pods of the rows ask for, counted likewise."""
    return table.resource(table.nonzero if nonzero and name in (CPU, MEMORY) else table.requested, name, rows)


def least_allocated(requested: Ints, capacity: Ints) -> Ints:
    """(capacity - requested) of capacity; 0 where it is overfull."""
    left = np.maximum(capacity - requested, 0)
    score: Ints = left * MAX_SCORE // np.maximum(capacity, 1)
    return score


def most_allocated(requested: Ints, capacity: Ints) -> Ints:
    """requested of capacity; full where it is overfull."""
    score: Ints = np.minimum(requested, capacity) * MAX_SCORE // np.maximum(capacity, 1)
    return score


def broken_line(shape: Any) -> Ints:
    """Scores for utilizations 0 to 100 along the points of a shape; integer division towards zero, as Go's."""
    points = [(p["utilization"], p["score"] * (MAX_SCORE // SHAPE_UNIT)) for p in shape]
    scores = []
    for at in range(MAX_UTILIZATION + 1):
        score = points[-1][1]
        for index, (x, y) in enumerate(points):
            if at <= x:
                if index == 0:
                    score = y
                else:
                    x0, y0 = points[index - 1]
                    score = y0 + int((y - y0) * (at - x0) / (x - x0))
                break
        scores.append(score)
    return np.array(scores, np.int64)


def _freed(info: PodInfo, old: core.Pod, new: core.Pod | None) -> bool:
    """A pod that went away helps if it gave back something that the waiting one wants, or a place."""
    gone = pod_requests(granted(old))
    return not info.shape.requests or any(gone.get(name) for name in info.shape.requests)


def _shrunk(info: PodInfo, old: core.Pod, new: core.Pod) -> bool:
    """A pod that was resized helps if it gave back something that the waiting one wants."""
    before, after = pod_requests(granted(old)), pod_requests(granted(new))
    return any(after.get(name, 0) < before.get(name, 0) for name in info.shape.requests)


def _room(info: PodInfo, old: core.Node | None, new: core.Node) -> bool:
    """A node helps if it could take the pod when empty."""
    has = amounts(new.status.allocatable)
    return has.get("pods", 0) > 0 and all(has.get(name, 0) >= amount for name, amount in info.shape.requests.items())


class NodeResourcesFit(Plugin):
    """Room for the pod's requests and for one pod more; the score is of one of three strategies."""

    name = "NodeResourcesFit"
    weight = 1
    filters = scores = Depends.ROW
    events = MappingProxyType(
        {
            Event.ASSIGNED_POD_DELETE: _freed,
            Event.NODE_ADD: _room,
            Event.NODE_ALLOCATABLE: _room,
            Event.UNSCHEDULED_POD_UPDATE: None,
            Event.ASSIGNED_POD_UPDATE: _shrunk,
        }
    )

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(arguments, handle)
        self._ignored = frozenset(arguments.get("ignoredResources") or ())
        self._ignored_groups = frozenset(arguments.get("ignoredResourceGroups") or ())
        strategy = arguments.get("scoringStrategy") or DEFAULT_STRATEGY
        self._strategy = strategy.get("type") or "LeastAllocated"
        self._resources = weights(strategy.get("resources") or DEFAULT_STRATEGY["resources"])
        ratio = strategy.get("requestedToCapacityRatio") or {}
        self._line = broken_line(ratio["shape"]) if ratio.get("shape") else None

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        table = cycle.table
        fit: Bools = table.pod_count[rows] < table.pods_allowed[rows]
        for name, amount in self._requested(cycle):
            have = table.allocatable.get(name)
            if have is None:
                return np.zeros(len(fit), np.bool_)
            fit &= have[rows] - table.requested[name][rows] >= amount
        return fit

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        table = cycle.table
        lacks = [(TOO_MANY, table.pod_count[rows] >= table.pods_allowed[rows])]
        hopeless = np.zeros(len(rows), np.bool_)  # more than the node has at all
        for name, amount in self._requested(cycle):
            have = table.resource(table.allocatable, name, rows)
            lacks.append((f"Insufficient {name}", have - table.resource(table.requested, name, rows) < amount))
            hopeless |= have < amount
        codes = hopeless.astype(np.int64)
        for index, (_, lacking) in enumerate(lacks):
            codes |= lacking.astype(np.int64) << (index + 1)
        verdicts = []
        for code in np.unique(codes):
            reasons = tuple(text for index, (text, _) in enumerate(lacks) if int(code) >> (index + 1) & 1)
            verdicts.append((Verdict(reasons, bool(code & 1)), rows[codes == code]))
        return verdicts

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        table = cycle.table
        number = len(table.present[rows])
        total: Ints = np.zeros(number, np.int64)
        weight_sum: Ints = np.zeros(number, np.int64)
        for name, weight in self._resources:
            requested = requested_amount(cycle, name, True)
            if not requested and is_scalar(name):
                continue
            capacity = table.resource(table.allocatable, name, rows)
            score = self._one(used_amounts(table, name, True, rows) + requested, capacity)
            counts = (capacity > 0) if self._line is None else (capacity > 0) & (score > 0)
            total += score * counts * weight
            weight_sum += counts * weight
        if self._line is not None:
            return np.floor(total / np.maximum(weight_sum, 1) + 0.5).astype(np.int64)
        scores: Ints = total // np.maximum(weight_sum, 1)
        return scores

    def _one(self, requested: Ints, capacity: Ints) -> Ints:
        if self._line is not None:
            share = requested * MAX_UTILIZATION // np.maximum(capacity, 1)
            full = (capacity == 0) | (requested > capacity)
            line: Ints = self._line[np.where(full, MAX_UTILIZATION, share)]
            return line
        return (most_allocated if self._strategy == "MostAllocated" else least_allocated)(requested, capacity)

    def _requested(self, cycle: Cycle) -> list[tuple[str, int]]:
        wants = cycle.info.shape.requests
        return [(name, wants[name]) for name in names(wants) if wants[name] > 0 and not self._skips(name)]

    def _skips(self, name: str) -> bool:
        return is_extended(name) and (name in self._ignored or name.partition("/")[0] in self._ignored_groups)

"""PodTopologySpread: pods that a selector takes are spread evenly over zones, hosts, ... (upstream: plugins/podtopologyspread)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from pybernetes.api.labels import Operator, Requirement, Selector, as_selector
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import LABEL_HOSTNAME, LABEL_TOPOLOGY_ZONE

from ..framework.clusterevents import Event
from ..framework.defaultselector import default_selector
from ..framework.interface import MAX_SCORE, Cycle, Depends, Handle, Plugin, Verdict
from ..model.arrays import Bools, Ints, np
from ..model.labelcolumns import ABSENT
from ..model.nodematch import required_affinity, taints_tolerated
from ..model.podcounts import PodClass
from ..model.table import NodeTable, Rows

HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"
SYSTEM_DEFAULTS = (  # upstream's, of pods that say nothing themselves
    core.TopologySpreadConstraint(topology_key=LABEL_HOSTNAME, when_unsatisfiable=SOFT, max_skew=3),
    core.TopologySpreadConstraint(topology_key=LABEL_TOPOLOGY_ZONE, when_unsatisfiable=SOFT, max_skew=5),
)
MISSING_LABEL = Verdict(("node(s) didn't match pod topology spread constraints (missing required label)",), True)
MISMATCH = Verdict(("node(s) didn't match pod topology spread constraints",))


@dataclass(frozen=True, slots=True)
class Constraint:
    """A topologySpreadConstraint of a pod."""

    key: str
    max_skew: int
    selector: Selector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


@dataclass(slots=True)
class _Spread:
    """A constraint counted out: `domain` has the matching pods of the row's domain, `least` of the emptiest."""

    codes: Ints
    domain: Ints
    least: int
    max_skew: int
    own: int  # 1 if the pod counts itself


@dataclass(slots=True)
class _Soft:
    """What PreScore works out; `ignored` by scored row."""

    constraints: list[Constraint]
    ignored: Bools


def constraint(raw: core.TopologySpreadConstraint, labels: Mapping[str, str]) -> Constraint:
    """With the pod's values of matchLabelKeys in its selector."""
    selector = as_selector(raw.label_selector)
    keys = [key for key in raw.match_label_keys if key in labels]
    if keys:
        more = tuple(Requirement(key, Operator.IN, (labels[key],)) for key in keys)
        selector = Selector(selector.requirements + more, selector.nothing)
    return Constraint(
        raw.topology_key,
        raw.max_skew,
        selector,
        raw.min_domains or 1,
        (raw.node_affinity_policy or "Honor") == "Honor",
        raw.node_taints_policy == "Honor",
    )


def matching_pods(table: NodeTable, namespace: str, selector: Selector) -> Ints:
    """Pods of a namespace by row, without those that go away; an empty selector counts none."""

    def matches(cls: PodClass) -> bool:
        return cls.namespace == namespace and not cls.terminating and selector.matches(cls.labels)

    if selector.nothing or selector.empty():
        return np.zeros(table.capacity, np.int64)
    return table.counts.counter(("spread", namespace, selector), matches)


def by_domain(codes: Ints, counts: Ints, size: int) -> Ints:
    """Sums over the rows of each domain."""
    return np.bincount(codes, weights=counts, minlength=size).astype(np.int64)


class PodTopologySpread(Plugin):
    """Hard constraints filter, soft ones score."""

    name = "PodTopologySpread"
    weight = 2
    filters = scores = Depends.CLUSTER
    normalizes = True
    events = MappingProxyType(
        {
            Event.ASSIGNED_POD_ADD: None,
            Event.ASSIGNED_POD_UPDATE: None,
            Event.ASSIGNED_POD_DELETE: None,
            Event.UNSCHEDULED_POD_UPDATE: None,
            Event.NODE_ADD: None,
            Event.NODE_DELETE: None,
            Event.NODE_LABELS: None,
            Event.NODE_TAINTS: None,
        }
    )

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(arguments, handle)
        self._system = (arguments.get("defaultingType") or "System") == "System"
        given = arguments.get("defaultConstraints") or ()
        self._defaults: Sequence[core.TopologySpreadConstraint] = (
            SYSTEM_DEFAULTS
            if self._system
            else [msgspec.convert(item, core.TopologySpreadConstraint) for item in given]
        )

    # Filter.

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        spreads = self._spreads(cycle)
        if not spreads:
            return None
        mask: Bools | None = None
        for spread in spreads:
            fits = (spread.codes[rows] != ABSENT) & self._within(spread, rows)
            mask = fits if mask is None else mask & fits
        return mask

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        verdicts = []
        for spread in self._spreads(cycle):
            unlabelled = spread.codes[rows] == ABSENT
            uneven = ~unlabelled & ~self._within(spread, rows)
            verdicts += [(MISSING_LABEL, rows[unlabelled]), (MISMATCH, rows[uneven])]
            rows = rows[~unlabelled & ~uneven]
        return [(verdict, refused) for verdict, refused in verdicts if len(refused)]

    @staticmethod
    def _within(spread: _Spread, rows: Rows) -> Bools:
        within: Bools = spread.domain[spread.codes[rows]] + spread.own - spread.least <= spread.max_skew
        return within

    def _spreads(self, cycle: Cycle) -> list[_Spread]:
        cached: list[_Spread] | None = cycle.state.get(self.name)
        if cached is None:
            constraints = self._constraints(cycle, HARD)
            eligible = self._labelled(cycle.table, constraints, cycle.table.all) if constraints else None
            cached = cycle.state[self.name] = [self._spread(cycle, c, eligible) for c in constraints]
        return cached

    def _spread(self, cycle: Cycle, constraint: Constraint, eligible: Bools | None) -> _Spread:
        table = cycle.table
        column = table.column(constraint.key)
        codes = column.codes[table.all]
        counts = matching_pods(table, cycle.info.namespace, constraint.selector)[table.all]
        counted = self._included(cycle, constraint, table.all)
        mask = eligible if counted is None else counted if eligible is None else eligible & counted
        chosen = codes if mask is None else codes[mask]
        size = len(column.index) + 1  # the last is what ABSENT points to
        domain = by_domain(chosen, counts if mask is None else counts[mask], size)
        there = np.bincount(chosen, minlength=size) > 0
        number = int(np.count_nonzero(there))
        least = int(domain[there].min()) if number else (1 << 31) - 1
        if number < constraint.min_domains:
            least = 0
        own = int(constraint.selector.matches(cycle.info.labels))
        return _Spread(codes, domain, least, constraint.max_skew, own)

    # Score.

    def pre_score(self, cycle: Cycle) -> bool:
        return bool(self._constraints(cycle, SOFT))

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        constraints = self._constraints(cycle, SOFT)
        if not constraints:
            return None
        table = cycle.table
        everywhere = bool(cycle.info.shape.spec.topology_spread_constraints) or not self._system
        number = len(table.present[rows])
        labelled = self._labelled(table, constraints, rows) if everywhere else np.ones(number, np.bool_)
        cycle.state[f"{self.name}/soft"] = _Soft(constraints, ~labelled)
        total = np.zeros(number, np.float64)
        for spread in constraints:
            column = table.column(spread.key)
            codes = column.codes[rows]
            counts = matching_pods(table, cycle.info.namespace, spread.selector)
            if spread.key == LABEL_HOSTNAME:
                own, size = counts[rows], int(np.count_nonzero(labelled))
            else:
                size = len(np.unique(codes[labelled]))
                own = self._domains(cycle, spread, constraints if everywhere else (), counts)[codes]
            total += np.where(codes == ABSENT, 0.0, own * math.log(size + 2) + (spread.max_skew - 1))
        total[~labelled] = 0.0
        return np.floor(total + 0.5).astype(np.int64)

    def normalize(self, cycle: Cycle, scores: Ints) -> Ints:
        ignored = cycle.state[f"{self.name}/soft"].ignored
        counted = scores[~ignored]
        if len(counted) == 0:
            return np.zeros(len(scores), np.int64)
        highest, lowest = int(counted.max()), int(counted.min())
        if highest == 0:
            return np.where(ignored, 0, MAX_SCORE)
        return np.where(ignored, 0, MAX_SCORE * (highest + lowest - scores) // highest)

    def _domains(self, cycle: Cycle, constraint: Constraint, required: Sequence[Constraint], counts: Ints) -> Ints:
        """Matching pods of each domain, from all nodes that count."""
        table = cycle.table
        column = table.column(constraint.key)
        mask = column.codes[table.all] != ABSENT
        if required:
            mask &= self._labelled(table, required, table.all)
        included = self._included(cycle, constraint, table.all)
        if included is not None:
            mask &= included
        codes = column.codes[table.all][mask]
        return by_domain(codes, counts[table.all][mask], len(column.index) + 1)

    # Both.

    def _constraints(self, cycle: Cycle, kind: str) -> list[Constraint]:
        key = f"{self.name}/{kind}"
        cached: list[Constraint] | None = cycle.state.get(key)
        if cached is None:
            cached = cycle.state[key] = self._read(cycle, kind)
        return cached

    def _read(self, cycle: Cycle, kind: str) -> list[Constraint]:
        info = cycle.info
        own = info.pod.spec.topology_spread_constraints
        if own:
            return [constraint(raw, info.labels) for raw in own if raw.when_unsatisfiable == kind]
        defaults = [raw for raw in self._defaults if raw.when_unsatisfiable == kind]
        selector = default_selector(info, cycle.cluster) if defaults else Selector()
        if selector.empty():
            return []
        constraints = [constraint(raw, info.labels) for raw in defaults]
        return [
            Constraint(c.key, c.max_skew, selector, c.min_domains, c.honor_affinity, c.honor_taints)
            for c in constraints
        ]

    @staticmethod
    def _labelled(table: NodeTable, constraints: Sequence[Constraint], rows: Rows) -> Bools:
        """Which rows have all topology labels."""
        mask: Bools = table.column(constraints[0].key).codes[rows] != ABSENT
        for other in constraints[1:]:
            mask &= table.column(other.key).codes[rows] != ABSENT
        return mask

    @staticmethod
    def _included(cycle: Cycle, constraint: Constraint, rows: Rows) -> Bools | None:
        """Which rows count by the constraint's policies; None: all."""
        shape, mask = cycle.info.shape, None
        if constraint.honor_affinity:
            mask = required_affinity(cycle.table, shape, rows)
        if constraint.honor_taints:
            tolerated = taints_tolerated(cycle.table, shape.spec.tolerations, rows)
            if tolerated is not None:
                mask = tolerated if mask is None else mask & tolerated
        return mask

"""NodeAffinity: nodeSelector, required and preferred node affinity (upstream: plugins/nodeaffinity)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from pybernetes.api.labels import Operator
from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import Cycle, Depends, Handle, Plugin, PreFilter, Verdict, default_normalize
from ..model.arrays import Bools, Ints, np
from ..model.nodematch import required_affinity
from ..model.pods import PodInfo, Shape
from ..model.selectors import NodeTerm, node_matches
from ..model.table import Rows

ENFORCED = Verdict(("node(s) didn't match scheduler-enforced node affinity",), True)


def _hint(info: PodInfo, old: core.Node | None, new: core.Node) -> bool:
    labels = new.metadata.labels
    if any(labels.get(key) != value for key, value in info.shape.spec.node_selector.items()):
        return False
    terms = info.shape.required_nodes
    return terms is None or node_matches(terms, labels, new.metadata.name)


def named_nodes(shape: Shape) -> frozenset[str] | None:
    """The only nodes that may do, where every term names some; None where any may."""
    terms = shape.required_nodes
    if not terms:
        return None
    names: set[str] = set()
    for term in terms:
        named = [set(r.values) for r in term.names if r.operator is Operator.IN]
        if not named:
            return None
        names |= set.intersection(*named)
    return frozenset(names)


class NodeAffinity(Plugin):
    """`addedAffinity` of the profile counts beside each pod's own."""

    name = "NodeAffinity"
    weight = 2
    filters = scores = Depends.NODES
    normalizes = True
    verdict = Verdict(("node(s) didn't match Pod's node affinity/selector",), True)
    events = MappingProxyType({Event.NODE_ADD: _hint, Event.NODE_LABELS: _hint})

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(arguments, handle)
        added = arguments.get("addedAffinity")
        shape = core.PodSpec()
        if added:
            shape.affinity = core.Affinity(node_affinity=msgspec.convert(added, core.NodeAffinity))
        self._added = Shape(b"", "", shape)

    def pre_filter(self, cycle: Cycle) -> PreFilter | None:
        names = named_nodes(cycle.info.shape)
        return None if names is None else PreFilter(names=names)

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        own = required_affinity(cycle.table, cycle.info.shape, rows)
        added = self._enforced(cycle, rows)
        return own if added is None else added if own is None else own & added

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        added = self._enforced(cycle, rows)
        if added is None:
            return [(self.verdict, rows)]
        return [(v, r) for v, r in ((ENFORCED, rows[~added]), (self.verdict, rows[added])) if len(r)]

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        terms: tuple[tuple[int, NodeTerm], ...] = self._added.preferred_nodes + cycle.info.shape.preferred_nodes
        if not terms:
            return None
        table = cycle.table
        total: Ints = np.zeros(len(table.present[rows]), np.int64)
        for weight, term in terms:
            total += weight * table.columns.match_term(term, table.labels, rows)
        return total

    def normalize(self, cycle: Cycle, scores: Ints) -> Ints:
        return default_normalize(scores, reverse=False)

    def _enforced(self, cycle: Cycle, rows: Rows) -> Bools | None:
        return required_affinity(cycle.table, self._added, rows)

"""TaintToleration: NoSchedule and NoExecute keep out, PreferNoSchedule counts against a node (upstream: plugins/tainttoleration)."""

from __future__ import annotations

from types import MappingProxyType

from pybernetes.api.nodes import untolerated
from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import Cycle, Depends, Plugin, Verdict, default_normalize
from ..model.arrays import Bools, Ints
from ..model.nodematch import intolerable, taints_tolerated
from ..model.pods import PodInfo
from ..model.table import Rows


def _hint(info: PodInfo, old: core.Node | None, new: core.Node) -> bool:
    return untolerated(info.pod.spec.tolerations, new.spec.taints) is None


class TaintToleration(Plugin):
    """Answers once a distinct set of taints."""

    name = "TaintToleration"
    weight = 3
    filters = scores = Depends.NODES
    # Which taint is not told, today: with a text for each, a message about many nodes would tell of nothing else.
    verdict = Verdict(("node(s) had untolerated taint(s)",), True)
    normalizes = True
    events = MappingProxyType({Event.NODE_ADD: _hint, Event.NODE_TAINTS: _hint})

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        return taints_tolerated(cycle.table, cycle.info.shape.spec.tolerations, rows)

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        return intolerable(cycle.table, cycle.info.shape.spec.tolerations, rows)

    def normalize(self, cycle: Cycle, scores: Ints) -> Ints:
        return default_normalize(scores, reverse=True)

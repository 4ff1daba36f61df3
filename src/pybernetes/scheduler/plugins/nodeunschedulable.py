"""NodeUnschedulable: cordoned nodes take only who tolerates that (upstream: plugins/nodeunschedulable)."""

from __future__ import annotations

from types import MappingProxyType

from pybernetes.api.nodes import tolerated
from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import Cycle, Depends, Plugin, Verdict
from ..model.arrays import Bools
from ..model.nodematch import UNSCHEDULABLE
from ..model.pods import PodInfo
from ..model.table import Rows


def _hint(info: PodInfo, old: core.Node | None, new: core.Node) -> bool:
    return not new.spec.unschedulable or tolerated(info.pod.spec.tolerations, UNSCHEDULABLE)


class NodeUnschedulable(Plugin):
    """spec.unschedulable counts as a taint."""

    name = "NodeUnschedulable"
    filters = Depends.NODES
    verdict = Verdict(("node(s) were unschedulable",), True)
    events = MappingProxyType({Event.NODE_ADD: _hint, Event.NODE_TAINTS: _hint})

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        if tolerated(cycle.info.shape.spec.tolerations, UNSCHEDULABLE):
            return None
        open_: Bools = ~cycle.table.unschedulable[rows]
        return open_

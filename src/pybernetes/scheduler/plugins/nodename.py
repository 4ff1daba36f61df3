"""NodeName: a pod that names its node fits no other (upstream: plugins/nodename)."""

from __future__ import annotations

from ..framework.clusterevents import Event, on
from ..framework.interface import Cycle, Depends, Plugin, Verdict
from ..model.arrays import Bools, np
from ..model.table import Rows


class NodeName(Plugin):
    """Pods with a node never reach the queue; this is for those who ask the framework about one."""

    name = "NodeName"
    filters = Depends.CLUSTER  # the name is not part of a pod's shape
    verdict = Verdict(("node(s) didn't match the requested node name",), True)
    events = on(Event.NODE_ADD)

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        requested = cycle.info.pod.spec.node_name
        if not requested:
            return None
        mask = np.zeros(cycle.table.used, np.bool_)
        row = cycle.table.rows.get(requested)
        if row is not None:
            mask[row] = True
        feasible: Bools = mask[rows]
        return feasible

"""NodePorts: a host port is given once a node, protocol and address (upstream: plugins/nodeports)."""

from __future__ import annotations

from types import MappingProxyType

from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import Cycle, Depends, Plugin, Verdict
from ..model.arrays import Bools, np
from ..model.pods import PodInfo, host_ports
from ..model.table import Rows

ANY = "0.0.0.0"


def _hint(info: PodInfo, old: core.Pod, new: core.Pod | None) -> bool:
    freed = {(protocol, port) for _, protocol, port in host_ports(old.spec)}
    return any((protocol, port) in freed for _, protocol, port in info.shape.ports)


def conflicts(address: str, taken: dict[str, int]) -> bool:
    """Whether an address of a port is taken: all addresses and a single one exclude each other."""
    return bool(taken) if address == ANY else address in taken or ANY in taken


class NodePorts(Plugin):
    """Looks only at the nodes where a wanted port is in use."""

    name = "NodePorts"
    filters = Depends.ROW
    verdict = Verdict(("node(s) didn't have free ports for the requested pod ports",))
    events = MappingProxyType({Event.ASSIGNED_POD_DELETE: _hint, Event.NODE_ADD: None})

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        if not cycle.info.shape.ports:
            return None
        mask: Bools = np.ones(cycle.table.used, np.bool_)
        for address, protocol, port in cycle.info.shape.ports:
            for row, taken in cycle.table.ports.get((protocol, port), {}).items():
                if conflicts(address, taken):
                    mask[row] = False
        feasible: Bools = mask[rows]
        return feasible

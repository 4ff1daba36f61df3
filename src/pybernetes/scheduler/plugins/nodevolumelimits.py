"""NodeVolumeLimits: how many volumes of a CSI driver a node can have (upstream: plugins/nodevolumelimits).

Counts the volumes of the node's pods against CSINode; volumes that are still attached after their pods went are not counted.
"""

from __future__ import annotations

from collections import Counter

from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event, on
from ..framework.interface import Cycle, Depends, Plugin, Verdict
from ..framework.volumes import NO_PROVISIONER
from ..model.arrays import Bools, np
from ..model.pods import PodInfo, claim_names
from ..model.table import Rows

Handle = tuple[str, str]  # driver, volume


def csi_volumes(cycle: Cycle, info: PodInfo) -> set[Handle]:
    """The CSI volumes of a pod, also those still to be made."""
    handles: set[Handle] = set()
    for name, _ in claim_names(info.pod):
        claim: core.PersistentVolumeClaim | None = cycle.cluster.claims.get(name, info.namespace)
        if claim is None:
            continue
        volume = cycle.cluster.volumes.get(claim.spec.volume_name) if claim.spec.volume_name else None
        if volume is not None:
            if volume.spec.csi is not None:
                handles.add((volume.spec.csi.driver, volume.spec.csi.volume_handle))
            continue
        of_class = cycle.cluster.storage_classes.get(storage_class(claim))
        if of_class is not None and of_class.provisioner not in ("", NO_PROVISIONER):
            handles.add((of_class.provisioner, f"{info.namespace}/{name}"))
    return handles


class NodeVolumeLimits(Plugin):
    """Only pods with CSI volumes are looked at, node by node."""

    name = "NodeVolumeLimits"
    filters = Depends.CLUSTER
    verdict = Verdict(("node(s) exceed max volume count",))
    events = on(Event.NODE_ADD, Event.CSI_NODE_ADD, Event.CSI_NODE_UPDATE, Event.ASSIGNED_POD_DELETE, Event.CLAIM_ADD)

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        if not cycle.info.shape.has_volumes:
            return None
        requested = csi_volumes(cycle, cycle.info)
        if not requested:
            return None
        numbers = np.arange(cycle.table.used)[rows]
        return np.array([self._has_room(cycle, requested, int(row)) for row in numbers], np.bool_)

    @staticmethod
    def _has_room(cycle: Cycle, requested: set[Handle], row: int) -> bool:
        table = cycle.table
        csi_node = cycle.cluster.csi_nodes.get(table.names[row])
        drivers = csi_node.spec.drivers if csi_node is not None else ()
        limits = {
            d.name: d.allocatable.count
            for d in drivers
            if d.allocatable is not None and d.allocatable.count is not None
        }
        if not any(driver in limits for driver, _ in requested):
            return True
        there: set[Handle] = set()
        for info in table.pods[row].values():
            if info.shape.has_volumes:
                there |= csi_volumes(cycle, info)
        counts, more = Counter(d for d, _ in there), Counter(d for d, _ in requested - there)
        return all(counts[driver] + more[driver] <= limits[driver] for driver in more if driver in limits)

"""VolumeZone: a volume with zone labels keeps its pod in that zone (upstream: plugins/volumezone)."""

from __future__ import annotations

from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    LABEL_FAILURE_DOMAIN_BETA_REGION,
    LABEL_FAILURE_DOMAIN_BETA_ZONE,
    LABEL_TOPOLOGY_REGION,
    LABEL_TOPOLOGY_ZONE,
)

from ..framework.clusterevents import Event, on
from ..framework.interface import Cycle, Depends, Plugin, PreFilter, Verdict
from ..model.arrays import Bools, np
from ..model.labelcolumns import ABSENT
from ..model.table import NodeTable, Rows

LABELS = {  # label of a volume -> of nodes, where they lack the first
    LABEL_FAILURE_DOMAIN_BETA_ZONE: LABEL_TOPOLOGY_ZONE,
    LABEL_FAILURE_DOMAIN_BETA_REGION: LABEL_TOPOLOGY_REGION,
    LABEL_TOPOLOGY_ZONE: LABEL_TOPOLOGY_ZONE,
    LABEL_TOPOLOGY_REGION: LABEL_TOPOLOGY_REGION,
}
SEPARATOR = "__"  # between the zones of a volume that is in several

RequiredZones = list[tuple[str, frozenset[str]]]  # label, values


def _refused(text: str) -> PreFilter:
    return PreFilter(Verdict((text,), True))


def zones(volume: core.PersistentVolume) -> RequiredZones:
    """The volume's labels that matter."""
    labels = volume.metadata.labels
    return [(key, frozenset(labels[key].split(SEPARATOR))) for key in LABELS if key in labels]


def in_zones(table: NodeTable, required: RequiredZones, rows: Rows) -> Bools:
    """Rows without any zone label fit all, for clusters of one zone."""
    labelled = np.zeros(len(table.present[rows]), np.bool_)
    for key in LABELS:
        labelled |= table.column(key).codes[rows] != ABSENT
    fits = np.ones(len(labelled), np.bool_)
    for key, values in required:
        first, second = table.column(key), table.column(LABELS[key])
        allowed = [np.array([v in values for v in column.index] + [False], np.bool_) for column in (first, second)]
        own = first.codes[rows]
        fits &= np.where(own != ABSENT, allowed[0][own], allowed[1][second.codes[rows]])
    return ~labelled | fits


class VolumeZone(Plugin):
    """Looks at the labels of bound volumes."""

    name = "VolumeZone"
    filters = Depends.CLUSTER
    verdict = Verdict(("node(s) had no available volume zone",), True)
    events = on(
        Event.CLASS_ADD,
        Event.NODE_ADD,
        Event.NODE_LABELS,
        Event.CLAIM_ADD,
        Event.CLAIM_UPDATE,
        Event.VOLUME_ADD,
        Event.VOLUME_UPDATE,
    )

    def pre_filter(self, cycle: Cycle) -> PreFilter | None:
        if not cycle.info.shape.has_volumes:
            return None
        required: RequiredZones = []
        for volume in cycle.info.pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            claim_zones = self._zones(cycle, volume.persistent_volume_claim.claim_name)
            if isinstance(claim_zones, PreFilter):
                return claim_zones
            required += claim_zones
        if required:
            cycle.state[self.name] = required
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        required: RequiredZones | None = cycle.state.get(self.name)
        return None if required is None else in_zones(cycle.table, required, rows)

    @staticmethod
    def _zones(cycle: Cycle, name: str) -> RequiredZones | PreFilter:
        claim = cycle.cluster.claims.get(name, cycle.info.namespace)
        if claim is None:
            return _refused(f'persistentvolumeclaim "{name}" not found')
        if claim.spec.volume_name:
            volume = cycle.cluster.volumes.get(claim.spec.volume_name)
            if volume is None:
                return _refused(f'persistentvolume "{claim.spec.volume_name}" not found')
            return zones(volume)
        class_name = storage_class(claim)
        if not class_name:
            return _refused("PersistentVolumeClaim had no pv name and storageClass name")
        chosen_class = cycle.cluster.storage_classes.get(class_name)
        if chosen_class is None:
            return _refused(f'storageclass.storage.k8s.io "{class_name}" not found')
        if chosen_class.volume_binding_mode == "WaitForFirstConsumer":
            return []
        return _refused("PersistentVolume had no name")

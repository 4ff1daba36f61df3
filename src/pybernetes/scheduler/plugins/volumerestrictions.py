"""VolumeRestrictions: disks that one node, and claims that one pod may use at a time (upstream: plugins/volumerestrictions)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event, on
from ..framework.interface import Cycle, Depends, Plugin, PreFilter, Verdict
from ..model.arrays import Bools, Ints, np
from ..model.pods import PodInfo
from ..model.table import Rows

ONE_POD = "ReadWriteOncePod"
DISK = Verdict(("node(s) had no available disk",))
IN_USE = Verdict(("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",))


def _pair(kind: str, one: core.Volume, other: core.Volume) -> tuple[Any, Any] | None:
    """Both volumes' sources of a kind, unless both only read."""
    a, b = getattr(one, kind), getattr(other, kind)
    if a is None or b is None or (a.read_only and b.read_only and kind != "aws_elastic_block_store"):
        return None
    return a, b


def clash(one: core.Volume, other: core.Volume) -> bool:
    """Whether a node cannot have both."""
    if pair := _pair("gce_persistent_disk", one, other):
        return bool(pair[0].pd_name == pair[1].pd_name)
    if pair := _pair("aws_elastic_block_store", one, other):
        return bool(pair[0].volume_id == pair[1].volume_id)
    if pair := _pair("iscsi", one, other):
        return bool(pair[0].iqn == pair[1].iqn)
    if pair := _pair("rbd", one, other):
        a, b = pair
        return bool({*a.monitors} & {*b.monitors} and (a.pool, a.image) == (b.pool, b.image))
    return False


def _disks(info: PodInfo) -> list[core.Volume]:
    return [
        v
        for v in info.pod.spec.volumes
        if v.gce_persistent_disk is not None
        or v.aws_elastic_block_store is not None
        or v.iscsi is not None
        or v.rbd is not None
    ]


class VolumeRestrictions(Plugin):
    """Disks that one pod may use at a time, and claims of ReadWriteOncePod: pods without either are not looked at."""

    name = "VolumeRestrictions"
    filters = Depends.CLUSTER
    events = on(Event.ASSIGNED_POD_DELETE, Event.NODE_ADD, Event.CLAIM_ADD, Event.CLAIM_UPDATE)

    def pre_filter(self, cycle: Cycle) -> PreFilter | None:
        info = cycle.info
        if not info.shape.has_volumes:
            return None
        disks = _disks(info)
        if disks:
            cycle.state[self.name] = disks
        for volume in info.pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            name = volume.persistent_volume_claim.claim_name
            claim = cycle.cluster.claims.get(name, info.namespace)
            if claim is None:
                return PreFilter(Verdict((f'persistentvolumeclaim "{name}" not found',), True))
            if ONE_POD in claim.spec.access_modes and cycle.table.claims.get((info.namespace, name)):
                cycle.state[f"{self.name}/in use"] = True
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        if f"{self.name}/in use" in cycle.state:
            return np.zeros(len(cycle.table.present[rows]), np.bool_)
        disks: list[core.Volume] | None = cycle.state.get(self.name)
        if disks is None:
            return None
        numbers = np.arange(cycle.table.used)[rows]
        return np.array([not self._clashes(cycle, disks, int(row)) for row in numbers], np.bool_)

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        return [(IN_USE if f"{self.name}/in use" in cycle.state else DISK, rows)]

    @staticmethod
    def _clashes(cycle: Cycle, disks: list[core.Volume], row: int) -> bool:
        others = (other for info in cycle.table.pods[row].values() if info.shape.has_volumes for other in _disks(info))
        return any(clash(disk, other) for other in others for disk in disks)

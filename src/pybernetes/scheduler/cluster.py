"""The informers of what counts besides nodes and pods, and what their changes mean for waiting pods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import policy_v1 as policy
from pybernetes.api.types import storage_v1 as storage
from pybernetes.client.types import Informer, Informers, Object

from .framework.clusterevents import Event
from .framework.interface import Cluster

SELECTED_PODS = "status.phase!=Succeeded,status.phase!=Failed"  # those that have ended take nothing any more

Told = Callable[[Event, Object | None, Object | None], None]
Obj = TypeVar("Obj", bound=Object)


@dataclass(slots=True)
class WatchedCluster(Cluster):
    """A Cluster whose listers are informers."""

    informers: list[Informer[Object]] = field(default_factory=list)


def watch_cluster(informers: Informers, told: Told) -> WatchedCluster:
    """`told` hears of each change that may help a waiting pod."""
    started: list[Informer[Object]] = []

    def watch(kind: type[Obj], added: Event | None = None, updated: Event | None = None) -> Informer[Obj]:
        informer = informers.informer(kind)
        started.append(informer)
        if added is not None:
            informer.add_handler(_Teller(told, added, updated or added))
        return informer

    cluster = WatchedCluster(
        namespaces=watch(core.Namespace),
        services=watch(core.Service),
        replication_controllers=watch(core.ReplicationController),
        replica_sets=watch(apps.ReplicaSet),
        stateful_sets=watch(apps.StatefulSet),
        claims=watch(core.PersistentVolumeClaim, Event.CLAIM_ADD, Event.CLAIM_UPDATE),
        volumes=watch(core.PersistentVolume, Event.VOLUME_ADD, Event.VOLUME_UPDATE),
        storage_classes=watch(storage.StorageClass, Event.CLASS_ADD, Event.CLASS_UPDATE),
        csi_nodes=watch(storage.CSINode, Event.CSI_NODE_ADD, Event.CSI_NODE_UPDATE),
        disruption_budgets=watch(policy.PodDisruptionBudget),
        informers=started,
    )
    informers.informer(core.Namespace).add_handler(_Namespaces(told))
    return cluster


@dataclass(slots=True)
class _Teller:
    """A handler that tells additions and updates."""

    told: Told
    added: Event
    updated: Event

    def __call__(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.told(self.added if old is None else self.updated, old, new)


@dataclass(slots=True)
class _Namespaces:
    """A handler that tells of labels: affinity terms may select by them."""

    told: Told

    def __call__(self, old: core.Namespace | None, new: core.Namespace | None) -> None:
        before = old.metadata.labels if old is not None else {}
        after = new.metadata.labels if new is not None else {}
        if before != after:
            self.told(Event.NAMESPACE_CHANGE, old, new)

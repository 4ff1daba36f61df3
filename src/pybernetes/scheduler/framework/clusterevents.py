"""Changes in the cluster that may make an unschedulable pod schedulable (upstream: framework.ClusterEvent)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from pybernetes.api.types import core_v1 as core

if TYPE_CHECKING:
    from ..model.pods import PodInfo


class Event(Enum):
    """Names are those of the metric scheduler_queue_incoming_pods_total."""

    NODE_ADD = "NodeAdd"
    NODE_ALLOCATABLE = "NodeAllocatableChange"
    NODE_LABELS = "NodeLabelChange"
    NODE_TAINTS = "NodeTaintChange"
    NODE_DELETE = "NodeDelete"
    ASSIGNED_POD_ADD = "AssignedPodAdd"
    ASSIGNED_POD_UPDATE = "AssignedPodUpdate"
    ASSIGNED_POD_DELETE = "AssignedPodDelete"
    UNSCHEDULED_POD_UPDATE = "UnschedulablePodUpdate"
    CLAIM_ADD = "PvcAdd"
    CLAIM_UPDATE = "PvcUpdate"
    VOLUME_ADD = "PvAdd"
    VOLUME_UPDATE = "PvUpdate"
    CLASS_ADD = "StorageClassAdd"
    CLASS_UPDATE = "StorageClassUpdate"
    CSI_NODE_ADD = "CSINodeAdd"
    CSI_NODE_UPDATE = "CSINodeUpdate"
    NAMESPACE_CHANGE = "NamespaceChange"


Hint = Callable[["PodInfo", Any, Any], bool]  # (the waiting pod, old object, new object) -> whether to try it again


def on(*events: Event, hint: Hint | None = None) -> Mapping[Event, Hint | None]:
    """The same hint for several events."""
    return dict.fromkeys(events, hint)


def node_events(old: core.Node | None, new: core.Node | None) -> list[Event]:
    """The events that a change of a node amounts to, for the hints of plug-ins; none where placement cannot depend on it."""
    if old is None:
        return [Event.NODE_ADD]
    if new is None:
        return [Event.NODE_DELETE]
    events = []
    if old.status.allocatable != new.status.allocatable:
        events.append(Event.NODE_ALLOCATABLE)
    if old.metadata.labels != new.metadata.labels:
        events.append(Event.NODE_LABELS)
    if old.spec.taints != new.spec.taints or old.spec.unschedulable != new.spec.unschedulable:
        events.append(Event.NODE_TAINTS)
    return events

"""What a pod's siblings have in common: the selectors of its services and of its owner (upstream: plugins/helper/spread.go)."""

from __future__ import annotations

from typing import Any

from pybernetes.api.labels import Selector, as_selector
from pybernetes.api.owners import controller_of

from ..model.pods import PodInfo
from ..model.selectors import equalities
from .interface import Cluster


def default_selector(info: PodInfo, cluster: Cluster) -> Selector:
    """Empty where the pod belongs to nothing."""
    labels: dict[str, str] = {}
    for service in cluster.services.list(info.namespace):
        selected = service.spec.selector
        if selected and all(info.labels.get(key) == value for key, value in selected.items()):
            labels.update(selected)
    owner = controller_of(info.pod)
    if owner is None:
        return equalities(labels)
    kind = (owner.api_version, owner.kind)
    if kind == ("v1", "ReplicationController"):
        controller = cluster.replication_controllers.get(owner.name, info.namespace)
        return equalities({**labels, **(controller.spec.selector or {})} if controller is not None else labels)
    listers = {("apps/v1", "ReplicaSet"): cluster.replica_sets, ("apps/v1", "StatefulSet"): cluster.stateful_sets}
    set_: Any = listers[kind].get(owner.name, info.namespace) if kind in listers else None
    selector = equalities(labels)
    if set_ is None:
        return selector
    more = as_selector(set_.spec.selector)
    if more.nothing:
        return selector
    requirements = {*selector.requirements, *more.requirements}
    return Selector(tuple(sorted(requirements, key=lambda r: (r.key, r.operator, r.values))))

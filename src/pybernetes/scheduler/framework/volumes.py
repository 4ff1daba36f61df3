"""Claims and volumes: which belong together, which could (upstream: component-helpers/storage/volume)."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from pybernetes.api.labels import as_selector
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    ANN_BIND_COMPLETED,
    ANN_BOUND_BY_CONTROLLER,
    ANN_SELECTED_NODE,
)

from ..model.pods import PodInfo, claim_names
from ..model.selectors import node_matches, node_terms
from .interface import Cluster

NO_PROVISIONER = "kubernetes.io/no-provisioner"
STORAGE = "storage"


def is_bound(claim: core.PersistentVolumeClaim) -> bool:
    """Whether the claim has its volume for good."""
    return bool(claim.spec.volume_name) and ANN_BIND_COMPLETED in claim.metadata.annotations


def waits_for_consumer(claim: core.PersistentVolumeClaim, cluster: Cluster) -> bool:
    """Whether the claim's volume is chosen with the pod's node."""
    chosen_class = cluster.storage_classes.get(storage_class(claim))
    return chosen_class is not None and chosen_class.volume_binding_mode == "WaitForFirstConsumer"


def belongs(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> bool:
    """Whether the volume is set aside for the claim."""
    ref = volume.spec.claim_ref
    return (
        ref is not None
        and (ref.namespace, ref.name) == (claim.metadata.namespace, claim.metadata.name)
        and ref.uid in ("", claim.metadata.uid)
    )


def could_serve(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> bool:
    """Whether an unbound volume is what the claim asks for, wherever it is."""
    spec, wants = volume.spec, claim.spec
    if storage_class(volume) != storage_class(claim) or volume.metadata.deletion_timestamp is not None:
        return False
    if spec.claim_ref is not None:
        return belongs(volume, claim)
    if volume.status.phase != "Available" or (spec.volume_mode or "Filesystem") != (wants.volume_mode or "Filesystem"):
        return False
    if wants.selector is not None and not as_selector(wants.selector).matches(volume.metadata.labels):
        return False
    size, requested = spec.capacity.get(STORAGE), wants.resources.requests.get(STORAGE)
    return set(wants.access_modes) <= set(spec.access_modes) and (
        requested is None or (size is not None and size >= requested)
    )


def on_node(volume: core.PersistentVolume, node: core.Node) -> bool:
    """Whether the node reaches the volume."""
    affinity = volume.spec.node_affinity
    terms = node_terms(affinity.required) if affinity is not None else None
    return terms is None or node_matches(terms, node.metadata.labels, node.metadata.name)


def smallest_first(volumes: Iterable[core.PersistentVolume]) -> list[core.PersistentVolume]:
    """By capacity, then by name."""

    def size(volume: core.PersistentVolume) -> tuple[int, str]:
        capacity = volume.spec.capacity.get(STORAGE)
        return capacity.nanos if capacity is not None else 0, volume.metadata.name

    return sorted(volumes, key=size)


def with_claim(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> core.PersistentVolume:
    """A copy of the volume that is bound to the claim."""
    bound = copy.deepcopy(volume)
    if bound.spec.claim_ref is None:
        bound.metadata.annotations[ANN_BOUND_BY_CONTROLLER] = "yes"
    bound.spec.claim_ref = core.ObjectReference(
        kind="PersistentVolumeClaim",
        api_version="v1",
        namespace=claim.metadata.namespace,
        name=claim.metadata.name,
        uid=claim.metadata.uid,
        resource_version=claim.metadata.resource_version,
    )
    return bound


def with_node(claim: core.PersistentVolumeClaim, node: str) -> core.PersistentVolumeClaim:
    """A copy of the claim whose volume is to be made for a node."""
    chosen = copy.deepcopy(claim)
    chosen.metadata.annotations[ANN_SELECTED_NODE] = node
    return chosen


def claims_of(info: PodInfo, cluster: Cluster) -> list[core.PersistentVolumeClaim] | str:
    """The claims of a pod, or what is wrong with them."""
    claims = []
    for name, ephemeral in claim_names(info.pod):
        claim = cluster.claims.get(name, info.namespace)
        if claim is None:
            if ephemeral:
                return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            return f'persistentvolumeclaim "{name}" not found'
        if claim.status.phase == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volume_name}"'
        if claim.metadata.deletion_timestamp is not None:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if ephemeral and not any(r.uid == info.uid for r in claim.metadata.owner_references):
            return f"PVC {info.namespace}/{name} was not created for pod {info.namespace}/{info.pod.metadata.name} (pod is not owner)"
        claims.append(claim)
    return claims

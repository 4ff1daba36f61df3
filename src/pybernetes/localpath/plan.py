"""Which claims and volumes are this node's business (upstream: provisioner.go, sig-storage-lib-external-provisioner/controller)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pybernetes.api.quantity import Quantity
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import (
    ANN_BETA_STORAGE_PROVISIONER,
    ANN_DYNAMICALLY_PROVISIONED,
    ANN_SELECTED_NODE,
    ANN_STORAGE_PROVISIONER,
    LABEL_HOSTNAME,
)

PROVISIONER: Final = "rancher.io/local-path"
FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"
ACCESS_MODES: Final = ("ReadWriteOnce", "ReadWriteOncePod")
RESIZING: Final = (
    "Resizing",
    "FileSystemResizePending",
    "ControllerResizeError",
    "NodeResizeError",
)  # conditions of a claim
WAITS: Final = "WaitForFirstConsumer"
NAME_BYTES: Final = 255  # of a file's name


class Refused(Exception):
    """A claim that cannot be served; one line for its events."""


@dataclass(frozen=True, slots=True)
class Place:
    """This node: its name, what its label kubernetes.io/hostname says, and the directory of the volumes there."""

    node: str
    hostname: str
    root: str


def ours(claim: core.PersistentVolumeClaim) -> bool:
    """Whether it asks for a volume of this provisioner, and has none."""
    if claim.spec.volume_name or claim.metadata.deletion_timestamp is not None:
        return False
    annotations = claim.metadata.annotations
    asked = annotations.get(ANN_STORAGE_PROVISIONER, annotations.get(ANN_BETA_STORAGE_PROVISIONER, ""))
    return asked == PROVISIONER


def selected_node(claim: core.PersistentVolumeClaim) -> str:
    """Where the scheduler wants the volume; "" where it has not said."""
    return claim.metadata.annotations.get(ANN_SELECTED_NODE, "")


def speaks_for(claims_class: storage.StorageClass, nodes: Iterable[core.Node], node: str) -> bool:
    """Whether this node says that a claim which waits for no pod cannot be served: of those that are Ready, the first."""
    if claims_class.volume_binding_mode == WAITS:
        return False  # it is served as soon as a pod uses it
    ready = [
        one.metadata.name
        for one in nodes
        if any(condition.type == "Ready" and condition.status == "True" for condition in one.status.conditions)
    ]
    return min(ready, default="") == node


def volume_name(claim: core.PersistentVolumeClaim) -> str:
    """The same at each try, so that a claim never gets two."""
    return f"pvc-{claim.metadata.uid}"


def directory_name(claim: core.PersistentVolumeClaim) -> str:
    """Upstream's, so that people find it; cut where a file's name must end, which leaves the part that is unique."""
    return f"{volume_name(claim)}_{claim.metadata.namespace}_{claim.metadata.name}"[:NAME_BYTES]


def check(claim: core.PersistentVolumeClaim) -> None:
    """Refused."""
    if claim.spec.selector is not None:
        raise Refused("claim.Spec.Selector is not supported")
    if any(mode not in ACCESS_MODES for mode in claim.spec.access_modes):
        raise Refused("NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes")
    if (claim.spec.volume_mode or "Filesystem") != "Filesystem":
        raise Refused("Block volume mode is not supported: the volume is a directory")
    if not selected_node(claim):
        raise Refused("configuration error, no node was specified: volumeBindingMode must be WaitForFirstConsumer")


def volume(
    claim: core.PersistentVolumeClaim, claims_class: storage.StorageClass, place: Place
) -> core.PersistentVolume:
    """As it is created. Refused."""
    check(claim)
    requirement = core.NodeSelectorRequirement(key=LABEL_HOSTNAME, operator="In", values=[place.hostname])
    term = core.NodeSelectorTerm(match_expressions=[requirement])
    annotations = {ANN_DYNAMICALLY_PROVISIONED: PROVISIONER}
    return core.PersistentVolume(
        metadata=meta.ObjectMeta(name=volume_name(claim), annotations=annotations, finalizers=[FINALIZER]),
        spec=core.PersistentVolumeSpec(
            access_modes=list(claim.spec.access_modes),
            capacity={"storage": claim.spec.resources.requests["storage"]},
            claim_ref=core.ObjectReference(
                api_version="v1",
                kind="PersistentVolumeClaim",
                namespace=claim.metadata.namespace,
                name=claim.metadata.name,
                uid=claim.metadata.uid,
                resource_version=claim.metadata.resource_version,
            ),
            host_path=core.HostPathVolumeSource(path=f"{place.root}/{directory_name(claim)}", type="DirectoryOrCreate"),
            mount_options=list(claims_class.mount_options),
            node_affinity=core.VolumeNodeAffinity(required=core.NodeSelector(node_selector_terms=[term])),
            persistent_volume_reclaim_policy=claims_class.reclaim_policy or "Delete",
            storage_class_name=storage_class(claim),
            volume_mode="Filesystem",
        ),
    )


def grown(claim: core.PersistentVolumeClaim, persistent: core.PersistentVolume | None, place: Place) -> Quantity | None:
    """What a claim that has its volume here asks for, where that is more than it has; whether it may, admission has decided."""
    asked = claim.spec.resources.requests.get("storage")
    if asked is None or claim.status.phase != "Bound" or claim.metadata.deletion_timestamp is not None:
        return None
    if persistent is None or not of_place(persistent, place):
        return None
    bound = persistent.spec.claim_ref
    if bound is None or bound.uid != claim.metadata.uid or claim.spec.volume_name != persistent.metadata.name:
        return None
    has = claim.status.capacity.get("storage")
    return asked if has is None or asked > has else None


def resized(claim: core.PersistentVolumeClaim, size: Quantity) -> dict[str, Any]:
    """The claim's status as a merge patch: nothing is left to do for a kubelet, since a directory is as large as what is in it."""
    amount = {"storage": str(size)}
    conditions = [condition for condition in claim.status.conditions if condition.type not in RESIZING]
    status = {
        "capacity": amount,
        "allocatedResources": amount,
        "allocatedResourceStatuses": None,
        "conditions": conditions,
    }
    return {"metadata": {"resourceVersion": claim.metadata.resource_version}, "status": status}


def of_place(persistent: core.PersistentVolume, place: Place) -> bool:
    """Whether it was made here."""
    if persistent.metadata.annotations.get(ANN_DYNAMICALLY_PROVISIONED) != PROVISIONER:
        return False
    required = persistent.spec.node_affinity.required if persistent.spec.node_affinity is not None else None
    requirements = [one for term in required.node_selector_terms for one in term.match_expressions] if required else []
    return any(one.key == LABEL_HOSTNAME and one.values == [place.hostname] for one in requirements)


def to_remove(persistent: core.PersistentVolume, place: Place) -> bool:
    """Whether its directory goes: its claim is gone, and it is not to be retained."""
    if not of_place(persistent, place) or persistent.spec.persistent_volume_reclaim_policy != "Delete":
        return False
    return persistent.status.phase in ("Released", "Failed") and (
        persistent.metadata.deletion_timestamp is None or FINALIZER in persistent.metadata.finalizers
    )


def to_let_go(persistent: core.PersistentVolume, place: Place) -> bool:
    """Whether only our finalizer goes: it is deleted, and what is in it is to be retained."""
    return (
        of_place(persistent, place)
        and persistent.metadata.deletion_timestamp is not None
        and FINALIZER in persistent.metadata.finalizers
        and persistent.spec.persistent_volume_reclaim_policy != "Delete"
    )


def directory_of(persistent: core.PersistentVolume, place: Place) -> str:
    """The name below the root. Refused for a path that this provisioner has not made: whoever may write volumes must not have any removed."""
    path = persistent.spec.host_path.path if persistent.spec.host_path is not None else ""
    parent, _, name = path.rpartition("/")
    if parent != place.root or not name.startswith(f"{persistent.metadata.name}_"):
        raise Refused(f"path {path!r} is not below {place.root}, or not of this volume: remove it by hand")
    return name


def leftovers(names: Iterable[str], volumes: Iterable[str], claims: Sequence[core.PersistentVolumeClaim]) -> list[str]:
    """Directories that no volume has and no claim will get: of a claim that ended just as its volume was made."""
    present = {*volumes, *(volume_name(claim) for claim in claims)}
    return [name for name in names if name.startswith("pvc-") and name.partition("_")[0] not in present]

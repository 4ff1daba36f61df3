"""Which claim goes with which volume; pure (upstream: pkg/controller/volume/persistentvolume, component-helpers/storage/volume)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from pybernetes.api.labels import as_selector
from pybernetes.api.quantity import Quantity
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import (
    ANN_BETA_STORAGE_PROVISIONER,
    ANN_BOUND_BY_CONTROLLER,
    ANN_DYNAMICALLY_PROVISIONED,
    ANN_STORAGE_PROVISIONER,
    BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
    BETA_STORAGE_CLASS_ANNOTATION,
    IS_DEFAULT_STORAGE_CLASS_ANNOTATION,
)

PROVISIONER = (ANN_BETA_STORAGE_PROVISIONER, ANN_STORAGE_PROVISIONER)
DEFAULT_CLASS = (IS_DEFAULT_STORAGE_CLASS_ANNOTATION, BETA_IS_DEFAULT_STORAGE_CLASS_ANNOTATION)
IN_TREE = "kubernetes.io/"  # provisioners of this prefix were upstream's own; none is left

ZERO = Quantity.from_int(0)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to record about the claim or the volume that was looked at."""

    type: str
    reason: str
    message: str


# --- facts -------------------------------------------------------------------------------------


def has_class(claim: core.PersistentVolumeClaim) -> bool:
    """Whether it names one, if only the empty one."""
    return BETA_STORAGE_CLASS_ANNOTATION in claim.metadata.annotations or claim.spec.storage_class_name is not None


def is_bound_to(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> bool:
    """Whether the volume's reference means the claim, by name at least."""
    ref = volume.spec.claim_ref
    if ref is None or (ref.namespace, ref.name) != (claim.metadata.namespace, claim.metadata.name):
        return False
    return ref.uid in ("", claim.metadata.uid)


def requested(claim: core.PersistentVolumeClaim) -> Quantity:
    return claim.spec.resources.requests.get("storage", ZERO)


def capacity(volume: core.PersistentVolume) -> Quantity:
    return volume.spec.capacity.get("storage", ZERO)


def mode(obj: core.PersistentVolumeClaim | core.PersistentVolume) -> str:
    """Filesystem or Block."""
    return obj.spec.volume_mode or "Filesystem"


def delays(claim: core.PersistentVolumeClaim, classes: dict[str, storage.StorageClass]) -> bool:
    """Whether binding waits for a pod."""
    storage_class_of_claim = classes.get(storage_class(claim))
    return storage_class_of_claim is not None and storage_class_of_claim.volume_binding_mode == "WaitForFirstConsumer"


def default_class(classes: Iterable[storage.StorageClass]) -> str:
    """The newest of those that are marked as default; "" without one."""
    marked = [c for c in classes if any(c.metadata.annotations.get(key) == "true" for key in DEFAULT_CLASS)]
    if not marked:
        return ""

    def order(candidate: storage.StorageClass) -> tuple[float, str]:
        created = candidate.metadata.creation_timestamp
        return (-created.timestamp() if created is not None else 0.0, candidate.metadata.name)

    return min(marked, key=order).metadata.name


# --- matching ----------------------------------------------------------------------------------


def best_match(
    claim: core.PersistentVolumeClaim, volumes: Iterable[core.PersistentVolume], delayed: bool
) -> core.PersistentVolume | None:
    """A volume that was made for the claim, else the smallest that will do, of those with the fewest access modes.

    With delayed binding only the first: the scheduler chooses among the others.
    """
    claimed = set(claim.spec.access_modes)
    groups: dict[tuple[int, tuple[str, ...]], list[core.PersistentVolume]] = {}
    for volume in volumes:
        modes = tuple(sorted(set(volume.spec.access_modes)))
        if claimed <= set(modes):
            groups.setdefault((len(modes), modes), []).append(volume)
    for key in sorted(groups):
        matched = _match(claim, groups[key], delayed)
        if matched is not None:
            return matched
    return None


def _match(
    claim: core.PersistentVolumeClaim, volumes: Sequence[core.PersistentVolume], delayed: bool
) -> core.PersistentVolume | None:
    selector = as_selector(claim.spec.selector) if claim.spec.selector is not None else None
    smallest: core.PersistentVolume | None = None
    for volume in volumes:
        if mode(claim) != mode(volume) or volume.metadata.deletion_timestamp is not None:
            continue
        if (claim.spec.volume_attributes_class_name or "") != (volume.spec.volume_attributes_class_name or ""):
            continue
        if is_bound_to(volume, claim):
            if capacity(volume) >= requested(claim):
                return volume
            continue
        if delayed or volume.spec.claim_ref is not None or storage_class(volume) != storage_class(claim):
            continue
        if selector is not None and not selector.matches(volume.metadata.labels):
            continue
        large_enough = capacity(volume) >= requested(claim)
        if large_enough and (smallest is None or capacity(smallest) > capacity(volume)):
            smallest = volume
    return smallest


def mismatch(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> str:
    """Why a claim must not get the volume it names; "" if it may."""
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if storage_class(volume) != storage_class(claim):
        return "storageClassName does not match"
    if mode(volume) != mode(claim):
        return "incompatible volumeMode"
    if not set(claim.spec.access_modes) <= set(volume.spec.access_modes):
        return "incompatible accessMode"
    return ""


# --- claims ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind the claim to the volume."""

    volume: core.PersistentVolume


@dataclass(frozen=True, slots=True)
class Pending:
    """The claim waits; `event` says for what."""

    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The claim had a volume and has none now."""

    event: Event


@dataclass(frozen=True, slots=True)
class Provision:
    """Somebody has to make a volume."""


@dataclass(frozen=True, slots=True)
class AssignClass:
    """The claim names no class, and there is a default."""

    name: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """What can only be somebody's mistake; tried again."""

    text: str


ClaimAction = Bind | Pending | Lost | Provision | AssignClass | Wrong

NO_VOLUME = Event(
    "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"
)


def waiting_event(pods: Sequence[str]) -> Event:
    """Of a claim that waits for its first consumer; `pods` are those that use it and have no node."""
    if not pods:
        return Event("Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    who = f"pods {','.join(pods)}" if len(pods) > 1 else f"pod {pods[0]}"
    return Event("Normal", "WaitForPodScheduled", f"waiting for {who} to be scheduled")


def plan_named(claim: core.PersistentVolumeClaim, volume: core.PersistentVolume | None) -> ClaimAction:
    """A claim that names its volume and is not bound."""
    if volume is None:
        return Pending()
    ref = volume.spec.claim_ref
    if ref is None:
        why = mismatch(volume, claim)
        if why:
            text = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
            return Pending(Event("Warning", "VolumeMismatch", text))
        return Bind(volume)
    if is_bound_to(volume, claim):
        return Bind(volume)
    name = volume.metadata.name
    if ANN_BOUND_BY_CONTROLLER in claim.metadata.annotations:
        whose = f"{claim.metadata.namespace}/{claim.metadata.name}"
        return Wrong(
            f'invalid binding of claim "{whose}" to volume "{name}": '
            f'volume already claimed by "{ref.namespace}/{ref.name}"'
        )
    return Pending(Event("Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.'))


def plan_bound(claim: core.PersistentVolumeClaim, volume: core.PersistentVolume | None) -> ClaimAction:
    """A claim that was bound before."""
    if not claim.spec.volume_name:
        text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return Lost(Event("Warning", "ClaimLost", text))
    if volume is None:
        text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return Lost(Event("Warning", "ClaimLost", text))
    if volume.spec.claim_ref is None or volume.spec.claim_ref.uid == claim.metadata.uid:
        return Bind(volume)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Lost(Event("Warning", "ClaimMisbound", text))


# --- volumes -----------------------------------------------------------------------------------


class VolumeAction(Enum):
    """What has to be done about a volume."""

    AVAILABLE = 1  # it is free, or kept for a claim that has not come
    RECLAIM = 2  # its claim is gone
    MISMATCH = 3  # it and its claim can never be bound
    CLAIM = 4  # the claim is to be looked at
    BOUND = 5
    UNBIND = 6  # its claim has another volume


def plan_volume(volume: core.PersistentVolume, claim: core.PersistentVolumeClaim | None) -> VolumeAction:
    """`claim` is the live one that the volume's reference means, by uid too; None if there is none."""
    ref = volume.spec.claim_ref
    if ref is None or not ref.uid:
        return VolumeAction.AVAILABLE
    if claim is None:
        return VolumeAction.RECLAIM
    if not claim.spec.volume_name:
        return VolumeAction.MISMATCH if mode(claim) != mode(volume) else VolumeAction.CLAIM
    if claim.spec.volume_name == volume.metadata.name:
        return VolumeAction.BOUND
    provisioned = ANN_DYNAMICALLY_PROVISIONED in volume.metadata.annotations
    if provisioned and volume.spec.persistent_volume_reclaim_policy == "Delete":
        return VolumeAction.RECLAIM
    return VolumeAction.UNBIND


def reclaim(volume: core.PersistentVolume) -> Event | None:
    """Why a volume without its claim is Failed; None if nothing is to be done here: it is kept, or another deletes it."""
    policy = volume.spec.persistent_volume_reclaim_policy
    if policy == "Retain":
        return None
    if policy == "Delete":
        by = volume.metadata.annotations.get(ANN_DYNAMICALLY_PROVISIONED, "")
        if by and not by.startswith(IN_TREE):
            return None
        name = volume.metadata.name
        text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
        return Event("Warning", "VolumeFailedDelete", text)
    if policy == "Recycle":
        return Event("Warning", "VolumeFailedRecycle", "No recycler plugin found for the volume!")
    text = "Volume has unrecognized PersistentVolumeReclaimPolicy"
    return Event("Warning", "VolumeUnknownReclaimPolicy", text)


def match_keys(volume: core.PersistentVolume) -> list[str]:
    """Index: free volumes by class, others by the claim that they are for."""
    ref = volume.spec.claim_ref
    return [f"class/{storage_class(volume)}"] if ref is None else [f"claim/{ref.namespace}/{ref.name}"]

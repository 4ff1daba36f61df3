"""Binds claims and volumes, and releases volumes (upstream: pkg/controller/volume/persistentvolume).

Volumes are made and deleted by outside provisioners; of upstream's own plugins none is here, so that a volume of policy
Delete that nobody made, and every volume of policy Recycle, becomes Failed when its claim is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from pybernetes.api.errors import StatusError
from pybernetes.api.pods import is_finished
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import ANN_BIND_COMPLETED, ANN_BOUND_BY_CONTROLLER, ANN_SELECTED_NODE
from pybernetes.client.eventoutbox import reference_to
from pybernetes.client.types import Object, present

from ...common import Key, clone, key_of
from ...framework import Again, Context, Controller
from ...indexers import BY_CLAIM, claims_of
from .plan import (
    IN_TREE,
    NO_VOLUME,
    PROVISIONER,
    AssignClass,
    Bind,
    ClaimAction,
    Event,
    Lost,
    Pending,
    Provision,
    VolumeAction,
    Wrong,
    best_match,
    default_class,
    delays,
    has_class,
    is_bound_to,
    match_keys,
    plan_bound,
    plan_named,
    plan_volume,
    reclaim,
    waiting_event,
)

V = TypeVar("V", core.PersistentVolume, core.PersistentVolumeClaim)

MATCH = "match"
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. "
    "If volume creation is delayed, please verify that the provisioner is running and correctly registered."
)


class PersistentVolumeController(Controller):
    """One queue of claims and volumes with one worker: two at a time could bind one volume twice.

    What was written counts at once, before the informers show it: binding is four writes.
    """

    name = "persistentvolume-binder-controller"
    account = "persistent-volume-binder"
    component = "persistentvolume-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._written: dict[tuple[type[Object], Key], Object] = {}
        self._volumes = self.informer(core.PersistentVolume)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._classes = self.informer(storage.StorageClass)
        self._pods = self.informer(core.Pod)
        self._volumes.add_index(MATCH, match_keys)
        self._pods.add_index(BY_CLAIM, claims_of)
        self._volumes.add_handler(self._on_volume)
        self._claims.add_handler(self._on_claim)
        self._classes.add_handler(self._on_class)

    # --- what happens

    def _on_volume(self, old: core.PersistentVolume | None, new: core.PersistentVolume | None) -> None:
        volume = present(old, new)
        self._seen(volume, new is None)
        if new is not None:
            self.queue.add(("volume", "", volume.metadata.name))
        if volume.spec.claim_ref is not None:
            self.queue.add(("claim", volume.spec.claim_ref.namespace, volume.spec.claim_ref.name))
        elif old is None:
            # Upstream has claims find a new volume with the next resync only.
            for claim in self._claims.list():
                if not claim.spec.volume_name and storage_class(claim) == storage_class(volume):
                    self.queue.add(("claim", *key_of(claim)))

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        claim = present(old, new)
        self._seen(claim, new is None)
        if new is not None:
            self.queue.add(("claim", *key_of(claim)))
        elif claim.spec.volume_name:
            self.queue.add(("volume", "", claim.spec.volume_name))

    def _on_class(self, old: storage.StorageClass | None, new: storage.StorageClass | None) -> None:
        if new is None or (old is not None and old.metadata.annotations == new.metadata.annotations):
            return
        for claim in self._claims.list():
            if not claim.spec.volume_name and (not has_class(claim) or storage_class(claim) == new.metadata.name):
                self.queue.add(("claim", *key_of(claim)))

    def background(self) -> Iterable[Awaitable[None]]:
        return (self._resync(),)

    async def _resync(self) -> None:
        """Looks again at what is not settled."""
        while True:
            await self.context.clock.sleep(self.context.options.pvclaimbinder_sync_period)
            for claim in self._claims.list():
                if claim.status.phase != "Bound":
                    self.queue.add(("claim", *key_of(claim)))
            for volume in self._volumes.list():
                if volume.status.phase not in ("Bound", "Available"):
                    self.queue.add(("volume", "", volume.metadata.name))

    # --- what is known

    def _seen(self, obj: Object, gone: bool) -> None:
        key = (type(obj), key_of(obj))
        written = self._written.get(key)
        if written is not None and (gone or _version(obj) >= _version(written)):
            del self._written[key]

    def _newest(self, obj: V) -> V:
        written = self._written.get((type(obj), key_of(obj)))
        if not isinstance(written, type(obj)) or written.metadata.uid != obj.metadata.uid:
            return obj
        return written if _version(written) > _version(obj) else obj

    def _volume(self, name: str) -> core.PersistentVolume | None:
        cached = self._volumes.get(name)
        return self._newest(cached) if cached is not None else None

    def _claim(self, namespace: str, name: str) -> core.PersistentVolumeClaim | None:
        cached = self._claims.get(name, namespace)
        return self._newest(cached) if cached is not None else None

    async def _write(self, obj: V, subresource: str = "") -> V:
        new = await self.client.update(obj, subresource)
        self._written[type(new), key_of(new)] = new
        return new

    # --- deciding

    async def sync(self, key: tuple[str, str, str]) -> None:
        """Brings one claim or one volume a step on: binding, phase, reclaiming."""
        kind, namespace, name = key
        try:
            if kind == "claim":
                claim = self._claim(namespace, name)
                if claim is not None:
                    await self._sync_claim(claim)
            else:
                volume = self._volume(name)
                if volume is not None:
                    await self._sync_volume(volume)
        except StatusError as error:
            if error.code != 404:
                raise

    async def _sync_claim(self, claim: core.PersistentVolumeClaim) -> None:
        action = self._plan(claim)
        if isinstance(action, Bind):
            await self._bind(action.volume, claim)
        elif isinstance(action, Provision):
            await self._provision(claim)
        elif isinstance(action, AssignClass):
            desired = clone(claim)
            desired.spec.storage_class_name = action.name
            await self._write(desired)
        elif isinstance(action, Wrong):
            raise Again(action.text)
        elif isinstance(action, Lost):
            if claim.status.phase != "Lost":
                claim = await self._claim_status(claim, "Lost", None)
                self._tell(claim, action.event)
        else:
            self._tell(claim, action.event)
            await self._claim_status(claim, "Pending", None)

    def _plan(self, claim: core.PersistentVolumeClaim) -> ClaimAction:
        named = self._volume(claim.spec.volume_name) if claim.spec.volume_name else None
        if ANN_BIND_COMPLETED in claim.metadata.annotations:
            return plan_bound(claim, named)
        if claim.spec.volume_name:
            return plan_named(claim, named)
        classes = {candidate.metadata.name: candidate for candidate in self._classes.list()}
        delayed = delays(claim, classes)
        candidate = best_match(claim, self._candidates(claim), delayed)
        if candidate is not None:
            return Bind(candidate)
        default = default_class(classes.values()) if not has_class(claim) else ""
        if default:
            return AssignClass(default)
        if delayed and ANN_SELECTED_NODE not in claim.metadata.annotations:
            return Pending(waiting_event(self._unscheduled(claim)))
        return Provision() if storage_class(claim) else Pending(NO_VOLUME)

    def _candidates(self, claim: core.PersistentVolumeClaim) -> list[core.PersistentVolume]:
        keys = (f"class/{storage_class(claim)}", f"claim/{claim.metadata.namespace}/{claim.metadata.name}")
        return [self._newest(volume) for key in keys for volume in self._volumes.by_index(MATCH, key)]

    def _unscheduled(self, claim: core.PersistentVolumeClaim) -> list[str]:
        pods = self._pods.by_index(BY_CLAIM, f"{claim.metadata.namespace}/{claim.metadata.name}")
        return sorted(pod.metadata.name for pod in pods if not pod.spec.node_name and not is_finished(pod))

    def _tell(self, about: Object, event: Event | None) -> None:
        if event is not None:
            self.recorder.event(about, event.type, event.reason, event.message)

    # --- claims

    async def _bind(self, volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> None:
        """Volume, its status, claim, its status: whoever dies in between, the next one goes on."""
        volume = await self._volume_to_claim(volume, claim)
        volume = await self._volume_phase(volume, "Bound")
        claim = await self._claim_to_volume(claim, volume)
        await self._claim_status(claim, "Bound", volume)

    async def _volume_to_claim(
        self, volume: core.PersistentVolume, claim: core.PersistentVolumeClaim
    ) -> core.PersistentVolume:
        ref = volume.spec.claim_ref
        if ref is not None and is_bound_to(volume, claim) and ref.uid == claim.metadata.uid:
            return volume
        reserved = clone(volume)
        if not is_bound_to(volume, claim):
            reserved.metadata.annotations.setdefault(ANN_BOUND_BY_CONTROLLER, "yes")
        reserved.spec.claim_ref = reference_to(claim)
        written = await self._write(reserved)
        return written

    async def _claim_to_volume(
        self, claim: core.PersistentVolumeClaim, volume: core.PersistentVolume
    ) -> core.PersistentVolumeClaim:
        bound = clone(claim)
        if claim.spec.volume_name != volume.metadata.name:
            bound.spec.volume_name = volume.metadata.name
            bound.metadata.annotations.setdefault(ANN_BOUND_BY_CONTROLLER, "yes")
        bound.metadata.annotations.setdefault(ANN_BIND_COMPLETED, "yes")
        return await self._write(bound) if bound != claim else claim

    async def _claim_status(
        self, claim: core.PersistentVolumeClaim, phase: str, volume: core.PersistentVolume | None
    ) -> core.PersistentVolumeClaim:
        desired = clone(claim)
        status = desired.status
        if volume is None:
            status.access_modes, status.capacity = [], {}
        else:
            status.access_modes = list(volume.spec.access_modes)
            if status.phase != phase:  # later it may be less than the volume's, while the file system is to grow
                status.capacity = dict(volume.spec.capacity)
                attributes = volume.spec.volume_attributes_class_name
                status.current_volume_attributes_class_name = attributes or None
        status.phase = phase
        return await self._write(desired, "status") if desired != claim else claim

    async def _provision(self, claim: core.PersistentVolumeClaim) -> None:
        name = storage_class(claim)
        provisioner_class = self._classes.get(name)
        if provisioner_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._tell(claim, Event("Warning", "ProvisioningFailed", text))
            return
        if provisioner_class.provisioner.startswith(IN_TREE):
            text = f"no volume plugin matched name: {provisioner_class.provisioner}"
            self._tell(claim, Event("Warning", "ProvisioningFailed", text))
            return
        annotated = clone(claim)
        for key in PROVISIONER:
            annotated.metadata.annotations[key] = provisioner_class.provisioner
        if annotated != claim:
            claim = await self._write(annotated)
        self._tell(claim, Event("Normal", "ExternalProvisioning", EXTERNAL.format(provisioner_class.provisioner)))

    # --- volumes

    async def _sync_volume(self, volume: core.PersistentVolume) -> None:
        claim = await self._claim_of(volume)
        match plan_volume(volume, claim):
            case VolumeAction.AVAILABLE:
                await self._volume_phase(volume, "Available")
            case VolumeAction.BOUND:
                await self._volume_phase(volume, "Bound")
            case VolumeAction.CLAIM:
                assert claim is not None
                self.queue.add(("claim", *key_of(claim)))
            case VolumeAction.MISMATCH:
                assert claim is not None
                self._tell_mismatch(volume, claim)
            case VolumeAction.UNBIND:
                await self._unbind(volume)
            case VolumeAction.RECLAIM:
                if volume.status.phase not in ("Released", "Failed"):
                    volume = await self._volume_phase(volume, "Released")
                event = reclaim(volume)
                if event is not None and volume.status.phase != "Failed":
                    volume = await self._volume_phase(volume, "Failed", event.message)
                    self._tell(volume, event)

    async def _claim_of(self, volume: core.PersistentVolume) -> core.PersistentVolumeClaim | None:
        """The claim that is meant; asked of the server before a volume is given up."""
        ref = volume.spec.claim_ref
        if ref is None or not ref.uid:
            return None
        claim = self._claim(ref.namespace, ref.name)
        if claim is not None and claim.metadata.uid == ref.uid:
            return claim
        if volume.status.phase in ("Released", "Failed"):
            return None
        try:
            claim = await self.client.get(core.PersistentVolumeClaim, ref.name, ref.namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise
        return claim if claim.metadata.uid == ref.uid else None

    def _tell_mismatch(self, volume: core.PersistentVolume, claim: core.PersistentVolumeClaim) -> None:
        why = "due to incompatible volumeMode."
        of_volume = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{claim.metadata.name}" {why}'
        of_claim = f'Cannot bind PersistentVolume "{volume.metadata.name}" to requested PersistentVolumeClaim {why}'
        self._tell(volume, Event("Warning", "VolumeMismatch", of_volume))
        self._tell(claim, Event("Warning", "VolumeMismatch", of_claim))

    async def _unbind(self, volume: core.PersistentVolume) -> None:
        unbound = clone(volume)
        if ANN_BOUND_BY_CONTROLLER in unbound.metadata.annotations:
            unbound.spec.claim_ref = None
            del unbound.metadata.annotations[ANN_BOUND_BY_CONTROLLER]
        elif unbound.spec.claim_ref is not None:
            unbound.spec.claim_ref.uid = ""
        await self._volume_phase(await self._write(unbound), "Available")

    async def _volume_phase(
        self, volume: core.PersistentVolume, phase: str, message: str = ""
    ) -> core.PersistentVolume:
        if volume.status.phase == phase:
            return volume
        desired = clone(volume)
        desired.status.phase, desired.status.message = phase, message
        written = await self._write(desired, "status")
        return written


def _version(obj: Object) -> int:
    """Resource versions of one resource are numbers that grow (KEP-5504)."""
    text = obj.metadata.resource_version
    return int(text) if text.isdigit() else 0

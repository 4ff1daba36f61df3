"""Keeps claims that pods use, volumes that are bound, and attribute classes that either names, from being deleted.

Upstream: pkg/controller/volume/pvcprotection, pvprotection, vacprotection.
"""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import PV_PROTECTION_FINALIZER, PVC_PROTECTION_FINALIZER
from pybernetes.client.types import Object

from ...common import Key, clone
from ...framework import Context, Controller
from ...indexers import BY_CLAIM, claims_of
from .plan import User, classes_of, finalizers_with

CLASS_FINALIZER = "kubernetes.io/vac-protection"
BY_CLASS = "volumeAttributesClass"


def uses(pod: core.Pod, claim: Key) -> bool:
    """Whether a pod that has a node uses the claim; the kubelet starts none whose claim is being deleted."""
    return bool(pod.spec.node_name) and f"{claim[0]}/{claim[1]}" in claims_of(pod)


class _Protection(Controller):
    async def _set(self, obj: Object, finalizers: list[str] | None) -> None:
        if finalizers is None:
            return
        desired = clone(obj)
        desired.metadata.finalizers = finalizers
        try:
            await self.client.update(desired)
        except StatusError as error:
            if error.code != 404:
                raise


class PVCProtectionController(_Protection):
    """One queue of claims: the finalizer stays while a pod uses the claim."""

    name = "persistentvolumeclaim-protection-controller"
    account = "pvc-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._pods = self.informer(core.Pod)
        self._pods.add_index(BY_CLAIM, claims_of)
        self._claims.add_handler(self._on_claim)
        self._pods.add_handler(self._on_pod)

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        if new is not None and finalizers_with(new, PVC_PROTECTION_FINALIZER, used=False) is not None:
            self.enqueue(new)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if (new is None and old is not None) or (
            old is not None and new is not None and old.metadata.uid != new.metadata.uid
        ):
            self._look_at(old)

    def _look_at(self, pod: core.Pod) -> None:
        for key in claims_of(pod):
            namespace, _, name = key.partition("/")
            self.queue.add((namespace, name))

    async def sync(self, key: Key) -> None:
        """Adds the finalizer, or takes it from a claim that is being deleted and that no pod uses."""
        claim = self._claims.get(key[1], key[0])
        if claim is not None:
            used = claim.metadata.deletion_timestamp is not None and await self._used(key)
            await self._set(claim, finalizers_with(claim, PVC_PROTECTION_FINALIZER, used))

    async def _used(self, key: Key) -> bool:
        if any(uses(pod, key) for pod in self._pods.by_index(BY_CLAIM, f"{key[0]}/{key[1]}")):
            return True
        live = await self.client.list(core.Pod, key[0])  # the informer may be behind
        return any(uses(pod, key) for pod in live.items)


class PVProtectionController(_Protection):
    """One queue of volumes: the finalizer stays while a volume is bound."""

    name = "persistentvolume-protection-controller"
    account = "pv-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._volumes = self.informer(core.PersistentVolume)
        self._volumes.add_handler(self._on_volume)

    def _on_volume(self, old: core.PersistentVolume | None, new: core.PersistentVolume | None) -> None:
        if new is not None and finalizers_with(new, PV_PROTECTION_FINALIZER, used=False) is not None:
            self.enqueue(new)

    async def sync(self, key: Key) -> None:
        """Adds the finalizer, or takes it from a volume that is being deleted and not bound."""
        volume = self._volumes.get(key[1])
        if volume is not None:
            await self._set(volume, finalizers_with(volume, PV_PROTECTION_FINALIZER, volume.status.phase == "Bound"))


class VACProtectionController(_Protection):
    """One queue of attribute classes: the finalizer stays while a claim or a volume names the class."""

    name = "volumeattributesclass-protection-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._classes = self.informer(storage.VolumeAttributesClass)
        self._users = (self.informer(core.PersistentVolumeClaim), self.informer(core.PersistentVolume))
        self._classes.add_handler(self._on_class)
        for users in self._users:
            users.add_index(BY_CLASS, classes_of)
            users.add_handler(self._on_user)

    def _on_class(self, old: storage.VolumeAttributesClass | None, new: storage.VolumeAttributesClass | None) -> None:
        if new is not None and finalizers_with(new, CLASS_FINALIZER, used=False) is not None:
            self.enqueue(new)

    def _on_user(
        self,
        old: User | None,
        new: User | None,
    ) -> None:
        if old is not None:
            for name in set(classes_of(old)) - set(classes_of(new) if new is not None else ()):
                self.queue.add(("", name))

    async def sync(self, key: Key) -> None:
        """Adds the finalizer, or takes it from a class that is being deleted and that nothing names."""
        attributes_class = self._classes.get(key[1])
        if attributes_class is not None:
            used = any(users.by_index(BY_CLASS, key[1]) for users in self._users)
            await self._set(attributes_class, finalizers_with(attributes_class, CLASS_FINALIZER, used))

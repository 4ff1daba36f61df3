"""Makes volumes for claims, lets them grow and removes them again; events and finalizer are sig-storage-lib-external-provisioner's, and
external-resizer's."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from pybernetes.aio.backoff import ItemExponentialFailureRateLimiter
from pybernetes.aio.clock import Clock
from pybernetes.aio.workqueue import WorkQueue
from pybernetes.api.errors import StatusError
from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import LABEL_HOSTNAME
from pybernetes.client.events import EventRecorder
from pybernetes.client.types import Client, Informers, present

from . import plan
from .directories import Directories
from .plan import Place, Refused

_log = logging.getLogger(__name__)

MIN_RETRY, MAX_RETRY = 1.0, 300.0  # seconds between tries

Key = tuple[Literal["claim", "size", "volume"], str, str]  # (what, namespace, name)


class Provisioner:
    """`run` until cancelled. What it does may be done again after a crash: names are the claim's, and what is there stays."""

    def __init__(
        self, node: str, root: str, client: Client, informers: Informers, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._node, self._directories = node, Directories(root)
        self._client, self._informers, self._recorder, self._clock = client, informers, recorder, clock
        self._claims = informers.informer(core.PersistentVolumeClaim)
        self._volumes = informers.informer(core.PersistentVolume)
        self._classes = informers.informer(storage.StorageClass)
        self._queue: WorkQueue[Key] = WorkQueue(clock, ItemExponentialFailureRateLimiter(MIN_RETRY, MAX_RETRY))
        self._told: dict[str, str] = {}  # by claim's uid: refusals that its events tell already

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        if new is not None and plan.ours(new) and plan.selected_node(new) in ("", self._node):
            self._queue.add(("claim", new.metadata.namespace, new.metadata.name))
        if new is not None and new.spec.volume_name:
            self._queue.add(("size", new.metadata.namespace, new.metadata.name))
        if new is None:
            self._told.pop(present(old, new).metadata.uid, None)

    def _on_volume(self, _: core.PersistentVolume | None, new: core.PersistentVolume | None) -> None:
        if new is None:
            return
        if new.metadata.deletion_timestamp is not None or new.status.phase in ("Released", "Failed"):
            self._queue.add(("volume", "", new.metadata.name))

    async def run(self) -> None:
        """One after the other: making a directory takes no time, and removing one should not take the whole disk's."""
        place = await self._place()
        await self._informers.wait_synced()
        await self._sweep()
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        while True:
            key = await self._queue.get()
            try:
                await self._work(key, place)
                self._queue.forget(key)
            except (StatusError, OSError, TimeoutError) as error:
                if not isinstance(error, StatusError) or error.code != 404:  # it is gone meanwhile
                    _log.warning("%s %s: %s", key[0], "/".join(filter(None, key[1:])), error)
                    self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _work(self, key: Key, place: Place) -> None:
        what, namespace, name = key
        if what == "claim":
            await self._claim(key, place)
        elif what == "size":
            await self._size(namespace, name, place)
        else:
            await self._volume(name, place)

    async def _place(self) -> Place:
        """As soon as the node is registered."""
        while True:
            try:
                node = await self._client.get(core.Node, self._node)
                hostname = node.metadata.labels.get(LABEL_HOSTNAME, self._node)
                return Place(self._node, hostname, self._directories.root)
            except (StatusError, OSError, TimeoutError) as error:
                _log.warning("node %s cannot be read, it will be tried again: %s", self._node, error)
                await self._clock.sleep(MIN_RETRY)

    async def _sweep(self) -> None:
        """What a crash may have left between a directory and its volume."""
        names = await asyncio.to_thread(self._directories.names)
        volumes = [volume.metadata.name for volume in self._volumes.list()]
        for name in plan.leftovers(names, volumes, self._claims.list()):
            if await asyncio.to_thread(self._directories.remove_empty, name):
                _log.info("removed the empty directory %s, which no volume has", name)

    # Claims.

    async def _claim(self, key: Key, place: Place) -> None:
        claim = self._claims.get(key[2], key[1])
        if claim is None or not plan.ours(claim):
            return
        claims_class = self._classes.get(storage_class(claim))
        if claims_class is None:
            if plan.selected_node(claim) == self._node:
                self._refuse(claim, f'storageclass.storage.k8s.io "{storage_class(claim)}" not found')
            return
        if not plan.selected_node(claim) and not plan.speaks_for(
            claims_class, (await self._client.list(core.Node)).items, self._node
        ):
            return
        await self._provision(claim, claims_class, place)

    async def _provision(
        self, claim: core.PersistentVolumeClaim, claims_class: storage.StorageClass, place: Place
    ) -> None:
        name = plan.volume_name(claim)
        if self._volumes.get(name) is not None:
            return
        try:
            volume = plan.volume(claim, claims_class, place)
        except Refused as refusal:
            self._refuse(claim, str(refusal))
            return
        text = (
            f'External provisioner is provisioning volume for claim "{claim.metadata.namespace}/{claim.metadata.name}"'
        )
        self._recorder.normal(claim, "Provisioning", text)
        try:
            await asyncio.to_thread(self._directories.make, plan.directory_name(claim))
        except OSError as error:
            self._refuse(claim, f"{error.filename or place.root}: {error.strerror or error}")
            raise
        try:
            await self._client.create(volume)
        except StatusError as error:
            if error.code != 409:  # made by the try before this, whose answer was lost
                raise
        _log.info("volume %s is %s/%s", name, place.root, plan.directory_name(claim))
        self._told.pop(claim.metadata.uid, None)
        self._recorder.normal(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _refuse(self, claim: core.PersistentVolumeClaim, why: str) -> None:
        text = f'failed to provision volume with StorageClass "{storage_class(claim)}": {why}'
        if self._told.get(claim.metadata.uid) != text:
            self._told[claim.metadata.uid] = text
            self._recorder.warning(claim, "ProvisioningFailed", text)

    async def _size(self, namespace: str, name: str, place: Place) -> None:
        """The volume first, so that a claim never says more than its volume does."""
        claim = self._claims.get(name, namespace)
        if claim is None:
            return
        volume = self._volumes.get(claim.spec.volume_name)
        size = plan.grown(claim, volume, place)
        if volume is None or size is None:
            return
        text = f"External resizer is resizing volume {volume.metadata.name}"
        self._recorder.normal(claim, "Resizing", text)
        has = volume.spec.capacity.get("storage")
        if has is None or size > has:
            capacity = {"spec": {"capacity": {"storage": str(size)}}}
            await self._client.patch(core.PersistentVolume, volume.metadata.name, "", capacity)
        patch = plan.resized(claim, size)
        await self._client.patch(core.PersistentVolumeClaim, name, namespace, patch, subresource="status")
        _log.info("claim %s/%s has %s now", namespace, name, size)
        self._recorder.normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded")

    # Volumes.

    async def _volume(self, name: str, place: Place) -> None:
        volume = self._volumes.get(name)
        if volume is None:
            return
        if plan.to_let_go(volume, place):
            await self._let_go(volume)
            return
        if not plan.to_remove(volume, place):
            return
        # The informer may lag behind: what somebody uses again is not removed by yesterday's word.
        volume = await self._client.get(core.PersistentVolume, name)
        if not plan.to_remove(volume, place):
            return
        try:
            directory = plan.directory_of(volume, place)
            await asyncio.to_thread(self._directories.remove, directory)
        except Refused as refusal:
            self._recorder.warning(volume, "VolumeFailedDelete", f"failed to delete volume {name}: {refusal}")
            return
        except OSError as error:
            why = f"{error.filename or place.root}: {error.strerror or error}"
            self._recorder.warning(volume, "VolumeFailedDelete", f"failed to delete volume {name}: {why}")
            raise
        _log.info("removed %s of volume %s", directory, name)
        if volume.metadata.deletion_timestamp is None:
            await self._client.delete(core.PersistentVolume, name, uid=volume.metadata.uid)
        await self._let_go(volume)

    async def _let_go(self, volume: core.PersistentVolume) -> None:
        """Without the finalizer it goes as soon as it is deleted."""
        try:
            volume = await self._client.get(core.PersistentVolume, volume.metadata.name)
        except StatusError as error:
            if error.code == 404:
                return
            raise
        left = [one for one in volume.metadata.finalizers if one != plan.FINALIZER]
        if left == volume.metadata.finalizers:
            return
        patch = {"metadata": {"finalizers": left, "resourceVersion": volume.metadata.resource_version}}
        await self._client.patch(core.PersistentVolume, volume.metadata.name, "", patch)

"""Asks CSI drivers to attach volumes to the nodes of the pods that use them (upstream: pkg/controller/volume/attachdetach).

Only persistent volumes of CSI drivers: upstream's own plugins that attached are gone. What is attached is read from the
VolumeAttachments each time, so that nothing is lost with a restart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import storage_v1 as storage
from pybernetes.client.retry import retry_on_conflict

from ...framework import Context, Controller
from ...indexers import BY_CLAIM, BY_NODE, by_node, claims_of
from .plan import (
    Attach,
    Detach,
    MultiAttach,
    Need,
    Volume,
    Wait,
    attachable,
    attached_of,
    means,
    needs_volumes,
    plan,
)

BY_VOLUME, BY_ATTACHED_NODE = "volume", "node"
RETRY_SECONDS = 5.0  # until a volume that another node holds is tried again
VOLUME, NODE = "volume", "node"


class AttachDetachController(Controller):
    """One queue of volumes, to attach and detach, and of nodes, whose status shows what is attached."""

    name = "persistentvolume-attach-detach-controller"
    component = "attachdetach-controller"
    account = "attachdetach-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=10)
        self._unneeded: dict[str, float] = {}  # attachments by name -> since when
        self._leaving: set[str] = set()  # attachments that nodes no longer show
        self._told: set[tuple[str, str]] = set()  # (volume, node) of a failed attachment that was told
        self._pods = self.informer(core.Pod)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._volumes = self.informer(core.PersistentVolume)
        self._nodes = self.informer(core.Node)
        self._drivers = self.informer(storage.CSIDriver)
        self._attachments = self.informer(storage.VolumeAttachment)
        self._pods.add_index(BY_CLAIM, claims_of)
        self._pods.add_index(BY_NODE, by_node)
        self._attachments.add_index(BY_VOLUME, lambda a: [a.spec.source.persistent_volume_name or ""])
        self._attachments.add_index(BY_ATTACHED_NODE, lambda a: [a.spec.node_name])
        self._pods.add_handler(self._on_pod)
        self._claims.add_handler(self._on_claim)
        self._nodes.add_handler(self._on_node)
        self._attachments.add_handler(self._on_attachment)

    # --- what happens

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        moved = old is None or new is None or old.spec.node_name != new.spec.node_name
        if pod.spec.node_name and (moved or (old is not None and old.status.phase != pod.status.phase)):
            self._look_at(pod)

    def _look_at(self, pod: core.Pod) -> None:
        for key in claims_of(pod):
            namespace, _, name = key.partition("/")
            claim = self._claims.get(name, namespace)
            if claim is not None and claim.spec.volume_name:
                self.queue.add((VOLUME, claim.spec.volume_name))

    def _on_claim(self, old: core.PersistentVolumeClaim | None, new: core.PersistentVolumeClaim | None) -> None:
        if new is not None and new.spec.volume_name and (old is None or not old.spec.volume_name):
            self.queue.add((VOLUME, new.spec.volume_name))

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        node = new if new is not None else old
        assert node is not None
        if old is not None and new is not None and _shape(old) == _shape(new):
            return
        for attachment in self._attachments.by_index(BY_ATTACHED_NODE, node.metadata.name):
            self.queue.add((VOLUME, attachment.spec.source.persistent_volume_name or ""))
        for pod in self._pods.by_index(BY_NODE, node.metadata.name):
            self._look_at(pod)

    def _on_attachment(self, old: storage.VolumeAttachment | None, new: storage.VolumeAttachment | None) -> None:
        attachment = new if new is not None else old
        assert attachment is not None
        if new is None:
            self._unneeded.pop(attachment.metadata.name, None)
            self._leaving.discard(attachment.metadata.name)
        self.queue.add((VOLUME, attachment.spec.source.persistent_volume_name or ""))
        self.queue.add((NODE, attachment.spec.node_name))
        if old is not None and new is not None and new.status.attached and not old.status.attached:
            self._tell_attached(new)

    def background(self) -> Iterable[Awaitable[None]]:
        return (self._resync(),)

    async def _resync(self) -> None:
        """From time to time each attachment is looked at, whatever was or was not told of it."""
        while True:
            await self.context.clock.sleep(self.context.options.attach_detach_reconcile_sync_period)
            for attachment in self._attachments.list():
                self.queue.add((VOLUME, attachment.spec.source.persistent_volume_name or ""))

    # --- events

    def _users(self, volume: str, node: str) -> list[core.Pod]:
        return [pod for pod in self._pods_of(volume) if pod.spec.node_name == node]

    def _tell_attached(self, attachment: storage.VolumeAttachment) -> None:
        name = attachment.spec.source.persistent_volume_name or ""
        self._told.discard((name, attachment.spec.node_name))
        for pod in self._users(name, attachment.spec.node_name):
            text = f'AttachVolume.Attach succeeded for volume "{name}" '
            self.recorder.normal(pod, "SuccessfulAttachVolume", text)

    def _tell_failed(self, volume: str, node: str, message: str) -> None:
        if (volume, node) not in self._told:
            self._told.add((volume, node))
            for pod in self._users(volume, node):
                self.recorder.warning(pod, "FailedAttachVolume", message)

    # --- deciding

    async def sync(self, key: tuple[str, str]) -> None:
        """A volume or a node's status."""
        if key[0] == NODE:
            await self._show(key[1])
            return
        attachments = [a for a in self._attachments.by_index(BY_VOLUME, key[1]) if self._is_ours(a)]
        need = self._need(key[1])
        now = self.monotonic()
        for attachment in attachments:
            if attachment.spec.node_name in need.pods:
                self._unneeded.pop(attachment.metadata.name, None)
                if attachment.status.attach_error is not None and not attachment.status.attached:
                    text = (
                        f'AttachVolume.Attach failed for volume "{key[1]}" : {attachment.status.attach_error.message}'
                    )
                    self._tell_failed(key[1], attachment.spec.node_name, text)
            else:
                self._unneeded.setdefault(attachment.metadata.name, now)
        nodes = {a.spec.node_name: node for a in attachments if (node := self._nodes.get(a.spec.node_name)) is not None}
        for action in plan(need, attachments, nodes, self._unneeded, now):
            if isinstance(action, Attach):
                await self._attach(action.volume, action.node)
            elif isinstance(action, Detach):
                await self._detach(action.attachment)
            elif isinstance(action, Wait):
                self.queue.add_after(key, action.seconds)
            elif isinstance(action, MultiAttach):
                self._tell_failed(key[1], action.node, action.message)
                self.queue.add_after(key, RETRY_SECONDS)

    def _is_ours(self, attachment: storage.VolumeAttachment) -> bool:
        """Others may make attachments too: those are left alone."""
        node = self._nodes.get(attachment.spec.node_name)
        if node is not None and any(means(attachment, shown.name) for shown in node.status.volumes_attached):
            return True
        volume = attachable(self._volumes.get(attachment.spec.source.persistent_volume_name or ""), {})
        return volume is not None and volume.attachment_name(attachment.spec.node_name) == attachment.metadata.name

    def _pods_of(self, volume: str) -> Iterable[core.Pod]:
        persistent = self._volumes.get(volume)
        ref = persistent.spec.claim_ref if persistent is not None else None
        if ref is None:
            return ()
        claim = self._claims.get(ref.name, ref.namespace)
        bound = claim is not None and claim.spec.volume_name == volume and claim.metadata.uid == ref.uid
        return self._pods.by_index(BY_CLAIM, f"{ref.namespace}/{ref.name}") if bound else ()

    def _need(self, name: str) -> Need:
        drivers = {driver.metadata.name: driver for driver in self._drivers.list()}
        need = Need(attachable(self._volumes.get(name), drivers))
        if need.volume is None:
            return need
        for pod in self._pods_of(name):
            node = pod.spec.node_name
            if node and needs_volumes(pod, self._nodes.get(node)):
                need.pods.setdefault(node, []).append(f"{pod.metadata.namespace}/{pod.metadata.name}")
        return need

    # --- doing

    async def _attach(self, volume: Volume, node: str) -> None:
        attachment = storage.VolumeAttachment(
            metadata=meta.ObjectMeta(name=volume.attachment_name(node)),
            spec=storage.VolumeAttachmentSpec(
                attacher=volume.driver,
                node_name=node,
                source=storage.VolumeAttachmentSource(persistent_volume_name=volume.name),
            ),
        )
        try:
            await self.client.create(attachment)
        except StatusError as error:
            if error.code != 409:
                raise

    async def _detach(self, attachment: storage.VolumeAttachment) -> None:
        """The node must know first that the volume is no longer safe to mount."""
        name = attachment.metadata.name
        self._leaving.add(name)
        await self._show(attachment.spec.node_name)
        try:
            await self.client.delete(storage.VolumeAttachment, name, uid=attachment.metadata.uid)
        except StatusError as error:
            if error.code != 404:
                raise

    async def _show(self, name: str) -> None:
        """Writes volumesAttached of the node's status, by which its kubelet knows that it may mount."""
        state = self._nodes.get(name)
        if state is None:
            return

        async def write(node: core.Node) -> None:
            attached = self._attached(node)
            if attached is not None:
                patch: dict[str, Any] = {
                    "metadata": {"resourceVersion": node.metadata.resource_version},
                    "status": {"volumesAttached": attached or None},
                }
                await self.client.patch(core.Node, name, "", patch, subresource="status")

        try:
            await retry_on_conflict(write, state, lambda: self.client.get(core.Node, name), self.context.clock)
        except StatusError as error:
            if error.code != 404:
                raise

    def _attached(self, node: core.Node) -> list[core.AttachedVolume] | None:
        attachments = list(self._attachments.by_index(BY_ATTACHED_NODE, node.metadata.name))
        names: dict[str, str] = {}
        for attachment in attachments:
            volume = self._volumes.get(attachment.spec.source.persistent_volume_name or "")
            attached = attachable(volume, {})
            if attached is not None and attachment.metadata.name not in self._leaving:
                names[attachment.metadata.name] = attached.unique_name
        return attached_of(node, attachments, names)


def _shape(node: core.Node) -> tuple[Any, ...]:
    """What of a node matters here."""
    return node.status.volumes_in_use, node.spec.taints, node.metadata.annotations

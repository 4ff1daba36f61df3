"""Which volumes have to be attached to which nodes; pure (upstream: pkg/controller/volume/attachdetach, pkg/volume/csi)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.api.pods import is_finished
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import storage_v1 as storage
from pybernetes.api.wellknown import CONTROLLER_MANAGED_ATTACH_ANNOTATION, TAINT_NODE_OUT_OF_SERVICE

KEEP_TERMINATED = "volumes.kubernetes.io/keep-terminated-pod-volumes"
UNMOUNT_SECONDS = 360.0  # that a node may take to unmount before its volume is detached anyway
EXCLUSIVE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume of a CSI driver that attaches."""

    name: str
    driver: str
    handle: str
    exclusive: bool  # to one node

    @property
    def unique_name(self) -> str:
        """As nodes name it in their status."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment_name(self, node: str) -> str:
        """Of its VolumeAttachment; the same for everybody who asks."""
        return f"csi-{hashlib.sha256((self.handle + self.driver + node).encode()).hexdigest()}"


def attachable(volume: core.PersistentVolume | None, drivers: Mapping[str, storage.CSIDriver]) -> Volume | None:
    """None for other kinds of volumes, and where the driver says that nothing is to be attached."""
    source = volume.spec.csi if volume is not None else None
    if volume is None or source is None:
        return None
    driver = drivers.get(source.driver)
    if driver is not None and driver.spec.attach_required is False:
        return None
    exclusive = bool(volume.spec.access_modes) and set(volume.spec.access_modes) <= EXCLUSIVE
    return Volume(volume.metadata.name, source.driver, source.volume_handle, exclusive)


def needs_volumes(pod: core.Pod, node: core.Node | None) -> bool:
    """Whether a pod's volumes are to be attached to its node."""
    if node is None or node.metadata.annotations.get(CONTROLLER_MANAGED_ATTACH_ANNOTATION) != "true":
        return False
    return not is_finished(pod) or node.metadata.annotations.get(KEEP_TERMINATED) == "true"


@dataclass(frozen=True, slots=True)
class Attach:
    """A VolumeAttachment has to be created; the driver's attacher does the rest."""

    volume: Volume
    node: str


@dataclass(frozen=True, slots=True)
class Detach:
    """Delete the VolumeAttachment, after the node's status no longer shows the volume."""

    attachment: storage.VolumeAttachment


@dataclass(frozen=True, slots=True)
class Wait:
    """The node has not unmounted it yet; look again in so many seconds."""

    attachment: storage.VolumeAttachment
    seconds: float


@dataclass(frozen=True, slots=True)
class MultiAttach:
    """Another node has a volume that only one may have."""

    volume: Volume
    node: str
    message: str


Action = Attach | Detach | Wait | MultiAttach


@dataclass(slots=True)
class Need:
    """A volume's nodes, and the pods there that use it (namespace/name)."""

    volume: Volume | None
    pods: dict[str, list[str]] = field(default_factory=dict)


def plan(
    need: Need,
    attachments: Sequence[storage.VolumeAttachment],
    nodes: Mapping[str, core.Node],
    since: Mapping[str, float],
    now: float,
) -> list[Action]:
    """For one volume. `since`: since when an attachment, by name, is no longer needed; monotonic seconds, as `now`."""
    actions: list[Action] = []
    held: list[str] = []
    for attachment in attachments:
        node = attachment.spec.node_name
        held.append(node)
        going = attachment.metadata.deletion_timestamp is not None  # the driver is still detaching
        if not going and node not in need.pods:
            actions.append(_release(attachment, nodes.get(node), since.get(attachment.metadata.name, now), now))
    volume = need.volume
    for node in sorted(need.pods.keys() - set(held)) if volume is not None else ():
        assert volume is not None
        others = [name for name in held if name != node]
        if volume.exclusive and others:
            actions.append(MultiAttach(volume, node, _multi_attach(volume, need, others)))
            continue
        actions.append(Attach(volume, node))
        held.append(node)
    return actions


def _release(attachment: storage.VolumeAttachment, node: core.Node | None, since: float, now: float) -> Detach | Wait:
    if node is None or any(taint.key == TAINT_NODE_OUT_OF_SERVICE for taint in node.spec.taints):
        return Detach(attachment)
    mounted = any(means(attachment, name) for name in node.status.volumes_in_use)
    left = UNMOUNT_SECONDS - (now - since)
    return Wait(attachment, left) if mounted and left > 0 else Detach(attachment)


def means(attachment: storage.VolumeAttachment, unique_name: str) -> bool:
    """Whether a node's name for a volume means the attached one."""
    prefix = f"kubernetes.io/csi/{attachment.spec.attacher}^"
    if not unique_name.startswith(prefix):
        return False
    handle = unique_name.removeprefix(prefix)
    expected = Volume("", attachment.spec.attacher, handle, False)
    return expected.attachment_name(attachment.spec.node_name) == attachment.metadata.name


def _multi_attach(volume: Volume, need: Need, others: Iterable[str]) -> str:
    users = sorted(pod for node in others for pod in need.pods.get(node, ()))
    start = f'Multi-Attach error for volume "{volume.name}"'
    if not users:
        return f"{start} Volume is already exclusively attached to one node and can't be attached to another"
    names = ", ".join(name.partition("/")[2] for name in users)
    return f"{start} Volume is already used by pod(s) {names}"


def attached_of(
    node: core.Node, attachments: Iterable[storage.VolumeAttachment], names: Mapping[str, str]
) -> list[core.AttachedVolume] | None:
    """volumesAttached as it should be: what drivers say is attached and nobody takes away; None if it is so.

    `names`: the unique name of each attachment that is to be shown. What is not CSI's is left alone.
    """
    shown = {
        names[a.metadata.name]: a.status.attachment_metadata.get("devicePath", "")
        for a in attachments
        if a.status.attached and a.metadata.deletion_timestamp is None and a.metadata.name in names
    }
    others = [v for v in node.status.volumes_attached if not v.name.startswith("kubernetes.io/csi/")]
    result = [*others, *(core.AttachedVolume(name=name, device_path=path) for name, path in sorted(shown.items()))]
    same = sorted((v.name, v.device_path) for v in node.status.volumes_attached) == sorted(
        (v.name, v.device_path) for v in result
    )
    return None if same else result

"""The Node object and its lease as the kubelet keeps them (upstream: kubelet_node_status.go, nodestatus/setters.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.api import types, version
from pybernetes.api.computeresources import is_extended
from pybernetes.api.quantity import Format, Quantity
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1, meta_v1
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    CONTROLLER_MANAGED_ATTACH_ANNOTATION,
    LABEL_ARCH,
    LABEL_ARCH_STABLE,
    LABEL_HOSTNAME,
    LABEL_OS,
    LABEL_OS_STABLE,
)

from ..runtime.types import Image
from . import reservation

UNKNOWN_RUNTIME = "docker://"  # while it does not say its version
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
MAX_IMAGES = 50  # as --node-status-max-images
EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
# What a kubelet that finds its Node brings up to date in it; other labels of --node-labels count at creation only.
DEFAULT_LABELS = (LABEL_HOSTNAME, LABEL_OS_STABLE, LABEL_ARCH_STABLE, LABEL_OS, LABEL_ARCH)
ANNOTATIONS = {CONTROLLER_MANAGED_ATTACH_ANNOTATION: "true"}
HEARTBEAT = "lastHeartbeatTime"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine has; read once."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel: str = ""
    os_image: str = ""
    architecture: str = "amd64"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What goes into the Node."""

    name: str
    addresses: tuple[str, ...]
    machine: Machine
    runtime: str = UNKNOWN_RUNTIME
    port: int = 10250
    max_pods: int = 110
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[core.Taint, ...] = ()
    images: Sequence[Image] = ()
    problems: tuple[str, ...] = ()  # why the node is not ready
    pressure: tuple[str, ...] = ()  # MemoryPressure, DiskPressure, PIDPressure
    pod_cidr: str = ""  # --pod-cidr, where no controller gives one
    resolvable: bool = True  # the name leads to the node
    reserved: Mapping[str, Quantity] = field(default_factory=dict)  # what is kept back for system and kubelet
    eviction_hard: Mapping[str, str] = field(default_factory=lambda: dict(EVICTION_HARD))
    pods_per_core: int = 0  # 0: max_pods alone counts
    provider_id: str = ""
    max_images: int = MAX_IMAGES  # that the status names; -1: all


def _ki(count: int) -> Quantity:
    return Quantity.from_int(count // 1024 * 1024, Format.BINARY_SI)


def capacity(facts: NodeFacts) -> dict[str, Quantity]:
    machine = facts.machine
    return {
        "cpu": Quantity.from_int(machine.cpus),
        "ephemeral-storage": _ki(machine.disk_bytes),
        "hugepages-1Gi": Quantity.from_int(0),
        "hugepages-2Mi": Quantity.from_int(0),
        "memory": _ki(machine.memory_bytes),
        "pods": Quantity.from_int(_max_pods(facts)),
    }


def _max_pods(facts: NodeFacts) -> int:
    return min(facts.machine.cpus * facts.pods_per_core, facts.max_pods) if facts.pods_per_core else facts.max_pods


def allocatable(facts: NodeFacts) -> dict[str, Quantity]:
    """Capacity without what is reserved and what the hard eviction thresholds keep free: 100Mi of memory, a tenth of the disk."""
    return reservation.allocatable(capacity(facts), facts.reserved, facts.eviction_hard)


def merged_capacity(facts: NodeFacts, present: core.NodeStatus) -> dict[str, Quantity]:
    """The machine's own, and what others have put there, such as extended resources."""
    return {**present.capacity, **capacity(facts)}


def merged_allocatable(facts: NodeFacts, present: core.NodeStatus) -> dict[str, Quantity]:
    """Follows the capacity. An extended resource without capacity goes; what else others have put there stays (MachineInfo)."""
    merged = {**merged_capacity(facts, present), **allocatable(facts)}
    others = {name: n for name, n in present.allocatable.items() if name not in merged and not is_extended(name)}
    return {**others, **merged}


def zeroed_extended(status: core.NodeStatus) -> core.NodeStatus:
    """Of a kubelet that begins anew: who offered extended resources must offer them again (reconcileExtendedResource)."""
    zero = {name: Quantity.from_int(0) for name in status.capacity if is_extended(name)}
    return msgspec.structs.replace(
        status, capacity={**status.capacity, **zero}, allocatable={**status.allocatable, **zero}
    )


def _conditions(facts: NodeFacts, present: Sequence[core.NodeCondition], now: datetime) -> list[core.NodeCondition]:
    fresh = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    pressing = {
        "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    }
    for index, (kind, *_) in enumerate(fresh):
        if kind in facts.pressure:
            fresh[index] = (kind, "True", *pressing[kind])
    if facts.problems:
        text = facts.problems[0] if len(facts.problems) == 1 else f"[{', '.join(facts.problems)}]"
        fresh[-1] = ("Ready", "False", "KubeletNotReady", text)
    by_type = {condition.type: condition for condition in present}
    result = []
    for type_, status, reason, message in fresh:
        old = by_type.pop(type_, None)
        since = old.last_transition_time if old is not None and old.status == status else now
        result.append(
            core.NodeCondition(
                type=type_,
                status=status,
                reason=reason,
                message=message,
                last_heartbeat_time=now,
                last_transition_time=since,
            )
        )
    return [*result, *by_type.values()]


def node_status(facts: NodeFacts, present: core.NodeStatus, now: datetime) -> core.NodeStatus:
    """The whole status; what others have written and the kubelet does not write is kept.

    That is their capacity, their conditions, addresses of other types (a cloud's ExternalIP) and all other fields.
    """
    machine = facts.machine
    addresses = [core.NodeAddress(type="InternalIP", address=ip) for ip in facts.addresses]
    if facts.resolvable:
        addresses.append(core.NodeAddress(type="Hostname", address=facts.name))
    own_types = {address.type for address in addresses}
    return msgspec.structs.replace(
        present,
        capacity=merged_capacity(facts, present),
        allocatable=merged_allocatable(facts, present),
        conditions=_conditions(facts, present.conditions, now),
        addresses=[*addresses, *(address for address in present.addresses if address.type not in own_types)],
        daemon_endpoints=core.NodeDaemonEndpoints(kubelet_endpoint=core.DaemonEndpoint(port=facts.port)),
        node_info=core.NodeSystemInfo(
            architecture=machine.architecture,
            boot_id=machine.boot_id,
            container_runtime_version=facts.runtime,
            kernel_version=machine.kernel,
            kubelet_version=version.KUBELET,
            machine_id=machine.machine_id,
            operating_system="linux",
            os_image=machine.os_image,
            system_uuid=machine.system_uuid,
        ),
        images=[
            core.ContainerImage(names=list(image.names), size_bytes=image.size)
            for image in sorted(facts.images, key=lambda i: -i.size)[
                : None if facts.max_images < 0 else facts.max_images
            ]
        ],
    )


def _document(status: core.NodeStatus) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(types.encode(status))
    return document


def _without_heartbeats(document: Mapping[str, Any]) -> dict[str, Any]:
    ordered = sorted(document.get("conditions") or (), key=lambda condition: condition["type"])
    conditions = [{k: v for k, v in c.items() if k != HEARTBEAT} for c in ordered]
    return {**document, "conditions": conditions}


def status_changed(old: core.NodeStatus, new: core.NodeStatus) -> bool:
    """Whether more than heartbeats differs (nodeStatusHasChanged); the order of conditions says nothing."""
    return _without_heartbeats(_document(old)) != _without_heartbeats(_document(new))


def status_patch(old: core.NodeStatus, new: core.NodeStatus) -> dict[str, Any]:
    """The strategic merge patch of a Node that makes one status of the other (PatchNodeStatus).

    It names only what differs, so that what somebody else writes at the same time stays.
    """
    before, after = _document(old), _document(new)
    patch: dict[str, Any] = {}
    for name in sorted({*before, *after}):
        if before.get(name) == after.get(name):
            continue
        if name in ("capacity", "allocatable"):
            patch[name] = _map_patch(before.get(name) or {}, after.get(name) or {})
        elif name == "conditions":
            conditions = {condition["type"]: condition for condition in before.get(name) or ()}
            patch[name] = [condition for condition in after[name] if conditions.get(condition["type"]) != condition]
        elif name == "addresses":
            # Two addresses may be of one type, which is the list's merge key: only the whole list says what is meant.
            patch[name] = [*after.get(name, ()), {"$patch": "replace"}]
        else:
            patch[name] = after.get(name)
    return {"status": patch}


def _map_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    return changed | {key: None for key in before if key not in after}


def metadata_patch(facts: NodeFacts, present: meta_v1.ObjectMeta) -> dict[str, Any]:
    """Brings up to date what a Node that was there before says of the machine (updateDefaultLabels); {} where nothing is to do."""
    fresh = {name: text for name, text in labels(facts).items() if name in DEFAULT_LABELS}
    changed = {
        "labels": {name: text for name, text in fresh.items() if present.labels.get(name) != text},
        "annotations": {name: text for name, text in ANNOTATIONS.items() if present.annotations.get(name) != text},
    }
    metadata = {field: values for field, values in changed.items() if values}
    return {"metadata": metadata} if metadata else {}


def labels(facts: NodeFacts) -> dict[str, str]:
    architecture = facts.machine.architecture
    return {
        LABEL_ARCH: architecture,
        LABEL_OS: "linux",
        LABEL_ARCH_STABLE: architecture,
        LABEL_HOSTNAME: facts.name,
        LABEL_OS_STABLE: "linux",
        **facts.labels,
    }


def new_node(facts: NodeFacts, now: datetime) -> core.Node:
    """What is registered."""
    node = core.Node()
    node.metadata.name = facts.name
    node.metadata.labels = labels(facts)
    node.metadata.annotations = dict(ANNOTATIONS)
    node.spec.taints = list(facts.taints)
    node.spec.provider_id = facts.provider_id
    if facts.pod_cidr:
        node.spec.pod_cidr, node.spec.pod_cidrs = facts.pod_cidr, [facts.pod_cidr]
    node.status = node_status(facts, node.status, now)
    return node


def new_lease(node: core.Node, now: datetime, seconds: int = LEASE_SECONDS) -> coordination_v1.Lease:
    lease = coordination_v1.Lease()
    lease.metadata.name, lease.metadata.namespace = node.metadata.name, LEASE_NAMESPACE
    owner = meta_v1.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    lease.metadata.owner_references = [owner]
    lease.spec.holder_identity = node.metadata.name
    lease.spec.lease_duration_seconds = seconds
    lease.spec.renew_time = format_micro_time(now)
    return lease

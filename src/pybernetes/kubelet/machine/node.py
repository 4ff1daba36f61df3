"""The Node object and its lease as the kubelet keeps them (upstream: kubelet_node_status.go, nodestatus/setters.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from pybernetes.api import version
from pybernetes.api.quantity import Format, Quantity
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1
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

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
MAX_IMAGES = 50  # as --node-status-max-images


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
    runtime: str = "docker://"
    port: int = 10250
    max_pods: int = 110
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[core.Taint, ...] = ()
    images: Sequence[Image] = ()
    problems: tuple[str, ...] = ()  # why the node is not ready
    pressure: tuple[str, ...] = ()  # MemoryPressure, DiskPressure, PIDPressure
    pod_cidr: str = ""  # --pod-cidr, where no controller gives one


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
        "pods": Quantity.from_int(facts.max_pods),
    }


def allocatable(facts: NodeFacts) -> dict[str, Quantity]:
    """Capacity without what the hard eviction thresholds keep back: 100Mi of memory, a tenth of the disk."""
    result = capacity(facts)
    result["memory"] = _ki(max(facts.machine.memory_bytes - (100 << 20), 0))
    result["ephemeral-storage"] = Quantity.from_int(facts.machine.disk_bytes // 10 * 9)
    return result


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
    """The whole status; others' conditions and fields are kept."""
    machine = facts.machine
    return core.NodeStatus(
        capacity=capacity(facts),
        allocatable=allocatable(facts),
        conditions=_conditions(facts, present.conditions, now),
        addresses=[
            *(core.NodeAddress(type="InternalIP", address=ip) for ip in facts.addresses),
            core.NodeAddress(type="Hostname", address=facts.name),
        ],
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
            for image in sorted(facts.images, key=lambda i: -i.size)[:MAX_IMAGES]
        ],
        volumes_attached=present.volumes_attached,
        volumes_in_use=present.volumes_in_use,
    )


def has_changed(present: core.NodeStatus, status: core.NodeStatus) -> bool:
    """Whether it says more than another heartbeat (upstream: nodeStatusHasChanged); the order of conditions says nothing."""

    def without_heartbeats(one: core.NodeStatus) -> core.NodeStatus:
        conditions = sorted(one.conditions, key=lambda condition: condition.type)
        return replace(one, conditions=[replace(c, last_heartbeat_time=None) for c in conditions])

    return without_heartbeats(present) != without_heartbeats(status)


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
    node.metadata.annotations = {CONTROLLER_MANAGED_ATTACH_ANNOTATION: "true"}
    node.spec.taints = list(facts.taints)
    if facts.pod_cidr:
        node.spec.pod_cidr, node.spec.pod_cidrs = facts.pod_cidr, [facts.pod_cidr]
    node.status = node_status(facts, node.status, now)
    return node


def new_lease(node: core.Node, now: datetime) -> coordination_v1.Lease:
    from pybernetes.api.types import meta_v1

    lease = coordination_v1.Lease()
    lease.metadata.name, lease.metadata.namespace = node.metadata.name, LEASE_NAMESPACE
    owner = meta_v1.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    lease.metadata.owner_references = [owner]
    lease.spec.holder_identity = node.metadata.name
    lease.spec.lease_duration_seconds = LEASE_SECONDS
    lease.spec.renew_time = format_micro_time(now)
    return lease

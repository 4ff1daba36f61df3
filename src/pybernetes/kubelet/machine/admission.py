"""Which pods a node takes (upstream: pkg/kubelet/lifecycle/predicate.go, sysctl/allowlist.go, eviction's admission). Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.api import pods
from pybernetes.api.computeresources import is_extended
from pybernetes.api.nodes import fits_affinity, tolerated, untolerated
from pybernetes.api.pods import SYSTEM_CRITICAL, ZERO
from pybernetes.api.quantity import Quantity
from pybernetes.api.sysctls import SAFE_SYSCTLS
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONFIG_SOURCE_ANNOTATION, LABEL_OS_STABLE, TAINT_NODE_MEMORY_PRESSURE

OS = "linux"
MEMORY_PRESSURE = core.Taint(key=TAINT_NODE_MEMORY_PRESSURE, effect="NoSchedule")
REFUSED_FIRST = ("cpu", "memory", "ephemeral-storage")  # of several resources that are short, the first is told


@dataclass(frozen=True, slots=True)
class NodeView:
    """The node as admission sees it."""

    labels: Mapping[str, str]
    allocatable: Mapping[str, Quantity]
    taints: Sequence[core.Taint] = ()
    name: str = ""
    pressure: Sequence[str] = ()  # MemoryPressure, DiskPressure, PIDPressure
    allowed_sysctls: Sequence[str] = field(default=())
    strict_groups: bool = False  # the runtime can leave out the groups that an image's /etc/group gives its user


Refusal = tuple[str, str]  # reason, message


def _whole(name: str, amount: Quantity) -> int:
    return amount.milli_value() if name == "cpu" else amount.value()


def counted_requests(pod: core.Pod, node: NodeView) -> dict[str, Quantity]:
    """Without extended resources that the node knows nothing of: those are others' to give (removeMissingExtendedResources)."""
    return {
        name: amount
        for name, amount in pods.requests(pod.spec).items()
        if name in node.allocatable or not is_extended(name)
    }


def exceeds(pod: core.Pod, node: NodeView) -> tuple[str, int, int] | None:
    """The first resource of which a pod asks for more than the node has in all: name, request, capacity."""
    for name, amount in sorted(counted_requests(pod, node).items()):
        request, capacity = _whole(name, amount), _whole(name, node.allocatable.get(name, ZERO))
        if request > capacity:
            return name, request, capacity
    return None


def insufficient(pod: core.Pod, others: Sequence[core.Pod], node: NodeView) -> Refusal | None:
    """The first resource that the node has too little of."""
    capacity = node.allocatable.get("pods", ZERO).value()
    if len(others) + 1 > capacity:
        return _out_of("pods", 1, len(others), capacity)
    used: dict[str, int] = {}
    for other in others:
        for name, amount in pods.requests(other.spec).items():
            used[name] = used.get(name, 0) + _whole(name, amount)
    asked = counted_requests(pod, node)
    for name in [*(n for n in REFUSED_FIRST if n in asked), *sorted(asked.keys() - {*REFUSED_FIRST})]:
        request, capacity = _whole(name, asked[name]), _whole(name, node.allocatable.get(name, ZERO))
        if request and request > capacity - used.get(name, 0):
            return _out_of(name, request, used.get(name, 0), capacity)
    return None


def _out_of(name: str, request: int, used: int, capacity: int) -> Refusal:
    text = f"Node didn't have enough resource: {name}, requested: {request}, used: {used}, capacity: {capacity}"
    return f"OutOf{name}", text


def _host_ports(pod: core.Pod) -> Iterable[tuple[str, int, str]]:
    for container in [*filter(pods.is_sidecar, pod.spec.init_containers), *pod.spec.containers]:
        for port in container.ports:
            if port.host_port:
                yield port.protocol or "TCP", port.host_port, port.host_ip or "0.0.0.0"


def ports_clash(pod: core.Pod, others: Sequence[core.Pod]) -> bool:
    """Whether another pod has one of the host ports already."""
    taken = [used for other in others for used in _host_ports(other)]
    return any(
        (protocol, port) == (p, n) and (ip == i or "0.0.0.0" in (ip, i))
        for protocol, port, ip in _host_ports(pod)
        for p, n, i in taken
    )


def is_critical(pod: core.Pod) -> bool:
    """A static pod, or one of the priority that nothing displaces."""
    return is_static(pod) or (pod.spec.priority is not None and pod.spec.priority >= SYSTEM_CRITICAL)


def is_static(pod: core.Pod) -> bool:
    return pod.metadata.annotations.get(CONFIG_SOURCE_ANNOTATION, "api") != "api"


def forbidden_sysctl(pod: core.Pod, allowed: Sequence[str]) -> str:
    """The first sysctl that is neither safe nor allowed; "" where all are."""
    context = pod.spec.security_context
    for sysctl in context.sysctls if context is not None else ():
        name = sysctl.name.replace("/", ".")
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in (*SAFE_SYSCTLS, *allowed)):
            return sysctl.name
    return ""


def refused(pod: core.Pod, others: Sequence[core.Pod], node: NodeView) -> Refusal | None:
    """Why the node does not take a pod; `others` are those that it has and that have not ended. None: it takes it."""
    if node.pressure and not is_critical(pod):
        besides_memory = [name for name in node.pressure if name != "MemoryPressure"]
        bears = pods.qos_class(pod.spec) != "BestEffort" or tolerated(pod.spec.tolerations, MEMORY_PRESSURE)
        if besides_memory or not bears:
            return "Evicted", f"The node had condition: [{', '.join(node.pressure)}]. "
    sysctl = forbidden_sysctl(pod, node.allowed_sysctls)
    if sysctl:
        return "SysctlForbidden", f'forbidden sysctl: "{sysctl}" not allowlisted'
    if pod.metadata.labels.get(LABEL_OS_STABLE, OS) != OS:
        text = f"Failed to admit pod as the `{LABEL_OS_STABLE}` label doesn't match node label"
        return "PodOSSelectorNodeLabelDoesNotMatch", text
    if pod.spec.os is not None and pod.spec.os.name != OS:
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    context = pod.spec.security_context
    if context is not None and context.supplemental_groups_policy == "Strict" and not node.strict_groups:
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return "SupplementalGroupsPolicyNotSupported", text
    lack = insufficient(pod, others, node)
    if lack is not None:
        return lack
    if not fits_affinity(pod.spec, node.name, node.labels):
        return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    if ports_clash(pod, others):
        return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    if not is_static(pod) and untolerated(pod.spec.tolerations, node.taints, ("NoExecute",)) is not None:
        return "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    return None

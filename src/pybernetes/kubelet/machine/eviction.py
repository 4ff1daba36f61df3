"""When the node is short of something, and which pods go for it (upstream: pkg/kubelet/eviction). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api import pods
from pybernetes.api.pods import ZERO
from pybernetes.api.quantity import Format, Quantity
from pybernetes.api.types import core_v1 as core

from .admission import is_critical
from .stimuli import IMMEDIATELY
from .thresholds import Amount, Threshold

RESOURCES = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.available": "ephemeral-storage",
    "imagefs.inodesFree": "inodes",
    "pid.available": "pids",
}
EVICTED = "Evicted"
IN_UNITS = ("inodes", "pids")  # what is no number of bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running pod and what it uses of the resource that is short."""

    pod: core.Pod
    used: int


def requested(pod: core.Pod, resource: str) -> int:
    return sum(c.resources.requests.get(resource, ZERO).value() for c in pod.spec.containers)


def rank(candidates: Sequence[Candidate], resource: str) -> list[Candidate]:
    """Who goes first: users of more than they asked for, the least important, the greediest. Critical pods never go."""

    def key(candidate: Candidate) -> tuple[bool, int, int]:
        over = candidate.used - requested(candidate.pod, resource)
        return over <= 0, candidate.pod.spec.priority or 0, -over

    return sorted((c for c in candidates if not is_critical(c.pod)), key=key)


def _shown(amount: int, resource: str) -> Quantity:
    return Quantity.from_int(amount, Format.DECIMAL_SI if resource in IN_UNITS else Format.BINARY_SI)


def shortage_message(threshold: Threshold, amount: Amount, pod: core.Pod, used: Mapping[str, int]) -> str:
    """What an evicted pod's status says (evictionMessage); `used`: of what is short, by the pod's containers, where that is known."""
    resource = RESOURCES[threshold.signal]
    limit = _shown(threshold.quantity(amount.capacity), resource)
    available = _shown(amount.available, resource)
    message = f"The node was low on resource: {resource}. Threshold quantity: {limit}, available: {available}. "
    for container in [*pod.spec.containers, *pod.spec.init_containers]:
        request = container.resources.requests.get(resource, ZERO)
        usage = _shown(used.get(container.name, 0), resource)
        if usage > request:
            message += (
                f"Container {container.name} was using {usage}, request is {request}, "
                f"has larger consumption of {resource}. "
            )
    return message


def eviction_grace(threshold: Threshold, pod: core.Pod, most: int) -> int:
    """Seconds that a pod has to stop: for a soft threshold evictionMaxPodGracePeriod, or the pod's own where that is less."""
    if not threshold.grace:
        return IMMEDIATELY
    own = pod.spec.termination_grace_period_seconds
    return most if own is None else min(most, own)


EPHEMERAL_STORAGE = "ephemeral-storage"


def storage_limit(limits: Mapping[str, Quantity]) -> int:
    """Bytes; 0 for none."""
    return limits.get(EPHEMERAL_STORAGE, ZERO).value()


def limits_storage(pod: core.Pod) -> bool:
    """Whether what its containers write on disk is to be looked at."""
    return storage_limit(pods.limits(pod.spec)) > 0


def over_limit(pod: core.Pod, used: Mapping[str, int], written: Mapping[str, int]) -> str:
    """Why a pod goes that keeps more on disk than it may, "" for one that does not (localStorageEviction).

    `used`: bytes of each emptyDir; `written`: of each container, its log included.
    """
    message = _volume_over_limit(pod, used)
    if message:
        return message
    whole = storage_limit(pods.limits(pod.spec))
    on_disk = [v.name for v in pod.spec.volumes if v.empty_dir is not None and v.empty_dir.medium != "Memory"]
    if 0 < whole < sum(written.values()) + sum(used.get(name, 0) for name in on_disk):
        limit = pods.limits(pod.spec)[EPHEMERAL_STORAGE]
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
    for container in pod.spec.containers:
        if 0 < storage_limit(container.resources.limits) < written.get(container.name, 0):
            limit = container.resources.limits[EPHEMERAL_STORAGE]
            return f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _volume_over_limit(pod: core.Pod, used: Mapping[str, int]) -> str:
    for volume in pod.spec.volumes:
        limit = volume.empty_dir.size_limit if volume.empty_dir is not None else None
        if limit is not None and not limit.is_zero() and used.get(volume.name, 0) > limit.value():
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
    return ""

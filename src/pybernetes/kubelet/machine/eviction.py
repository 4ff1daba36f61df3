"""When the node is short of something, and which pods go for it (upstream: pkg/kubelet/eviction). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api import pods
from pybernetes.api.pods import ZERO
from pybernetes.api.quantity import Format, Quantity
from pybernetes.api.types import core_v1 as core

from .admission import is_critical

CONDITIONS = {
    "memory.available": "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
RESOURCES = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.available": "ephemeral-storage",
    "imagefs.inodesFree": "inodes",
    "pid.available": "pids",
}
TRANSITION = timedelta(minutes=5)  # a condition stays so long after the last shortage, so that it does not flap
EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class Amount:
    """What is there of something: bytes, inodes or processes."""

    available: int
    capacity: int


def threshold(text: str, capacity: int) -> int:
    """100Mi, or 10% of the capacity."""
    if text.endswith("%"):
        return int(capacity * float(text[:-1]) / 100)
    return Quantity.parse(text).value()


def short(thresholds: Mapping[str, str], amounts: Mapping[str, Amount]) -> list[str]:
    """The signals that are under their threshold."""
    return [
        signal
        for signal, text in thresholds.items()
        if signal in amounts and amounts[signal].available < threshold(text, amounts[signal].capacity)
    ]


def pressure(last_short: Mapping[str, datetime], now: datetime) -> tuple[str, ...]:
    """The node's conditions, from when each signal was last short."""
    held = {CONDITIONS[signal] for signal, when in last_short.items() if now - when < TRANSITION or when == now}
    return tuple(name for name in ("MemoryPressure", "DiskPressure", "PIDPressure") if name in held)


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


def shortage_message(signal: str, amount: Amount, text: str) -> str:
    """What an evicted pod's status says."""
    shown = Quantity.from_int(amount.available // 1024 * 1024, Format.BINARY_SI)
    limit = Quantity.from_int(threshold(text, amount.capacity), Format.BINARY_SI)
    return f"The node was low on resource: {RESOURCES[signal]}. Threshold quantity: {limit}, available: {shown}. "


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

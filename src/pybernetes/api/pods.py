"""What pods ask for in all, their quality of service, and whether they are ready, active, available, finished.

Upstream: component-helpers/resource/helpers.go, pkg/apis/core/v1/helper/qos, pkg/api/v1/pod/util.go, pkg/controller/controller_utils.go.
Pure, on typed objects; the API server, whose objects are dicts, asks with what `resources_of` makes of a spec, `state_of` of a pod.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import msgspec

from .computeresources import CPU, HUGE_PAGES, MEMORY
from .conditions import Condition, condition, is_true
from .quantity import Quantity
from .times import shifted
from .types import core_v1 as core
from .types import from_json

N = TypeVar("N", int, Quantity)  # an amount of a resource

ZERO = Quantity()
COMPUTE = (CPU, MEMORY)  # what makes the quality of service
# Priorities of system-cluster-critical, system-node-critical.
SYSTEM_CRITICAL, NODE_CRITICAL = 2_000_000_000, 2_000_001_000
FINISHED = ("Succeeded", "Failed")  # the phases that never change again


class Container(Protocol):
    """What is read of a container here: core.Container, or what `resources_of` makes."""

    @property
    def name(self) -> str: ...

    @property
    def restart_policy(self) -> str | None: ...

    @property
    def resources(self) -> core.ResourceRequirements: ...


class Spec(Protocol):
    """What is read of a pod's spec here: core.PodSpec, or what `resources_of` makes."""

    @property
    def containers(self) -> Sequence[Container]: ...

    @property
    def init_containers(self) -> Sequence[Container]: ...

    @property
    def resources(self) -> core.ResourceRequirements | None: ...

    @property
    def overhead(self) -> Mapping[str, Quantity]: ...


class Metadata(Protocol):
    """What is read of a pod's metadata here."""

    @property
    def deletion_timestamp(self) -> datetime | None: ...


class Status(Protocol):
    """What is read of a pod's status here."""

    @property
    def phase(self) -> str: ...

    @property
    def conditions(self) -> Sequence[Condition]: ...


class Pod(Protocol):
    """What is read of a pod here: core.Pod, or what `state_of` makes."""

    @property
    def metadata(self) -> Metadata: ...

    @property
    def status(self) -> Status: ...


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    restart_policy: str | None = None
    resources: core.ResourceRequirements = msgspec.field(default_factory=core.ResourceRequirements)


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container] = msgspec.field(default_factory=list)
    init_containers: list[_Container] = msgspec.field(default_factory=list)
    resources: core.ResourceRequirements | None = None
    overhead: dict[str, Quantity] = msgspec.field(default_factory=dict)


class _Metadata(msgspec.Struct, rename="camel"):
    deletion_timestamp: datetime | None = None


class _Status(msgspec.Struct):
    phase: str = ""
    conditions: list[core.PodCondition] = msgspec.field(default_factory=list)


class _Pod(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    status: _Status = msgspec.field(default_factory=_Status)


def resources_of(spec: Mapping[str, Any]) -> Spec:
    """Of a spec in JSON's form what this module reads: a third of the cost of a whole PodSpec."""
    return from_json(spec, _Spec)


def state_of(pod: Mapping[str, Any]) -> Pod:
    """Of a pod in JSON's form what tells whether it is ready, active or finished."""
    return from_json(pod, _Pod)


def is_sidecar(container: Container) -> bool:
    """An init container that goes on running (restartable init container)."""
    return container.restart_policy == "Always"


def add(total: dict[str, N], more: Mapping[str, N]) -> None:
    """Adds to the total, in place."""
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def raise_to(total: dict[str, N], other: Mapping[str, N]) -> None:
    """The larger of each, in place."""
    for name, amount in other.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def at_once(spec: Spec, of: Callable[[Container], Mapping[str, N]]) -> dict[str, N]:
    """The most that its containers have at any time, where `of` says what one has.

    The containers and sidecars together, or an init container with the sidecars before it.
    """
    total: dict[str, N] = {}
    for container in spec.containers:
        add(total, of(container))
    sidecars: dict[str, N] = {}
    initial: dict[str, N] = {}
    for container in spec.init_containers:
        step = dict(of(container))
        if is_sidecar(container):
            add(total, step)
            add(sidecars, step)
            step = sidecars
        else:
            add(step, sidecars)
        raise_to(initial, step)
    raise_to(total, initial)
    return total


def pod_level(amounts: Mapping[str, N]) -> dict[str, N]:
    """Of what a pod states as a whole, what counts instead of the sum of its containers (IsSupportedPodLevelResource)."""
    return {name: amount for name, amount in amounts.items() if name in COMPUTE or name.startswith(HUGE_PAGES)}


def container_requests(spec: Spec) -> dict[str, Quantity]:
    """What its containers ask for together (AggregateContainerRequests)."""
    return at_once(spec, lambda container: container.resources.requests)


def container_limits(spec: Spec) -> dict[str, Quantity]:
    """What its containers are held to together (AggregateContainerLimits)."""
    return at_once(spec, lambda container: container.resources.limits)


def requests(spec: Spec, *, overhead: bool = True) -> dict[str, Quantity]:
    """What a pod asks for in all, with its overhead (PodRequests)."""
    total = container_requests(spec)
    if spec.resources is not None:
        total |= pod_level(spec.resources.requests)
    if overhead:
        add(total, spec.overhead)
    return total


def limits(spec: Spec, *, overhead: bool = True) -> dict[str, Quantity]:
    """What a pod is held to in all; overhead counts where there is a limit (PodLimits)."""
    total = container_limits(spec)
    if spec.resources is not None:
        total |= pod_level(spec.resources.limits)
    if overhead:
        add(total, {name: amount for name, amount in spec.overhead.items() if name in total})
    return total


def is_finished(pod: Pod) -> bool:
    """Whether none of its containers will run again (IsPodTerminal)."""
    return pod.status.phase in FINISHED


def is_active(pod: Pod) -> bool:
    """Neither finished nor being deleted (controller.IsPodActive)."""
    return not is_finished(pod) and pod.metadata.deletion_timestamp is None


def is_terminating(pod: Pod) -> bool:
    """Being deleted, and not finished yet (controller.IsPodTerminating)."""
    return not is_finished(pod) and pod.metadata.deletion_timestamp is not None


def is_ready(pod: Pod) -> bool:
    """Whether its condition Ready holds (IsPodReady)."""
    return is_true(pod.status.conditions, "Ready")


def ready_since(pod: Pod) -> datetime | None:
    """When a ready pod became so."""
    ready = condition(pod.status.conditions, "Ready")
    return ready.last_transition_time if ready is not None and ready.status == "True" else None


def available_in(pod: Pod, min_ready_seconds: int, now: datetime) -> timedelta | None:
    """How long until a pod counts as available: zero or less if it does, None if it is not ready (IsPodAvailable)."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return timedelta(0)
    since = ready_since(pod)
    return None if since is None else shifted(since, min_ready_seconds) - now


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Whether it has been ready for as long as its workload wants (IsPodAvailable)."""
    left = available_in(pod, min_ready_seconds, now)
    return left is not None and left <= timedelta(0)


def next_availability(pods: Iterable[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next ready pod becomes available, None if there is none to wait for."""
    waits = [available_in(pod, min_ready_seconds, now) for pod in pods]
    left = [wait.total_seconds() for wait in waits if wait is not None and wait > timedelta(0)]
    return min(left, default=None)


def is_past_grace(pod: core.Pod, now: datetime) -> bool:
    """Whether its grace period is over: a node that is gone may leave it so for long."""
    deleted, grace = pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds
    return deleted is not None and grace is not None and now > shifted(deleted, grace)


def qos_class(spec: Spec) -> str:
    """Guaranteed, Burstable or BestEffort (ComputePodQOS); only cpu and memory count. A limit alone is a request too."""
    whole = spec.resources
    parts = [container.resources for container in (*spec.init_containers, *spec.containers)]
    if whole is not None and (whole.requests or whole.limits):
        parts = [whole]
    guaranteed, anything = True, False
    for part in parts:
        for name in COMPUTE:
            limit = part.limits.get(name, ZERO)
            request = part.requests.get(name, limit)
            anything = anything or not limit.is_zero() or not request.is_zero()
            guaranteed = guaranteed and not limit.is_zero() and limit == request
    return ("Guaranteed" if guaranteed else "Burstable") if anything else "BestEffort"

"""What pods ask for in all, and their quality of service (upstream: component-helpers/resource/helpers.go, pkg/apis/core/v1/helper/qos).

Pure, on typed objects; the API server, whose objects are dicts, asks with what `resources_of` makes of a spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from .computeresources import CPU, HUGE_PAGES, MEMORY
from .quantity import Quantity
from .times import shifted
from .types import core_v1 as core
from .types import from_json

N = TypeVar("N", int, Quantity)  # an amount of a resource

ZERO = Quantity()
COMPUTE = (CPU, MEMORY)  # what makes the quality of service


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


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    restart_policy: str | None = None
    resources: core.ResourceRequirements = msgspec.field(default_factory=core.ResourceRequirements)


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container] = msgspec.field(default_factory=list)
    init_containers: list[_Container] = msgspec.field(default_factory=list)
    resources: core.ResourceRequirements | None = None
    overhead: dict[str, Quantity] = msgspec.field(default_factory=dict)


def resources_of(spec: Mapping[str, Any]) -> Spec:
    """Of a spec in JSON's form what this module reads: a third of the cost of a whole PodSpec."""
    return from_json(spec, _Spec)


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


def is_finished(pod: core.Pod) -> bool:
    """Whether none of its containers will run again (IsPodTerminal)."""
    return pod.status.phase in ("Succeeded", "Failed")


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

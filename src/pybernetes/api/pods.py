"""What pods ask for in all, and their quality of service (upstream: component-helpers/resource/helpers.go, pkg/apis/core/v1/helper/qos).

Pure, on typed objects; the API server, whose objects are dicts, has its own in `apiserver/admission/podresources.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from .quantity import Quantity
from .types import core_v1 as core

N = TypeVar("N", int, Quantity)  # an amount of a resource

ZERO = Quantity()
HUGE_PAGES = "hugepages-"
COMPUTE = ("cpu", "memory")


def is_sidecar(container: core.Container) -> bool:
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


def at_once(spec: core.PodSpec, of: Callable[[core.Container], Mapping[str, N]]) -> dict[str, N]:
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


def requests(spec: core.PodSpec) -> dict[str, Quantity]:
    """What a pod asks for in all, with its overhead (PodRequests)."""
    total = at_once(spec, lambda container: container.resources.requests)
    if spec.resources is not None:
        total |= pod_level(spec.resources.requests)
    add(total, spec.overhead)
    return total


def limits(spec: core.PodSpec) -> dict[str, Quantity]:
    """What a pod is held to in all; overhead counts where there is a limit (PodLimits)."""
    total = at_once(spec, lambda container: container.resources.limits)
    if spec.resources is not None:
        total |= pod_level(spec.resources.limits)
    add(total, {name: amount for name, amount in spec.overhead.items() if name in total})
    return total


def qos_class(spec: core.PodSpec) -> str:
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

"""What a pod asks of its node (upstream: component-helpers/resource/helpers.go, scheduler/util/pod_resources.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from pybernetes.api import pods
from pybernetes.api.computeresources import CPU, EPHEMERAL_STORAGE, MEMORY
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core

NONZERO = {CPU: 100, MEMORY: 200 * 1024 * 1024}  # what a container that says nothing counts for when nodes are scored

Amounts = dict[str, int]  # cpu in thousandths, all else in whole units
# Any quantity is an object's to name, 1e30 of memory too. More than this no node has, and a thousand such pods on one node
# are still an int64 of its column.
MOST = 2**53


def amounts(resources: Mapping[str, Quantity]) -> Amounts:
    """Quantities as integers, rounded up; none is more than MOST."""
    return {name: min(MOST, q.milli_value() if name == CPU else q.value()) for name, q in resources.items()}


def pod_requests(spec: core.PodSpec, missing: Mapping[str, int] | None = None) -> Amounts:
    """The most that the pod needs at any time.

    `missing` is what a container counts for where it does not name a resource.
    """
    total = pods.at_once(spec, lambda container: _of(container, missing))
    if spec.resources is not None:
        total.update(pods.pod_level(amounts(spec.resources.requests)))
    if spec.overhead:
        pods.add(total, amounts(spec.overhead))
    return {name: min(MOST, amount) for name, amount in total.items()}


def granted(pod: core.Pod) -> core.PodSpec:
    """The spec with what a resize in place still holds: of each request the most of what is wanted, allocated and in force.

    Where a resize cannot be done at all, what is wanted does not count.
    """
    statuses = {s.name: s for s in (*pod.status.container_statuses, *pod.status.init_container_statuses)}
    infeasible = any(
        c.type == "PodResizePending" and c.status == "True" and c.reason == "Infeasible" for c in pod.status.conditions
    )

    def held(container: core.Container) -> core.Container:
        status = statuses.get(container.name)
        if status is None or status.resources is None:
            return container
        allocated: dict[str, Quantity] = {} if infeasible else dict(container.resources.requests)
        for source in (status.resources.requests, status.allocated_resources):
            for name, quantity in source.items():
                allocated[name] = max(allocated.get(name, quantity), quantity)
        if allocated == container.resources.requests:
            return container
        return replace(container, resources=replace(container.resources, requests=allocated))

    containers = [held(c) for c in pod.spec.containers]
    initial = [held(c) for c in pod.spec.init_containers]
    if all(
        a is b for a, b in zip((*containers, *initial), (*pod.spec.containers, *pod.spec.init_containers), strict=True)
    ):
        return pod.spec
    return replace(pod.spec, containers=containers, init_containers=initial)


def nonzero_requests(spec: core.PodSpec) -> tuple[int, int]:
    """cpu and memory as scoring counts them."""
    wants = pod_requests(spec, NONZERO)
    return wants.get(CPU, 0), wants.get(MEMORY, 0)


def is_scalar(name: str) -> bool:
    """Everything that nodes count besides cpu, memory, storage and pods."""
    return name not in (CPU, MEMORY, EPHEMERAL_STORAGE, "pods", "storage")


def names(resources: Iterable[str]) -> list[str]:
    """In the order in which a lack of them is told."""
    standard = [CPU, MEMORY, EPHEMERAL_STORAGE]
    return [n for n in standard if n in resources] + sorted(n for n in resources if is_scalar(n))


def _of(container: pods.Container, missing: Mapping[str, int] | None) -> Amounts:
    requested = amounts(container.resources.requests)
    return {**missing, **requested} if missing else requested

"""Resources that change while a pod runs (upstream: pkg/kubelet/allocation, kuberuntime_manager.go doPodResizeAction).

What the spec asks for is granted by the node first; until then the pod goes on with what it was granted before. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from pybernetes.api import types
from pybernetes.api.types import core_v1 as core

from . import events
from .admission import NodeView, Refusal, exceeds, insufficient
from .containers import Slot
from .instructions import ResizeContainer
from .state import PodState
from .stimuli import Resized
from .termination import stop

DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
RETRY_SECONDS = 10.0


# What the node grants.


def asks_for_more(granted: core.Pod, pod: core.Pod) -> bool:
    """Whether a pod's containers have other resources than they were granted."""
    before = {c.name: c.resources for c in (*granted.spec.init_containers, *granted.spec.containers)}
    return any(
        before.get(c.name, c.resources) != c.resources for c in (*pod.spec.init_containers, *pod.spec.containers)
    )


def pending(pod: core.Pod, others: Sequence[core.Pod], node: NodeView) -> Refusal | None:
    """Why the node does not grant it: Infeasible, or Deferred until others have gone. `others`: what else it runs."""
    too_much = exceeds(pod, node)
    if too_much is not None:
        name, request, capacity = too_much
        text = f"Node didn't have enough capacity: {name}, requested: {request}, capacity: {capacity}"
        return INFEASIBLE, text
    lack = insufficient(pod, others, node)
    return None if lack is None else (DEFERRED, lack[1])


def with_resources(pod: core.Pod, of: Callable[[core.Container], core.ResourceRequirements]) -> core.Pod:
    """The pod, its containers with other resources."""

    def changed(container: core.Container) -> core.Container:
        return msgspec.structs.replace(container, resources=of(container))

    spec = msgspec.structs.replace(
        pod.spec,
        init_containers=[changed(container) for container in pod.spec.init_containers],
        containers=[changed(container) for container in pod.spec.containers],
    )
    return msgspec.structs.replace(pod, spec=spec)


def as_granted(pod: core.Pod, granted: core.Pod) -> core.Pod:
    """The pod, with the resources that it was granted."""
    before = {c.name: c.resources for c in (*granted.spec.init_containers, *granted.spec.containers)}
    return with_resources(pod, lambda container: before.get(container.name, container.resources))


def as_reported(pod: core.Pod) -> core.Pod:
    """The pod as a former kubelet ran it, by the status that it left: what was asked for since is still to be granted."""
    told = {s.name: s.resources for s in (*pod.status.init_container_statuses, *pod.status.container_statuses)}
    return with_resources(pod, lambda container: told.get(container.name) or container.resources)


# What the pod's machine does about it.


def resize(pod: PodState, now: datetime) -> None:
    """Begins what is to be done for containers that do not yet have what was granted."""
    if pod.resize_at is not None and now < pod.resize_at:
        return
    pod.resize_at = None
    for slot in pod.slots.values():
        if not slot.running or slot.step or slot.current is None or not slot.outgrown:
            continue
        if _needs_restart(slot):
            slot.again = True
            stop(pod, slot, f"Container {slot.spec.name} resize requires restart", now)
        else:
            slot.step = "resize"
            pod.out.append(ResizeContainer(slot.spec.name, slot.current.id, slot.spec.resources))


def _needs_restart(slot: Slot) -> bool:
    """Whether a resource changes that the container takes up only as it starts."""
    before, after = slot.applied or slot.spec.resources, slot.spec.resources
    policies = {policy.resource_name: policy.restart_policy for policy in slot.spec.resize_policy}
    changed = {
        name
        for old, new in ((before.requests, after.requests), (before.limits, after.limits))
        for name in (*old, *new)
        if old.get(name) != new.get(name)
    }
    return any(policies.get(name) == "RestartContainer" for name in changed)


def resized(pod: PodState, outcome: Resized, now: datetime) -> None:
    """What came of it; a failure is shown and tried again."""
    slot = pod.slots[outcome.container]
    if slot.step == "resize":
        slot.step = ""
    if outcome.error:
        pod.resize_error = outcome.error
        pod.resize_at = now + timedelta(seconds=RETRY_SECONDS)
        return
    pod.resize_error = ""
    if slot.current is not None and slot.current.id == outcome.container_id:
        slot.applied = outcome.resources
    if not any(other.outgrown for other in pod.slots.values()):
        pod.record(events.normal("ResizeCompleted", f"Pod resize completed: {_summary(pod.pod)}"))


def _summary(pod: core.Pod) -> str:
    def listed(containers: Sequence[core.Container]) -> list[dict[str, object]]:
        return [{"name": c.name, "resources": msgspec.Raw(types.encode(c.resources))} for c in containers]

    parts = {"initContainers": listed(pod.spec.init_containers), "containers": listed(pod.spec.containers)}
    return msgspec.json.encode({name: part for name, part in parts.items() if part}).decode()

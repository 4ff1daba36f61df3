"""Drains a node: no new pods, and those that are there leave by eviction, as their budgets allow (upstream: kubectl/pkg/drain)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import policy_v1 as policy
from pybernetes.client.types import Client

from . import drainplan
from .drainplan import Consent

RETRY_SECONDS = 5.0  # after a budget's refusal; kubectl's
POLL_SECONDS = 1.0  # whether a pod is gone

Tell = Callable[[str], None]


class DrainError(Exception):
    """The node was not drained; says which pods stay and why."""


@dataclass(frozen=True, slots=True)
class Options:
    """`grace_seconds` None: the pods' own. `seconds` 0: as long as it takes."""

    consent: Consent = field(default_factory=Consent)
    grace_seconds: int | None = None
    seconds: float = 0.0


async def cordon(client: Client, name: str, unschedulable: bool, tell: Tell) -> core.Node:
    """The node as it is then. StatusError."""
    node = await client.get(core.Node, name)
    word = "cordoned" if unschedulable else "uncordoned"
    if bool(node.spec.unschedulable) == unschedulable:
        tell(f"node/{name} already {word}")
        return node
    patch = {"spec": {"unschedulable": True if unschedulable else None}}
    node = await client.patch(core.Node, name, "", patch)
    tell(f"node/{name} {word}")
    return node


async def drain(client: Client, name: str, options: Options, clock: Clock, tell: Tell) -> None:
    """Returns when its pods are gone. DrainError (the node stays cordoned), StatusError."""
    await cordon(client, name, True, tell)
    pods = (await client.list(core.Pod, field_selector=f"spec.nodeName={name}")).items
    sets = {(one.metadata.namespace, one.metadata.name) for one in (await client.list(apps.DaemonSet)).items}
    plan = drainplan.plan(pods, sets, options.consent)
    if plan.problems:
        raise DrainError("; ".join(plan.problems))
    for line in plan.warnings:
        tell(f"Warning: {line}")
    left = {_name(pod) for pod in plan.evict}

    async def one(pod: core.Pod) -> None:
        await _evict(client, pod, options, clock, tell)
        await _until_gone(client, pod, clock)
        left.discard(_name(pod))
        tell(f"pod/{pod.metadata.name} evicted")

    try:
        async with clock.timeout(options.seconds or None), asyncio.TaskGroup() as tasks:
            for pod in plan.evict:
                tasks.create_task(one(pod))
    except TimeoutError:
        raise DrainError(f"after {options.seconds:.0f} s there are still {', '.join(sorted(left))}") from None
    except ExceptionGroup as group:
        raise _first(group) from group
    tell(f"node/{name} drained")


async def _evict(client: Client, pod: core.Pod, options: Options, clock: Clock, tell: Tell) -> None:
    """Asks until it is granted; who is gone needs nothing."""
    body = policy.Eviction(
        metadata=meta.ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace),
        delete_options=meta.DeleteOptions(
            grace_period_seconds=options.grace_seconds, preconditions=meta.Preconditions(uid=pod.metadata.uid)
        ),
    )
    tell(f"evicting pod {_name(pod)}")
    while True:
        try:
            await client.create_subresource(
                core.Pod, pod.metadata.name, pod.metadata.namespace, "eviction", body, meta.Status
            )
            return
        except StatusError as error:
            if error.code == 404 or (error.code == 409 and "UID" in str(error)):
                return  # gone, or already another one of the name
            if error.code != 429:
                raise DrainError(f"error when evicting pod {_name(pod)}: {error}") from error
            tell(f"error when evicting pod {_name(pod)} (will retry after {RETRY_SECONDS:.0f}s): {error}")
        await clock.sleep(RETRY_SECONDS)


async def _until_gone(client: Client, pod: core.Pod, clock: Clock) -> None:
    while True:
        try:
            now = await client.get(core.Pod, pod.metadata.name, pod.metadata.namespace)
        except StatusError as error:
            if error.code == 404:
                return
            raise
        if now.metadata.uid != pod.metadata.uid:
            return
        await clock.sleep(POLL_SECONDS)


def _name(pod: core.Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of a group's exceptions the one to tell."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first

"""Deletes pods that nobody else will: too many finished ones, and those whose node is gone (upstream: pkg/controller/podgc)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

from ..common import condition, creation_order, is_finished
from ..framework import Context, Controller

CHECK_SECONDS = 20.0
QUARANTINE_SECONDS = 40.0  # that a node must have been missing, since pods may be seen before their node
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A pod to delete at once; one that has not finished is marked Failed first, with `message` as the reason why."""

    pod: core.Pod
    message: str = ""


def surplus(pods: Iterable[core.Pod], threshold: int) -> list[Deletion]:
    """The finished pods beyond the threshold: evicted ones first, then the oldest."""
    if threshold <= 0:
        return []
    finished = sorted(
        (pod for pod in pods if is_finished(pod) and pod.metadata.deletion_timestamp is None),
        key=lambda pod: (pod.status.reason != EVICTED, *creation_order(pod)),
    )
    return [Deletion(pod) for pod in finished[: max(len(finished) - threshold, 0)]]


def out_of_service(pods: Iterable[core.Pod], nodes: Mapping[str, core.Node]) -> list[Deletion]:
    """Terminating pods of nodes that are not ready and tainted as out of service."""
    found: list[Deletion] = []
    for pod in pods:
        node = nodes.get(pod.spec.node_name)
        if pod.metadata.deletion_timestamp is None or node is None or not _out_of_service(node):
            continue
        found.append(Deletion(pod, "PodGC: node is out-of-service"))
    return found


def _out_of_service(node: core.Node) -> bool:
    ready = condition(node.status.conditions, "Ready")
    healthy = ready is not None and ready.status == "True"
    return not healthy and any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def unscheduled(pods: Iterable[core.Pod]) -> list[Deletion]:
    """Terminating pods that never came to a node."""
    return [
        Deletion(pod, "PodGC: pod is unscheduled and terminating")
        for pod in pods
        if pod.metadata.deletion_timestamp is not None and not pod.spec.node_name
    ]


class Quarantine:
    """Names of nodes that pods have and that do not exist, until they have been missing for long."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def ripe(self, missing: Iterable[str], now: float) -> list[str]:
        """Those that have been missing for QUARANTINE_SECONDS; the others' time goes on."""
        names = set(missing)
        self._since = {name: since for name, since in self._since.items() if name in names}
        for name in names:
            self._since.setdefault(name, now)
        return sorted(name for name, since in self._since.items() if now - since >= QUARANTINE_SECONDS)


def failed_status(pod: core.Pod, message: str, now: datetime) -> dict[str, Any] | None:
    """The status patch that tells why a pod ended; None where it has finished."""
    if is_finished(pod):
        return None
    status: dict[str, Any] = {"phase": "Failed"}
    if message:
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": message,
            "lastTransitionTime": format_time(now),
        }
        status["conditions"] = [target]
    return {"metadata": {"uid": pod.metadata.uid}, "status": status}


class PodGCController(Controller):
    """A loop; there is no queue of anything."""

    name = "pod-garbage-collector-controller"
    account = "pod-garbage-collector"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=0)
        self._pods = self.informer(core.Pod)
        self._nodes = self.informer(core.Node)
        self._quarantine = Quarantine()

    def background(self) -> Iterable[Awaitable[None]]:
        return (self.every(CHECK_SECONDS, self.collect),)

    async def collect(self) -> None:
        """Once."""
        pods = list(self._pods.list())
        nodes = {node.metadata.name: node for node in self._nodes.list()}
        threshold = self.context.options.terminated_pod_gc_threshold
        await self._delete([*surplus(pods, threshold), *out_of_service(pods, nodes), *unscheduled(pods)])
        missing = {pod.spec.node_name for pod in pods if pod.spec.node_name and pod.spec.node_name not in nodes}
        for name in self._quarantine.ripe(missing, self.context.clock.monotonic()):
            if not await self._exists(name):
                lost = [pod for pod in pods if pod.spec.node_name == name]
                await self._delete([Deletion(pod, "PodGC: node no longer exists") for pod in lost])

    async def _exists(self, node: str) -> bool:
        try:
            await self.client.get(core.Node, node)
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return True

    async def _delete(self, deletions: Sequence[Deletion]) -> None:
        limit = asyncio.Semaphore(20)  # requests at a time

        async def one(deletion: Deletion) -> None:
            async with limit:
                await self._delete_one(deletion)

        await asyncio.gather(*map(one, deletions))

    async def _delete_one(self, deletion: Deletion) -> None:
        meta = deletion.pod.metadata
        patch = failed_status(deletion.pod, deletion.message, self.now()) if deletion.message else None
        try:
            if patch is not None:
                await self.client.patch(
                    core.Pod, meta.name, meta.namespace, patch, type="strategic", subresource="status"
                )
            await self.client.delete(core.Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except StatusError as error:
            if error.code not in (404, 409):
                raise


__all__ = ["Deletion", "PodGCController", "Quarantine", "failed_status", "out_of_service", "surplus", "unscheduled"]

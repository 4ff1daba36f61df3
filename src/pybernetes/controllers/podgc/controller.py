"""Deletes pods that nobody else will: too many finished ones, and those whose node is gone (upstream: pkg/controller/podgc)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from ..framework import Context, Controller
from .plan import Deletion, Quarantine, failed_status, out_of_service, surplus, unscheduled

CHECK_SECONDS = 20.0


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
        """Looks at all pods once. StatusError where one cannot be deleted; the next look tries again."""
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

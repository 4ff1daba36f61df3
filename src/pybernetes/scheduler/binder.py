"""Sends bindings, several at a time, each after what must be written and seen before it (upstream: bindingCycle)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pybernetes.aio.clock import Clock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.types import Client

from .framework.interface import Plugin, Update
from .framework.queue import QueuedPod
from .plugins.defaultbinder import DefaultBinder, binding
from .statuspatches import ERRORS, StatusPatches

BIND_VOLUMES_SECONDS = 600.0  # upstream's bindTimeoutSeconds
WAITING = 4  # decisions for each sender that may wait; then deciding waits


@dataclass(frozen=True, slots=True)
class Bound:
    """A decision on its way to the API server; `plugins` have reserved something for it. `began`: when it was tried."""

    queued: QueuedPod
    node: str
    updates: Sequence[Update]
    plugins: Sequence[Plugin]
    began: float


class BindingFailed(Exception):
    """A pod was not bound; the text is the event's. `cause` is one of ERRORS."""

    def __init__(self, plugin: str, point: str, cause: Exception) -> None:
        super().__init__(f'running {point} plugin "{plugin}": {cause}')
        self.cause = cause


class Binder:
    """`put` waits while too much is on its way; `run` sends until cancelled and calls `bound` or `failed` for each."""

    def __init__(
        self,
        client: Client,
        statuses: StatusPatches,
        senders: int,
        bound: Callable[[Bound], None],
        failed: Callable[[Bound, BindingFailed], None],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._client, self._statuses, self._senders = client, statuses, senders
        self._bound, self._failed = bound, failed
        self._queue: asyncio.Queue[Bound] = asyncio.Queue(WAITING * senders)
        self._claims_changed = asyncio.Event()

    async def put(self, decision: Bound) -> None:
        """Sends it as soon as it can."""
        await self._queue.put(decision)

    def claims_changed(self) -> None:
        """A claim has changed: volumes that are waited for may be there."""
        self._claims_changed.set()

    async def run(self) -> None:
        """Pods that wait for volumes do not hold up others: they are sent by tasks of their own."""
        async with asyncio.TaskGroup() as group:

            async def send_all() -> None:
                while True:
                    decision = await self._queue.get()
                    if decision.updates or any(p.waits(decision.queued.info) for p in decision.plugins):
                        group.create_task(self._send(decision, volumes=True))
                    else:
                        await self._send(decision, volumes=False)

            for _ in range(self._senders):
                group.create_task(send_all())

    async def _send(self, decision: Bound, volumes: bool) -> None:
        info = decision.queued.info
        try:
            await self._statuses.settle(info.pod)
            if volumes:
                await self._bind_volumes(decision)
            await self._bind(info.pod, decision.node)
        except BindingFailed as error:
            self._failed(decision, error)
        else:
            self._bound(decision)
        finally:
            for plugin in decision.plugins:
                plugin.release(info)

    async def _bind(self, pod: core.Pod, node: str) -> None:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        try:
            await self._client.create_subresource(core.Pod, name, namespace, "binding", binding(pod, node), meta.Status)
        except ERRORS as error:
            raise BindingFailed(DefaultBinder.name, "Bind", error) from error

    async def _bind_volumes(self, decision: Bound) -> None:
        try:
            async with self._clock.timeout(BIND_VOLUMES_SECONDS):
                for update in decision.updates:
                    await self._client.update(update.obj)
                while any(plugin.waits(decision.queued.info) for plugin in decision.plugins):
                    self._claims_changed.clear()
                    await self._claims_changed.wait()
        except ERRORS as error:
            late = isinstance(error, TimeoutError)
            cause = TimeoutError("binding volumes: context deadline exceeded") if late else error
            raise BindingFailed("VolumeBinding", "PreBind", cause) from error

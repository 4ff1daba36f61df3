"""The end of a definition: its instances go first (upstream: apiextensions-apiserver pkg/controller/finalizer)."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pybernetes.aio.ending import end
from pybernetes.api import times
from pybernetes.api.errors import StatusError

from ..generic.cache import WatchCache
from ..generic.options import DeleteOptions
from ..generic.store import GenericStore
from ..resource import Object
from . import conditions

_log = logging.getLogger(__name__)

CHECK_SECONDS = 0.2  # between looks whether instances are gone
CHECKS_PER_ROUND = 300  # after which the deletion is tried anew
IN_PROGRESS = "CustomResource deletion is in progress"
REMAINING = "could not confirm zero CustomResources remaining: timed out waiting for the condition"


class Finalizer:
    """`stores(name)` are those of a definition's instances; `change(name, how)` writes a definition's status and finalizers."""

    def __init__(
        self,
        cache: WatchCache,
        stores: Callable[[str], Sequence[GenericStore]],
        change: Callable[[str, Callable[[Object], Any]], Awaitable[None]],
    ) -> None:
        self._cache, self._stores, self._change = cache, stores, change
        self._running: dict[str, asyncio.Task[None]] = {}

    def finalize(self, name: str) -> None:
        """Begins to delete all instances; when they are gone the definition may go. Nothing where that goes on already."""
        if name not in self._running:
            task = asyncio.get_running_loop().create_task(self._finalized(name))
            self._running[name] = task
            task.add_done_callback(functools.partial(self._done, name))

    async def stop(self) -> None:
        """Leaves the rest to the next start."""
        tasks = list(self._running.values())
        await end(*tasks)

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        del self._running[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the instances of %s: %s", name, error, exc_info=error)

    async def _finalized(self, name: str) -> None:
        try:
            await self._terminating(name, "True", "InstanceDeletionInProgress", IN_PROGRESS)
            while not await self._instances_gone(name):
                await self._terminating(name, "True", "InstanceDeletionCheck", REMAINING)
            await self._terminating(name, "False", "InstanceDeletionCompleted", "removed all instances")
            await self._change(name, _let_go)
        except StatusError as error:
            if error.code != 404:
                raise

    async def _terminating(self, name: str, status: str, reason: str, message: str) -> None:
        def put(crd: Object) -> None:
            conditions.put(crd, "Terminating", status, reason, message, now)

        now = times.format_time(self._cache.clock.now())
        await self._change(name, put)

    async def _instances_gone(self, name: str) -> bool:
        stores = self._stores(name)
        for store in stores:
            for stored in list(self._cache.resource(store.prefix).values):
                await self._delete(store, stored.peek()["metadata"])
        for _ in range(CHECKS_PER_ROUND):
            if not any(self._cache.resource(store.prefix).items for store in stores):
                return True
            await self._cache.clock.sleep(CHECK_SECONDS)
        return False

    @staticmethod
    async def _delete(store: GenericStore, metadata: Object) -> None:
        try:
            await store.delete(metadata.get("namespace", ""), metadata["name"], DeleteOptions())
        except StatusError as error:
            if error.code != 404:
                _log.warning("instance %s of %s: %s", metadata["name"], store.resource.name, error)


def _let_go(crd: Object) -> None:
    metadata = crd["metadata"]
    metadata["finalizers"] = [one for one in metadata.get("finalizers") or () if one != conditions.FINALIZER]

"""Makes and keeps the FlowSchemas and PriorityLevelConfigurations of every cluster (upstream: pkg/registry/flowcontrol/rest, ensurer)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError

from ..flowcontrol import ensuring
from ..flowcontrol.bootstrap import PRIORITY_LEVELS, SCHEMAS
from ..flowcontrol.ensuring import Action, Create, Update
from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import GenericStore
from ..resource import Object

_log = logging.getLogger(__name__)

GROUP = "flowcontrol.apiserver.k8s.io"
MANAGER = "api-priority-and-fairness-config-producer-v1"
PERIOD_SECONDS = 60.0  # upstream's


class Producer:
    """`store` gives the storage of a (group, version, resource)."""

    def __init__(self, store: Callable[[str, str, str], GenericStore], clock: Clock) -> None:
        self._levels = store(GROUP, "v1", "prioritylevelconfigurations")
        self._schemas = store(GROUP, "v1", "flowschemas")
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def ensure(self) -> None:
        """They are as they should be when it returns. StatusError, where the store fails."""
        await asyncio.gather(self._ensure(self._levels, PRIORITY_LEVELS), self._ensure(self._schemas, SCHEMAS))

    def start(self) -> None:
        """Looks again each minute."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Nothing is written any more."""
        await end(self._task)

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(PERIOD_SECONDS)
            try:
                await self.ensure()
            except Exception as error:  # the store is away, or an object damaged: it is tried again
                _log.warning("the objects of priority and fairness cannot be brought up to date yet: %s", error)

    async def _ensure(self, store: GenericStore, specs: Mapping[str, Object]) -> None:
        present = store.cache.resource(store.prefix).values
        objects = [store.in_version(stored).obj for stored in present]
        actions = ensuring.plan(specs, objects)
        await asyncio.gather(*(self._apply(store, action) for action in actions))

    async def _apply(self, store: GenericStore, action: Action) -> None:
        written = WriteOptions(admission=False, manager=MANAGER)
        try:
            if isinstance(action, Create):
                await store.create(store.schema.normalize(action.obj)[0], "", written)
            elif isinstance(action, Update):
                plain = store.schema.normalize(action.obj)[0]
                await store.update("", plain["metadata"]["name"], plain, written)
            else:
                options = DeleteOptions(admission=False, resource_version=action.resource_version or None)
                await store.delete("", action.name, options)
        except StatusError as error:
            if error.code not in (404, 409):  # another server was faster, or a user: it is looked at again
                raise

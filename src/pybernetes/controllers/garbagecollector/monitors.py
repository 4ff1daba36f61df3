"""Watches the metadata of everything that can be deleted, and follows as resources come and go (upstream: GraphBuilder's monitors)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.client.informer import Reflector
from pybernetes.client.metadata import (
    Discovered,
    MetadataClient,
    MetadataListWatch,
    Partial,
    Resource,
    having,
)
from pybernetes.client.types import WatchEvent

from ..framework import Again

_log = logging.getLogger(__name__)

IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})  # never owned, and many
RESYNC_SECONDS = 30.0  # between looks at what resources there are
SETTLE_SECONDS = 30.0  # that new monitors may take for their first list before work goes on without them
ADDS_RESOURCES = frozenset(
    {"customresourcedefinitions", "apiservices"}
)  # changes of these are a reason to look at once
CHANGED_SECONDS = 0.5  # after such a change, for the server to serve it


class Unknown(Again):
    """A kind that discovery does not know."""


class Listener(Protocol):
    """Who is told of each change: the graph."""

    def listed(self, resource: Resource, objects: Sequence[Partial]) -> None:
        """All objects of a resource: others are gone."""
        ...

    def seen(self, resource: Resource, event: WatchEvent[Partial]) -> None:
        """One change of an object of the resource, in the order in which the server made them."""
        ...


class _Told:
    """The store of a reflector that keeps no objects of its own."""

    def __init__(self, resource: Resource, monitors: Monitors) -> None:
        self._resource, self._monitors = resource, monitors

    def replace(self, objects: Sequence[Partial]) -> None:
        self._monitors.listener.listed(self._resource, objects)

    def apply(self, event: WatchEvent[Partial]) -> None:
        self._monitors.seen(self._resource, event)


class Monitors:
    """One for each resource that can be listed, watched and deleted; `settled` is set while all of them have listed."""

    def __init__(self, client: MetadataClient, listener: Listener, clock: Clock) -> None:
        self.listener = listener
        self.settled = asyncio.Event()
        self._client, self._clock = client, clock
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._running: dict[Resource, tuple[Reflector[Partial], asyncio.Task[None]]] = {}
        self._look = asyncio.Event()

    def resource(self, api_version: str, kind: str) -> Resource:
        """Unknown for what discovery has not told of."""
        resource = self._kinds.get((api_version, kind))
        if resource is None:
            raise Unknown(f'no matches for kind "{kind}" in version "{api_version}"')
        return resource

    def seen(self, resource: Resource, event: WatchEvent[Partial]) -> None:
        """Tells a change; one that may bring resources is a reason to look for them."""
        self.listener.seen(resource, event)
        if resource.name in ADDS_RESOURCES:
            self._look.set()

    async def run(self) -> None:
        """Watches, and looks for new and gone resources, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._apply(await self._client.discover(), group)
                except (StatusError, ConnectionError, TimeoutError) as error:
                    _log.warning("garbage collector: discovery failed: %s", error)
                await self._pause()

    async def _pause(self) -> None:
        """Until it is time again, or the resources may have changed."""
        sleep = asyncio.ensure_future(self._clock.sleep(RESYNC_SECONDS))
        look = asyncio.ensure_future(self._look.wait())
        try:
            await asyncio.wait({sleep, look}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            look.cancel()
        if self._look.is_set():
            await self._clock.sleep(CHANGED_SECONDS)
            self._look.clear()

    async def _apply(self, discovered: Discovered, group: asyncio.TaskGroup) -> None:
        """Starts and stops monitors; returns when new ones have listed."""
        self._kinds = discovered.by_kind()
        deletable = {
            resource
            for resource in having(discovered.preferred(), "delete", "list", "watch")
            if (resource.group, resource.name) not in IGNORED
        }
        for resource in [r for r in self._running if r not in deletable and r.api_version not in discovered.failed]:
            # Its nodes stay: should it come back, the first list tells which of them are gone.
            self._running.pop(resource)[1].cancel()
        new = sorted(deletable - self._running.keys(), key=lambda r: r.group_resource)
        for resource in new:
            monitor = Reflector(MetadataListWatch(self._client, resource), _Told(resource, self), self._clock)
            self._running[resource] = (monitor, group.create_task(monitor.run(), name=f"monitor of {resource.name}"))
        if new:
            self.settled.clear()
            await self._wait(new)
        self.settled.set()

    async def _wait(self, new: Iterable[Resource]) -> None:
        try:
            async with self._clock.timeout(SETTLE_SECONDS):
                for resource in new:
                    await self._running[resource][0].wait_synced()
        except TimeoutError:
            late = [monitor.title for monitor, _ in self._running.values() if not monitor.synced]
            _log.warning("garbage collector: goes on without %s", ", ".join(late))

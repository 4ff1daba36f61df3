"""Monitors follow as resources come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.client.metadata import Discovered, Metadata, Partial, Resource
from pybernetes.client.types import ObjectList, WatchEvent
from pybernetes.controllers.garbagecollector.monitors import RESYNC_SECONDS, Monitors, Unknown

VERBS = frozenset({"delete", "list", "watch"})
PODS = Resource("", "v1", "pods", "Pod", True, VERBS)
EVENTS = Resource("", "v1", "events", "Event", True, VERBS)
REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, frozenset({"create"}))
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, VERBS)
THINGS = Resource("example.com", "v1", "things", "Thing", True, VERBS)
TURNS = 50  # of the event loop until everything has settled


class Server:
    """Discovery as told; lists are empty, watches give what is put in."""

    def __init__(self, *resources: Resource) -> None:
        self.found: Discovered | Exception = Discovered(resources)
        self.events: dict[str, asyncio.Queue[WatchEvent[Partial]]] = {}
        self.watched: set[str] = set()

    async def discover(self) -> Discovered:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def list(self, resource: Resource, namespace: str = "", *, resource_version: str = "") -> ObjectList[Partial]:
        return ObjectList([], "1")

    async def watch(self, resource: Resource, namespace: str = "", **_: Any) -> AsyncIterator[WatchEvent[Partial]]:
        self.watched.add(resource.name)
        queue = self.events.setdefault(resource.name, asyncio.Queue())
        try:
            while True:
                yield await queue.get()
        finally:
            self.watched.discard(resource.name)


class Told:
    """Notes what is told."""

    def __init__(self) -> None:
        self.news: list[str] = []

    def listed(self, resource: Resource, objects: Sequence[Partial]) -> None:
        self.news.append(f"listed {resource.name}")

    def seen(self, resource: Resource, event: WatchEvent[Partial]) -> None:
        self.news.append(f"{event.type} {resource.name} {event.object.metadata.name}")


class Play:
    """Monitors on a clock that is moved."""

    def __init__(self, server: Server) -> None:
        self.server, self.told, self.clock = server, Told(), VirtualClock()
        client: Any = server
        self.monitors = Monitors(client, self.told, self.clock)
        self._task = asyncio.ensure_future(self.monitors.run())

    async def after(self, seconds: float = 0.0) -> None:
        await self.clock.advance(seconds)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def event(self, resource: Resource, name: str) -> None:
        self.server.events[resource.name].put_nowait(WatchEvent("ADDED", Partial(Metadata(name, uid=name))))

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_what_can_be_deleted_and_watched_is_watched() -> None:
    async def main() -> None:
        play = Play(Server(PODS, EVENTS, REVIEWS))
        await play.after()
        assert play.server.watched == {"pods"} and play.monitors.settled.is_set()
        assert play.told.news == ["listed pods"]
        play.event(PODS, "a")
        await play.after()
        assert play.told.news[-1] == "ADDED pods a"
        assert play.monitors.resource("v1", "Event") == EVENTS
        with pytest.raises(Unknown, match="no matches for kind"):
            play.monitors.resource("example.com/v1", "Thing")
        await play.end()

    asyncio.run(main())


def test_new_resources_come_with_a_definition_and_others_with_time() -> None:
    async def main() -> None:
        play = Play(Server(PODS, CRDS))
        await play.after()
        play.server.found = Discovered((PODS, CRDS, THINGS))
        await play.after(1)
        assert "things" not in play.server.watched
        play.event(CRDS, "things.example.com")
        await play.after()
        await play.after(1)
        assert "things" in play.server.watched and play.monitors.settled.is_set()
        play.server.found = Discovered((PODS, CRDS))
        await play.after(RESYNC_SECONDS + 1)
        assert "things" not in play.server.watched
        await play.end()

    asyncio.run(main())


def test_what_discovery_could_not_tell_is_kept() -> None:
    async def main() -> None:
        play = Play(Server(PODS, THINGS))
        await play.after()
        play.server.found = Discovered((PODS,), {"example.com/v1": "no answer"})
        await play.after(RESYNC_SECONDS + 1)
        assert play.server.watched == {"pods", "things"}
        play.server.found = errors.service_unavailable("no")
        await play.after(RESYNC_SECONDS + 1)
        assert play.server.watched == {"pods", "things"} and play.monitors.settled.is_set()
        await play.end()

    asyncio.run(main())

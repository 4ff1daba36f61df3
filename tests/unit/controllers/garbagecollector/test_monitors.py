"""Monitors follow as resources come and go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors, types
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.memory import MemoryClient
from pybernetes.client.metadata import MetadataClient, Partial, Resource
from pybernetes.client.types import WatchEvent
from pybernetes.controllers.garbagecollector.monitors import RESYNC_SECONDS, Monitors, Unknown

from .things import Thing

VERBS = frozenset({"delete", "list", "watch"})
PODS = Resource("", "v1", "pods", "Pod", True, VERBS)
EVENTS = Resource("", "v1", "events", "Event", True, VERBS)
REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, frozenset({"create"}))
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, VERBS)
THINGS = Resource("example.com", "v1", "things", "Thing", True, VERBS)
Definition = types.type_of("apiextensions.k8s.io/v1", "CustomResourceDefinition")


def document(resources: Sequence[Resource], stale: Sequence[str] = ()) -> bytes:
    """Aggregated discovery; of the stale groups the server does not know v1 now."""
    items = [
        {
            "metadata": {"name": r.group},
            "versions": [
                {
                    "version": r.version,
                    "resources": [
                        {
                            "resource": r.name,
                            "responseKind": {"kind": r.kind},
                            "scope": "Namespaced" if r.namespaced else "Cluster",
                            "verbs": sorted(r.verbs),
                        }
                    ],
                }
            ],
        }
        for r in resources
    ]
    items += [{"metadata": {"name": group}, "versions": [{"version": "v1", "freshness": "Stale"}]} for group in stale]
    return json.dumps({"kind": "APIGroupDiscoveryList", "items": items}).encode()


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

    def __init__(self, *resources: Resource) -> None:
        self.client, self.told, self.clock = MemoryClient(), Told(), VirtualClock()
        self.client.serve(Thing, Definition)
        self.discovered(*resources)
        self.monitors = Monitors(MetadataClient(self.client), self.told, self.clock)
        self._task = asyncio.ensure_future(self.monitors.run())

    def discovered(self, *resources: Resource, stale: Sequence[str] = ()) -> None:
        """From now on discovery tells this."""
        self.client.answers["GET", "/api"] = document([r for r in resources if not r.group])
        self.client.answers["GET", "/apis"] = document([r for r in resources if r.group], stale)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_what_can_be_deleted_and_watched_is_watched() -> None:
    async def main() -> None:
        play = Play(PODS, EVENTS, REVIEWS)
        await play.clock.settle()
        assert play.client.watched == {core.Pod} and play.monitors.settled.is_set()
        assert play.told.news == ["listed pods"]
        play.client.put(core.Pod(metadata=meta.ObjectMeta(name="a", namespace="ns")))
        await play.clock.settle()
        assert play.told.news[-1] == "ADDED pods a"
        assert play.monitors.resource("v1", "Event") == EVENTS
        with pytest.raises(Unknown, match="no matches for kind"):
            play.monitors.resource("example.com/v1", "Thing")
        await play.end()

    asyncio.run(main())


def test_new_resources_come_with_a_definition_and_others_with_time() -> None:
    async def main() -> None:
        play = Play(PODS, CRDS)
        await play.clock.settle()
        play.discovered(PODS, CRDS, THINGS)
        await play.clock.advance(1)
        assert Thing not in play.client.watched
        play.client.put(Definition(metadata=meta.ObjectMeta(name="things.example.com")))
        await play.clock.settle()
        await play.clock.advance(1)
        assert Thing in play.client.watched and play.monitors.settled.is_set()
        play.discovered(PODS, CRDS)
        await play.clock.advance(RESYNC_SECONDS + 1)
        assert Thing not in play.client.watched
        await play.end()

    asyncio.run(main())


def test_what_discovery_could_not_tell_is_kept() -> None:
    async def main() -> None:
        play = Play(PODS, THINGS)
        await play.clock.settle()
        play.discovered(PODS, stale=["example.com"])
        await play.clock.advance(RESYNC_SECONDS + 1)
        assert play.client.watched == {core.Pod, Thing}
        play.client.answers["GET", "/apis"] = errors.service_unavailable("no")
        await play.clock.advance(RESYNC_SECONDS + 1)
        assert play.client.watched == {core.Pod, Thing} and play.monitors.settled.is_set()
        await play.end()

    asyncio.run(main())

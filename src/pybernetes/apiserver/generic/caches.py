"""The watch caches of a server whose resources lie in several etcd clusters (--etcd-servers-overrides): one a cluster, each with revisions of
its own."""

from __future__ import annotations

from collections.abc import Mapping

from pybernetes.aio.clock import Clock

from .cache import WatchCache

GroupResource = tuple[str, str]
WATCHES_A_SECOND = 200.0  # that end at least, when all are to (upstream: genericapiserver.go)


class Caches:
    """`main` has what is not elsewhere; `elsewhere` names resources by each group that serves them."""

    def __init__(self, main: WatchCache, elsewhere: Mapping[GroupResource, WatchCache]) -> None:
        self.main, self._elsewhere = main, elsewhere
        self.others = tuple(dict.fromkeys(elsewhere.values()))  # in the order in which they were named

    def of(self, group: str, resource: str) -> WatchCache:
        """That of a resource's cluster."""
        return self._elsewhere.get((group, resource), self.main)

    async def start(self) -> None:
        """Reads everything, then follows."""
        for cache in (self.main, *self.others):
            await cache.start()

    async def stop(self) -> None:
        """Ends all watchers."""
        for cache in (*self.others, self.main):
            await cache.stop()

    async def end_watches(self, seconds: float, clock: Clock) -> None:
        """Those of clients that there are now, one after the other within the time: their clients do not come to others all at once."""
        watchers = [one for cache in (*self.others, self.main) for one in cache.client_watchers()]
        between = 1 / max(WATCHES_A_SECOND, len(watchers) / seconds)
        for watcher in watchers:
            watcher.end()
            await clock.sleep(between)

    def counts(self) -> dict[GroupResource, int]:
        """How many objects there are, each resource in its own cluster."""
        return self._own({cache: cache.counts() for cache in (self.main, *self.others)})

    def watchers(self) -> dict[GroupResource, int]:
        """How many watch."""
        return self._own({cache: cache.watchers() for cache in (self.main, *self.others)})

    def _own(self, told: Mapping[WatchCache, Mapping[GroupResource, int]]) -> dict[GroupResource, int]:
        return {key: n for cache, counts in told.items() for key, n in counts.items() if self.of(*key) is cache}

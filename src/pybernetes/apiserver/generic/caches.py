"""The watch caches of a server whose resources lie in several etcd clusters (--etcd-servers-overrides): one a cluster, each with revisions of
its own."""

from __future__ import annotations

from collections.abc import Mapping

from .cache import WatchCache

GroupResource = tuple[str, str]


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

    def counts(self) -> dict[GroupResource, int]:
        """How many objects there are, each resource in its own cluster."""
        return self._own({cache: cache.counts() for cache in (self.main, *self.others)})

    def watchers(self) -> dict[GroupResource, int]:
        """How many watch."""
        return self._own({cache: cache.watchers() for cache in (self.main, *self.others)})

    def _own(self, told: Mapping[WatchCache, Mapping[GroupResource, int]]) -> dict[GroupResource, int]:
        return {key: n for cache, found in told.items() for key, n in found.items() if self.of(*key) is cache}

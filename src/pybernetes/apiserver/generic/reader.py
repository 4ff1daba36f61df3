"""What plug-ins and the server itself look up: the newest known objects (see `types.Reader`)."""

from __future__ import annotations

from collections.abc import Iterable

from ..resource import Object
from . import keys
from .cache import ResourceCache, WatchCache
from .caches import Caches


class CacheReader:
    """See `types.Reader`."""

    def __init__(self, caches: Caches | WatchCache) -> None:
        self._caches = caches if isinstance(caches, Caches) else Caches(caches, {})
        # Which live as long as their caches: a write asks for a dozen.
        self._resources: dict[tuple[str, str], ResourceCache] = {}

    def _of(self, group: str, resource: str) -> ResourceCache:
        cache = self._resources.get((group, resource))
        if cache is None:
            cache = self._resources[group, resource] = self._caches.of(group, resource).of(group, resource)
        return cache

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        cache = self._of(group, resource)
        stored = cache.items.get(keys.of(cache.prefix, namespace, name))
        return stored.obj if stored else None

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[Object]:
        cache = self._of(group, resource)
        if not cache.items:  # limits, classes, quotas: most clusters have none of most
            return []
        return [stored.obj for stored in cache.range(keys.of(cache.prefix, namespace, ""))]

    def changed(self, group: str, resource: str) -> int:
        """The revision of the last change of a resource: what was worked out from older ones may be wrong."""
        return self._of(group, resource).changed

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        cache = self._caches.of(group, resource)
        await cache.wait(await cache.store.revision())
        return self.get(group, resource, namespace, name)
